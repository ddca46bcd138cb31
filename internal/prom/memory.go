package prom

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// The hosts that exist only inside this process. Their suffix is reserved for
// private use by ICANN (board resolution 2024.07.29.06).
const (
	internalSuffix   = ".oriel.internal"
	hostMetrics      = "metrics" + internalSuffix
	hostAPI          = "api" + internalSuffix
	hostAlertmanager = "alertmanager" + internalSuffix
)

// memory connects clients and servers of this process without a socket, so
// that the engine scrapes our own collectors with all that a scrape means (up,
// staleness, time-outs) and nobody else on the machine can reach them.
type memory struct {
	hosts map[string]*memoryListener
}

func newMemory() *memory {
	m := &memory{hosts: map[string]*memoryListener{}}
	for _, host := range []string{hostMetrics, hostAPI, hostAlertmanager} {
		m.hosts[host] = &memoryListener{host: host, conns: make(chan net.Conn), closed: make(chan struct{})}
	}
	return m
}

// listeners returns the listener of a host as a list.
func (m *memory) listeners(host string) []net.Listener { return []net.Listener{m.hosts[host]} }

// internal tells whether an address is one of ours.
func internal(addr string) bool {
	host, _, _ := strings.Cut(addr, ":")
	return strings.HasSuffix(host, internalSuffix)
}

// dial connects to one of our hosts.
func (m *memory) dial(ctx context.Context, addr string) (net.Conn, error) {
	host, _, _ := strings.Cut(addr, ":")
	l, ok := m.hosts[host]
	if !ok {
		return nil, &net.OpError{Op: "dial", Net: "memory", Err: errors.New("no such host: " + host)}
	}
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: "memory", Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// transport sends requests to our hosts only.
func (m *memory) transport() *http.Transport {
	return &http.Transport{
		DialContext:         func(ctx context.Context, _, addr string) (net.Conn, error) { return m.dial(ctx, addr) },
		DisableCompression:  true,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     time.Minute,
	}
}

// serve answers for a host until ctx is done.
func (m *memory) serve(ctx context.Context, host string, h http.Handler) error {
	//nolint:gosec // no slow clients: both ends are ours
	srv := &http.Server{Handler: h}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(m.hosts[host]); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// memoryListener is a net.Listener whose connections are pipes.
type memoryListener struct {
	host   string
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// Accept waits for a connection.
func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close refuses all further connections.
func (l *memoryListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr returns the host's name.
func (l *memoryListener) Addr() net.Addr { return memoryAddr(l.host) }

type memoryAddr string

func (memoryAddr) Network() string  { return "memory" }
func (a memoryAddr) String() string { return string(a) }
