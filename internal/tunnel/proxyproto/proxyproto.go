// Package proxyproto writes and reads headers of the PROXY protocol, version 2
// (haproxy.org/download/2.9/doc/proxy-protocol.txt, 2.2), which tell who a
// connection that was passed on comes from.
package proxyproto

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
)

var signature = []byte("\r\n\r\n\x00\r\nQUIT\n")

const (
	maxHeader     = 8192
	typeSSL       = 0x20
	typeVersion   = 0x21
	typeCN        = 0x22
	typeCert      = 0x28 // the client's certificate in DER, within typeSSL
	typeCompany   = 0xe0 // ours, of the range for applications
	maxCertInside = 6 << 10
)

// Header is what a header says.
type Header struct {
	From, To netip.AddrPort
	Version  string // of TLS; empty if there was none
	CN       string // common name of the client's certificate
	Cert     []byte // the client's certificate, DER; verified by who sends the header
	Company  string // whose connection it is, as the gateway's rules say
}

// Of returns the header of a TLS connection with a verified client certificate.
func Of(from, to netip.AddrPort, s tls.ConnectionState, company string) Header {
	h := Header{From: from, To: to, Version: tls.VersionName(s.Version), Company: company}
	if len(s.PeerCertificates) > 0 {
		h.CN, h.Cert = s.PeerCertificates[0].Subject.CommonName, s.PeerCertificates[0].Raw
	}
	return h
}

// Append appends the header's bytes. A certificate of unusual size is left out.
func (h Header) Append(b []byte) []byte {
	family := byte(0)
	switch {
	case h.From.Addr().Is4() && h.To.Addr().Is4():
		family = 0x11
	case h.From.IsValid() && h.To.IsValid():
		family = 0x21
	}
	var body []byte
	switch family {
	case 0x11:
		from, to := h.From.Addr().As4(), h.To.Addr().As4()
		body = append(append(body, from[:]...), to[:]...)
	case 0x21:
		from, to := h.From.Addr().As16(), h.To.Addr().As16()
		body = append(append(body, from[:]...), to[:]...)
	}
	if family != 0 {
		body = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(body, h.From.Port()), h.To.Port())
	}
	if h.Version != "" {
		sub := []byte{0x01, 0, 0, 0, 0} // over TLS
		if h.CN != "" || len(h.Cert) > 0 {
			sub[0] |= 0x02 | 0x04 // with a certificate, which verified
		}
		sub = tlv(sub, typeVersion, []byte(h.Version))
		sub = tlv(sub, typeCN, []byte(h.CN[:min(len(h.CN), 255)]))
		if n := len(h.Cert); n > 0 && n <= maxCertInside {
			sub = tlv(sub, typeCert, h.Cert)
		}
		body = tlv(body, typeSSL, sub)
	}
	if h.Company != "" {
		body = tlv(body, typeCompany, []byte(h.Company[:min(len(h.Company), 255)]))
	}
	b = append(append(b, signature...), 0x21, family)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(body))), body...) //nolint:gosec // below maxHeader
}

func tlv(b []byte, kind byte, value []byte) []byte {
	return append(binary.BigEndian.AppendUint16(append(b, kind), uint16(len(value))), value...) //nolint:gosec // below maxHeader
}

// Read reads a header, and not a byte more. A local one (a health check) says nothing.
func Read(r io.Reader) (h Header, err error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return h, err
	}
	n := int(binary.BigEndian.Uint16(head[14:]))
	switch {
	case !bytes.Equal(head[:12], signature):
		return h, errors.New("no PROXY protocol v2 header")
	case head[12]>>4 != 2 || head[12]&15 > 1:
		return h, errors.New("PROXY protocol: unknown version or command")
	case n > maxHeader:
		return h, errors.New("PROXY protocol: header is too long")
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return h, err
	}
	if head[12]&15 == 0 {
		return h, nil
	}
	switch {
	case head[13] == 0x11 && n >= 12:
		h.From = netip.AddrPortFrom(netip.AddrFrom4([4]byte(body[:4])), binary.BigEndian.Uint16(body[8:]))
		h.To = netip.AddrPortFrom(netip.AddrFrom4([4]byte(body[4:8])), binary.BigEndian.Uint16(body[10:]))
		body = body[12:]
	case head[13] == 0x21 && n >= 36:
		h.From = netip.AddrPortFrom(netip.AddrFrom16([16]byte(body[:16])), binary.BigEndian.Uint16(body[32:]))
		h.To = netip.AddrPortFrom(netip.AddrFrom16([16]byte(body[16:32])), binary.BigEndian.Uint16(body[34:]))
		body = body[36:]
	case head[13] == 0x31 || head[13] == 0x32: // UNIX: two paths
		if n < 216 {
			return h, errors.New("PROXY protocol: header is too short")
		}
		body = body[216:]
	case head[13] != 0:
		return h, errors.New("PROXY protocol: header is too short")
	}
	return h, h.extensions(body)
}

// extensions reads the type-length-values. One that is there twice is refused: two readers could see two clients.
func (h *Header) extensions(body []byte) error {
	return values(body, func(kind byte, value []byte) error {
		switch kind {
		case typeCompany:
			h.Company = string(value)
		case typeSSL:
			if len(value) < 5 {
				return errors.New("PROXY protocol: TLS extension is too short")
			}
			withCert := value[0]&0x06 != 0 && binary.BigEndian.Uint32(value[1:]) == 0
			return values(value[5:], func(kind byte, value []byte) error {
				switch {
				case kind == typeVersion:
					h.Version = string(value)
				case kind == typeCN && withCert:
					h.CN = string(value)
				case kind == typeCert && withCert:
					h.Cert = bytes.Clone(value)
				}
				return nil
			})
		}
		return nil
	})
}

func values(b []byte, each func(kind byte, value []byte) error) error {
	var seen [256]bool
	for len(b) > 0 {
		if len(b) < 3 {
			return errors.New("PROXY protocol: extension is cut off")
		}
		kind, n := b[0], int(binary.BigEndian.Uint16(b[1:]))
		if len(b) < 3+n {
			return errors.New("PROXY protocol: extension is cut off")
		}
		if seen[kind] {
			return errors.New("PROXY protocol: an extension is there twice")
		}
		seen[kind] = true
		if err := each(kind, b[3:3+n]); err != nil {
			return err
		}
		b = b[3+n:]
	}
	return nil
}
