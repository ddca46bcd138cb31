package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
)

// tunnel is two wireguard-go devices in two network namespaces.
type tunnel struct {
	nsA, nsB   string
	wgA, wgB   string
	keyA, keyB string // public
	secrets    []string
	daemonB    *process
}

// tunnelCount counts, so that tests which run at once have interfaces of their own.
var tunnelCount atomic.Int32

// newTunnel makes namespaces, devices and a first handshake; all goes when the test ends.
func newTunnel(t *testing.T) *tunnel {
	t.Helper()
	if os.Geteuid() != 0 {
		proctest.Without(t, "network namespaces need root")
	}
	ip, wg, daemon := proctest.External(t, "ip"), proctest.External(t, "wg"), proctest.External(t, "wireguard-go")
	proctest.External(t, "ping")
	id := os.Getpid()%10000*10 + int(tunnelCount.Add(1))%10
	tn := &tunnel{nsA: fmt.Sprintf("orla%d", id), nsB: fmt.Sprintf("orlb%d", id), wgA: fmt.Sprintf("wga%d", id), wgB: fmt.Sprintf("wgb%d", id)}
	for _, ns := range []string{tn.nsA, tn.nsB} {
		command(t, ip, "netns", "add", ns)
		t.Cleanup(func() { _ = exec.Command(ip, "netns", "del", ns).Run() })
	}
	va, vb := fmt.Sprintf("va%d", id), fmt.Sprintf("vb%d", id)
	command(t, ip, "link", "add", va, "netns", tn.nsA, "type", "veth", "peer", "name", vb, "netns", tn.nsB)
	dir := t.TempDir()
	for i, side := range []struct{ ns, veth, wg string }{{tn.nsA, va, tn.wgA}, {tn.nsB, vb, tn.wgB}} {
		command(t, ip, "-n", side.ns, "addr", "add", fmt.Sprintf("192.0.2.%d/30", i+1), "dev", side.veth)
		command(t, ip, "-n", side.ns, "link", "set", "lo", "up")
		command(t, ip, "-n", side.ns, "link", "set", side.veth, "up")
		p := spawn(t, ip, "netns", "exec", side.ns, daemon, "-f", side.wg)
		if i == 1 {
			tn.daemonB = p
		}
		socket := filepath.Join("/var/run/wireguard", side.wg+".sock")
		proctest.Eventually(t, 10*time.Second, func() (bool, string) { _, err := os.Stat(socket); return err == nil, fmt.Sprint(err) })
		t.Cleanup(func() { _ = os.Remove(socket) })
	}
	secret := func(name string) (file string) {
		text := strings.TrimSpace(command(t, wg, name))
		tn.secrets = append(tn.secrets, text)
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		tn.secrets = append(tn.secrets, hex.EncodeToString(raw))
		return write(t, filepath.Join(dir, fmt.Sprintf("%s%d", name, len(tn.secrets))), text+"\n")
	}
	public := func(file string) string {
		cmd := exec.Command(wg, "pubkey")
		cmd.Stdin = strings.NewReader(strings.TrimSpace(read(t, file)))
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	privA, privB, psk := secret("genkey"), secret("genkey"), secret("genpsk")
	tn.keyA, tn.keyB = public(privA), public(privB)
	command(t, wg, "set", tn.wgA, "listen-port", "51820", "private-key", privA, "peer", tn.keyB, "preshared-key", psk,
		"allowed-ips", "10.9.0.2/32,fd09::2/128", "endpoint", "192.0.2.2:51820", "persistent-keepalive", "25")
	command(t, wg, "set", tn.wgB, "listen-port", "51820", "private-key", privB, "peer", tn.keyA, "preshared-key", psk,
		"allowed-ips", "10.9.0.1/32", "endpoint", "192.0.2.1:51820", "persistent-keepalive", "5")
	command(t, ip, "-n", tn.nsA, "addr", "add", "10.9.0.1/24", "dev", tn.wgA)
	command(t, ip, "-n", tn.nsA, "link", "set", tn.wgA, "up")
	command(t, ip, "-n", tn.nsB, "addr", "add", "10.9.0.2/24", "dev", tn.wgB)
	command(t, ip, "-n", tn.nsB, "link", "set", tn.wgB, "up")
	command(t, ip, "netns", "exec", tn.nsA, "ping", "-c", "3", "-i", "0.2", "-W", "5", "10.9.0.2")
	return tn
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWireGuardInTwoNamespaces(t *testing.T) {
	tn := newTunnel(t)
	dir := t.TempDir()
	names := write(t, filepath.Join(dir, tn.wgA+".conf"), "[Interface]\nAddress = 10.9.0.1/24\n[Peer]\n# friendly_name = Ana \"C:\\new\"\nPublicKey = "+tn.keyB+"\nAllowedIPs = 10.9.0.2/32\n")
	config := write(t, filepath.Join(dir, "oriel.yml"), fmt.Sprintf(
		"instance: box\ncollect_interval: 1s\nwireguard:\n  interfaces: [%s, %s]\n  name_files: [%s]\nprometheus: {global: {scrape_interval: 1s, evaluation_interval: 1s}}\n", tn.wgA, tn.wgB, names))
	base, p := serve(t, "serve", "--config.file", config, "--log.level", "debug")

	selector := fmt.Sprintf(`{interface="%s",public_key="%s"}`, tn.wgA, tn.keyB)
	got := eventually(t, 30*time.Second, base, "wireguard_latest_handshake_seconds"+selector+" > 0", hasData)
	for _, want := range []string{`"friendly_name":"Ana \"C:\\new\""`, `"allowed_ips":"10.9.0.2/32,fd09::2/128"`, `"instance":"box"`} {
		if !strings.Contains(got, want) {
			t.Errorf("labels lack %s: %s", want, got)
		}
	}
	eventually(t, 10*time.Second, base, fmt.Sprintf(`wireguard_peer_up{device="%s"} * on (device, public_key) group_left (name) wireguard_peer_info`, tn.wgA), `"1"]`)
	eventually(t, 10*time.Second, base, fmt.Sprintf(`wireguard_interface_ipv4_pool_free{device="%s"}`, tn.wgA), `"252"]`)

	t.Run("the numbers are those of wg", func(t *testing.T) {
		proctest.Eventually(t, 15*time.Second, func() (bool, string) {
			before := command(t, "wg", "show", tn.wgA, "transfer")
			_, page := get(t, base+"/metrics/wireguard")
			after := command(t, "wg", "show", tn.wgA, "transfer")
			fields := strings.Fields(before)
			rx := fmt.Sprintf("wireguard_peer_receive_bytes_total{device=%q,public_key=%q} %s\n", tn.wgA, tn.keyB, fields[1])
			tx := fmt.Sprintf("wireguard_peer_transmit_bytes_total{device=%q,public_key=%q} %s\n", tn.wgA, tn.keyB, fields[2])
			return before == after && strings.Contains(page, rx) && strings.Contains(page, tx), before + rx + tx
		})
		_, page := get(t, base+"/metrics/wireguard")
		seconds := strings.Fields(command(t, "wg", "show", tn.wgA, "latest-handshakes"))[1]
		if want := fmt.Sprintf("wireguard_peer_last_handshake_seconds{device=%q,public_key=%q} %s\n", tn.wgA, tn.keyB, seconds); !strings.Contains(page, want) {
			t.Errorf("page lacks %s", want)
		}
	})

	t.Run("inside a namespace the interface is seen too", func(t *testing.T) {
		addr := filepath.Join(t.TempDir(), "addr")
		spawn(t, "ip", "netns", "exec", tn.nsA, oriel, "export", "wireguard", "-l", "127.0.0.1", "-p", "0", "-i", tn.wgA, "--web.addr-file", addr)
		target := "http://" + waitFile(t, addr) + "/metrics"
		var page string
		proctest.Eventually(t, 10*time.Second, func() (bool, string) {
			out, err := exec.Command("ip", "netns", "exec", tn.nsA, "curl", "-s", target).CombinedOutput()
			page = string(out)
			return err == nil, page
		})
		for _, want := range []string{
			fmt.Sprintf(`wireguard_interface_up{device="%s",interface="%s"} 1`, tn.wgA, tn.wgA),
			fmt.Sprintf(`wireguard_interface_ipv4_pool_free{device="%s",interface="%s"} 252`, tn.wgA, tn.wgA),
		} {
			if !strings.Contains(page, want+"\n") {
				t.Errorf("page lacks %s:\n%s", want, page)
			}
		}
		if !regexp.MustCompile(`wireguard_interface_transmit_bytes_total\{[^}]*\} [1-9]`).MatchString(page) {
			t.Errorf("no bytes of the interface:\n%s", page)
		}
	})

	t.Run("a peer that roams is counted", func(t *testing.T) {
		command(t, "wg", "set", tn.wgB, "listen-port", "51999")
		command(t, "ip", "netns", "exec", tn.nsB, "ping", "-c", "1", "-W", "5", "10.9.0.1")
		eventually(t, 20*time.Second, base, fmt.Sprintf(`wireguard_peer_endpoint_changes_total{device="%s"}`, tn.wgA), `"1"]`)
		eventually(t, 20*time.Second, base, fmt.Sprintf(`wireguard_peer_info{device="%s"}`, tn.wgA), "192.0.2.2:51999")
	})

	t.Run("a dead daemon costs only its own device", func(t *testing.T) {
		// Killed, it leaves its socket behind, which makes wgctrl's list of devices fail as a whole.
		_ = tn.daemonB.cmd.Process.Signal(syscall.SIGKILL)
		eventually(t, 20*time.Second, base, fmt.Sprintf(`wireguard_scrape_success{device="%s"}`, tn.wgB), `"0"]`)
		eventually(t, 20*time.Second, base, fmt.Sprintf(`wireguard_scrape_errors_total{device="%s",reason="dead_socket"} > 0`, tn.wgB), hasData)
		eventually(t, 20*time.Second, base, fmt.Sprintf(`wireguard_scrape_success{device="%s"}`, tn.wgA), `"1"]`)
		eventually(t, 20*time.Second, base, `ALERTS{alertname="WireGuardScrapeFailed"}`, hasData)
	})

	t.Run("secret keys are nowhere", func(t *testing.T) {
		var all strings.Builder
		for _, path := range []string{"/metrics", "/metrics/wireguard", "/api/v1/status/config", "/api/v1/targets", "/api/v1/series?match[]={__name__!=\"\"}", "/api/v1/alerts", "/alertmanager/api/v2/alerts", "/federate?match[]={__name__!=\"\"}", "/"} {
			_, body := get(t, base+path)
			all.WriteString(body)
		}
		all.WriteString(p.log())
		for _, secret := range tn.secrets {
			if strings.Contains(all.String(), secret) {
				t.Error("a private or preshared key is in an answer or in the log")
			}
		}
		if !strings.Contains(all.String(), tn.keyB) {
			t.Error("not even the public key is there: nothing was searched")
		}
	})
}
