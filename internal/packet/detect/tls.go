package detect

// Credentials tells that user and password crossed the network as they are.
// The password itself is not told to anybody.
func (d *Detector) Credentials(c *Conn, service, user string) {
	d.enter(c.At)
	defer d.mu.Unlock()
	if d.off[ClearText] {
		return
	}
	detail := "a password was sent in clear text by " + service
	if user != "" {
		detail += " for user " + user
	}
	d.alert(ClearText, c, service+" "+user, 1, detail)
}

// Weak tells what is wrong with a handshake of TLS, in a few words of a closed set.
func (d *Detector) Weak(c *Conn, what string) {
	d.enter(c.At)
	defer d.mu.Unlock()
	if !d.off[WeakTLS] {
		d.alert(WeakTLS, c, what, 1, what)
	}
}
