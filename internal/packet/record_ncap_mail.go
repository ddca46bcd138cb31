package packet

import (
	"strings"

	"github.com/orielhq/oriel/internal/packet/ncap"
)

// Mail, files and names: records of sessions as netcap has them. FTP and IMAP
// have types since netcap's version after 0.6.11; Telnet has none.

func (r *SMTP) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.Bool(r.stamp(b), 2, r.StartTLS)
	b = r.addresses(b, 6)
	if r.MessageID != "" {
		b = ncap.String(b, 10, r.MessageID)
	}
	return ncap.TypeSMTP, ncap.Strings(b, 11, r.commands)
}

// ncapToo is the mail itself.
func (r *SMTP) ncapToo(b []byte) (ncap.Type, []byte) {
	if r.Size == 0 {
		return 0, nil
	}
	b = ncap.String(ncap.String(ncap.String(r.stamp(b), 2, r.MailFrom), 3, r.From), 4, r.To)
	b = ncap.String(ncap.String(ncap.String(b, 6, r.Subject), 7, r.Date), 8, r.MessageID)
	b = ncap.String(ncap.Bool(b, 12, r.Attachments > 0), 15, r.Recipients)
	b = ncap.String(ncap.String(b, 17, r.OrigAddr), 18, r.RespAddr)
	return ncap.TypeMail, ncap.String(ncap.String(b, 19, r.MessageID), 21, "SMTP")
}

// ncap has neither password nor token: ours never has one.
func (m *Mailbox) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.String(ncap.String(m.stamp(b), 2, m.OrigAddr), 3, m.RespAddr)
	if m.Service == "imap" {
		b = ncap.Int(ncap.Int(b, 4, int64(m.OrigPort)), 5, int64(m.RespPort))
		if n := len(m.commands); n > 0 {
			b = ncap.String(b, 8, m.commands[n-1])
		}
		b = ncap.String(ncap.String(b, 11, m.Banner), 12, m.User)
		b = ncap.Bool(ncap.Bool(b, 22, m.StartTLS), 23, m.StartTLS)
		return ncap.TypeIMAP, ncap.String(b, 26, m.CommunityID)
	}
	return ncap.TypePOP3, ncap.Strings(ncap.String(b, 5, m.User), 8, m.commands)
}

func (r *FTP) ncap(b []byte) (ncap.Type, []byte) {
	b = r.addresses(r.stamp(b), 2)
	b = ncap.Int(ncap.String(ncap.String(b, 7, r.Command), 8, r.Argument), 9, int64(r.Code))
	b = ncap.String(b, 10, r.Message)
	if r.DataPort != 0 {
		mode := "ACTIVE"
		if r.Passive {
			mode = "PASSIVE"
		}
		b = ncap.String(ncap.String(b, 11, fileName(nil, r.Argument)), 13, mode)
		b = ncap.Int(ncap.String(b, 14, r.DataAddr), 15, int64(r.DataPort))
	}
	return ncap.TypeFTP, ncap.String(ncap.Bool(ncap.String(b, 16, r.User), 17, true), 19, r.CommunityID)
}

func (r *ENIP) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.Int(ncap.Int(ncap.Int(r.stamp(b), 2, int64(r.command)), 3, int64(r.length)), 4, int64(r.Session))
	context := make([]byte, 8)
	for i := range context {
		context[i] = byte(r.context >> (8 * i))
	}
	return ncap.TypeENIP, r.addresses(ncap.Bytes(ncap.Int(b, 5, int64(r.Status)), 6, context), 9)
}

// ncapToo is what the message carries.
func (r *ENIP) ncapToo(b []byte) (ncap.Type, []byte) {
	if r.cip == nil {
		return 0, nil
	}
	b = ncap.Int(ncap.Bool(r.stamp(b), 2, r.cip.Response), 3, int64(r.cip.Service))
	b = ncap.Int(ncap.Int(b, 4, int64(max(r.Class, 0))), 5, int64(max(r.Instance, 0)))
	return ncap.TypeCIP, r.addresses(ncap.Int(b, 6, int64(r.CIPStatus)), 9)
}

func (r *STUN) ncap(b []byte) (ncap.Type, []byte) {
	class := map[string]string{"": "Request", "success": "SuccessResponse", "error": "ErrorResponse", "indication": "Indication"}[r.Result]
	kind := map[string]uint16{"success": 0x100, "error": 0x110, "indication": 0x10}[r.Result]
	kind |= r.method&0xf | r.method&0x70<<1 | r.method&0xf80<<2 // RFC 8489, 5
	b = ncap.String(ncap.Bytes(ncap.Int(r.stamp(b), 2, int64(kind)), 4, r.id[:]), 5, class)
	b = ncap.String(ncap.String(b, 6, r.Method), 7, r.MappedAddr)
	return ncap.TypeSTUN, ncap.Bool(r.addresses(b, 8), 12, true)
}

func (r *MPLS) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.Int(ncap.Int(ncap.Int(b, 1, r.Time.UnixNano()), 2, int64(r.Label)), 3, int64(r.Class))
	return ncap.TypeMPLS, ncap.Int(ncap.Bool(b, 4, r.Bottom), 5, int64(r.TTL))
}

func (r *Neighbour) ncap(b []byte) (ncap.Type, []byte) {
	b = r.stamp(b)
	if r.Protocol == "cdp" {
		b = ncap.String(b, 3, r.Chassis)
		if r.Address != "" {
			b = ncap.String(b, 4, r.Address)
		}
		b = ncap.String(ncap.Bytes(ncap.String(b, 5, r.Port), 6, cdpCapabilities(r.Capabilities)), 7, r.Description)
		return ncap.TypeCDP, ncap.Int(ncap.String(b, 8, r.Platform), 11, int64(r.VLAN))
	}
	b = ncap.String(ncap.String(ncap.String(b, 2, r.PortText), 3, r.Name), 4, r.Description)
	var enabled []byte // bit by bit: other, repeater, bridge ...
	for i := range 11 {
		enabled = ncap.Bool(enabled, fieldNumber(1+i), r.Capabilities>>i&1 != 0)
	}
	return ncap.TypeLLDP, ncap.Bytes(b, 5, ncap.Bytes(nil, 2, enabled))
}

// cdpCapabilities are the bits of CDP: router, bridges, switch, host, IGMP filter, repeater, telephone, managed.
func cdpCapabilities(bits uint32) (b []byte) {
	for i := range 9 {
		b = ncap.Bool(b, fieldNumber(1+i), bits>>i&1 != 0)
	}
	return b
}

// ncapToo is the neighbour's address in ICMPv6.
func (r *ICMP) ncapToo(b []byte) (ncap.Type, []byte) {
	switch {
	case r.Version != 6 || r.Target == "":
		return 0, nil
	case r.Type == 135:
		return ncap.TypeNeighbourNS, ncap.String(ncap.String(ncap.String(r.stamp(b), 2, r.Target), 4, r.OrigAddr), 5, r.RespAddr)
	case r.Type == 136:
		return ncap.TypeNeighbourNA, ncap.String(ncap.String(ncap.String(r.stamp(b), 3, r.Target), 5, r.OrigAddr), 6, r.RespAddr)
	}
	return 0, nil
}

// sipNumbers are the numbers that gopacket, and so netcap, gives to SIP's methods: the place in this list.
const sipNumbers = " INVITE ACK BYE CANCEL OPTIONS REGISTER PRACK SUBSCRIBE NOTIFY PUBLISH INFO REFER MESSAGE UPDATE PING "

func sipMethodNumber(name string) int64 {
	i := strings.Index(sipNumbers, " "+name+" ")
	if name == "" || i < 0 {
		return 0
	}
	return int64(strings.Count(sipNumbers[:i], " ")) + 1
}
