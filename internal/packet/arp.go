package packet

import (
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/orielhq/oriel/internal/packet/detect"
	"github.com/orielhq/oriel/internal/packet/discovery"
)

// ARP is one message of ARP for IPv4, and how often it was sent within a
// minute. Who asks stands in orig_addr, who is asked for in resp_addr.
type ARP struct {
	Flow
	Operation  string `parquet:"operation,dict"` // request, reply or a number
	SenderMAC  string `parquet:"sender_mac"`
	TargetMAC  string `parquet:"target_mac"`
	Gratuitous bool   `parquet:"gratuitous"` // the sender tells of itself
	Count      uint64 `parquet:"count"`
}

// Kind is the table.
func (*ARP) Kind() string { return "arp" }

type arpKey struct {
	op               uint16
	sender, target   [4]byte
	sender6, target6 [6]byte
}

// arp reads what is in an ARP packet.
func (w *worker) arp(p *packet) {
	b := p.arp
	if len(b) < 28 || be16(b[2:]) != etherIPv4 || b[4] != 6 || b[5] != 4 {
		w.talk.corrupt[talkARP]++
		return
	}
	k := arpKey{op: be16(b[6:]), sender6: [6]byte(b[8:]), sender: [4]byte(b[14:]), target6: [6]byte(b[18:]), target: [4]byte(b[24:])}
	sender, target := netip.AddrFrom4(k.sender), netip.AddrFrom4(k.target)
	r := w.talk.arps.get(w, p.time, k, func() *ARP {
		op := strconv.Itoa(int(k.op))
		switch k.op {
		case 1:
			op = "request"
		case 2:
			op = "reply"
		}
		return &ARP{
			Flow:      Flow{Time: time.Unix(0, p.time).UTC(), OrigAddr: sender.String(), RespAddr: target.String()},
			Operation: op, SenderMAC: net.HardwareAddr(k.sender6[:]).String(), TargetMAC: net.HardwareAddr(k.target6[:]).String(),
			Gratuitous: sender == target,
		}
	})
	r.Count++
	if w.detect == nil || sender == target && k.op != 1 && k.op != 2 {
		return
	}
	w.detect.Device(p.time, r.SenderMAC, sender)
	switch {
	case k.op == 1 && sender != target && !sender.IsUnspecified():
		w.detect.Opened(&detect.Conn{At: p.time, Orig: sender, Resp: target})
	case k.op == 2:
		w.detect.Answered(&detect.Conn{At: p.time, Orig: target, Resp: sender})
	}
}

// Neighbour is what a switch or a host tells its neighbours by LLDP or CDP.
type Neighbour struct {
	Flow
	Protocol     string `parquet:"protocol,dict"`
	Chassis      string `parquet:"chassis"`
	Port         string `parquet:"port"`
	PortText     string `parquet:"port_description"`
	Name         string `parquet:"name"`
	Description  string `parquet:"description"`
	Platform     string `parquet:"platform"`
	Address      string `parquet:"management_addr"`
	Capabilities uint32 `parquet:"capabilities"`
	TTLSeconds   uint16 `parquet:"ttl_seconds"`
	VLAN         uint16 `parquet:"vlan"`
	Count        uint64 `parquet:"count"`
}

// Kind is the table.
func (*Neighbour) Kind() string { return "neighbour" }

// What a packet without IP announces.
const (
	nearLLDP = 1
	nearCDP  = 2
)

// announced reads an announcement.
func (w *worker) announced(p *packet) {
	parse := discovery.ParseLLDP
	if p.nearKind == nearCDP {
		parse = discovery.ParseCDP
	}
	a, err := parse(p.near)
	if err != nil {
		w.talk.corrupt[talkDiscovery]++
		return
	}
	r := w.talk.nearby.get(w, p.time, a.Protocol+a.Chassis+"\x00"+a.Port, func() *Neighbour {
		return &Neighbour{
			Flow:     Flow{Time: time.Unix(0, p.time).UTC(), OrigAddr: shown(a.Address)},
			Protocol: a.Protocol, Chassis: a.Chassis, Port: a.Port, PortText: a.PortText, Name: a.Name, Description: a.Description, Platform: a.Platform,
			Address: shown(a.Address), Capabilities: a.Capabilities, TTLSeconds: a.TTL, VLAN: a.VLAN,
		}
	})
	r.Count++
}
