package wireguard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	maxDevices  = 1024 // of all kinds; further ones are not looked at
	concurrency = 8    // devices read at once
)

var errNotFound = errors.New("no such device")

// reading is what came of one device.
type reading struct {
	name   string
	device *Device // nil after an error
	err    error
}

// reader reads all devices that it may see, each on its own: one that is dead,
// hung or talks nonsense costs only itself.
type reader struct {
	patterns  []string // interfaces asked for; empty: all
	socketDir string
	timeout   time.Duration
	maxPeers  int
	kernel    kernel

	busyMu sync.Mutex
	busy   map[string]struct{} // kernel reads that have not returned

	lastMu sync.Mutex
	last   map[string]*Device // the reading before, which tells how much room the next one takes
}

// readAll returns a reading for each device, sorted by name, also for one that
// was asked for by name and is not there.
func (r *reader) readAll(ctx context.Context) []reading {
	sources := map[string]func(context.Context, string) (*Device, error){}
	for _, name := range r.sockets() {
		sources[name] = r.readSocket
	}
	for _, name := range r.kernel.list() {
		sources[name] = r.readKernel
	}
	for _, pattern := range r.patterns {
		if _, ok := sources[pattern]; !ok && !strings.ContainsAny(pattern, `*?[\`) {
			sources[pattern] = func(context.Context, string) (*Device, error) { return nil, errNotFound }
		}
	}
	var names []string
	for name := range sources {
		if r.wanted(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	names = names[:min(len(names), maxDevices)]

	readings := make([]reading, len(names))
	slots := make(chan struct{}, concurrency)
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, r.timeout)
			defer cancel()
			device, err := sources[name](ctx, name)
			readings[i] = reading{name: name, device: device, err: err}
		})
	}
	wg.Wait()
	r.remember(readings)
	return readings
}

func (r *reader) wanted(name string) bool {
	return len(r.patterns) == 0 || slices.ContainsFunc(r.patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return err == nil && ok
	})
}

// sockets returns the names of the userspace devices: the sockets NAME.sock.
func (r *reader) sockets() []string {
	entries, err := os.ReadDir(r.socketDir)
	if err != nil {
		return nil // no userspace device has ever run here
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".sock"); ok && name != "" && e.Type() == fs.ModeSocket {
			names = append(names, name)
		}
	}
	return names
}

// before returns the last reading of a device, nil if there is none.
func (r *reader) before(name string) *Device {
	r.lastMu.Lock()
	defer r.lastMu.Unlock()
	return r.last[name]
}

// remember keeps the readings, and forgets devices that are gone.
func (r *reader) remember(readings []reading) {
	last := make(map[string]*Device, len(readings))
	for _, reading := range readings {
		if reading.device != nil {
			last[reading.name] = reading.device
		}
	}
	r.lastMu.Lock()
	defer r.lastMu.Unlock()
	r.last = last
}

// readSocket asks a userspace device. The socket's file is never touched:
// changing its mode or owner makes wireguard-go exit.
func (r *reader) readSocket(ctx context.Context, name string) (*Device, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", filepath.Join(r.socketDir, name+".sock"))
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, fmt.Errorf("set deadline: %w", err)
		}
	}
	if _, err := io.WriteString(conn, "get=1\n\n"); err != nil {
		return nil, fmt.Errorf("ask: %w", err)
	}
	device, err := parseUAPI(conn, name, r.maxPeers, time.Now(), r.before(name))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return device, nil
}

// readKernel asks the kernel. The library knows no deadline: a call that hangs
// is left behind, and the device is not asked again before it returns.
func (r *reader) readKernel(ctx context.Context, name string) (*Device, error) {
	r.busyMu.Lock()
	_, busy := r.busy[name]
	if !busy {
		r.busy[name] = struct{}{}
	}
	r.busyMu.Unlock()
	if busy {
		return nil, fmt.Errorf("read: an earlier call has not returned: %w", context.DeadlineExceeded)
	}
	answers := make(chan reading, 1)
	go func() {
		device, err := r.kernel.read(name)
		r.busyMu.Lock()
		delete(r.busy, name)
		r.busyMu.Unlock()
		answers <- reading{device: device, err: err}
	}()
	select {
	case a := <-answers:
		if a.err != nil {
			return nil, fmt.Errorf("read: %w", a.err)
		}
		if len(a.device.Peers) > r.maxPeers {
			return nil, fmt.Errorf("%w: more than %d", errPeers, r.maxPeers)
		}
		return a.device, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("read: %w", ctx.Err())
	}
}

// reason is the closed set of label values for errors of a device.
func reason(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, errNotFound):
		return "not_found"
	case errors.Is(err, errTruncated):
		return "truncated"
	case errors.Is(err, errEndless), errors.Is(err, errPeers):
		return "limit"
	case errors.Is(err, errErrno):
		return "errno"
	case errors.Is(err, errProtocol):
		return "protocol"
	case errors.Is(err, fs.ErrPermission):
		return "permission"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "dead_socket"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	default:
		return "other"
	}
}
