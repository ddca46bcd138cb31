package flow

import (
	"net/netip"
	"testing"
)

// FuzzIP: whatever the shortcut says, the address is what netip makes of the text.
func FuzzIP(f *testing.F) {
	for _, s := range []string{"10.0.0.1", "255.255.255.255", "256.1.1.1", "01.2.3.4", "1.2.3", "1.2.3.4.5", "1..2.3", "::1", "::ffff:10.0.0.1", "fe80::1%eth0", "", "0.0.0.0", "1.2.3.4."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 64 {
			return
		}
		n := newInterner()
		for range 2 { // the second time it is known
			got, err := n.ip([]byte(s))
			want, werr := netip.ParseAddr(s)
			if (err == nil) != (werr == nil) || err == nil && got != want.Unmap().WithZone("").String() {
				t.Fatalf("ip(%q) = %q, %v; netip: %v, %v", s, got, err, want, werr)
			}
		}
	})
}
