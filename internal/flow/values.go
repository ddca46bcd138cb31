package flow

import (
	"fmt"
	"hash/maphash"
	"net/netip"
)

const (
	// maxInterned is how many texts an interner remembers before it begins again.
	maxInterned = 1 << 16
	// maxText bounds a text of a record; a longer one is cut: no field of these formats is as long.
	maxText = 4096
)

// interner gives equal texts one string: a flow log says the same addresses over and over.
type interner struct {
	known map[string]string
	seed  maphash.Seed
	ips   []checked // by the hash of the text
}

// checked is a text and the address that it is. One that is met again replaces
// what had its place: scanners come from addresses without number, of which
// none is worth keeping.
type checked struct{ text, ip string }

const maxIPs = 1 << 12 // a power of two

func newInterner() *interner {
	return &interner{known: map[string]string{}, seed: maphash.MakeSeed(), ips: make([]checked, maxIPs)}
}

func (n *interner) text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := n.known[string(b)]; ok {
		return s
	}
	if len(n.known) >= maxInterned {
		clear(n.known)
	}
	s := valid(b)
	n.known[s] = s
	return s
}

// ip is text for addresses: what is none gives an error.
func (n *interner) ip(b []byte) (string, error) {
	at := &n.ips[maphash.Bytes(n.seed, b)&(maxIPs-1)]
	if at.text == string(b) && at.ip != "" {
		return at.ip, nil
	}
	if canonicalIPv4(b) {
		s := string(b)
		*at = checked{s, s}
		return s, nil
	}
	a, err := netip.ParseAddr(string(b[:min(len(b), 64)]))
	if err != nil {
		return "", fmt.Errorf("%q is not an address", excerpt(b))
	}
	ip := a.Unmap().WithZone("").String()
	if len(b) <= 64 {
		*at = checked{string(b), ip}
	}
	return ip, nil
}

// canonicalIPv4 tells whether b is four numbers up to 255, without a zero in front, and dots.
func canonicalIPv4(b []byte) bool {
	if len(b) < 7 || len(b) > 15 {
		return false
	}
	dots, n, digits := 0, 0, 0
	for _, c := range b {
		switch {
		case c == '.':
			if digits == 0 {
				return false
			}
			dots, n, digits = dots+1, 0, 0
		case c < '0' || c > '9' || digits > 0 && n == 0:
			return false
		default:
			n, digits = n*10+int(c-'0'), digits+1
			if n > 255 {
				return false
			}
		}
	}
	return dots == 3 && digits > 0
}

// small checks the range of ports, protocols and the like.
func small(n, limit int64) error {
	if n < 0 || n > limit {
		return fmt.Errorf("%d is not between 0 and %d", n, limit)
	}
	return nil
}

// parseInt reads a whole number of at most 63 bits; unsigned ones beyond become the greatest.
func parseInt(b []byte) (int64, bool) {
	i, neg := 0, false
	if len(b) > 0 && b[0] == '-' {
		i, neg = 1, true
	}
	if i == len(b) || len(b)-i > 20 {
		return 0, false
	}
	var n uint64
	for ; i < len(b); i++ {
		c := b[i] - '0'
		if c > 9 {
			return 0, false
		}
		if n > (1<<64-1-uint64(c))/10 {
			return 0, false
		}
		n = n*10 + uint64(c)
	}
	if n > 1<<63-1 {
		n = 1<<63 - 1
	}
	if neg {
		return -int64(n), true
	}
	return int64(n), true
}
