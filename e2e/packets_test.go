package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
)

// TestLiveCaptureSurvivesItsInterface: clients and a server talk over a veth
// pair; the kernel's filter, two workers to the interface, and the loss and
// return of the interface are seen in the metrics.
func TestLiveCaptureSurvivesItsInterface(t *testing.T) {
	if os.Geteuid() != 0 {
		proctest.Without(t, "network namespaces need root")
	}
	ip, curl, ping := proctest.External(t, "ip"), proctest.External(t, "curl"), proctest.External(t, "ping")
	id := os.Getpid() % 100000
	a, b, va, vb := fmt.Sprintf("orpa%d", id), fmt.Sprintf("orpb%d", id), fmt.Sprintf("pa%d", id), fmt.Sprintf("pb%d", id)
	for _, ns := range []string{a, b} {
		command(t, ip, "netns", "add", ns)
		t.Cleanup(func() { _ = exec.Command(ip, "netns", "del", ns).Run() })
		command(t, ip, "-n", ns, "link", "set", "lo", "up")
	}
	plug := func() {
		command(t, ip, "link", "add", va, "netns", a, "type", "veth", "peer", "name", vb, "netns", b)
		command(t, ip, "-n", a, "addr", "add", "198.51.100.1/30", "dev", va)
		command(t, ip, "-n", b, "addr", "add", "198.51.100.2/30", "dev", vb)
		command(t, ip, "-n", b, "link", "set", vb, "up")
		command(t, ip, "-n", a, "link", "set", va, "up")
	}
	plug()
	// Both namespaces are the test's own, so their ports are free. Any HTTP server will do: an exporter is one.
	spawn(t, ip, "netns", "exec", b, oriel, "export", "packets", "-r", "/dev/null", "--web.listen-address", "0.0.0.0:8080")
	spawn(t, ip, "netns", "exec", a, oriel, "export", "packets", "-i", va, "-f", "tcp port 8080", "--workers", "2", "--idle-timeout", "2s")
	page := func() string {
		out, _ := exec.Command(ip, "netns", "exec", a, curl, "-s", "127.0.0.1:7777/metrics").Output()
		return string(out)
	}
	see := func(want string) {
		t.Helper()
		proctest.Eventually(t, 30*time.Second, func() (bool, string) {
			got := page()
			return strings.Contains(got, want), "no " + want + " in\n" + got
		})
	}
	ask := func(times int) {
		t.Helper()
		for range times {
			command(t, ip, "netns", "exec", a, curl, "-sf", "-o", "/dev/null", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", "198.51.100.2:8080/metrics")
		}
	}
	label := func(name, more string) string { return name + `{interface="` + va + `"` + more + `} ` }
	see(label("oriel_packets_interface_up", "") + "1")
	command(t, ip, "netns", "exec", a, ping, "-c", "1", "198.51.100.2")
	ask(5)
	see(label("oriel_packets_http_requests_total", `,method="GET",status="2xx"`) + "5")
	// Both ways are told apart by the kernel's word.
	tcp := func(way string) int {
		m := regexp.MustCompile(`oriel_packets_layer_packets_total\{direction="` + way + `",interface="` + va + `",layer="tcp"\} (\d+)`).FindStringSubmatch(page())
		if m == nil {
			return 0
		}
		n, _ := strconv.Atoi(m[1])
		return n
	}
	if in, out, unknown := tcp("receive"), tcp("transmit"), tcp("unknown"); in < 15 || out < 15 || unknown != 0 {
		t.Errorf("%d packets of TCP received, %d sent, %d unknown; want both ways of five requests", in, out, unknown)
	}
	if got := page(); strings.Contains(got, `layer="icmpv4"`) || strings.Contains(got, `layer="arp"`) {
		t.Errorf("packets that the filter leaves out were counted:\n%s", got)
	}
	command(t, ip, "-n", a, "link", "del", va)
	see(label("oriel_packets_interface_up", "") + "0")
	plug()
	see(label("oriel_packets_interface_up", "") + "1")
	see(label("oriel_packets_interface_reopened_total", "") + "2") // each worker's ring
	ask(3)
	see(label("oriel_packets_http_requests_total", `,method="GET",status="2xx"`) + "8")
}

// wires are two namespaces, a and b, with veth pairs between them.
type wires struct {
	ip, curl, ping string
	a, b, prefix   string
}

func newWires(t *testing.T, prefix string) *wires {
	t.Helper()
	if os.Geteuid() != 0 {
		proctest.Without(t, "network namespaces need root")
	}
	id := os.Getpid() % 10000
	w := &wires{
		ip: proctest.External(t, "ip"), curl: proctest.External(t, "curl"), ping: proctest.External(t, "ping"),
		a: fmt.Sprintf("%sa%d", prefix, id), b: fmt.Sprintf("%sb%d", prefix, id), prefix: fmt.Sprintf("%s%d", prefix, id),
	}
	for _, ns := range []string{w.a, w.b} {
		command(t, w.ip, "netns", "add", ns)
		t.Cleanup(func() { _ = exec.Command(w.ip, "netns", "del", ns).Run() })
		command(t, w.ip, "-n", ns, "link", "set", "lo", "up")
	}
	return w
}

// plug puts a pair between the namespaces and returns the name of a's end; b's is the same with a v.
func (w *wires) plug(t *testing.T, n int, addrA, addrB string) string {
	t.Helper()
	va := fmt.Sprintf("%s%d", w.prefix, n)
	command(t, w.ip, "link", "add", va, "netns", w.a, "type", "veth", "peer", "name", va+"v", "netns", w.b)
	command(t, w.ip, "-n", w.a, "addr", "add", addrA, "dev", va)
	command(t, w.ip, "-n", w.b, "addr", "add", addrB, "dev", va+"v")
	command(t, w.ip, "-n", w.b, "link", "set", va+"v", "up")
	command(t, w.ip, "-n", w.a, "link", "set", va, "up")
	return va
}

func (w *wires) in(ns string, args ...string) []string {
	return append([]string{"netns", "exec", ns}, args...)
}

// page is what answers in namespace a.
func (w *wires) page(port string) string {
	out, _ := exec.Command(w.ip, w.in(w.a, w.curl, "-s", "127.0.0.1:"+port+"/metrics")...).Output()
	return string(out)
}

// TestLiveCaptureOfSeveralInterfaces: two interfaces with two workers each, a
// snap length that cuts what is captured but not what is counted, frames for
// somebody else, and promiscuous mode on and off.
func TestLiveCaptureOfSeveralInterfaces(t *testing.T) {
	w := newWires(t, "ors")
	one, two := w.plug(t, 1, "198.51.100.1/30", "198.51.100.2/30"), w.plug(t, 2, "198.51.100.5/30", "198.51.100.6/30")
	spawn(t, w.ip, w.in(w.b, oriel, "export", "packets", "-r", "/dev/null", "--web.listen-address", "0.0.0.0:8080")...)
	spawn(t, w.ip, w.in(w.a, oriel, "export", "packets", "-i", one, "-i", two, "-snaplen", "96", "-workers", "2", "--idle-timeout", "2s")...)
	three := w.plug(t, 3, "198.51.100.9/30", "198.51.100.10/30")
	spawn(t, w.ip, w.in(w.a, oriel, "export", "packets", "-i", three, "-promisc=false", "-address", "127.0.0.1:7778")...)
	number := func(port, series string) int {
		m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(w.page(port))
		if m == nil {
			return 0
		}
		v, _ := strconv.ParseFloat(m[1], 64)
		return int(v)
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		proctest.Eventually(t, 30*time.Second, func() (bool, string) { return ok(), what + "\n" + w.page("7777") })
	}
	for port, name := range map[string]string{"7777": one, "7778": three} {
		until("up", func() bool { return number(port, `oriel_packets_interface_up{interface="`+name+`"}`) == 1 })
	}
	// A veth shows everything to everybody, so the kernel is asked what the interface was told.
	for name, want := range map[string]bool{one: true, two: true, three: false} {
		link := command(t, w.ip, "-n", w.a, "-d", "link", "show", "dev", name)
		if got := !strings.Contains(link, "promiscuity 0"); got != want {
			t.Errorf("%s is promiscuous: %v; want %v\n%s", name, got, want, link)
		}
	}
	for _, addr := range []string{"198.51.100.2", "198.51.100.6"} {
		for range 10 { // of other ports, so that the workers share them
			command(t, w.ip, w.in(w.a, w.curl, "-sf", "-o", "/dev/null", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", addr+":8080/metrics")...)
		}
	}
	for _, name := range []string{one, two} {
		label := `{interface="` + name + `"}`
		until("ten connections of "+name, func() bool { return number("7777", "oriel_packets_connections_opened_total"+label) >= 10 })
		// The page is some kilobytes, of which 96 bytes of each segment are kept: what is counted is what was on the wire.
		until("whole sizes of "+name, func() bool { return number("7777", "oriel_packets_captured_bytes_total"+label) > 10*10_000 })
		until("what is cut of "+name, func() bool { return number("7777", "oriel_packets_stream_missing_bytes_total"+label) > 10*5_000 })
	}
	// To a hardware address that nobody has.
	command(t, w.ip, "-n", w.b, "neigh", "replace", "198.51.100.1", "lladdr", "02:00:00:00:00:99", "dev", one+"v")
	_ = exec.Command(w.ip, w.in(w.b, w.ping, "-c", "3", "-i", "0.2", "-W", "1", "198.51.100.1")...).Run()
	echo := `oriel_packets_layer_packets_total{direction="receive",interface="` + one + `",layer="icmpv4"}`
	until("frames for somebody else", func() bool { return number("7777", echo) == 3 })
}

// TestDetectionsLive: real programs do what the rules are about, after they did
// what is innocent.
func TestDetectionsLive(t *testing.T) {
	w := newWires(t, "ord")
	va := w.plug(t, 1, "192.168.77.1/24", "192.168.77.2/24")
	command(t, w.ip, "-n", w.b, "addr", "add", "203.0.113.2/32", "dev", va+"v")
	command(t, w.ip, "-n", w.a, "route", "add", "203.0.113.2/32", "via", "192.168.77.2")
	spawn(t, w.ip, w.in(w.b, oriel, "export", "packets", "-r", "/dev/null", "--web.listen-address", "0.0.0.0:8080")...)
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "oriel.yml"), "packets:\n  interfaces: ["+va+"]\n  detections: {learn: 3s, hosts: 20, beats: 4}\n")
	spawn(t, w.ip, w.in(w.a, oriel, "serve", "--config.file", file, "--data.dir", filepath.Join(dir, "data"), "--web.listen-address", "127.0.0.1:9190")...)
	alerts := func(rule string) int {
		m := regexp.MustCompile(`oriel_packets_alerts_total\{rule="` + rule + `",severity="\w+"\} (\d+)`).FindStringSubmatch(w.page("9190"))
		if m == nil {
			return -1
		}
		n, _ := strconv.Atoi(m[1])
		return n
	}
	see := func(rule string) {
		t.Helper()
		proctest.Eventually(t, 60*time.Second, func() (bool, string) { return alerts(rule) > 0, "no " + rule })
	}
	ask := func(addr string) {
		t.Helper()
		command(t, w.ip, w.in(w.a, w.curl, "-sf", "-o", "/dev/null", "--retry", "30", "--retry-connrefused", "--retry-delay", "1", addr+"/metrics")...)
	}
	proctest.Eventually(t, 60*time.Second, func() (bool, string) { return alerts("beacon") == 0, w.page("9190") })
	// What people do: a few pages at their own pace, a ping.
	for _, pause := range []time.Duration{0, 300 * time.Millisecond, 2 * time.Second, time.Second} {
		time.Sleep(pause)
		ask("192.168.77.2:8080")
	}
	command(t, w.ip, w.in(w.a, w.ping, "-c", "2", "192.168.77.2")...)
	for _, rule := range []string{"host_scan", "beacon", "moved_address", "port_scan", "brute_force", "dns_tunnel", "clear_text_credentials", "weak_tls"} {
		if n := alerts(rule); n != 0 {
			t.Errorf("%d of %s in innocent traffic", n, rule)
		}
	}
	// A scan: ping asks ARP for hosts that are not there.
	for i := range 60 {
		_ = exec.Command(w.ip, w.in(w.a, w.ping, "-c", "1", "-W", "0.01", fmt.Sprintf("192.168.77.%d", 100+i))...).Start()
	}
	see("host_scan")
	// Another host takes the address.
	command(t, w.ip, "-n", w.b, "link", "set", va+"v", "address", "02:00:00:00:00:42")
	command(t, w.ip, "-n", w.a, "neigh", "flush", "dev", va)
	ask("192.168.77.2:8080")
	see("moved_address")
	see("new_device")
	// Every five seconds a call to the same address outside.
	beat := time.NewTicker(5500 * time.Millisecond)
	defer beat.Stop()
	for range 7 {
		ask("203.0.113.2:8080")
		<-beat.C
	}
	see("beacon")
	// Something new listens.
	spawn(t, w.ip, w.in(w.b, oriel, "export", "packets", "-r", "/dev/null", "--web.listen-address", "0.0.0.0:8081")...)
	ask("192.168.77.2:8081")
	see("new_service")
}
