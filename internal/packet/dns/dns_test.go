package dns

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func raw(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// An answer with a CNAME and an address, names compressed, and EDNS that raises the code by 16.
const answer = "1234 8180 0001 0002 0000 0001" +
	"03 777777 07 6578616D706C65 03 636f6d 00 0001 0001" +
	"c00c 0005 0001 0000003c 0007 04 65646765 c010" +
	"c02d 0001 0001 0000012c 0004 c0000201" +
	"00 0029 04d0 01000000 0000"

func TestParseReadsAnswer(t *testing.T) {
	var m Message
	if err := Parse(raw(t, answer), &m); err != nil {
		t.Fatal(err)
	}
	want := Message{
		ID: 0x1234, Response: true, RecursionDesired: true, RecursionAvailable: true, Rcode: 16, EDNS: true, UDPSize: 1232,
		Questions: []Question{{Name: "www.example.com", Type: TypeA, Class: 1}},
		Answers: []Resource{
			{Name: "www.example.com", Type: TypeCNAME, Class: 1, TTL: 60, Data: "edge.example.com"},
			{Name: "edge.example.com", Type: TypeA, Class: 1, TTL: 300, Data: "192.0.2.1"},
		},
		Counts: [4]uint16{1, 2, 0, 1},
	}
	if diff := cmp.Diff(want, m, cmp.Transformer("empty", func(r []Resource) []Resource {
		if len(r) == 0 {
			return nil
		}
		return r
	})); diff != "" {
		t.Errorf("Parse (-want +got):\n%s", diff)
	}
}

func TestParseWritesData(t *testing.T) {
	for _, tt := range []struct{ name, kind, data, want string }{
		{"MX", "000f", "000a 02 6d78 c00c", "10 mx.a"},
		{"SRV", "0021", "0001 0002 01bb 01 73 c00c", "1 2 443 s.a"},
		{"TXT", "0010", "02 6869 03 61 22 ff", `"hi" "a\"\255"`},
		{"SOA", "0006", "01 6e c00c 01 6d c00c 00000001 00000002 00000003 00000004 ffffffff", "n.a m.a 1 2 3 4 4294967295"},
		{"AAAA", "001c", "20010db8 00000000 00000000 00000001", "2001:db8::1"},
		{"CAA", "0101", "00 05 6973737565 63612e78", `0 "issue" "ca.x"`},
		{"short A", "0001", "c000", `\# 2 c000`},
		{"cut TXT", "0010", "05 6869", `\# 3 056869`},
		{"unknown", "fff0", "0102", `\# 2 0102`},
		{"name that runs over", "0002", "04 6e61", `\# 3 046e61`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := raw(t, tt.data)
			b := raw(t, "0001 8000 0001 0001 0000 0000 01 61 00 0001 0001 c00c"+tt.kind+"0001 0000003c"+hex.EncodeToString([]byte{0, byte(len(data))}))
			var m Message
			if err := Parse(append(b, data...), &m); err != nil {
				t.Fatal(err)
			}
			if got := m.Answers[0].Data; got != tt.want {
				t.Errorf("data = %q; want %q", got, tt.want)
			}
		})
	}
}

func TestParseRefusesWhatIsNoMessage(t *testing.T) {
	const head = "0001 0100 0001 0000 0000 0000"
	for _, tt := range []struct {
		name, in string
		want     error
	}{
		{"short header", "0001", ErrShort},
		{"pointer to itself", head + "c00c 0001 0001", ErrPointer},
		{"pointer forward", head + "c0ff 0001 0001", ErrPointer},
		{"pointer into the header", head + "c000 0001 0001", ErrPointer},
		{"cycle of two", head + "01 61 c00e 0001 0001", ErrPointer},
		{"reserved bits", head + "41 61 00", ErrName},
		{"name too long", head + strings.Repeat("3f"+strings.Repeat("61", 63), 5) + "00", ErrName},
		{"label cut", head + "05 61", ErrShort},
		{"no question", head, ErrShort},
		{"data longer than the message", "0001 8000 0000 0001 0000 0000 00 0001 0001 00000000 00ff 01", ErrShort},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var m Message
			if err := Parse(raw(t, tt.in), &m); !errors.Is(err, tt.want) {
				t.Errorf("Parse(%s) = %v; want %v", tt.in, err, tt.want)
			}
		})
	}
}

func TestNamesAreEscaped(t *testing.T) {
	var m Message
	if err := Parse(raw(t, "0001 0000 0001 0000 0000 0000 05 41 2e 5c ff 20 00 0010 8001"), &m); err != nil {
		t.Fatal(err)
	}
	if q := m.Questions[0]; q.Name != `a\.\\\255\032` || !q.Unicast || q.Class != 1 {
		t.Errorf("question = %+v", q)
	}
}

func TestMemoryOfMessageIsBounded(t *testing.T) {
	b := raw(t, "0001 8000 0001 1000 0000 0000"+strings.Repeat("3f"+strings.Repeat("ff", 63), 3)+"00 0001 0001")
	rr := raw(t, "c00c 0001 0001 0000003c 0004 c0000201")
	for range 0x1000 {
		b = append(b, rr...)
	}
	var m Message
	if err := Parse(b, &m); err != nil || len(m.Answers) != maxResources || m.Counts[1] != 0x1000 {
		t.Errorf("Parse = %v with %d of %d answers; want %d kept", err, len(m.Answers), m.Counts[1], maxResources)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		answer,
		"0001 0100 0001 0000 0000 0000 03777777 05 61 2e 5c ff 20 00 0001 0001",
		"0000 8400 0000 0001 0000 0000 05 5f68747470 04 5f746370 05 6c6f63616c 00 0021 8001 00000078 0008 0000 0000 0050 c00c",
		"0001 0100 0001 0000 0000 0000 c00c 0001 0001",
	} {
		f.Add(raw(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Message
		err := Parse(b, &m)
		size := 0
		for _, q := range m.Questions {
			size += len(q.Name)
			again := encode(t, q.Name)
			var r reader
			r.msg = append(make([]byte, HeaderLen), again...)
			n, next, err := r.text(HeaderLen)
			if err != nil || string(r.name[:n]) != q.Name || next != len(r.msg) {
				t.Errorf("%q is read again as %q, %v", q.Name, r.name[:n], err)
			}
		}
		for _, s := range [][]Resource{m.Answers, m.Authorities, m.Additionals} {
			for _, rr := range s {
				size += len(rr.Name) + len(rr.Data)
				if !utf8.ValidString(rr.Name) || !utf8.ValidString(rr.Data) {
					t.Errorf("%+v is not UTF-8", rr)
				}
			}
		}
		if limit := maxQuestions*1024 + 3*maxResources*(1024+4096); size > limit || (err == nil && m.Rest > len(b)) {
			t.Errorf("%d bytes of text out of %d", size, len(b))
		}
	})
}

// encode writes a name's text back as labels.
func encode(t *testing.T, name string) []byte {
	t.Helper()
	var out, label []byte
	flush := func() {
		out = append(append(out, byte(len(label))), label...)
		label = label[:0]
	}
	for i := 0; i < len(name) && name != "."; i++ {
		switch c := name[i]; {
		case c == '.':
			flush()
		case c == '\\' && name[i+1] >= '0' && name[i+1] <= '9':
			label = append(label, (name[i+1]-'0')*100+(name[i+2]-'0')*10+name[i+3]-'0')
			i += 3
		case c == '\\':
			label = append(label, name[i+1])
			i++
		default:
			label = append(label, c)
		}
	}
	if name != "." {
		flush()
	}
	return append(out, 0)
}
