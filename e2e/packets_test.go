package e2e

import (
	"fmt"
	"os"
	"os/exec"
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
