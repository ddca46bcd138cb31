package flow

import (
	"fmt"
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
	ips   map[string]string // texts that have been checked to be addresses
}

func newInterner() *interner {
	return &interner{known: map[string]string{}, ips: map[string]string{}}
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
	if s, ok := n.ips[string(b)]; ok {
		return s, nil
	}
	a, err := netip.ParseAddr(string(b[:min(len(b), 64)]))
	if err != nil {
		return "", fmt.Errorf("%q is not an address", excerpt(b))
	}
	if len(n.ips) >= maxInterned {
		clear(n.ips)
	}
	s := a.Unmap().WithZone("").String()
	n.ips[string(b)] = s
	return s, nil
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
