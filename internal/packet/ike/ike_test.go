package ike

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

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

const (
	// IKE_SA_INIT of version 2: one proposal of AES-CBC-256, SHA2-256, X25519; a key share; NAT detection.
	init2 = "1122334455667788 0000000000000000 21 20 22 08 00000000 0000006e" +
		"22 00 0030 0000 002c 01 01 00 04" +
		"0300000c 0100000c 800e0100 03000008 02000005 03000008 0300000c 00000008 0400001f" +
		"29 00 001a 001f 0000 000102030405060708090a0b0c0d0e0f 1011" +
		"00 00 0008 0000 4004"
	// Main mode of version 1: AES-CBC-128, SHA1, PSK, MODP-1024, and a vendor.
	main1 = "1122334455667788 0000000000000000 01 10 02 00 00000000 00000058" +
		"0d 00 0034 00000001 00000001 00000028 01 01 00 01 00000020 01 01 0000" +
		"80010007 800e0080 80020002 80030001 80040002 80 0b 0001" +
		"00 00 0008 deadbeef"
)

func TestParseReadsOffers(t *testing.T) {
	m, err := Parse(raw(t, init2))
	if err != nil {
		t.Fatal(err)
	}
	want := Message{
		InitiatorSPI: 0x1122334455667788, Major: 2, Exchange: 34, Initiator: true, Payloads: 3, Notify: []string{"NAT_DETECTION_SOURCE_IP"},
		Encryption: []string{"AES-CBC-256"}, Integrity: []string{"HMAC-SHA2-256-128"}, PRF: []string{"HMAC-SHA2-256"}, Group: []string{"CURVE25519"},
	}
	if diff := cmp.Diff(want, m); diff != "" || m.ExchangeName() != "IKE_SA_INIT" || m.Version() != "2.0" {
		t.Errorf("Parse (-want +got):\n%s%s %s", diff, m.ExchangeName(), m.Version())
	}
	m, err = Parse(raw(t, main1))
	want = Message{
		InitiatorSPI: 0x1122334455667788, Major: 1, Exchange: 2, Payloads: 2, Vendors: 1,
		Encryption: []string{"AES-CBC-128"}, PRF: []string{"SHA1"}, Group: []string{"MODP-1024"}, Authentication: []string{"PSK"},
	}
	if diff := cmp.Diff(want, m); diff != "" || err != nil {
		t.Errorf("Parse, %v (-want +got):\n%s", err, diff)
	}
}

func TestParseRefusesOthers(t *testing.T) {
	for name, tt := range map[string]struct {
		in   string
		want error
	}{
		"short":           {"1122", ErrNotIKE},
		"version 3":       {"1122334455667788 0000000000000000 00 30 22 08 00000000 0000001c", ErrNotIKE},
		"no SPI":          {"0000000000000000 0000000000000000 00 20 22 08 00000000 0000001c", ErrNotIKE},
		"longer":          {"1122334455667788 0000000000000000 00 20 22 08 00000000 0000ff1c", ErrShort},
		"payload of zero": {"1122334455667788 0000000000000000 21 20 22 08 00000000 00000020 00000000", ErrShort},
	} {
		if _, err := Parse(raw(t, tt.in)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v; want %v", name, err, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(raw(f, init2))
	f.Add(raw(f, main1))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, _ := Parse(b)
		for _, l := range [][]string{m.Notify, m.Encryption, m.Integrity, m.PRF, m.Group, m.Authentication} {
			seen := map[string]bool{}
			for _, s := range l {
				if seen[s] || s == "" || len(s) > 40 {
					t.Errorf("names %q", l)
				}
				seen[s] = true
			}
			if len(l) > maxNames {
				t.Errorf("%d names", len(l))
			}
		}
		if m.Payloads > maxPayloads {
			t.Errorf("%d payloads", m.Payloads)
		}
	})
}
