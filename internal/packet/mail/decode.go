package mail

import "bytes"

// unbase64 decodes base64 whatever the lines' lengths are.
type unbase64 struct {
	bits uint32
	n    int // characters in bits
	done bool
	bad  bool // a character that does not belong there
}

func (u *unbase64) decode(out, line []byte) []byte {
	for _, c := range line {
		var v uint32
		switch {
		case c >= 'A' && c <= 'Z':
			v = uint32(c - 'A')
		case c >= 'a' && c <= 'z':
			v = uint32(c-'a') + 26
		case c >= '0' && c <= '9':
			v = uint32(c-'0') + 52
		case c == '+':
			v = 62
		case c == '/':
			v = 63
		case c == '=':
			u.done = true
			continue
		case c == ' ' || c == '\t' || c == '\r':
			continue
		default:
			u.bad = true
			continue
		}
		if u.done {
			u.bad = true // something behind the padding
			continue
		}
		u.bits = u.bits<<6 | v
		if u.n++; u.n == 4 {
			out = append(out, byte(u.bits>>16), byte(u.bits>>8), byte(u.bits))
			u.bits, u.n = 0, 0
		}
	}
	return out
}

// rest appends the bytes of an unfinished group.
func (u *unbase64) rest(out []byte) []byte {
	switch u.n {
	case 2:
		out = append(out, byte(u.bits>>4))
	case 3:
		out = append(out, byte(u.bits>>10), byte(u.bits>>2))
	}
	return out
}

// unquote decodes a line of quoted-printable; soft tells that it goes on in the next.
func unquote(out, line []byte) (_ []byte, soft bool) {
	line = bytes.TrimRight(line, " \t") // transport may add it: RFC 2045, 6.7
	if n := len(line); n > 0 && line[n-1] == '=' {
		line, soft = line[:n-1], true
	}
	for i := 0; i < len(line); i++ {
		if line[i] == '=' && i+2 < len(line) {
			if hi, ok := hex(line[i+1]); ok {
				if lo, ok := hex(line[i+2]); ok {
					out = append(out, hi<<4|lo)
					i += 2
					continue
				}
			}
		}
		out = append(out, line[i])
	}
	return out, soft
}

func hex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}
