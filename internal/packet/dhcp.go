package packet

import (
	"net/netip"

	"github.com/orielhq/oriel/internal/packet/dhcp"
)

// DHCP is one message of DHCP.
type DHCP struct {
	Flow
	Version       uint8    `parquet:"version"` // 4 or 6
	Type          string   `parquet:"type,dict"`
	TransactionID uint32   `parquet:"trans_id"`
	MAC           string   `parquet:"mac"`
	ClientID      string   `parquet:"client_id"` // hexadecimal
	HostName      string   `parquet:"host_name"`
	FQDN          string   `parquet:"fqdn"`
	VendorClass   string   `parquet:"vendor_class"`
	Fingerprint   string   `parquet:"fingerprint"` // the options asked for, in order
	ClientAddr    string   `parquet:"client_addr"`
	RequestedAddr string   `parquet:"requested_addr"`
	AssignedAddr  string   `parquet:"assigned_addr"`
	Prefix        string   `parquet:"prefix"` // delegated
	ServerAddr    string   `parquet:"server_addr"`
	RelayAddr     string   `parquet:"relay_addr"`
	Routers       []string `parquet:"routers,list"`
	DNSServers    []string `parquet:"dns_servers,list"`
	Domain        string   `parquet:"domain"`
	LeaseSeconds  uint32   `parquet:"lease_seconds"`
	Seconds       uint16   `parquet:"seconds"` // since the client began
	Hops          uint8    `parquet:"hops"`
	Message       string   `parquet:"message"`
	Status        uint16   `parquet:"status"`
}

// Kind is the table.
func (*DHCP) Kind() string { return "dhcp" }

func dhcpProtocols() []protocol {
	parse := func(k *key, b []byte) (dhcp.Message, error) {
		if k.v6 {
			return dhcp.Parse6(b)
		}
		return dhcp.Parse4(b)
	}
	return []protocol{{
		name: "dhcp", proto: protoUDP, ports: []uint16{67, 68, 546, 547},
		match: func(k *key, _ bool, b []byte) bool {
			one, other := uint16(67), uint16(68)
			if k.v6 {
				one, other = 546, 547
			}
			if k.srcPort != one && k.srcPort != other || k.dstPort != one && k.dstPort != other {
				return false
			}
			_, err := parse(k, b)
			return err == nil || err != dhcp.ErrNotDHCP //nolint:errorlint // Parse returns it as it is
		},
		open: func(w *worker, c *conn) analyzer { return &dhcpAnalyzer{w: w, c: c, parse: parse} },
	}}
}

type dhcpAnalyzer struct {
	w     *worker
	c     *conn
	parse func(k *key, b []byte) (dhcp.Message, error)
}

func (a *dhcpAnalyzer) data(at int64, _ bool, b []byte) bool {
	t := &a.w.talk
	m, err := a.parse(&a.c.key, b)
	if err != nil {
		t.corrupt[talkDHCP]++
		return true
	}
	six := 0
	if m.Version == 6 {
		six = 1
	}
	t.dhcp[six][min(m.Type, 15)]++
	r := &DHCP{
		Flow: a.c.flow(at), Version: m.Version, Type: m.TypeName(), TransactionID: m.Transaction, MAC: m.HardwareMAC, ClientID: m.ClientID,
		HostName: m.HostName, FQDN: m.ClientFQDN, VendorClass: m.VendorClass, Fingerprint: m.Fingerprint(), ClientAddr: shown(m.Client),
		RequestedAddr: shown(m.Requested), AssignedAddr: shown(m.Yours), Prefix: shown(m.Prefix), ServerAddr: shown(m.Server), RelayAddr: shown(m.Relay),
		Routers: shownAll(m.Routers), DNSServers: shownAll(m.DNS), Domain: m.DomainName, LeaseSeconds: m.LeaseTime, Seconds: m.Seconds, Hops: m.Hops,
		Message: m.Message, Status: m.Status,
	}
	if d := a.w.detect; d != nil && m.HardwareMAC != "" {
		addr := netip.Addr{}
		if m.Version == 4 && m.Type == 5 {
			addr = m.Yours // acknowledged
		}
		d.Device(at, m.HardwareMAC, addr)
	}
	a.w.emit(r)
	return true
}

func (a *dhcpAnalyzer) gap(int64, bool, int) { a.w.talk.corrupt[talkDHCP]++ }
func (a *dhcpAnalyzer) end(int64)            {}
