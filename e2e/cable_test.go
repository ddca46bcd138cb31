package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
)

// TestPulledCable cuts the path of a tunnel in one of its namespaces, where
// neither end notices, and asks for the same story everywhere: metrics, alerts,
// the table on the terminal, the table of now and the history. It takes some
// eight minutes, since a healthy tunnel may be silent for three.
func TestPulledCable(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes eight minutes")
	}
	tn := newTunnel(t)
	nft := proctest.External(t, "nft")
	dir := t.TempDir()
	config := write(t, filepath.Join(dir, "oriel.yml"), fmt.Sprintf(`
instance: box
collect_interval: 1s
wireguard:
  interfaces: [%[1]s]
  names: {"%[2]s": Ana}
  namespaces: [{name: %[3]s}]
  poll: 5s
  peer_timeout: 200s
  probe: {peers: [Ana]}
flows: {dir: %[4]s}
query: {}
prometheus: {global: {scrape_interval: 1s, evaluation_interval: 1s}}
`, tn.wgA, tn.keyB, tn.nsA, filepath.Join(dir, "lake")))
	base, _ := serve(t, "serve", "--config.file", config)
	peer := fmt.Sprintf(`{device="%s",public_key="%s"}`, tn.wgA, tn.keyB)
	table := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(oriel, append([]string{"wireguard", tn.wgA, "--config.file", config}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("oriel wireguard: %v\n%s", err, out)
		}
		return string(out)
	}
	sql := func(within time.Duration, query, want string) {
		t.Helper()
		proctest.Eventually(t, within, func() (bool, string) {
			time.Sleep(time.Second)
			out, err := exec.Command(oriel, "sql", "--url", base, "-o", "csv", query).CombinedOutput()
			return err == nil && strings.HasPrefix(string(out), "r\n"+want+"\n"), query + ": " + string(out)
		})
	}
	slowly := func(within time.Duration, expr, want string) {
		t.Helper()
		proctest.Eventually(t, within, func() (bool, string) {
			time.Sleep(500 * time.Millisecond)
			got := query(t, base, expr)
			return strings.Contains(got, want), expr + ": " + got
		})
	}

	// In order.
	slowly(90*time.Second, "wireguard_peer_probe_success"+peer, `"1"]`)
	slowly(10*time.Second, "wireguard_peer_latency_seconds"+peer+" > 0 < 1", hasData)
	slowly(10*time.Second, "wireguard_peer_up"+peer, `"1"]`)
	if got := table("--once"); !strings.Contains(got, "Ana") || !strings.Contains(got, "192.0.2.2:51820") {
		t.Errorf("table:\n%s", got)
	}
	sql(time.Minute, "SELECT event || ' ' || endpoint AS r FROM wireguard_events WHERE name = 'Ana' ORDER BY time DESC LIMIT 1", "connect 192.0.2.2:51820")

	// The cable is pulled: what comes in is lost, and nobody is told.
	command(t, "ip", "netns", "exec", tn.nsB, nft, "add", "table", "inet", "cable")
	command(t, "ip", "netns", "exec", tn.nsB, nft, "add", "chain", "inet", "cable", "in", "{ type filter hook input priority 0; policy accept; }")
	command(t, "ip", "netns", "exec", tn.nsB, nft, "add", "chain", "inet", "cable", "out", "{ type filter hook postrouting priority 0; policy accept; }")
	for _, chain := range []string{"in", "out"} {
		command(t, "ip", "netns", "exec", tn.nsB, nft, "add", "rule", "inet", "cable", chain, "udp", "dport", "51820", "drop")
	}
	slowly(90*time.Second, "wireguard_peer_probe_success"+peer, `"0"]`)
	slowly(4*time.Minute, `ALERTS{alertname="WireGuardPeerUnreachable",alertstate="firing",public_key="`+tn.keyB+`"}`, hasData)
	slowly(5*time.Minute, "wireguard_peer_up"+peer, `"0"]`)
	slowly(5*time.Second, "wireguard_peer_handshake_age_seconds"+peer+" > 200", hasData)
	slowly(5*time.Second, "increase(wireguard_peer_transmit_bytes_total"+peer+"[1m]) > 0 unless increase(wireguard_peer_receive_bytes_total"+peer+"[1m]) > 0", hasData)
	if got := query(t, base, "wireguard_peer_latency_seconds"+peer); strings.Contains(got, hasData) {
		t.Errorf("a peer that is cut off has a latency: %s", got)
	}
	if got := table("--json"); !strings.Contains(got, `"up": false`) {
		t.Errorf("oriel wireguard --json:\n%s", got)
	}
	if got := table("--once", "--up"); strings.Contains(got, "Ana") {
		t.Errorf("oriel wireguard --up shows who is down:\n%s", got)
	}
	sql(time.Minute, "SELECT up AS r FROM wireguard_peers WHERE name = 'Ana'", "false")
	sql(time.Minute, "SELECT event || ' ' || endpoint AS r FROM wireguard_events WHERE name = 'Ana' ORDER BY time DESC LIMIT 1", "disconnect 192.0.2.2:51820")
	slowly(4*time.Minute, `ALERTS{alertname="WireGuardPeerStale",alertstate="firing",public_key="`+tn.keyB+`"}`, hasData)
	proctest.Eventually(t, time.Minute, func() (bool, string) {
		_, body := get(t, base+"/alertmanager/api/v2/alerts")
		return strings.Contains(body, "WireGuardPeerStale") && strings.Contains(body, "WireGuardPeerUnreachable") && strings.Contains(body, "Ana"), tail(body)
	})

	// It is put back.
	command(t, "ip", "netns", "exec", tn.nsB, nft, "delete", "table", "inet", "cable")
	slowly(90*time.Second, "wireguard_peer_up"+peer, `"1"]`)
	slowly(90*time.Second, "wireguard_peer_probe_success"+peer, `"1"]`)
	sql(time.Minute, "SELECT event || ' ' || endpoint AS r FROM wireguard_events WHERE name = 'Ana' ORDER BY time DESC LIMIT 1", "connect 192.0.2.2:51820")
	sql(time.Minute, "SELECT count(*) AS r FROM wireguard_events WHERE name = 'Ana' AND event IN ('connect', 'disconnect')", "3")
	slowly(2*time.Minute, `count(ALERTS{alertname=~"WireGuardPeer(Stale|Unreachable)",alertstate="firing"}) or vector(0)`, `"0"]`)
}
