package wireguard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
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
	name   string  // as labels have it
	ifname string  // as its namespace has it
	device *Device // nil after an error
	iface  *iface  // nil: to be looked up in this namespace
	own    bool    // look in this namespace first all the same
	err    error
}

// source is a device that can be read.
type source struct {
	ifname string
	iface  *iface
	own    bool
	read   func(context.Context) (*Device, error)
}

// reader reads all devices that it may see, each on its own: one that is dead,
// hung or talks nonsense costs only itself.
type reader struct {
	patterns  []string // interfaces asked for; empty: all
	socketDir string
	timeout   time.Duration
	maxPeers  int
	kernel    kernel
	spaces    []*space

	// Of the one reading that runs at a time:
	names map[[2]string]string // namespace and device -> name in labels
	taken map[string]bool      // names in labels
	views []spaceView          // how the last look into the namespaces went

	busyMu sync.Mutex
	busy   map[string]struct{} // kernel reads that have not returned

	lastMu sync.Mutex
	last   map[string]*Device // the reading before, which tells how much room the next one takes
}

// readAll returns a reading for each device, sorted by name, also for one that
// was asked for by name and is not there.
func (r *reader) readAll(ctx context.Context) []reading {
	if r.taken == nil {
		r.names, r.taken = map[[2]string]string{}, map[string]bool{}
	}
	links, views := r.lookAll(ctx)
	r.views = views
	sources := r.ownDevices(links)
	for name := range sources {
		if len(r.taken) < 4*maxDevices {
			r.taken[name] = true // for good: a device that restarts keeps its name
		}
	}
	r.spaceDevices(sources, links)
	names := slices.Sorted(maps.Keys(sources))
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
			src := sources[name]
			device, err := src.read(ctx)
			readings[i] = reading{name: name, ifname: src.ifname, iface: src.iface, own: src.own, device: device, err: err}
		})
	}
	wg.Wait()
	r.remember(readings)
	return readings
}

// ownDevices returns the devices of this machine's sockets and of this network namespace.
func (r *reader) ownDevices(links []map[string]spaceLink) map[string]source {
	sources := map[string]source{}
	add := func(name string, ifc *iface, read func(context.Context) (*Device, error)) {
		if matches(r.patterns, name) {
			sources[name] = source{ifname: name, iface: ifc, own: true, read: read}
		}
	}
	for _, name := range socketsIn(r.socketDir) {
		add(name, interfaceOf(name, links), func(ctx context.Context) (*Device, error) { return r.readSocketIn(ctx, r.socketDir, name) })
	}
	for _, name := range r.kernel.list() {
		add(name, nil, func(ctx context.Context) (*Device, error) { return r.readKernel(ctx, name) })
	}
	for _, pattern := range r.patterns {
		if _, ok := sources[pattern]; !ok && !strings.ContainsAny(pattern, `*?[\`) {
			add(pattern, nil, func(context.Context) (*Device, error) { return nil, errNotFound })
		}
	}
	return sources
}

// matches tells whether one of the patterns matches; none at all match everything.
func matches(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return err == nil && ok
	})
}

// socketsIn returns the names of the userspace devices: the sockets NAME.sock.
func socketsIn(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // no userspace device has ever run here
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".sock"); ok && name != "" && e.Type() == fs.ModeSocket && len(names) < maxDevices {
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

// readSocketIn asks a userspace device. The socket's file is never touched:
// changing its mode or owner makes wireguard-go exit.
func (r *reader) readSocketIn(ctx context.Context, dir, name string) (*Device, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", filepath.Join(dir, name+".sock"))
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

// readKernel asks the kernel.
func (r *reader) readKernel(ctx context.Context, name string) (*Device, error) {
	return r.readBusy(ctx, name, func() (*Device, error) { return r.kernel.read(name) })
}

// readBusy makes a call that knows no deadline: one that hangs is left behind,
// and the device is not asked again before it returns.
func (r *reader) readBusy(ctx context.Context, id string, read func() (*Device, error)) (*Device, error) {
	r.busyMu.Lock()
	_, busy := r.busy[id]
	if !busy {
		r.busy[id] = struct{}{}
	}
	r.busyMu.Unlock()
	if busy {
		return nil, fmt.Errorf("read: an earlier call has not returned: %w", context.DeadlineExceeded)
	}
	answers := make(chan reading, 1)
	go func() {
		device, err := read()
		r.busyMu.Lock()
		delete(r.busy, id)
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
