package detect

import (
	"net/netip"
	"strconv"
)

// server is who serves what.
type server struct {
	addr  netip.Addr
	port  uint16
	proto uint8
}

// Device tells that a hardware address uses an IP address on the link, as ARP,
// neighbour discovery and DHCP say. at is in Unix nanoseconds.
func (d *Detector) Device(at int64, mac string, addr netip.Addr) {
	d.enter(at)
	defer d.mu.Unlock()
	if mac == "" || mac == "00:00:00:00:00:00" || mac == "ff:ff:ff:ff:ff:ff" {
		return
	}
	c := &Conn{At: at, Orig: addr}
	if _, known := d.devices.get(mac); !known && !d.learning() && !d.off[NewDevice] {
		detail := "first seen: " + mac
		if addr.IsValid() {
			detail += " with " + addr.String()
		}
		d.alert(NewDevice, c, mac, 1, detail)
	}
	if !addr.IsValid() || addr.IsUnspecified() || toMany(addr) {
		return
	}
	before, known := d.bindings.get(addr)
	if known && *before != mac && !d.learning() && !d.off[MovedAddress] {
		d.alert(MovedAddress, c, mac, 1, addr.String()+" moved from "+*before+" to "+mac)
	}
	*before = mac
}

// served accounts a connection of TCP that a host took.
func (d *Detector) served(c *Conn) {
	if d.off[NewService] || !d.inside(c.Resp) || (c.RespPort >= 32768 && c.OrigPort < c.RespPort) {
		return // a port that the system gave out, as FTP's for data
	}
	if _, known := d.services.get(server{c.Resp, c.RespPort, c.Proto}); !known && !d.learning() {
		d.alert(NewService, c, strconv.Itoa(int(c.RespPort)), 1, c.Resp.String()+" takes connections on port "+strconv.Itoa(int(c.RespPort)))
	}
}
