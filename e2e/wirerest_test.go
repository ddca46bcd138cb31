package e2e

import (
	"context"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/demo/wirerest"
	"github.com/orielhq/oriel/internal/proctest"
)

// TestExportWireRest relays without giving the token away, and goes on with the
// interface's figures when WireRest dies.
func TestExportWireRest(t *testing.T) {
	t.Parallel()
	const token = "an-admin-token"
	sim, err := wirerest.New(t.Context(), wirerest.Config{
		Interface: "wg0", Token: token, Address: netip.MustParsePrefix("10.0.0.1/24"),
		Peers: func(context.Context) ([]wirerest.Peer, error) {
			return []wirerest.Peer{{PublicKey: proctest.PeerKeyText(0), PresharedKey: proctest.PeerKeyText(9)}}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(sim)
	defer srv.Close()
	dir := t.TempDir()
	proctest.NewUAPI(t, dir, "wg0", proctest.Peers(3))
	addr := filepath.Join(dir, "addr")
	p := spawn(t, oriel, "export", "wirerest", "--wirerest.url", srv.URL, "--wirerest.token-file", write(t, filepath.Join(dir, "token"), token+"\n"),
		"--wirerest.probe-path", "/v1/interface", "--wireguard.socket-dir", dir, "--web.listen-address", "127.0.0.1:0", "--web.addr-file", addr, "--log.level", "debug")
	base := "http://" + waitFile(t, addr)
	var page string
	has := func(lines ...string) {
		t.Helper()
		proctest.Eventually(t, 30*time.Second, func() (bool, string) {
			_, page = get(t, base+"/metrics")
			for _, l := range lines {
				if !strings.Contains(page, l) {
					return false, "no " + l + " in\n" + page
				}
			}
			return true, ""
		})
	}
	peers := `wirerest_peers_total{application="WireRest-wg0"} 3` + "\n" // the interface's, not the simulator's one
	has("wirerest_up 1\n", peers, `wirerest_probe_success{path="/v1/interface"} 1`, "jvm_threads_live_threads{", `wirerest_traffic_bytes_total{application="WireRest-wg0",type="receive"} 6540`)
	shown := page
	srv.Close()
	has("wirerest_up 0\n", peers)
	for _, secret := range append(sim.Secrets(), token) {
		if strings.Contains(shown+page+p.log(), secret) {
			t.Errorf("a secret is shown: %q", secret)
		}
	}
}
