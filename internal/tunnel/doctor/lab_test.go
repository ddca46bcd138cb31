package doctor

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/tunnel/echo"
	"github.com/orielhq/oriel/internal/tunnel/probe"
)

func write(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// serve answers echoes behind TLS; behind nothing if config is nil.
func serve(t *testing.T, config *tls.Config, format echo.Format, manner echo.Manner) string {
	t.Helper()
	l := listen(t)
	port := portOf(l)
	if config != nil {
		l = tls.NewListener(l, config)
	}
	codec, err := echo.New(format, echo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = echo.Fake{Codec: codec, Manner: manner}.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); <-done })
	return port
}

// web answers HTTP behind TLS.
func web(t *testing.T, config *tls.Config, h http.HandlerFunc) string {
	t.Helper()
	l := listen(t)
	srv := &http.Server{Handler: h}
	go func() { _ = srv.Serve(tls.NewListener(l, config)) }()
	t.Cleanup(func() { _ = srv.Close() })
	return portOf(l)
}

// gateway says one word of its own, as our gateways do, and closes.
func gateway(t *testing.T, config *tls.Config, word byte) string {
	t.Helper()
	config = config.Clone()
	config.NextProtos = []string{"ct/1"}
	l := tls.NewListener(listen(t), config)
	t.Cleanup(func() { _ = l.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte{word})
			_ = c.Close()
		}
	}()
	return port
}

// client is how the prober is set up, with the certificate name.
func client(a *proctest.Authority, name string) probe.Service {
	s := probe.DefaultService()
	s.API = "excrypt"
	dir := filepath.Dir(a.CAFile())
	s.TLS = probe.TLS{CAFile: a.CAFile(), CertFile: filepath.Join(dir, name+".crt"), KeyFile: filepath.Join(dir, name+".key")}
	return s
}
