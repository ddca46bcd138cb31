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
	v4    []quad    // by the hash of the address
}

// checked is a text and the address that it is. One that is met again replaces
// what had its place: scanners come from addresses without number, of which
// none is worth keeping.
type checked struct{ text, ip string }

// quad is an IPv4 address and its text.
type quad struct {
	addr uint32
	text string
}

const (
	maxIPs = 1 << 10 // a power of two
	v4Bits = 12      // of the places for IPv4 addresses
)

func newInterner() *interner {
	return &interner{known: map[string]string{}, seed: maphash.MakeSeed(), ips: make([]checked, maxIPs), v4: make([]quad, 1<<v4Bits)}
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
	if used, addr := leadingIPv4(b); used > 0 && used == len(b) {
		return n.ipv4(addr, b), nil
	}
	at := &n.ips[maphash.Bytes(n.seed, b)&(maxIPs-1)]
	if at.text == string(b) && at.ip != "" {
		return at.ip, nil
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

// ipv4 is the text of an address that is written as usual.
func (n *interner) ipv4(addr uint32, text []byte) string {
	at := &n.v4[addr*0x9e3779b1>>(32-v4Bits)]
	if at.addr != addr || at.text == "" {
		*at = quad{addr, string(text)}
	}
	return at.text
}

// leadingIPv4 reads four numbers up to 255, without a zero in front, and dots. n
// is how many bytes they take, 0 if they are not there; more may follow.
func leadingIPv4(b []byte) (n int, addr uint32) {
	i := 0
	for part := range 4 {
		if part > 0 {
			if i >= len(b) || b[i] != '.' {
				return 0, 0
			}
			i++
		}
		if i >= len(b) || b[i]-'0' > 9 {
			return 0, 0
		}
		v := uint32(b[i] - '0')
		i++
		for digits := 1; i < len(b) && b[i]-'0' <= 9; digits++ {
			if digits == 3 || v == 0 {
				return 0, 0
			}
			v = v*10 + uint32(b[i]-'0')
			i++
		}
		if v > 255 {
			return 0, 0
		}
		addr = addr<<8 | v
	}
	return i, addr
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
