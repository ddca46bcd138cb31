package ntp

import (
	"encoding/hex"
	"testing"
	"time"
)

// A server's answer of stratum 2, as ntpd sends it.
const answer = "240206ec000003e8000007d0c0000201" + "d3170fd100000000" + "d317103a80000000" + "d317103ac0000000" + "d317103ac0100000"

func TestParseReadsAnswer(t *testing.T) {
	b, _ := hex.DecodeString(answer)
	p, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if p.Version != 4 || p.Mode != ModeServer || p.Stratum != 2 || p.Poll != 6 || p.Precision != -20 || p.Source() != "192.0.2.1" ||
		p.RootDelay != time.Second*1000>>16 || p.Extra != 0 {
		t.Errorf("packet = %+v, source %s", p, p.Source())
	}
	if got := time.Unix(0, Nanos(p.Origin, 1.2e18)).UTC().Format(time.RFC3339Nano); got != "2012-03-23T15:07:38.5Z" {
		t.Errorf("origin = %s", got)
	}
}

func TestNanosKnowsEras(t *testing.T) {
	near := time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)
	stamp := uint64(near.Unix()+unixEra-1<<32) << 32
	if got := Nanos(stamp, near.UnixNano()); got != near.UnixNano() {
		t.Errorf("Nanos = %v; want %v", time.Unix(0, got).UTC(), near)
	}
}

func TestSourceOfStratumOne(t *testing.T) {
	for _, tt := range []struct {
		stratum uint8
		id      uint32
		want    string
	}{{1, 0x47505300, "GPS"}, {0, 0x52415445, "RATE"}, {1, 0x01020304, "1.2.3.4"}, {3, 0x0a000001, "10.0.0.1"}} {
		if got := (&Packet{Stratum: tt.stratum, ReferenceID: tt.id}).Source(); got != tt.want {
			t.Errorf("stratum %d, %x: %q; want %q", tt.stratum, tt.id, got, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	b, _ := hex.DecodeString(answer)
	f.Add(b, int64(1.3e18))
	f.Add(b[:47], int64(0))
	f.Add([]byte{0x16, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, int64(1))
	f.Fuzz(func(t *testing.T, b []byte, near int64) {
		p, err := Parse(b)
		if err != nil {
			return
		}
		if p.Extra < 0 || p.Mode == 0 || p.RootDelay < 0 || p.RootDelay > 1<<16*time.Second {
			t.Errorf("packet = %+v", p)
		}
		near = max(near, 0) // no capture is from before 1970
		const era = int64(1) << 32 * 1e9
		if d := Nanos(p.Transmit, near) - near; near < 7e18 && (d > era/2+1e9 && near > era/2 || d < -era/2-1e9) {
			t.Errorf("Nanos(%x, %d) is %d away", p.Transmit, near, d)
		}
		for _, c := range p.Source() {
			if c > '~' {
				t.Errorf("source %q", p.Source())
			}
		}
	})
}
