package detect

import (
	"net/netip"
	"strconv"
)

// login is who tries to get in where.
type login struct {
	orig, resp netip.Addr
	service    string
}

// tries is the logins refused in a window.
type tries struct {
	since int64
	n     int
}

// LoginFailed tells that a server refused a login: FTP's 530, HTTP's 401 to
// credentials, SMTP's 535, SIP's 403. service is a protocol's name.
func (d *Detector) LoginFailed(c *Conn, service string) {
	d.enter(c.At)
	defer d.mu.Unlock()
	d.guessed(c, service, "logins refused")
}

func (d *Detector) guessed(c *Conn, service, what string) {
	if d.off[BruteForce] || d.trusted(c.Orig) {
		return
	}
	t, _ := d.logins.get(login{c.Orig, c.Resp, service})
	if t.n == 0 || d.past(t.since, d.cfg.Window) {
		t.since, t.n = d.now, 0
	}
	if t.n++; t.n >= d.cfg.Guesses {
		d.alert(BruteForce, c, service, t.n, strconv.Itoa(t.n)+" "+what+" by "+service+" in "+seconds(d.now-t.since))
		t.n = 0
	}
}

// LoginOK tells that a server took a login: guesses before it are a typist's.
func (d *Detector) LoginOK(c *Conn, service string) {
	d.enter(c.At)
	defer d.mu.Unlock()
	if p := d.logins.peek(login{c.Orig, c.Resp, service}); p != nil {
		p.n = 0
	}
}

// What a connection of SSH carries that ends without a login: the handshake is
// about 2.5 kB from either side, an attempt about 100 bytes.
const (
	sshOrig, sshResp = 6000, 6000
	sshLeast         = 500 // below it there was no handshake
)

// Ended tells how many bytes a connection that was established carried, when
// it is over. Where the login itself is encrypted its size is all there is.
func (d *Detector) Ended(c *Conn, service string, orig, resp uint64) {
	d.enter(c.At)
	defer d.mu.Unlock()
	if service != "ssh" && (service != "" || c.RespPort != 22) || c.Proto != tcp {
		return
	}
	if orig >= sshLeast && resp >= sshLeast && orig <= sshOrig && resp <= sshResp {
		d.guessed(c, "ssh", "connections without a session")
	}
}
