package wireguard

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/orielhq/oriel/internal/conf"
)

// maxSpaces is how many namespaces may be configured; each costs a thread while it is read.
const maxSpaces = 256

// Namespace is another network namespace to look into, a container's for
// instance. That needs CAP_SYS_ADMIN. One of Name, PID, PIDFile and Path names it.
type Namespace struct {
	// Name of a namespace that `ip netns` made: /run/netns/NAME.
	Name string `yaml:"name"`
	// PID of a process in it.
	PID int `yaml:"pid"`
	// PIDFile holds the process id, which may change: it is read each time.
	PIDFile string `yaml:"pid_file"`
	// Path of the namespace itself, like Docker's SandboxKey.
	Path string `yaml:"path"`
	// Label is what the namespace is called in labels; else it is made of what names it.
	Label string `yaml:"label"`
	// Interfaces to watch there, by name or pattern; all if empty.
	Interfaces []string `yaml:"interfaces"`
	// SocketDir is where userspace daemons of a container have their sockets as
	// seen from here, below the root of a process of it in /proc. Daemons that share
	// this machine's files are in the section's own socket_dir.
	SocketDir string `yaml:"socket_dir"`
}

func (n *Namespace) validate(field string) error {
	named := 0
	for _, given := range []bool{n.Name != "", n.PID != 0, n.PIDFile != "", n.Path != ""} {
		if given {
			named++
		}
	}
	switch {
	case named != 1:
		return conf.Field(field, "want one of name, pid, pid_file and path")
	case n.PID < 0:
		return conf.Field(field+".pid", "%d is not a process", n.PID)
	case n.Name != "" && (strings.Contains(n.Name, "/") || n.Name == "." || n.Name == ".."):
		return conf.Field(field+".name", "%q is not a name", n.Name)
	}
	for i, pattern := range n.Interfaces {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return conf.Field(field+"."+index("interfaces", i), "%q is not a name or pattern", pattern)
		}
	}
	return nil
}

func (n *Namespace) label() string {
	switch {
	case n.Label != "":
		return n.Label
	case n.Name != "":
		return n.Name
	case n.PID != 0:
		return "pid" + strconv.Itoa(n.PID)
	case n.PIDFile != "":
		return strings.TrimSuffix(filepath.Base(n.PIDFile), filepath.Ext(n.PIDFile))
	default:
		return filepath.Base(n.Path)
	}
}

// file is where the namespace is to be had now.
func (n *Namespace) file() (string, error) {
	switch {
	case n.Name != "":
		return filepath.Join("/run/netns", n.Name), nil
	case n.PID != 0:
		return fmt.Sprintf("/proc/%d/ns/net", n.PID), nil
	case n.Path != "":
		return n.Path, nil
	}
	f, err := os.Open(n.PIDFile)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, 32)
	count, _ := f.Read(b)
	pid, err := strconv.ParseUint(strings.TrimSpace(string(b[:count])), 10, 31)
	if err != nil || pid == 0 {
		return "", fmt.Errorf("%s does not hold a process id", n.PIDFile)
	}
	return fmt.Sprintf("/proc/%d/ns/net", pid), nil
}

// space is a namespace at work.
type space struct {
	cfg   Namespace
	label string
	enter func(file string, f func() error) error // inNamespace; tests have their own

	mu   sync.Mutex // guards busy
	busy bool       // a look that has not returned
}

func newSpace(cfg Namespace) *space {
	return &space{cfg: cfg, label: cfg.label(), enter: inNamespace}
}

// do calls f inside the namespace; of nil, right here.
func (s *space) do(f func() error) error {
	if s == nil {
		return f()
	}
	file, err := s.cfg.file()
	if err != nil {
		return fmt.Errorf("namespace %q: %w", s.label, err)
	}
	if err := s.enter(file, f); err != nil {
		return fmt.Errorf("namespace %q: %w", s.label, err)
	}
	return nil
}

// spaceLink is a network interface of another namespace.
type spaceLink struct {
	iface
	kind string // of rtnetlink: wireguard, tun ...
}

// look returns the interfaces of the namespace. A look that hangs is left
// behind, and no other begins before it returns.
func (s *space) look(ctx context.Context) (map[string]spaceLink, error) {
	s.mu.Lock()
	busy := s.busy
	s.busy = true
	s.mu.Unlock()
	if busy {
		return nil, fmt.Errorf("namespace %q: an earlier call has not returned: %w", s.label, context.DeadlineExceeded)
	}
	type result struct {
		links map[string]spaceLink
		err   error
	}
	results := make(chan result, 1)
	go func() {
		var r result
		r.err = s.do(func() error {
			var err error
			r.links, err = listLinks()
			return err
		})
		for name, l := range r.links {
			l.space = s
			r.links[name] = l
		}
		s.mu.Lock()
		s.busy = false
		s.mu.Unlock()
		results <- r
	}()
	select {
	case r := <-results:
		return r.links, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("namespace %q: %w", s.label, ctx.Err())
	}
}

// errOwnNamespace keeps this machine's own devices from being shown twice.
var errOwnNamespace = errors.New("it is the namespace of this process")

// spaceView tells how looking into a namespace went.
type spaceView struct {
	label string
	err   error
}

// lookAll looks into all namespaces at once.
func (r *reader) lookAll(ctx context.Context) ([]map[string]spaceLink, []spaceView) {
	links := make([]map[string]spaceLink, len(r.spaces))
	views := make([]spaceView, len(r.spaces))
	var wg sync.WaitGroup
	for i, s := range r.spaces {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, r.timeout)
			defer cancel()
			var err error
			links[i], err = s.look(ctx)
			views[i] = spaceView{s.label, err}
		})
	}
	wg.Wait()
	return links, views
}

// spaceDevices adds the devices of the other namespaces, each under a name of its own.
func (r *reader) spaceDevices(sources map[string]source, links []map[string]spaceLink) {
	for i, s := range r.spaces {
		add := func(name string, ifc *iface, read func(context.Context) (*Device, error)) {
			if matches(s.cfg.Interfaces, name) && len(sources) < maxDevices {
				sources[r.nameIn(s, name)] = source{ifname: name, iface: ifc, read: read}
			}
		}
		if s.cfg.SocketDir != "" && links[i] != nil {
			for _, name := range socketsIn(s.cfg.SocketDir) {
				ifc := links[i][name].iface
				add(name, &ifc, func(ctx context.Context) (*Device, error) { return r.readSocketIn(ctx, s.cfg.SocketDir, name) })
			}
		}
		for name, l := range links[i] {
			if l.kind == "wireguard" {
				add(name, &l.iface, func(ctx context.Context) (*Device, error) {
					return r.readBusy(ctx, s.label+"\x00"+name, func() (device *Device, err error) {
						err = s.do(func() error {
							device, err = r.kernel.read(name)
							return err
						})
						return device, err
					})
				})
			}
		}
	}
}

// nameIn is what a device of another namespace is called: its own name, or
// name@namespace if that is taken. It stays the same as long as we run.
func (r *reader) nameIn(s *space, name string) string {
	id := [2]string{s.label, name}
	if given, ok := r.names[id]; ok {
		return given
	}
	given := name
	if r.taken[name] {
		given = name + "@" + s.label
	}
	for n := 2; r.taken[given]; n++ {
		given = name + "@" + s.label + "#" + strconv.Itoa(n)
	}
	if len(r.taken) < 4*maxDevices {
		r.names[id], r.taken[given] = given, true
	}
	return given
}

// interfaceOf finds the interface of a userspace device that runs in another
// namespace and has its socket here.
func interfaceOf(name string, links []map[string]spaceLink) *iface {
	for _, l := range links {
		if found, ok := l[name]; ok && found.kind != "wireguard" {
			return &found.iface
		}
	}
	return nil
}

func prefixOf(addr []byte, bits int) (netip.Prefix, bool) {
	a, ok := netip.AddrFromSlice(addr)
	if !ok || bits < 0 || bits > a.BitLen() {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, bits), true
}
