package relay

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
)

// The PROXY protocol, version 2 (haproxy.org/download/2.9/doc/proxy-protocol.txt, 2.2).
var proxySignature = []byte("\r\n\r\n\x00\r\nQUIT\n")

const (
	maxProxyHeader = 4096
	tlvSSL         = 0x20
	tlvSSLVersion  = 0x21
	tlvSSLCN       = 0x22
)

// proxyHeader is a header with both addresses and, of a gateway, what is known of the client's certificate.
func proxyHeader(from, to netip.AddrPort, s *tls.ConnectionState) []byte {
	var body []byte
	family := byte(0)
	switch {
	case from.Addr().Is4() && to.Addr().Is4():
		family = 0x11
	case from.IsValid() && to.IsValid():
		family = 0x21
	}
	switch family {
	case 0x11:
		a, b := from.Addr().As4(), to.Addr().As4()
		body = append(append(body, a[:]...), b[:]...)
	case 0x21:
		a, b := from.Addr().As16(), to.Addr().As16()
		body = append(append(body, a[:]...), b[:]...)
	}
	if family != 0 {
		body = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(body, from.Port()), to.Port())
	}
	if s != nil && len(s.PeerCertificates) > 0 {
		sub := []byte{0x01 | 0x02 | 0x04, 0, 0, 0, 0} // over TLS, with a certificate, which verified
		sub = tlv(sub, tlvSSLVersion, tls.VersionName(s.Version))
		cn := s.PeerCertificates[0].Subject.CommonName
		sub = tlv(sub, tlvSSLCN, cn[:min(len(cn), 255)])
		body = tlv(body, tlvSSL, string(sub))
	}
	head := append(bytes.Clone(proxySignature), 0x21, family)
	return append(binary.BigEndian.AppendUint16(head, uint16(len(body))), body...) //nolint:gosec // some hundred bytes
}

func tlv(b []byte, kind byte, value string) []byte {
	return append(binary.BigEndian.AppendUint16(append(b, kind), uint16(len(value))), value...) //nolint:gosec // some hundred bytes
}

// readProxyHeader reads a header, and not a byte more. A local one (a health check) has no address.
func readProxyHeader(r io.Reader) (from netip.AddrPort, err error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return from, err
	}
	n := int(binary.BigEndian.Uint16(head[14:]))
	switch {
	case !bytes.Equal(head[:12], proxySignature):
		return from, errors.New("no PROXY protocol v2 header")
	case head[12]>>4 != 2 || head[12]&15 > 1:
		return from, errors.New("PROXY protocol: unknown version or command")
	case n > maxProxyHeader:
		return from, errors.New("PROXY protocol: header is too long")
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return from, err
	}
	if head[12]&15 == 0 {
		return from, nil
	}
	switch {
	case head[13] == 0x11 && n >= 12:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(body[:4])), binary.BigEndian.Uint16(body[8:])), nil
	case head[13] == 0x21 && n >= 36:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(body[:16])), binary.BigEndian.Uint16(body[32:])), nil
	case head[13] == 0x11 || head[13] == 0x21:
		return from, errors.New("PROXY protocol: header is too short")
	}
	return from, nil
}
