package dns

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
)

// Type is the type of a resource, also of what a question asks for.
type Type uint16

// The types whose data is read, and those that are often met.
const (
	TypeA     Type = 1
	TypeNS    Type = 2
	TypeCNAME Type = 5
	TypeSOA   Type = 6
	TypeNULL  Type = 10
	TypePTR   Type = 12
	TypeMX    Type = 15
	TypeTXT   Type = 16
	TypeAAAA  Type = 28
	TypeSRV   Type = 33
	TypeNAPTR Type = 35
	TypeDNAME Type = 39
	TypeOPT   Type = 41
	TypeDS    Type = 43
	TypeRRSIG Type = 46
	TypeSVCB  Type = 64
	TypeHTTPS Type = 65
	TypeAXFR  Type = 252
	TypeANY   Type = 255
	TypeCAA   Type = 257
)

var typeNames = map[Type]string{
	TypeA: "A", TypeNS: "NS", TypeCNAME: "CNAME", TypeSOA: "SOA", TypeNULL: "NULL", TypePTR: "PTR", 13: "HINFO", TypeMX: "MX",
	TypeTXT: "TXT", 24: "SIG", 25: "KEY", TypeAAAA: "AAAA", 29: "LOC", TypeSRV: "SRV", TypeNAPTR: "NAPTR", 36: "KX", 37: "CERT",
	TypeDNAME: "DNAME", TypeOPT: "OPT", TypeDS: "DS", 44: "SSHFP", TypeRRSIG: "RRSIG", 47: "NSEC", 48: "DNSKEY", 50: "NSEC3",
	51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA", 59: "CDS", 60: "CDNSKEY", 61: "OPENPGPKEY", 63: "ZONEMD", TypeSVCB: "SVCB",
	TypeHTTPS: "HTTPS", 99: "SPF", 249: "TKEY", 250: "TSIG", 251: "IXFR", TypeAXFR: "AXFR", TypeANY: "ANY", 256: "URI", TypeCAA: "CAA",
}

// String is IANA's name, or TYPE and the number as in RFC 3597.
func (t Type) String() string {
	if s, ok := typeNames[t]; ok {
		return s
	}
	return "TYPE" + strconv.Itoa(int(t))
}

// Known tells whether the type has a name.
func (t Type) Known() bool { return typeNames[t] != "" }

var rcodeNames = [...]string{
	"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE", "DSOTYPENI",
	16: "BADVERS", 17: "BADKEY", 18: "BADTIME", 19: "BADMODE", 20: "BADNAME", 21: "BADALG", 22: "BADTRUNC", 23: "BADCOOKIE",
}

// RcodeName is IANA's name of an answer's code, or RCODE and the number.
func RcodeName(code uint16) string {
	if int(code) < len(rcodeNames) && rcodeNames[code] != "" {
		return rcodeNames[code]
	}
	return "RCODE" + strconv.Itoa(int(code))
}

// data returns the text of the data between r.at and end. Data that is not as
// its type demands is written as RFC 3597 writes an unknown type.
func (r *reader) data(t Type, end int) string {
	b := r.msg[r.at:end]
	switch t {
	case TypeA:
		if len(b) == 4 {
			return netip.AddrFrom4([4]byte(b)).String()
		}
	case TypeAAAA:
		if len(b) == 16 {
			return netip.AddrFrom16([16]byte(b)).String()
		}
	case TypeNS, TypeCNAME, TypePTR, TypeDNAME:
		if s, next, ok := r.nameAt(r.at); ok && next == end {
			return s
		}
	case TypeMX:
		if len(b) > 2 {
			if s, next, ok := r.nameAt(r.at + 2); ok && next == end {
				return strconv.Itoa(int(binary.BigEndian.Uint16(b))) + " " + s
			}
		}
	case TypeSRV:
		if len(b) > 6 {
			if s, next, ok := r.nameAt(r.at + 6); ok && next == end {
				n := func(at int) string { return strconv.Itoa(int(binary.BigEndian.Uint16(b[at:]))) + " " }
				return n(0) + n(2) + n(4) + s
			}
		}
	case TypeSOA:
		if s, ok := r.soa(end); ok {
			return s
		}
	case TypeTXT, 99:
		if s, ok := texts(b); ok {
			return s
		}
	case TypeCAA:
		if len(b) >= 2 && 2+int(b[1]) <= len(b) {
			tag, value := b[2:2+int(b[1])], b[2+int(b[1]):]
			return strconv.Itoa(int(b[0])) + " " + quoted(tag) + " " + quoted(value)
		}
	}
	return generic(b)
}

func (r *reader) nameAt(at int) (s string, next int, ok bool) {
	n, next, err := r.text(at)
	if err != nil {
		return "", 0, false
	}
	return string(r.name[:n]), next, true
}

func (r *reader) soa(end int) (string, bool) {
	primary, next, ok := r.nameAt(r.at)
	if !ok || next > end {
		return "", false
	}
	mailbox, next, ok := r.nameAt(next)
	if !ok || end-next != 20 {
		return "", false
	}
	s := []byte(primary + " " + mailbox)
	for at := next; at < end; at += 4 {
		s = strconv.AppendUint(append(s, ' '), uint64(binary.BigEndian.Uint32(r.msg[at:])), 10)
	}
	return string(s), true
}

// texts returns the character strings of TXT, each in quotes.
func texts(b []byte) (string, bool) {
	var out []byte
	for len(b) > 0 {
		n := int(b[0])
		if 1+n > len(b) {
			return "", false
		}
		if len(out) < maxText {
			if len(out) > 0 {
				out = append(out, ' ')
			}
			out = append(out, quoted(b[1:1+n])...)
		}
		b = b[1+n:]
	}
	return string(out), true
}

func quoted(b []byte) string {
	b = b[:min(len(b), 255)]
	out := make([]byte, 1, 2+len(b))
	out[0] = '"'
	var c [4]byte
	for _, ch := range b {
		out = append(out, c[:putChar(c[:], ch, false)]...)
	}
	return string(append(out, '"'))
}

func generic(b []byte) string {
	return `\# ` + strconv.Itoa(len(b)) + " " + hex.EncodeToString(b[:min(len(b), maxText/2)])
}
