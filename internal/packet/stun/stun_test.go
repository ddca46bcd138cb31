package stun

import (
	"encoding/hex"
	"testing"
	"unicode/utf8"
)

// The sample answers of RFC 5769, sections 2.2 and 2.3.
const (
	answer4 = "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
	answer6 = "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c"
)

func TestParseReadsSamplesOfRFC5769(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{answer4, "192.0.2.1:32853"}, {answer6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"},
	} {
		b, _ := hex.DecodeString(tt.in)
		m, n, err := Parse(b)
		if err != nil || n != len(b) || m.Class != Success || MethodName(m.Method) != "binding" || m.Mapped.String() != tt.want || m.Software != "test vector" {
			t.Errorf("Parse = %+v, %d, %v; want %s", m, n, err, tt.want)
		}
	}
}

func TestMethodAndClassAreTakenApart(t *testing.T) {
	b, _ := hex.DecodeString("011300142112a442000000000000000000000000" + "0009000d00000425757365206b6e6f776e2000" + "00")
	m, _, err := Parse(b)
	if err != nil || m.Class != Failure || m.Method != 3 || m.ErrorCode != 437 {
		t.Errorf("Parse = %+v, %v; want an error 437 of allocate", m, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{answer4, answer6, "000100002112a442000000000000000000000000"} {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, n, err := Parse(b)
		if n > len(b) || (err == nil && n < headerLen) || m.ErrorCode > 799+255 || len(m.Software) > maxText*3 || !utf8.ValidString(m.Software) || m.Attributes > maxAttrs {
			t.Errorf("Parse = %+v, %d, %v", m, n, err)
		}
	})
}
