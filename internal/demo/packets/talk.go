package packets

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// said is what one side says before the other does.
type said struct {
	client bool
	data   []byte
}

// talk is one conversation over TCP.
type talk struct {
	from, to netip.Addr
	port     uint16
	parts    []said
	lossy    bool          // a segment is lost and sent again
	pause    time.Duration // before the client asks again
}

// tape is a connection whose both directions are recorded.
type tape struct {
	net.Conn
	mu    sync.Mutex // guards parts
	parts []said
}

func (t *tape) add(client bool, b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.parts); n > 0 && t.parts[n-1].client == client {
		t.parts[n-1].data = append(t.parts[n-1].data, b...)
		return
	}
	t.parts = append(t.parts, said{client, append([]byte(nil), b...)})
}

func (t *tape) Write(b []byte) (int, error) { t.add(true, b); return t.Conn.Write(b) }

func (t *tape) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	if n > 0 {
		t.add(false, b[:n])
	}
	return n, err
}

// loopback returns the two ends of a connection of this machine with itself.
func loopback(ctx context.Context) (client, server net.Conn, err error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = l.Close() }()
	var d net.Dialer
	if client, err = d.DialContext(ctx, "tcp", l.Addr().String()); err != nil {
		return nil, nil, err
	}
	if server, err = l.Accept(); err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	return client, server, nil
}

// between lets a client and a server talk and returns what they said.
func between(ctx context.Context, client, server func(net.Conn) error) ([]said, error) {
	a, b, err := loopback(ctx)
	if err != nil {
		return nil, err
	}
	t := &tape{Conn: a}
	stop := context.AfterFunc(ctx, func() { _ = a.Close(); _ = b.Close() })
	defer stop()
	done := make(chan error, 1)
	go func() { done <- errors.Join(server(b), b.Close()) }()
	err = client(t)
	_ = a.Close()
	if e := <-done; err == nil && ctx.Err() != nil {
		err = e
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.parts, err
}

// one serves a single connection.
type one struct {
	conn chan net.Conn
	done chan struct{}
}

func (l *one) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return &closing{Conn: c, done: l.done}, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *one) Close() error   { return nil }
func (l *one) Addr() net.Addr { return &net.TCPAddr{} }

type closing struct {
	net.Conn
	once sync.Once
	done chan struct{}
}

func (c *closing) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { close(c.done) })
	return err
}

// site is what the web server of the story has.
func site(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "demo/1.0")
	switch {
	case strings.HasPrefix(r.URL.Path, "/missing"):
		http.NotFound(w, r)
	case strings.HasPrefix(r.URL.Path, "/broken"):
		http.Error(w, "broken", http.StatusInternalServerError)
	case r.Method == http.MethodPost:
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<html>"+strings.Repeat("<p>What an office reads all day.</p>", 1+len(r.URL.Path)*9)+"</html>") //nolint:gosec // of the path only its length
	}
}

func serveHTTP(conn net.Conn) error {
	l := &one{conn: make(chan net.Conn, 1), done: make(chan struct{})}
	l.conn <- conn
	srv := &http.Server{Handler: http.HandlerFunc(site), ReadHeaderTimeout: time.Second}
	if err := srv.Serve(l); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func get(ctx context.Context, conn net.Conn, host string, paths []string) error {
	tr := &http.Transport{MaxIdleConns: 1, DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
	defer tr.CloseIdleConnections()
	for _, path := range paths {
		method, body := http.MethodGet, io.Reader(http.NoBody)
		if strings.HasPrefix(path, "/orders") {
			method, body = http.MethodPost, strings.NewReader(`{"item":"paper","count":500}`)
		}
		req, err := http.NewRequestWithContext(ctx, method, "http://"+host+path, body)
		if err != nil {
			return err
		}
		req.Header.Set("User-Agent", "oriel-demo/1.0")
		if strings.HasPrefix(path, "/reports") { // in the clear, as it should not be
			req.SetBasicAuth("reports", "demo")
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// certificate makes one that signs itself and lasts so long.
func certificate(name string, lasts time.Duration) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(lasts),
	}
	der, err := x509.CreateCertificate(crand.Reader, t, t, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

func secure(ctx context.Context, name string, lasts time.Duration, version uint16) ([]said, error) {
	cert, err := certificate(name, lasts)
	if err != nil {
		return nil, err
	}
	return between(ctx, func(c net.Conn) error {
		conn := tls.Client(c, &tls.Config{
			ServerName: name, MaxVersion: version, InsecureSkipVerify: true, //nolint:gosec // a story between two goroutines
			NextProtos: []string{"http/1.1"},
		})
		return get(ctx, conn, name, []string{"/", "/mail"})
	}, func(c net.Conn) error {
		return serveHTTP(tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}))
	})
}

func shell(ctx context.Context) ([]said, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return nil, err
	}
	return between(ctx, func(c net.Conn) error {
		conn, _, _, err := ssh.NewClientConn(c, "shell", &ssh.ClientConfig{
			User: "anna", Auth: []ssh.AuthMethod{ssh.Password("demo")}, HostKeyCallback: ssh.FixedHostKey(signer.PublicKey()),
		})
		if err != nil {
			return err
		}
		return conn.Close()
	}, func(c net.Conn) error {
		cfg := &ssh.ServerConfig{PasswordCallback: func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, nil }} //nolint:nilnil // everybody may
		cfg.AddHostKey(signer)
		conn, channels, requests, err := ssh.NewServerConn(c, cfg)
		if err != nil {
			return err
		}
		go ssh.DiscardRequests(requests)
		for channel := range channels {
			_ = channel.Reject(ssh.Prohibited, "not in a story")
		}
		_ = conn.Wait()
		return nil
	})
}

// record lets the programs talk.
func record(ctx context.Context, r *rand.Rand) ([]talk, error) {
	var talks []talk
	pages := []string{"/", "/news", "/orders/1", "/style.css", "/missing/page", "/broken", "/reports/2026/q3"}
	for i := range 60 {
		t := talk{from: client(i), to: Web, lossy: i%9 == 0}
		var err error
		switch i % 6 {
		case 0, 1, 2:
			t.port = 80
			var paths []string
			for range 1 + r.IntN(4) {
				paths = append(paths, pages[r.IntN(len(pages))])
			}
			t.parts, err = between(ctx, func(c net.Conn) error { return get(ctx, c, "intranet.example", paths) }, serveHTTP)
		case 3:
			t.port = 443
			t.parts, err = secure(ctx, "shop.example", 90*24*time.Hour, tls.VersionTLS13)
		case 4:
			t.port = 443
			t.parts, err = secure(ctx, "old.example", 5*24*time.Hour, tls.VersionTLS12)
		case 5:
			t.to, t.port = Shell, 22
			t.parts, err = shell(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("port %d: %w", t.port, err)
		}
		talks = append(talks, t)
	}
	return talks, nil
}
