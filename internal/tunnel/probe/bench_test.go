package probe

import (
	"bufio"
	"crypto/tls"
	"io"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/tunnel/echo"
)

// BenchmarkProbe is a probe with mutual TLS and an echo, and the same in a bare
// loop; the server's work is in both.
func BenchmarkProbe(b *testing.B) {
	ca := proctest.NewAuthority(b, b.TempDir(), "ours")
	cert := ca.Leaf(b, "leaf", -time.Hour, time.Hour)
	port := serve(b, &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool})
	config := &tls.Config{RootCAs: ca.Pool, Certificates: []tls.Certificate{cert}}
	codec, err := echo.New(echo.Plain, echo.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			if r := Probe(b.Context(), Target{Host: "127.0.0.1", Port: port, TLS: config, Echo: &codec}); r.Err != nil {
				b.Fatal(r.Err)
			}
		}
	})
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			c, err := tls.Dial("tcp", "127.0.0.1:"+port, config)
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.WriteString(c, "0123456789abcdef0123456789abcdef\n")
			if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
				b.Fatal(err)
			}
			_ = c.Close()
		}
	})
}
