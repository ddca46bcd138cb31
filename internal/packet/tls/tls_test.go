package tls

import (
	"crypto/tls"
	"io"
	"net"
	"slices"
	"testing"
	"time"
)

// clientHello returns the body of the hello that Go's own client sends.
func clientHello(t testing.TB) []byte {
	t.Helper()
	a, b := net.Pipe()
	go func() {
		c := tls.Client(a, &tls.Config{ServerName: "example.org", NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12})
		_ = c.Handshake()
		_ = a.Close()
	}()
	defer b.Close()
	_ = b.SetDeadline(time.Now().Add(10 * time.Second))
	head := make([]byte, 9)
	if _, err := io.ReadFull(b, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(head[6])<<16|int(head[7])<<8|int(head[8]))
	if _, err := io.ReadFull(b, body); err != nil {
		t.Fatal(err)
	}
	return body
}

func TestParseClientHelloOfGo(t *testing.T) {
	h, err := ParseClientHello(clientHello(t))
	if err != nil {
		t.Fatal(err)
	}
	if h.SNI != "example.org" || !slices.Equal(h.ALPN, []string{"h2", "http/1.1"}) || h.Version != 0x0303 ||
		!slices.Contains(h.Versions, 0x0304) || !slices.ContainsFunc(h.KeyShares, PostQuantum) || h.SessionID != 32 || h.QUIC || h.ECH {
		t.Errorf("hello = %+v", h)
	}
}

// The example of FoxIO's description of JA4, as Chrome sends it.
func TestJA4OfTheSpecification(t *testing.T) {
	h := &ClientHello{
		Version:  0x0303,
		Ciphers:  []uint16{0x1a1a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035},
		Versions: []uint16{0x2a2a, 0x0304, 0x0303},
		Extensions: []uint16{
			0x3a3a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b, 0xff01, 0x000b, 0x000a, 0x0015,
		},
		Signatures: []uint16{0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601},
		ALPN:       []string{"h2", "http/1.1"},
	}
	if got, want := h.JA4('t'), "t13d1516h2_8daaf6152771_e5627efa2ab1"; got != want {
		t.Errorf("JA4 = %s; want %s", got, want)
	}
}

func TestCipherClassKnowsWhatGoKnows(t *testing.T) {
	for _, s := range tls.CipherSuites() {
		if c := CipherClass(s.ID); c != ClassAEAD && c != ClassCBC {
			t.Errorf("%s is %s; want aead or cbc", s.Name, c)
		}
	}
	for id, want := range map[uint16]string{
		tls.TLS_RSA_WITH_RC4_128_SHA: ClassRC4, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA: ClassTriple, 0x0003: ClassExport, 0x0000: ClassNull, 0x0034: ClassAnon,
	} {
		if got := CipherClass(id); got != want {
			t.Errorf("class of %04x = %s; want %s", id, got, want)
		}
	}
}

func TestCutHelloIsAnError(t *testing.T) {
	body := clientHello(t)
	whole, err := ParseClientHello(body)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(body) {
		h, err := ParseClientHello(body[:n])
		if err == nil && h.JA3() == whole.JA3() {
			t.Fatalf("the first %d of %d bytes parse as all of them", n, len(body))
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(clientHello(f))
	f.Add(append([]byte{3, 3}, make([]byte, 40)...))
	f.Add([]byte{0, 0, 7, 0, 0, 4, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := ParseClientHello(b); err == nil {
			if len(h.Ciphers)*2 > len(b) || len(h.Extensions)*4 > len(b) || len(h.SNI) > 255 || len(h.ALPN) > maxNames {
				t.Errorf("%d bytes make %+v", len(b), h)
			}
			if len(h.JA3()) != 32 || len(h.JA4('t')) != 36 {
				t.Errorf("JA3 %q, JA4 %q", h.JA3(), h.JA4('t'))
			}
		}
		if h, err := ParseServerHello(b); err == nil && len(h.JA3S()) != 32 {
			t.Errorf("JA3S %q", h.JA3S())
		}
		chain, _ := ParseCertificates(b)
		n := 0
		for _, c := range chain {
			n += len(c)
		}
		if n > len(b) || len(chain) > maxCertificates {
			t.Errorf("%d bytes hold %d of %d certificates", len(b), n, len(chain))
		}
	})
}
