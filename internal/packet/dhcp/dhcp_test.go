package dhcp

import (
	"encoding/hex"
	"strings"
	"testing"
	"unicode/utf8"
)

func request(t testing.TB, options string) []byte {
	t.Helper()
	b := make([]byte, headLen4)
	b[0], b[1], b[2], b[3] = 1, 1, 6, 0
	copy(b[4:], []byte{0xde, 0xad, 0xbe, 0xef, 0, 3})
	copy(b[28:], []byte{2, 0, 0, 0, 0, 9})
	o, err := hex.DecodeString("63825363" + strings.ReplaceAll(options, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return append(b, o...)
}

const discover = "350101 3d07 01020000000009 3204 c0000205 0c03 6e6173 3c08 4d534654 20352e30 3704 01030f06 33 04 00000e10 5106 000000 6e2e61 ff"

func TestParse4ReadsDiscover(t *testing.T) {
	m, err := Parse4(request(t, discover))
	if err != nil || m.TypeName() != "DISCOVER" || m.Transaction != 0xdeadbeef || m.HostName != "nas" || m.VendorClass != "MSFT 5.0" ||
		m.Fingerprint() != "1,3,15,6" || m.Requested.String() != "192.0.2.5" || m.LeaseTime != 3600 || m.HardwareMAC != "02:00:00:00:00:09" ||
		m.ClientFQDN != "n.a" || m.ClientID != "01020000000009" || m.Seconds != 3 || m.Bootp {
		t.Errorf("Parse4 = %+v, %v", m, err)
	}
}

func TestParse4KnowsBootp(t *testing.T) {
	m, err := Parse4(request(t, "ff"))
	if err != nil || !m.Bootp || m.TypeName() != "BOOTP" {
		t.Errorf("Parse4 = %+v, %v", m, err)
	}
	if _, err := Parse4(request(t, "0c40 6e")); err == nil {
		t.Error("an option longer than the message is no error")
	}
}

// A SOLICIT, and the same in a relay's message.
const solicit = "01 10 08 74 0001 000e 0001 0001 1c39cf88 080027fe8f95 0006 0004 0017 0018 0008 0002 0064 0019 0029 27fe8f95 00000e10 00001518" +
	"001a 0019 00001194 00001c20 38 20010db8000101000000000000000000"

func TestParse6ReadsSolicit(t *testing.T) {
	in := strings.ReplaceAll(solicit, " ", "")
	relayed := "0c00" + strings.Repeat("0", 31) + "1" + strings.Repeat("f", 32) + "0009" + hex.EncodeToString([]byte{0, byte(len(in) / 2)}) + in
	for _, s := range []string{in, relayed} {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Parse6(b)
		if err != nil || m.TypeName() != "SOLICIT" || m.Transaction != 0x100874 || m.HardwareMAC != "08:00:27:fe:8f:95" || m.Fingerprint() != "23,24" ||
			m.Prefix.String() != "2001:db8:1:100::/56" || m.LeaseTime != 7200 || m.Seconds != 1 || m.Relay.IsValid() != (s == relayed) {
			t.Errorf("Parse6 = %+v, %v", m, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(false, request(f, discover))
	b, _ := hex.DecodeString(strings.ReplaceAll(solicit, " ", ""))
	f.Add(true, b)
	f.Fuzz(func(t *testing.T, six bool, b []byte) {
		parse := Parse4
		if six {
			parse = Parse6
		}
		m, _ := parse(b)
		for _, s := range []string{m.HostName, m.ClientFQDN, m.DomainName, m.VendorClass, m.Message, m.ClientID, m.Fingerprint(), m.TypeName()} {
			if !utf8.ValidString(s) || len(s) > 6*maxText || strings.ContainsAny(s, "\x00\n") {
				t.Errorf("text %q", s)
			}
		}
		if len(m.Routers) > maxList || len(m.DNS) > maxList || len(m.Parameters) > 255 || len(m.Parameters6) > maxOptions {
			t.Errorf("lists of %+v", m)
		}
	})
}
