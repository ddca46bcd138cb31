package wireguard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.zx2c4.com/wireguard/device"
)

// retryAccept is how long to wait after an accept that failed for want of something.
const retryAccept = 100 * time.Millisecond

// offer is the UAPI socket of one device: wg's and our own reader's view of it.
type offer struct {
	device   *device.Device
	log      *slog.Logger
	listener net.Listener
	done     chan struct{}
	wg       sync.WaitGroup

	mu     sync.Mutex // guards conns and closed
	conns  map[net.Conn]struct{}
	closed bool
}

// newOffer listens at path, which only the user of this process may connect to.
func newOffer(path string, d *device.Device, log *slog.Logger) (*offer, error) {
	l, err := listen(path)
	if err != nil {
		return nil, err
	}
	// This is not the socket that wireguard-go watches for changes of mode.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	o := &offer{device: d, log: log, listener: l, done: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	o.wg.Go(o.serve)
	return o, nil
}

// listen takes the place of a socket that an earlier run left behind, not of one that answers.
func listen(path string) (net.Listener, error) {
	ctx := context.Background()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return l, err
	}
	var d net.Dialer
	conn, dialErr := d.DialContext(ctx, "unix", path)
	if dialErr == nil {
		return nil, errors.Join(fmt.Errorf("listen at %q: another process answers there", path), conn.Close())
	}
	info, statErr := os.Lstat(path)
	if !errors.Is(dialErr, syscall.ECONNREFUSED) || statErr != nil || info.Mode()&os.ModeSocket == 0 {
		return nil, err
	}
	if err := os.Remove(path); err != nil {
		return nil, err
	}
	return lc.Listen(ctx, "unix", path)
}

func (o *offer) serve() {
	for {
		conn, err := o.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			o.log.Debug("accept on demo socket", "err", err)
			select {
			case <-o.done:
				return
			case <-time.After(retryAccept):
			}
			continue
		}
		if !o.keep(conn) {
			_ = conn.Close()
			return
		}
		o.wg.Go(func() {
			o.device.IpcHandle(conn) // until the client goes away; it closes conn
			o.forget(conn)
		})
	}
}

// keep notes a connection to be closed at the end, unless the end has come.
func (o *offer) keep(conn net.Conn) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.conns[conn] = struct{}{}
	}
	return !o.closed
}

func (o *offer) forget(conn net.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.conns, conn)
}

// close removes the socket and waits until nobody is served any more.
func (o *offer) close() {
	close(o.done)
	if err := o.listener.Close(); err != nil { // removes the file
		o.log.Warn("close demo socket", "err", err)
	}
	o.mu.Lock()
	o.closed = true
	for conn := range o.conns {
		_ = conn.Close()
	}
	o.mu.Unlock()
	o.wg.Wait()
}
