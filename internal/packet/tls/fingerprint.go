package tls

import (
	"crypto/md5" //nolint:gosec // JA3 is defined with MD5
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// Grease tells a value that only keeps peers tolerant (RFC 8701).
func Grease(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

func decimals(b []byte, list []uint16) []byte {
	first := true
	for _, v := range list {
		if Grease(v) {
			continue
		}
		if !first {
			b = append(b, '-')
		}
		first = false
		b = strconv.AppendUint(b, uint64(v), 10)
	}
	return b
}

func hash(b []byte) string {
	sum := md5.Sum(b) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

// JA3 is Salesforce's fingerprint of a client.
func (h *ClientHello) JA3() string {
	b := make([]byte, 0, 512)
	b = append(strconv.AppendUint(b, uint64(h.Version), 10), ',')
	b = append(decimals(b, h.Ciphers), ',')
	b = append(decimals(b, h.Extensions), ',')
	b = append(decimals(b, h.Groups), ',')
	for i, f := range h.PointFormats {
		if i > 0 {
			b = append(b, '-')
		}
		b = strconv.AppendUint(b, uint64(f), 10)
	}
	return hash(b)
}

// JA3S is Salesforce's fingerprint of a server's answer.
func (h *ServerHello) JA3S() string {
	b := make([]byte, 0, 64)
	b = append(strconv.AppendUint(b, uint64(h.Legacy), 10), ',')
	b = append(strconv.AppendUint(b, uint64(h.Cipher), 10), ',')
	for i, e := range h.Extensions {
		if i > 0 {
			b = append(b, '-')
		}
		b = strconv.AppendUint(b, uint64(e), 10)
	}
	return hash(b)
}

// JA4 is FoxIO's fingerprint of a client, over TCP ('t'), QUIC ('q') or of DTLS ('d').
func (h *ClientHello) JA4(transport byte) string {
	ciphers, exts := known(h.Ciphers), known(h.Extensions)
	var b strings.Builder
	b.WriteByte(transport)
	b.WriteString(ja4Version(h.Offered()))
	if slices.Contains(exts, extSNI) {
		b.WriteByte('d')
	} else {
		b.WriteByte('i')
	}
	two(&b, len(ciphers))
	two(&b, len(exts))
	b.WriteString(h.ja4ALPN())
	slices.Sort(ciphers)
	exts = slices.DeleteFunc(exts, func(e uint16) bool { return e == extSNI || e == extALPN })
	slices.Sort(exts)
	text := hexes(exts)
	if len(h.Signatures) > 0 {
		text += "_" + hexes(known(h.Signatures))
	}
	if len(exts) == 0 {
		text = ""
	}
	b.WriteByte('_')
	b.WriteString(twelve(hexes(ciphers)))
	b.WriteByte('_')
	b.WriteString(twelve(text))
	return b.String()
}

func (h *ClientHello) ja4ALPN() string {
	if len(h.ALPN) == 0 || h.ALPN[0] == "" {
		return "00"
	}
	name := h.ALPN[0]
	first, last := name[0], name[len(name)-1]
	if alnum(first) && alnum(last) {
		return string([]byte{first, last})
	}
	const digits = "0123456789abcdef"
	return string([]byte{digits[first>>4], digits[last&15]})
}

func alnum(c byte) bool { return c-'0' < 10 || (c|0x20)-'a' < 26 }

func ja4Version(v uint16) string {
	switch v {
	case 0x0304:
		return "13"
	case 0x0303:
		return "12"
	case 0x0302:
		return "11"
	case 0x0301:
		return "10"
	case 0x0300:
		return "s3"
	case 0x0002:
		return "s2"
	case 0xfeff:
		return "d1"
	case 0xfefd:
		return "d2"
	case 0xfefc:
		return "d3"
	}
	return "00"
}

func known(list []uint16) []uint16 {
	return slices.DeleteFunc(slices.Clone(list), Grease)
}

func two(b *strings.Builder, n int) {
	n = min(n, 99)
	b.WriteByte(byte('0' + n/10))
	b.WriteByte(byte('0' + n%10))
}

func hexes(list []uint16) string {
	b := make([]byte, 0, 5*len(list))
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = hex.AppendEncode(b, []byte{byte(v >> 8), byte(v)})
	}
	return string(b)
}

func twelve(text string) string {
	if text == "" {
		return "000000000000"
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}
