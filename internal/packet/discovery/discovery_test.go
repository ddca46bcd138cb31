package discovery

import (
	"encoding/hex"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	lldp = "0207 04 020000000001 0404 05 676530 0602 0078 0a02 7377 0c03 6f730a 0e04 0014 0004 100c 05 01 c0000201 02 00000001 00 fe06 0080c2 01 000a 0000"
	cdp  = "02b4 0000 0001 0006 7377 0002 0011 00000001 01 01 cc 0004 c0000201 0003 0007 657430 0005 0009 494f530a31 0006 0006 5858 000a 0006 0007 0004 0008 00000029"
)

func raw(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParse(t *testing.T) {
	a, err := ParseLLDP(raw(t, lldp))
	if err != nil || a.Chassis != "02:00:00:00:00:01" || a.Port != "ge0" || a.TTL != 120 || a.Name != "sw" || a.Description != "os" ||
		a.Capabilities != 4 || a.Address.String() != "192.0.2.1" || a.VLAN != 10 {
		t.Errorf("ParseLLDP = %+v, %v", a, err)
	}
	a, err = ParseCDP(raw(t, cdp))
	if err != nil || a.Name != "sw" || a.Port != "et0" || a.TTL != 180 || a.Description != "IOS 1" || a.Platform != "XX" ||
		a.Capabilities != 0x29 || a.Address.String() != "192.0.2.1" || a.VLAN != 7 {
		t.Errorf("ParseCDP = %+v, %v", a, err)
	}
	if _, err := ParseLLDP(raw(t, "02ff00")); err == nil {
		t.Error("an LLDP that is cut is no error")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(raw(f, lldp))
	f.Add(raw(f, cdp))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, _ := ParseLLDP(b)
		y, _ := ParseCDP(b)
		for _, s := range []string{x.Chassis, x.Port, x.PortText, x.Name, x.Description, y.Name, y.Port, y.Description, y.Platform} {
			if !utf8.ValidString(s) || len(s) > maxText*3 || strings.ContainsAny(s, "\x00\n") {
				t.Errorf("text %q", s)
			}
		}
	})
}
