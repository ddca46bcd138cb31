package packet

import (
	"strconv"

	"github.com/orielhq/oriel/internal/packet/ike"
)

// IPsec is one message of IKE, which negotiates IPsec's keys.
type IPsec struct {
	Flow
	Version        string   `parquet:"version,dict"`
	Exchange       string   `parquet:"exchange,dict"`
	InitiatorSPI   string   `parquet:"initiator_spi"` // hexadecimal
	ResponderSPI   string   `parquet:"responder_spi"`
	MessageID      uint32   `parquet:"message_id"`
	Response       bool     `parquet:"response"` // of version 2
	FromInitiator  bool     `parquet:"from_initiator"`
	Encrypted      bool     `parquet:"encrypted"`
	Encryption     []string `parquet:"encryption,list"` // offered, or chosen
	Integrity      []string `parquet:"integrity,list"`
	PRF            []string `parquet:"prf,list"`
	Groups         []string `parquet:"dh_groups,list"`
	Authentication []string `parquet:"authentication,list"`
	Notify         []string `parquet:"notify,list"`
	Vendors        uint32   `parquet:"vendors"`
	Bytes          uint32   `parquet:"bytes"`
}

// Kind is the table.
func (*IPsec) Kind() string { return "ipsec" }

func ikeProtocols() []protocol {
	return []protocol{{
		name: "ike", proto: protoUDP, ports: []uint16{500, 4500, 848},
		match: func(k *key, _ bool, b []byte) bool {
			if k.srcPort == 4500 || k.dstPort == 4500 {
				if len(b) == 1 && b[0] == 0xff { // keeps a NAT's mapping
					return true
				}
				if len(b) > 4 && be32(b) != 0 {
					return len(b) >= 36 // ESP
				}
				b = b[min(4, len(b)):]
			}
			if k.srcPort != 500 && k.dstPort != 500 && k.srcPort != 4500 && k.dstPort != 4500 && k.dstPort != 848 {
				return false
			}
			_, err := ike.Parse(b)
			return err != ike.ErrNotIKE //nolint:errorlint // Parse returns it as it is
		},
		open: func(w *worker, c *conn) analyzer { return &ikeAnalyzer{w: w, c: c} },
	}}
}

type ikeAnalyzer struct {
	w *worker
	c *conn
}

func (a *ikeAnalyzer) data(at int64, orig bool, b []byte) bool {
	t := &a.w.talk
	if a.c.key.srcPort == 4500 || a.c.key.dstPort == 4500 {
		if len(b) < 5 {
			return true
		}
		if be32(b) != 0 {
			t.ike[2]++
			return true
		}
		b = b[4:]
	}
	m, err := ike.Parse(b)
	if err != nil {
		t.corrupt[talkIKE]++
		if err == ike.ErrNotIKE { //nolint:errorlint // Parse returns it as it is
			return true
		}
	}
	t.ike[m.Major-1]++
	a.w.emit(&IPsec{
		Flow: a.c.flow(at), Version: m.Version(), Exchange: m.ExchangeName(), InitiatorSPI: strconv.FormatUint(m.InitiatorSPI, 16),
		ResponderSPI: strconv.FormatUint(m.ResponderSPI, 16), MessageID: m.ID, Response: m.Response, FromInitiator: m.Initiator || m.Major == 1 && orig,
		Encrypted: m.Encrypted, Encryption: m.Encryption, Integrity: m.Integrity, PRF: m.PRF, Groups: m.Group, Authentication: m.Authentication,
		Notify: m.Notify, Vendors: uint32(m.Vendors), Bytes: uint32(len(b)),
	})
	return true
}

func (a *ikeAnalyzer) gap(int64, bool, int) { a.w.talk.corrupt[talkIKE]++ }
func (a *ikeAnalyzer) end(int64)            {}
