package packet

import (
	"net/netip"

	"github.com/orielhq/oriel/internal/packet/detect"
	"github.com/orielhq/oriel/internal/packet/dns"
)

// talk counts what is spoken in datagrams and by machines, and keeps what
// belongs to no single connection. All of its arrays are closed sets.
type talk struct {
	dnsMessage    dns.Message // reused
	dnsQueries    [transports][qtypes]uint64
	dnsResponses  [transports][rcodes]uint64
	dnsUnanswered uint64
	dnsTruncated  uint64
	dnsCorrupt    uint64
	dnsLatency    histogram
	llmnr         map[neighbourKey]*DNS
	llmnrOrder    []neighbourKey

	ntpPackets  [8]uint64 // by mode
	ntpStratum  [strata]uint64
	ntpOffset   histogram
	dhcp        [2][16]uint64 // by version and type
	sipRequests [sipMethods]uint64
	sipStatus   [8]uint64
	modbus      [modbusClasses]uint64
	modbusFails uint64
	modbusTime  histogram
	enip        [3]uint64 // requests, answers, errors
	stun        [4]uint64
	wireguard   [5]uint64
	ike         [3]uint64 // version 1, version 2, ESP in UDP
	corrupt     [speakers]uint64

	arps   folded[arpKey, *ARP]
	icmps  folded[icmpKey, *ICMP]
	nearby folded[string, *Neighbour]
}

// Bounds in seconds.
var (
	answerBounds = []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5}
	offsetBounds = []float64{0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 10, 60, 3600}
)

// What DNS is spoken over.
const (
	overUDP = iota
	overTCP
	overMulticast
	overLLMNR
	transports
)

var transportNames = [transports]string{"udp", "tcp", "mdns", "llmnr"}

func transportOf(a *dnsAnalyzer) int {
	switch {
	case a.service == "mdns":
		return overMulticast
	case a.service == "llmnr":
		return overLLMNR
	case a.c.key.proto == protoTCP:
		return overTCP
	}
	return overUDP
}

// The types of questions that are counted apart; the last is all others.
var qtypeList = [...]dns.Type{
	dns.TypeA, dns.TypeAAAA, dns.TypePTR, dns.TypeTXT, dns.TypeMX, dns.TypeNS, dns.TypeSOA, dns.TypeSRV, dns.TypeCNAME,
	dns.TypeHTTPS, dns.TypeSVCB, dns.TypeDS, dns.TypeNULL, dns.TypeANY,
}

const qtypes = len(qtypeList) + 1

func qtypeClass(m *dns.Message) int {
	if len(m.Questions) > 0 {
		for i, t := range qtypeList {
			if m.Questions[0].Type == t {
				return i
			}
		}
	}
	return qtypes - 1
}

func qtypeName(i int) string {
	if i < len(qtypeList) {
		return qtypeList[i].String()
	}
	return "other"
}

const rcodes = 7

func rcodeClass(code uint16) int { return min(int(code), rcodes-1) }

func rcodeName(i int) string {
	if i == rcodes-1 {
		return "other"
	}
	return dns.RcodeName(uint16(i))
}

// The protocols whose corrupt messages are counted, beside DNS.
const (
	talkNTP = iota
	talkDHCP
	talkSIP
	talkModbus
	talkENIP
	talkSTUN
	talkIKE
	talkARP
	talkDiscovery
	speakers
)

var speakerNames = [speakers]string{"ntp", "dhcp", "sip", "modbus", "enip", "stun", "ike", "arp", "discovery"}

// event is what the detections are told of a connection.
func (w *worker) event(c *conn, at int64) detect.Conn {
	k := &c.key
	return detect.Conn{At: at, Orig: k.addr(k.src), Resp: k.addr(k.dst), OrigPort: k.srcPort, RespPort: k.dstPort, Proto: k.proto, Ref: c}
}

// datagramProtocols lists what is looked for in datagrams, and what machines speak.
func datagramProtocols() []protocol {
	var all []protocol
	for _, list := range [][]protocol{
		dnsProtocols(), ntpProtocols(), dhcpProtocols(), stunProtocols(), wireguardProtocols(), ikeProtocols(), sipProtocols(), modbusProtocols(), enipProtocols(),
	} {
		all = append(all, list...)
	}
	return all
}

// shown is an address in a record: empty if it is not known.
func shown[T interface {
	IsValid() bool
	String() string
}](a T) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func shownAll(list []netip.Addr) []string {
	var out []string
	for _, a := range list {
		out = append(out, shown(a))
	}
	return out
}
