package tls

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
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

// list reads numbers in hexadecimal, as FoxIO publishes them.
func list(t *testing.T, text string) (out []uint16) {
	t.Helper()
	for part := range strings.SplitSeq(text, ",") {
		if part == "" {
			continue
		}
		n, err := strconv.ParseUint(part, 16, 16)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, uint16(n))
	}
	return out
}

// TestJA4AsPublished: the fingerprints that FoxIO publishes with the lists they are of
// (github.com/FoxIO-LLC/ja4: technical_details/JA4.md and python/test/testdata), and what its rules say of odd hellos.
func TestJA4AsPublished(t *testing.T) {
	const (
		chrome  = "1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035"
		signed  = "0403,0804,0401,0503,0805,0501,0806,0601"
		quicly  = "1301,1302,1303"
		v13     = "2a2a,0304,0303"
		unsaid  = "0000,0017,ff01,000a,000b,0023,0010,0005,000d,0012,0033,002d,002b,001b,4469,0015"
		curve   = "0000,0017,ff01,000a,000b,0023,0010,0005,000d,0012,0033,002d,002b,001b,0015"
		sigless = "001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015"
	)
	for _, tt := range []struct {
		name                             string
		transport                        byte
		version                          uint16
		versions, ciphers, exts, signers string
		alpn                             []string
		want                             string
	}{
		{"chrome over TCP", 't', 0x0303, v13, chrome, unsaid, signed, []string{"h2", "http/1.1"}, "t13d1516h2_8daaf6152771_e5627efa2ab1"},
		{"greased everywhere", 't', 0x0303, v13, "eaea," + chrome, "1a1a," + unsaid + ",baba", "0a0a," + signed, []string{"h2"}, "t13d1516h2_8daaf6152771_e5627efa2ab1"},
		{"edge of 2020", 't', 0x0303, v13, chrome + ",000a", curve, signed + ",0201", []string{"h2"}, "t13d1615h2_46e7e9700bed_45f260be83e2"},
		{"chrome with post-quantum signatures", 't', 0x0303, v13, chrome, "fe0d,0010,0017,0033,44cd,ff01,000a,000d,0023,002b,000b,ca34,002d,0000,0005,001b,0012", "3a3a,0904,0905,0906," + signed, []string{"h2"}, "t13d1517h2_8daaf6152771_cb7bf5808d99"},
		{"no signature algorithms", 't', 0x0303, v13, chrome, sigless, "", []string{"h2"}, "t13d1516h2_8daaf6152771_6d807ffa2a79"},
		{"to an address", 't', 0x0303, v13, chrome, strings.TrimPrefix(unsaid, "0000,"), signed, []string{"h2"}, "t13i1515h2_8daaf6152771_e5627efa2ab1"},
		{"no ALPN", 't', 0x0303, v13, chrome, strings.Replace(unsaid, "0010,", "", 1), signed, nil, "t13d151500_8daaf6152771_e5627efa2ab1"},
		{"QUIC is q", 'q', 0x0303, "0304", quicly, unsaid, signed, []string{"h3"}, "q13d0316h3_55b375c5d22e_e5627efa2ab1"},
		{"SNI and ALPN only", 't', 0x0303, "", "c02f", "0000,0010", "", []string{"h2"}, "t12d0102h2_dbdd1be7d5d6_000000000000"},
		{"nothing at all", 't', 0x0301, "", "", "", "", nil, "t10i000000_000000000000_000000000000"},
	} {
		h := &ClientHello{
			Version: tt.version, Versions: list(t, tt.versions), Ciphers: list(t, tt.ciphers), Extensions: list(t, tt.exts), Signatures: list(t, tt.signers), ALPN: tt.alpn,
		}
		if tt.name == "SNI and ALPN only" { // the hash of its one suite is not published
			sum := sha256.Sum256([]byte("c02f"))
			tt.want = "t12d0102h2_" + hex.EncodeToString(sum[:6]) + "_000000000000"
		}
		if got := h.JA4(tt.transport); got != tt.want {
			t.Errorf("%s: %s; want %s", tt.name, got, tt.want)
		}
	}
	for alpn, want := range map[string]string{
		"h2": "h2", "http/1.1": "h1", "x": "xx", "": "00", "\xab": "ab", "\xab\xcd": "ad", "0\xab": "3b", "01\xab\xcd": "3d", "0\xab\xcd1": "01", "h3-29": "h9", "-h": "28",
	} {
		if got := (&ClientHello{ALPN: []string{alpn, "h2"}}).JA4('t')[8:10]; got != want {
			t.Errorf("ALPN %q is %s; want %s", alpn, got, want)
		}
	}
	for version, want := range map[uint16]string{0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3", 0x0002: "s2", 0x7f1c: "00"} {
		if got := (&ClientHello{Version: version}).JA4('t')[1:3]; got != want {
			t.Errorf("version %04x is %s; want %s", version, got, want)
		}
	}
	if got := (&ClientHello{Ciphers: make([]uint16, 150), Extensions: make([]uint16, 100)}).JA4('t')[4:8]; got != "9999" {
		t.Errorf("150 suites and 100 extensions are %s; want 9999", got)
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
