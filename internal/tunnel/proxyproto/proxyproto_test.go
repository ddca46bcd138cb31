package proxyproto

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	v4 = netip.MustParseAddrPort("192.0.2.1:5")
	v6 = netip.MustParseAddrPort("[2001:db8::1]:6")
)

func headers() []Header {
	return []Header{
		{From: v4, To: v4},
		{From: v6, To: v6},
		{From: v4, To: v4, Version: "TLS 1.3", CN: "g1", Cert: []byte{0x30, 1, 0}, Company: `acme "1"`},
		{Company: "acme"},
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	for _, want := range headers() {
		rest := bytes.NewReader(append(want.Append(nil), "rest"...))
		got, err := Read(rest)
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" || err != nil || rest.Len() != 4 {
			t.Errorf("%v, %d bytes left (-want +got):\n%s", err, rest.Len(), diff)
		}
	}
	for _, bad := range []string{
		"GET / HTTP/1.1\r\n\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
		string(append(Header{}.Append(nil)[:14], 0, 8, 0xe0, 0, 1, 'a', 0xe0, 0, 1, 'b')), // two companies
		string(append(Header{}.Append(nil)[:14], 0, 3, 0xe0, 0, 9)),
	} {
		if h, err := Read(bytes.NewReader([]byte(bad))); err == nil {
			t.Errorf("Read(%q) = %+v; want an error", bad, h)
		}
	}
}

// TestGhostunnelsHeader: what ghostunnel server --proxy-protocol-mode=tls-full is documented to send (docs/networking/proxy-protocol.md): protocol
// and name of the connection too, and, from a UNIX socket, paths instead of addresses.
func TestGhostunnelsHeader(t *testing.T) {
	cert := bytes.Repeat([]byte{0x30}, 900)
	ssl := []byte{0x07, 0, 0, 0, 0}
	ssl = tlv(tlv(tlv(ssl, 0x21, []byte("TLS 1.3")), 0x22, []byte("office")), 0x28, cert)
	extensions := tlv(tlv(tlv(nil, 0x01, []byte("h2")), 0x02, []byte("tunnels.provider.example")), 0x20, ssl)
	header := func(family byte, addresses []byte) []byte {
		b := append(bytes.Clone(signature), 0x21, family)
		b = binary.BigEndian.AppendUint16(b, uint16(len(addresses)+len(extensions)))
		return append(append(append(b, addresses...), extensions...), "GET /"...)
	}
	for family, addresses := range map[byte][]byte{0x11: {192, 0, 2, 1, 192, 0, 2, 2, 0, 5, 1, 187}, 0x31: make([]byte, 216)} {
		rest := bytes.NewReader(header(family, addresses))
		h, err := Read(rest)
		if err != nil || h.CN != "office" || h.Version != "TLS 1.3" || !bytes.Equal(h.Cert, cert) || h.Company != "" || rest.Len() != 5 {
			t.Errorf("family %x: %+v, %v, %d bytes left", family, h, err, rest.Len())
		}
		if family == 0x11 && (h.From.String() != "192.0.2.1:5" || h.To.Port() != 443) {
			t.Errorf("addresses %s, %s", h.From, h.To)
		}
	}
}

// FuzzRead: a header that is read can be written and says the same again, and nothing behind it is touched.
func FuzzRead(f *testing.F) {
	for _, h := range headers() {
		f.Add(h.Append(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		h, err := Read(r)
		if err != nil {
			return
		}
		if len(data)-r.Len() > 16+maxHeader {
			t.Error("read more than a header")
		}
		if len(h.CN) > 255 || len(h.Company) > 255 || len(h.Cert) > maxCertInside || len(h.Version) > 255 {
			return
		}
		again, err := Read(bytes.NewReader(h.Append(nil)))
		if err != nil || again.Company != h.Company || h.Version != "" && (again.CN != h.CN || !bytes.Equal(again.Cert, h.Cert)) {
			t.Errorf("%+v became %+v, %v", h, again, err)
		}
		if h.From.Addr().Is4() && again.From != h.From {
			t.Errorf("%v became %v", h.From, again.From)
		}
	})
}
