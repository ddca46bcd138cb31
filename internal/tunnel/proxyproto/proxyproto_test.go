package proxyproto

import (
	"bytes"
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
