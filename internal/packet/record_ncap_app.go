package packet

import (
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/orielhq/oriel/internal/packet/dhcp"
	"github.com/orielhq/oriel/internal/packet/ncap"
)

// Applications' records as netcap has them. An exchange of ours, question and
// answer, is one record of netcap's too, from the side that asked.

// addresses appends who asked whom in four fields, from number n.
func (f *Flow) addresses(b []byte, n int) []byte {
	b = ncap.String(ncap.String(b, fieldNumber(n), f.OrigAddr), fieldNumber(n+1), f.RespAddr)
	return ncap.Int(ncap.Int(b, fieldNumber(n+2), int64(f.OrigPort)), fieldNumber(n+3), int64(f.RespPort))
}

func (f *Flow) stamp(b []byte) []byte { return ncap.Int(b, 1, f.Time.UnixNano()) }

// numbered is the value of a name in a list of names, 0 if it is not there.
func numbered(name string, names map[string]int64) int64 {
	if n, ok := names[name]; ok || name == "" {
		return n
	}
	n, _ := strconv.ParseInt(strings.TrimLeft(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"), 10, 32)
	return n
}

var (
	ncapTypes = map[string]int64{"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "HINFO": 13, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "NAPTR": 35, "OPT": 41, "DS": 43, "RRSIG": 46, "DNSKEY": 48, "SVCB": 64, "HTTPS": 65, "ANY": 255}
	ncapCodes = map[string]int64{"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5, "YXDOMAIN": 6, "NOTAUTH": 9}
)

func (r *DNS) ncap(b []byte) (ncap.Type, []byte) {
	var room [512]byte // of a nested message
	b = ncap.Bool(ncap.Int(r.stamp(b), 2, int64(r.TransactionID)), 3, r.Answered)
	b = ncap.Bool(ncap.Bool(ncap.Int(b, 4, int64(r.Opcode)), 5, r.Authoritative), 6, r.Truncated)
	b = ncap.Bool(ncap.Bool(b, 7, r.Recursion), 8, r.Recursive)
	b = ncap.Int(b, 10, numbered(strings.ToUpper(r.Rcode), ncapCodes))
	if r.Query != "" {
		b = ncap.Int(b, 11, 1)
	}
	b = ncap.Int(b, 12, int64(r.AnswerCount))
	if r.Query != "" {
		q := ncap.String(room[:0], 1, r.Query)
		b = ncap.Bytes(b, 15, ncap.Int(ncap.Int(q, 2, numbered(strings.ToUpper(r.QType), ncapTypes)), 3, int64(r.QClass)))
	}
	for i, a := range r.Answers {
		rr := ncap.String(room[:0], 1, r.Query)
		if i < len(r.AnswerTypes) {
			rr = ncap.Int(rr, 2, numbered(strings.ToUpper(r.AnswerTypes[i]), ncapTypes))
		}
		if i < len(r.TTLs) {
			rr = ncap.Int(rr, 4, int64(r.TTLs[i]))
		}
		b = ncap.Bytes(b, 16, ncap.String(rr, 7, a))
	}
	return ncap.TypeDNS, r.addresses(b, 19)
}

func (r *HTTP) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.String(ncap.String(r.stamp(b), 2, r.Version), 3, r.Method)
	b = ncap.String(ncap.String(ncap.String(b, 4, r.Host), 5, r.UserAgent), 6, r.Referer)
	b = ncap.Int(ncap.String(ncap.Int(b, 8, r.RequestLength), 9, r.URI), 10, r.ResponseLength)
	b = ncap.Int(ncap.String(b, 11, r.RequestType), 12, int64(r.Status))
	b = ncap.String(ncap.String(b, 13, r.OrigAddr), 14, r.RespAddr)
	b = ncap.String(ncap.String(b, 15, r.RequestEncoding), 16, r.ResponseEncoding)
	b = ncap.String(ncap.String(b, 17, r.Server), 19, r.ResponseType)
	return ncap.TypeHTTP, ncap.Int(ncap.Int(b, 20, r.DurationNanos), 22, r.FirstByteNanos)
}

func (r *SSH) ncap(b []byte) (ncap.Type, []byte) {
	flow := r.OrigAddr + ":" + strconv.Itoa(int(r.OrigPort)) + "-" + r.RespAddr + ":" + strconv.Itoa(int(r.RespPort))
	b = ncap.String(ncap.String(r.stamp(b), 2, r.HASSH), 3, flow)
	return ncap.TypeSSH, ncap.Bool(ncap.String(b, 5, r.ClientVersion), 7, true)
}

func (r *DHCP) ncap(b []byte) (ncap.Type, []byte) {
	if r.Version == 6 {
		kind := int64(0)
		for m := (dhcp.Message{Version: 6}); m.Type < 14; m.Type++ {
			if m.TypeName() == r.Type {
				kind = int64(m.Type)
			}
		}
		b = ncap.Int(ncap.Int(r.stamp(b), 2, kind), 3, int64(r.Hops))
		return ncap.TypeDHCPv6, r.addresses(ncap.String(b, 8, r.Fingerprint), 9)
	}
	op := int64(1)
	if r.OrigPort == 67 {
		op = 2
	}
	b = ncap.Int(ncap.Int(ncap.Int(r.stamp(b), 2, op), 3, 1), 4, 6)
	b = ncap.Int(ncap.Int(ncap.Int(b, 5, int64(r.Hops)), 6, int64(r.TransactionID)), 7, int64(r.Seconds))
	b = ncap.String(ncap.String(b, 9, r.ClientAddr), 10, r.AssignedAddr)
	b = ncap.String(ncap.String(ncap.String(b, 11, r.ServerAddr), 12, r.RelayAddr), 13, r.MAC)
	return ncap.TypeDHCPv4, r.addresses(ncap.String(b, 17, r.Fingerprint), 18)
}

// ncap is the last message of the exchange, in NTP's own numbers.
func (r *NTP) ncap(b []byte) (ncap.Type, []byte) {
	p := &r.last
	b = ncap.Int(ncap.Int(r.stamp(b), 2, int64(p.Leap)), 3, int64(r.Version))
	b = ncap.Int(ncap.Int(b, 4, int64(p.Mode)), 5, int64(p.Stratum))
	b = ncap.Int(ncap.Int(b, 6, int64(p.Poll)), 7, int64(p.Precision))
	b = ncap.Int(ncap.Int(b, 8, shortTime(p.RootDelay)), 9, shortTime(p.RootDispersion))
	b = ncap.Uint(ncap.Uint(b, 10, uint64(p.ReferenceID)), 11, p.Reference)
	b = ncap.Uint(ncap.Uint(ncap.Uint(b, 12, p.Origin), 13, p.Receive), 14, p.Transmit)
	return ncap.TypeNTP, r.addresses(b, 16)
}

// shortTime is NTP's own of 16 bits of seconds and 16 bits behind the point.
func shortTime(d time.Duration) int64 { return int64(uint32((int64(d)<<16 + 5e8) / 1e9)) }

// ncap has the headers of the request, then those of the answer.
func (r *SIP) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.Strings(ncap.Int(ncap.Int(r.stamp(b), 2, 2), 3, sipMethodNumber(r.Method)), 4, r.headers)
	b = ncap.Int(ncap.Bool(b, 5, r.Status != 0), 6, int64(r.Status))
	return ncap.TypeSIP, r.addresses(ncap.String(b, 7, r.Reason), 8)
}

func (r *Modbus) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.Int(ncap.Int(r.stamp(b), 2, int64(r.TransactionID)), 4, int64(r.RequestBytes))
	b = ncap.Int(ncap.Bool(ncap.Int(b, 5, int64(r.Unit)), 7, r.Exception != ""), 8, int64(r.Function))
	return ncap.TypeModbus, r.addresses(b, 9)
}

func (r *ARP) ncap(b []byte) (ncap.Type, []byte) {
	op := numbered(r.Operation, map[string]int64{"request": 1, "reply": 2})
	b = ncap.Int(ncap.Int(ncap.Int(r.stamp(b), 2, 1), 3, etherIPv4), 4, 6)
	b = ncap.String(ncap.Int(ncap.Int(b, 5, 4), 6, op), 7, r.SenderMAC)
	return ncap.TypeARP, ncap.String(ncap.String(ncap.String(b, 8, r.OrigAddr), 9, r.TargetMAC), 10, r.RespAddr)
}

func (r *ICMP) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.Int(r.stamp(b), 2, int64(r.Type)<<8|int64(r.Code))
	if r.Version == 6 {
		return ncap.TypeICMPv6, ncap.String(ncap.String(b, 4, r.OrigAddr), 5, r.RespAddr)
	}
	return ncap.TypeICMPv4, ncap.String(ncap.String(b, 6, r.OrigAddr), 7, r.RespAddr)
}

func (r *File) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.Int(ncap.String(r.stamp(b), 2, r.Name), 3, r.Size)
	b = ncap.String(ncap.String(ncap.String(b, 4, r.SHA256), 6, r.UID), 7, r.Service)
	return ncap.TypeFile, r.addresses(ncap.String(ncap.String(b, 8, r.Type), 10, r.Detected), 11)
}

func (r *Software) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.String(ncap.String(r.stamp(b), 2, r.Product), 4, r.Version)
	return ncap.TypeSoftware, ncap.String(ncap.String(b, 8, r.Service), 10, r.Banner)
}

// ncap has no password: ours never has one.
func (r *Credentials) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.String(ncap.String(r.stamp(b), 2, r.Service), 3, r.UID)
	return ncap.TypeCredentials, ncap.String(ncap.String(b, 4, r.User), 6, r.Method+" "+r.Outcome)
}

func (r *Alert) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.String(ncap.String(r.stamp(b), 2, r.Rule), 3, r.Detail)
	for i, v := range []string{r.OrigAddr, strconv.Itoa(int(r.OrigPort)), r.RespAddr, strconv.Itoa(int(r.RespPort)), r.Technique} {
		b = ncap.String(b, protowire.Number(4+i), v)
	}
	return ncap.TypeAlert, ncap.String(b, 11, r.Proto)
}
