package detect

import "time"

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

// TLS tells what a server chose: the version as on the wire, and the cipher suite.
func (d *Detector) TLS(c *Conn, version, suite uint16) {
	d.enter(c.At)
	defer d.mu.Unlock()
	if d.off[WeakTLS] {
		return
	}
	old := map[uint16]string{2: "SSL 2.0", 0x300: "SSL 3.0", 0x301: "TLS 1.0", 0x302: "TLS 1.1"}
	if name := old[version]; name != "" {
		d.alert(WeakTLS, c, name, 1, "the server chose "+name)
	}
	if why := weakSuite(suite); why != "" {
		d.alert(WeakTLS, c, why, 1, "the server chose a cipher suite with "+why)
	}
}

// Certificate tells of the certificate that a server showed: its key's bits (0:
// not known), whether its signature is made with MD5 or SHA-1, and until when
// it is valid in Unix nanoseconds.
func (d *Detector) Certificate(c *Conn, rsaBits int, oldHash bool, notAfter int64) {
	d.enter(c.At)
	defer d.mu.Unlock()
	if d.off[WeakTLS] {
		return
	}
	if rsaBits > 0 && rsaBits < 2048 {
		d.alert(WeakTLS, c, "short key", 1, "the certificate's RSA key has less than 2048 bits")
	}
	if oldHash {
		d.alert(WeakTLS, c, "old hash", 1, "the certificate is signed with MD5 or SHA-1")
	}
	if notAfter > 0 && notAfter < c.At {
		d.alert(WeakTLS, c, "expired", 1, "the certificate expired on "+time.Unix(0, notAfter).UTC().Format(time.DateOnly))
	}
}

// weakSuite returns what is wrong with a cipher suite of IANA's registry, empty if nothing is.
func weakSuite(id uint16) string {
	in := func(list ...uint16) bool {
		for _, n := range list {
			if n == id {
				return true
			}
		}
		return false
	}
	switch {
	case in(0x0000, 0x0001, 0x0002, 0x003b, 0x002c, 0x002d, 0x002e, 0x00b0, 0x00b1, 0x00b4, 0x00b5, 0x00b8, 0x00b9, 0xc001, 0xc006, 0xc00b, 0xc010, 0xc015, 0xc039, 0xc03a, 0xc03b):
		return "no encryption"
	case in(0x0003, 0x0006, 0x0008, 0x000b, 0x000e, 0x0011, 0x0014, 0x0017, 0x0019, 0x0026, 0x0027, 0x0028, 0x0029, 0x002a, 0x002b):
		return "keys for export"
	case in(0x0018, 0x001a, 0x001b, 0x0034, 0x003a, 0x006c, 0x006d, 0x0089, 0x009b, 0x00a6, 0x00a7, 0xc016, 0xc017, 0xc018, 0xc019):
		return "no authentication"
	case in(0x0004, 0x0005, 0x0020, 0x0024, 0x008a, 0x008e, 0x0092, 0xc002, 0xc007, 0xc00c, 0xc011, 0xc033):
		return "RC4"
	case in(0x0009, 0x000c, 0x000f, 0x0012, 0x0015, 0x001e, 0x0022):
		return "DES"
	case in(0x000a, 0x000d, 0x0010, 0x0013, 0x0016, 0x001f, 0x0023, 0x008b, 0x008f, 0x0093, 0xc003, 0xc008, 0xc00d, 0xc012, 0xc01a, 0xc01b, 0xc01c, 0xc034):
		return "3DES"
	}
	return ""
}
