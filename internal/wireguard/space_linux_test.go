package wireguard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/orielhq/oriel/internal/proctest"
)

func TestNamesInOtherNamespacesStayTheirOwn(t *testing.T) {
	blue, green := newSpace(Namespace{Name: "blue"}), newSpace(Namespace{Name: "green"})
	r := reader{names: map[[2]string]string{}, taken: map[string]bool{"wg0": true}}
	for range 3 { // the same each time
		for _, tt := range []struct {
			space      *space
			name, want string
		}{{blue, "wg0", "wg0@blue"}, {blue, "wg7", "wg7"}, {green, "wg7", "wg7@green"}, {green, "wg0", "wg0@green"}} {
			if got := r.nameIn(tt.space, tt.name); got != tt.want {
				t.Errorf("%s in %s is called %q; want %q", tt.name, tt.space.label, got, tt.want)
			}
		}
	}
}

func TestANamespaceThatVanishesCostsOnlyItself(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	proctest.NewUAPI(t, dir, "wg0", proctest.Peers(2))
	proctest.NewUAPI(t, other, "wg0", proctest.Peers(3))
	cfg := config(dir)
	cfg.Namespaces = []Namespace{{PIDFile: filepath.Join(dir, "box.pid"), SocketDir: other}, {Name: "never"}}
	c := newTest(t, cfg)
	there := true
	c.reader.spaces[0].cfg = Namespace{Name: "box", SocketDir: other}
	c.reader.spaces[0].enter = func(_ string, f func() error) error {
		if !there {
			return fs.ErrNotExist
		}
		_ = f() // of this namespace: what is seen does not matter
		return nil
	}
	c.reader.spaces[1].enter = func(string, func() error) error { return fs.ErrNotExist }
	check := func(wants ...string) {
		t.Helper()
		text := page(t, c)
		for _, want := range append(wants, `wireguard_device_peers{device="wg0",interface="wg0"} 2`, `oriel_wireguard_namespace_success{namespace="never"} 0`) {
			if !strings.Contains(text, want+"\n") {
				t.Errorf("page lacks %s:\n%s", want, text)
			}
		}
	}
	check(`wireguard_device_peers{device="wg0@box",interface="wg0@box"} 3`, `oriel_wireguard_namespace_success{namespace="box"} 1`)
	there = false
	check(`oriel_wireguard_namespace_success{namespace="box"} 0`)
	if text := page(t, c); strings.Contains(text, "wg0@box") {
		t.Errorf("the device of a namespace that is gone is still there:\n%s", text)
	}
	there = true
	check(`wireguard_device_peers{device="wg0@box",interface="wg0@box"} 3`)
}

func TestNamespaceFiles(t *testing.T) {
	dir := t.TempDir()
	pid := filepath.Join(dir, "box.pid")
	for _, tt := range []struct{ content, want string }{
		{"4711\n", "/proc/4711/ns/net"}, {"", ""}, {"0", ""}, {"-1", ""}, {"../../etc", ""}, {strings.Repeat("9", 100), ""},
	} {
		if err := os.WriteFile(pid, []byte(tt.content), 0o600); err != nil {
			t.Fatal(err)
		}
		n := Namespace{PIDFile: pid}
		got, err := n.file()
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q: file = %q, %v; want %q", tt.content, got, err, tt.want)
		}
	}
	for want, n := range map[string]Namespace{"a": {Name: "a"}, "pid7": {PID: 7}, "box": {PIDFile: "/run/box.pid"}, "0a1b": {Path: "/var/run/docker/netns/0a1b"}, "web": {PID: 7, Label: "web"}} {
		if got := n.label(); got != want {
			t.Errorf("label of %+v = %q; want %q", n, got, want)
		}
	}
}

func TestManyDevices(t *testing.T) {
	dir := t.TempDir()
	for i := range 300 {
		proctest.NewUAPI(t, dir, fmt.Sprintf("wg%03d", i), proctest.Peers(3))
	}
	text := page(t, newTest(t, config(dir)))
	if n := strings.Count(text, "\nwireguard_device_peers{"); n != 300 {
		t.Errorf("%d devices; want 300", n)
	}
	if n := strings.Count(text, "\nwireguard_peer_info{"); n != 900 {
		t.Errorf("%d peers; want 900", n)
	}
}

// ip runs iproute2, which must not fail.
func ip(t *testing.T, args ...string) {
	t.Helper()
	cmd := proctest.External(t, "ip")
	if out, err := command(t, cmd, args...); err != nil {
		t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func command(t *testing.T, name string, args ...string) ([]byte, error) {
	t.Helper()
	return exec.Command(name, args...).CombinedOutput()
}

// TestRealNamespace looks into a namespace of the kernel, as root only.
func TestRealNamespace(t *testing.T) {
	if os.Geteuid() != 0 {
		proctest.Without(t, "needs root")
	}
	name := fmt.Sprintf("oriel-test-%d", os.Getpid())
	ip(t, "netns", "add", name)
	t.Cleanup(func() { _, _ = command(t, "ip", "netns", "del", name) })
	ip(t, "-n", name, "link", "add", "dum0", "type", "veth", "peer", "name", "dum1")
	ip(t, "-n", name, "addr", "add", "10.99.0.1/24", "dev", "dum0")
	ip(t, "-n", name, "addr", "add", "fd99::1/64", "dev", "dum0")
	ip(t, "-n", name, "link", "set", "dum0", "up")

	s := newSpace(Namespace{Name: name})
	links, err := s.look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l := links["dum0"]
	if l.kind != "veth" || !l.up || !l.known || !l.counted || l.space != s {
		t.Errorf("dum0 = %+v", l)
	}
	if !slices.ContainsFunc(l.addresses, func(p netip.Prefix) bool { return p.String() == "10.99.0.1/24" }) || !slices.ContainsFunc(l.addresses, func(p netip.Prefix) bool { return p.String() == "fd99::1/64" }) {
		t.Errorf("addresses = %v", l.addresses)
	}
	if links["lo"].up {
		t.Error("lo is up: that is another namespace's")
	}
	// We ourselves have stayed where we were.
	if here, err := listLinks(); err != nil || here["dum0"].known {
		t.Errorf("this namespace has %v, %v", here, err)
	}

	// An echo inside: only there is the address.
	ip(t, "-n", name, "link", "set", "lo", "up")
	a, err := newPinger().ping(t.Context(), echoTarget{addr: netip.MustParseAddr("10.99.0.1"), space: s}, 1, 2e9)
	if err != nil || a.received != 1 {
		t.Errorf("ping inside = %+v, %v", a, err)
	}

	// A userspace device there, whose socket is here, has the interface from there.
	dir := t.TempDir()
	proctest.NewUAPI(t, dir, "dum0", proctest.Peers(1))
	cfg := config(dir)
	cfg.Namespaces = []Namespace{{Name: name}}
	c := newTest(t, cfg)
	if text := page(t, c); !strings.Contains(text, `wireguard_interface_up{device="dum0",interface="dum0"} 1`) || !strings.Contains(text, `wireguard_interface_ipv4_pool_total{device="dum0",interface="dum0"} 256`) {
		t.Errorf("page:\n%s", text)
	}
	ip(t, "netns", "del", name)
	if _, err := s.look(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a namespace that is gone: %v", err)
	}
	if text := page(t, c); !strings.Contains(text, `wireguard_device_peers{device="dum0",interface="dum0"} 1`) || !strings.Contains(text, `oriel_wireguard_namespace_success{namespace="`+name+`"} 0`) {
		t.Errorf("page:\n%s", text)
	}
	own := newSpace(Namespace{PID: os.Getpid()})
	if _, err := own.look(context.WithoutCancel(t.Context())); !errors.Is(err, errOwnNamespace) {
		t.Errorf("our own namespace: %v", err)
	}
}
