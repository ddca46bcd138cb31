package packet

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/packet/tls"
	"github.com/orielhq/oriel/internal/proctest"
)

// conversation is what two programs said over UDP, as a capture of raw IP.
type conversation struct {
	mu     sync.Mutex
	frames [][]byte
}

func (c *conversation) add(fromClient bool, b []byte) {
	src, dst := netip.MustParseAddrPort("192.0.2.1:40000"), netip.MustParseAddrPort("192.0.2.2:4433")
	if !fromClient {
		src, dst = dst, src
	}
	h := make([]byte, 28, 28+len(b))
	h[0], h[8], h[9] = 0x45, 64, protoUDP
	binary.BigEndian.PutUint16(h[2:], uint16(28+len(b)))
	copy(h[12:], src.Addr().AsSlice())
	copy(h[16:], dst.Addr().AsSlice())
	binary.BigEndian.PutUint16(h[20:], src.Port())
	binary.BigEndian.PutUint16(h[22:], dst.Port())
	binary.BigEndian.PutUint16(h[24:], uint16(8+len(b)))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frames = append(c.frames, append(h, b...))
}

// relay takes datagrams between a client and a server and notes them.
func (c *conversation) relay(t *testing.T, server string) (addr string) {
	t.Helper()
	in, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	out, err := net.Dial("udp4", server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = in.Close(), out.Close() })
	var client atomic.Pointer[net.Addr]
	go func() {
		b := make([]byte, 1<<16)
		for {
			n, from, err := in.ReadFrom(b)
			if err != nil {
				return
			}
			client.Store(&from)
			c.add(true, b[:n])
			_, _ = out.Write(b[:n])
		}
	}()
	go func() {
		b := make([]byte, 1<<16)
		for {
			n, err := out.Read(b)
			if errors.Is(err, net.ErrClosed) {
				return
			} else if err != nil { // the server is not there yet
				continue
			}
			c.add(false, b[:n])
			_, _ = in.WriteTo(b[:n], *client.Load())
		}
	}()
	return in.LocalAddr().String()
}

// openDTLSPair runs openssl's server and client and returns the capture of their handshake.
func openDTLSPair(t *testing.T, args ...string) string {
	t.Helper()
	openssl := proctest.External(t, "openssl")
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "dtls.example"}, DNSNames: []string{"dtls.example"}, NotBefore: time.Unix(0, 0), NotAfter: time.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "both.pem")
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	if err := os.WriteFile(file, both, 0o600); err != nil {
		t.Fatal(err)
	}
	free, err := net.ListenPacket("udp4", "127.0.0.1:0") // openssl does not tell which port it took
	if err != nil {
		t.Fatal(err)
	}
	port := free.LocalAddr().(*net.UDPAddr).Port
	_ = free.Close()
	server := exec.CommandContext(t.Context(), openssl, "s_server", "-dtls", "-listen", "-port", fmt.Sprint(port), "-cert", file, "-key", file, "-quiet")
	input, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _, _ = input.Close(), server.Process.Kill(), server.Wait() })
	proctest.Eventually(t, 60*time.Second, func() (bool, string) { // its port is taken
		l, err := net.ListenPacket("udp", fmt.Sprintf(":%d", port))
		if err == nil {
			_ = l.Close()
		}
		return err != nil, "s_server does not listen"
	})
	var c conversation
	addr := c.relay(t, fmt.Sprintf("127.0.0.1:%d", port))
	proctest.Eventually(t, 60*time.Second, func() (bool, string) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		client := exec.CommandContext(ctx, openssl, append([]string{"s_client", "-dtls1_2", "-timeout", "-connect", addr, "-servername", "dtls.example"}, args...)...)
		client.Stdin = strings.NewReader("Q\n")
		out, err := client.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("BEGIN CERTIFICATE")) {
			return false, fmt.Sprintf("s_client: %v: %s", err, out)
		}
		return true, ""
	})
	capture := filepath.Join(dir, "dtls.pcap")
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := os.WriteFile(capture, rawCapture(c.frames), 0o600); err != nil {
		t.Fatal(err)
	}
	return capture
}

// rawCapture is a pcap of whole IP packets.
func rawCapture(frames [][]byte) []byte {
	b := pcap(binary.LittleEndian, 0xa1b2c3d4, 4, linkRaw)
	for i, f := range frames {
		for _, v := range []uint32{1_700_000_000, uint32(i), uint32(len(f)), uint32(len(f))} {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
		b = append(b, f...)
	}
	return b
}

// TestDTLSAsTshark: openssl's handshakes, whole and in pieces, with what tshark
// reads of the hello; JA4 is made of tshark's fields here, by FoxIO's rule.
func TestDTLSAsTshark(t *testing.T) {
	for name, args := range map[string][]string{"whole": nil, "in pieces": {"-mtu", "256"}, "alpn": {"-alpn", "coap,h2"}} {
		t.Run(name, func(t *testing.T) {
			file := openDTLSPair(t, args...)
			_, records := watchAll(t, Default(), file)
			if len(records["tls"]) != 1 {
				t.Fatalf("%d handshakes; want 1", len(records["tls"]))
			}
			r := records["tls"][0].(*TLS)
			if r.Version != "DTLS 1.2" || r.ServerName != "dtls.example" || !r.Retried || !r.Established || r.Certificates != 1 || r.Subject == "" || r.CipherClass != "aead" || r.HandshakeNanos <= 0 {
				t.Errorf("%+v", *r)
			}
			if len(records["x509"]) != 1 {
				t.Errorf("%d certificates; want 1", len(records["x509"]))
			}
			tshark := proctest.External(t, "tshark")
			out, err := exec.CommandContext(t.Context(), tshark, "-n", "-r", file, "-d", "udp.port==4433,dtls", "-Y", "dtls.handshake.extensions_server_name", "-T", "fields", "-E", "occurrence=a",
				"-e", "dtls.handshake.ciphersuite", "-e", "dtls.handshake.extension.type", "-e", "dtls.handshake.sig_hash_alg", "-e", "dtls.handshake.ja3").Output()
			if err != nil {
				t.Fatal(err)
			}
			line, _, _ := strings.Cut(string(out), "\n")
			fields := strings.Split(line, "\t")
			if len(fields) != 4 || fields[0] == "" {
				t.Fatalf("tshark: %q", out)
			}
			if fields[3] != "" && fields[3] != r.JA3 {
				t.Errorf("JA3 %s; tshark has %s", r.JA3, fields[3])
			}
			alpn := "00"
			if name == "alpn" {
				alpn = "cp"
			}
			if want := ja4Of(t, fields[0], fields[1], fields[2], alpn); r.JA4 != want {
				t.Errorf("JA4 %s; want %s", r.JA4, want)
			}
		})
	}
}

// ja4Of is the JA4 of a DTLS 1.2 client with a server name, from tshark's lists.
func ja4Of(t *testing.T, ciphers, extensions, signatures, alpn string) string {
	t.Helper()
	numbers := func(list string) (out []string) {
		for word := range strings.SplitSeq(list, ",") {
			var n uint16
			if _, err := fmt.Sscan(word, &n); err != nil {
				t.Fatalf("%q: %v", list, err)
			}
			out = append(out, fmt.Sprintf("%04x", n))
		}
		return out
	}
	c, e := numbers(ciphers), numbers(extensions)
	head := fmt.Sprintf("dd2d%02d%02d%s", len(c), len(e), alpn)
	slices.Sort(c)
	e = slices.DeleteFunc(e, func(x string) bool { return x == "0000" || x == "0010" })
	slices.Sort(e)
	twelve := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return hex.EncodeToString(sum[:6])
	}
	return head + "_" + twelve(strings.Join(c, ",")) + "_" + twelve(strings.Join(e, ",")+"_"+strings.Join(numbers(signatures), ","))
}

// dtlsHello is a ClientHello of DTLS 1.2 with a cookie, in pieces of so many bytes.
func dtlsHello(size int) (datagrams [][]byte) {
	body := append([]byte{0xfe, 0xfd}, make([]byte, 32)...)
	body = append(body, 0, 4, 1, 2, 3, 4, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0, 0, 13, 0, 0, 0, 9, 0, 7, 0, 0, 4, 'a', '.', 'b', 'c')
	for from := 0; from < len(body); from += size {
		part := body[from:min(from+size, len(body))]
		b := []byte{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, byte(from), 0, byte(dtlsMessage + len(part))}
		b = append(b, tls.TypeClientHello, 0, 0, byte(len(body)), 0, 0, 0, 0, byte(from), 0, 0, byte(len(part)))
		datagrams = append(datagrams, append(b, part...))
	}
	return datagrams
}

// TestDTLSHelloInPieces: pieces of any size, each sent twice, are one hello; some of them are none.
func TestDTLSHelloInPieces(t *testing.T) {
	listenTo := func(datagrams [][]byte) []*TLS {
		w, records := listen()
		fr := frame{link: linkEthernet}
		for i, d := range datagrams {
			fr.data = udpFrame("192.0.2.1:40000", "192.0.2.2:4433", d)
			fr.wire, fr.time = len(fr.data), int64(i+1)
			w.take(&fr)
		}
		w.finish()
		return of[*TLS](*records)
	}
	for _, size := range []int{200, 63, 30, 12} {
		var twice [][]byte
		for _, d := range dtlsHello(size) {
			twice = append(twice, d, d)
		}
		list := listenTo(twice)
		if len(list) != 1 || list[0].ServerName != "a.bc" || !strings.HasPrefix(list[0].JA4, "dd2d020100_") {
			t.Errorf("in pieces of %d: %+v", size, list)
		}
	}
	if list := listenTo(dtlsHello(12)[:3]); len(list) != 0 {
		t.Errorf("of a part: %+v", list)
	}
}

// FuzzDTLS: whatever comes, all that was taken from the budget is given back,
// and a hello's fingerprint has its form.
func FuzzDTLS(f *testing.F) {
	for _, size := range []int{200, 30} {
		f.Add(slices.Concat(dtlsHello(size)...), uint8(40))
	}
	f.Fuzz(func(t *testing.T, b []byte, cut uint8) {
		if len(b) > 50_000 {
			return
		}
		w, records := listen()
		before := w.budget.used
		a := openDTLS(w, &conn{})
		for i := 0; len(b) > 0; i++ {
			n := min(int(cut)+1, len(b))
			a.data(int64(i+1), i%3 != 2, b[:n])
			b = b[n:]
		}
		a.end(99)
		if used := w.budget.used; used != before {
			t.Errorf("%d of the budget used; want %d", used, before)
		}
		for _, r := range of[*TLS](*records) {
			if r.JA4 != "" && (len(r.JA4) != 36 || r.JA4[0] != 'd') {
				t.Errorf("JA4 %q", r.JA4)
			}
		}
	})
}
