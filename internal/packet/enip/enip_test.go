package enip

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func raw(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Get_Attribute_Single of the identity's first instance, attribute 7, and its answer, an error.
const (
	request = "6f00 1800 04030201 00000000 1122334455667788 00000000 00000000 0a00 0200 0000 0000 b200 0800 0e03 2001 2401 3007"
	answer  = "6f00 1400 04030201 00000000 1122334455667788 00000000 00000000 0000 0200 0000 0000 b200 0400 8e00 0500"
)

func TestParse(t *testing.T) {
	b := raw(t, request+answer)
	m, n, err := Parse(b)
	if err != nil || n != 48 || CommandName(m.Command) != "send_rr_data" || m.Session != 0x01020304 || m.CIP == nil ||
		*m.CIP != (CIP{Service: 14, Class: 1, Instance: 1, Attribute: 7}) || ServiceName(m.CIP.Service) != "get_attribute_single" {
		t.Fatalf("Parse = %+v, %+v, %d, %v", m, m.CIP, n, err)
	}
	a, n, err := Parse(b[n:])
	if err != nil || n != 44 || a.Context != m.Context || a.CIP == nil || !a.CIP.Response || a.CIP.Status != 5 {
		t.Errorf("Parse = %+v, %+v, %d, %v", a, a.CIP, n, err)
	}
	if _, n, err := Parse(b[:30]); n != 0 || err != nil {
		t.Errorf("Parse of a part = %d, %v; want to wait", n, err)
	}
	if _, _, err := Parse([]byte("GET / HTTP/1.1\r\n\r\n01234567")); !errors.Is(err, ErrNotENIP) {
		t.Errorf("Parse of HTTP = %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(raw(f, request))
	f.Add(raw(f, answer))
	f.Add(raw(f, "6300 0000 00000000 00000000 0000000000000000 00000000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, n, err := Parse(b)
		if n > len(b) || (err == nil && n != 0 && n != headerLen+m.Length) || len(m.Product) > 255 {
			t.Errorf("Parse = %+v, %d, %v", m, n, err)
		}
		if c := m.CIP; c != nil && (c.Service > 127 || c.Class > 65535 || c.Response && c.Class != -1) {
			t.Errorf("CIP = %+v", c)
		}
	})
}
