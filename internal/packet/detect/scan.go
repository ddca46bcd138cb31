package detect

import (
	"net/netip"
	"slices"
	"strconv"
)

// Protocols of IP that scans are made with.
const (
	icmp   = 1
	tcp    = 6
	udp    = 17
	icmpv6 = 58
	arp    = 0 // not IP's
)

// sweep is who tries one port of many hosts.
type sweep struct {
	orig  netip.Addr
	port  uint16
	proto uint8
}

// spread is the distinct things tried without success in a window.
type spread[T comparable] struct {
	since int64
	tried []T
}

// add returns how many things without success there are, at most most.
func (s *spread[T]) add(d *Detector, what T, most int) int {
	if len(s.tried) == 0 || d.past(s.since, d.cfg.Window) {
		s.since, s.tried = d.now, s.tried[:0]
	}
	if len(s.tried) < most && !slices.Contains(s.tried, what) {
		s.tried = append(s.tried, what)
	}
	return len(s.tried)
}

// remove takes back what succeeded.
func (s *spread[T]) remove(what T) {
	if i := slices.Index(s.tried, what); i >= 0 {
		s.tried = slices.Delete(s.tried, i, i+1)
	}
}

func name(proto uint8) string {
	switch proto {
	case tcp:
		return "TCP"
	case udp:
		return "UDP"
	case icmp, icmpv6:
		return "ICMP"
	case arp:
		return "ARP"
	}
	return "IP protocol " + strconv.Itoa(int(proto))
}

// limit raises a threshold for what is less telling: traceroute asks ninety
// ports of UDP, and a router asks ARP for whoever is sent to.
func limit(n int, proto uint8) int {
	if proto != tcp {
		return 2 * n
	}
	return n
}

// Opened tells that Orig asks for a connection: with a SYN, or with the first
// datagram. Whoever answers is taken from the account by Answered.
func (d *Detector) Opened(c *Conn) {
	d.enter(c.At)
	defer d.mu.Unlock()
	if toMany(c.Resp) || toMany(c.Orig) || !c.Orig.IsValid() || !c.Resp.IsValid() {
		return
	}
	trusted := d.trusted(c.Orig)
	if (c.Proto == tcp || c.Proto == udp) && !d.off[PortScan] && !trusted {
		s, _ := d.ports.get(pair{c.Orig, c.Resp, c.Proto})
		most := limit(d.cfg.Ports, c.Proto)
		if n := s.add(d, c.RespPort, most); n >= most {
			d.alert(PortScan, c, "", n, strconv.Itoa(n)+" ports of "+name(c.Proto)+" tried without success in "+seconds(d.now-s.since))
			s.tried = nil
		}
	}
	if !d.off[HostScan] && !trusted {
		s, _ := d.hosts.get(sweep{c.Orig, c.RespPort, c.Proto})
		most := limit(d.cfg.Hosts, c.Proto)
		if n := s.add(d, c.Resp, most); n >= most {
			what := name(c.Proto)
			if c.Proto == tcp || c.Proto == udp {
				what += " port " + strconv.Itoa(int(c.RespPort))
			}
			d.alert(HostScan, c, what, n, strconv.Itoa(n)+" hosts without an answer on "+what+" in "+seconds(d.now-s.since))
			s.tried = nil
		}
	}
	d.beaten(c)
}

// Answered tells that Resp took the connection that Orig asked for. A refusal is no answer.
func (d *Detector) Answered(c *Conn) {
	d.enter(c.At)
	defer d.mu.Unlock()
	if s := d.ports.peek(pair{c.Orig, c.Resp, c.Proto}); s != nil {
		s.remove(c.RespPort)
	}
	if s := d.hosts.peek(sweep{c.Orig, c.RespPort, c.Proto}); s != nil {
		s.remove(c.Resp)
	}
	if c.Proto == tcp {
		d.served(c)
	}
}
