package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	demowireguard "github.com/orielhq/oriel/internal/demo/wireguard"
	demowirerest "github.com/orielhq/oriel/internal/demo/wirerest"
	"github.com/orielhq/oriel/internal/wireguard"
)

// demoWireRest is a simulated WireRest for the first device of the mesh.
type demoWireRest struct {
	server  *http.Server
	sim     *demowirerest.Server
	ended   chan error
	section map[string]any // of the demo's configuration
}

// startDemoWireRest serves on a free port of this machine, with a token of its own in dir.
func startDemoWireRest(ctx context.Context, mesh *demowireguard.Mesh, dir, sockets string, log *slog.Logger) (*demoWireRest, error) {
	devices := mesh.Devices()
	i := slices.IndexFunc(devices, func(d demowireguard.Device) bool { return len(d.Addresses) > 0 })
	if i < 0 {
		return nil, errors.New("demo: no device with an address")
	}
	cfg := wireguard.Default()
	cfg.SocketDir, cfg.Interfaces = sockets, []string{devices[i].Name}
	reader, err := wireguard.New(cfg, log)
	if err != nil {
		return nil, err
	}
	network := devices[i].Addresses[0]
	token := rand.Text()
	sim, err := demowirerest.New(ctx, demowirerest.Config{
		Interface: devices[i].Name, Token: token, Address: network, ListenPort: 51820,
		Peers: func(ctx context.Context) ([]demowirerest.Peer, error) { return demoPeers(ctx, reader, network) },
	})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "wirerest.token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("write token: %w", err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	d := &demoWireRest{
		sim:    sim,
		server: &http.Server{Handler: sim, ReadHeaderTimeout: 10 * time.Second}, ended: make(chan error, 1),
		section: map[string]any{"url": "http://" + l.Addr().String(), "token_file": file, "interval": "5s"},
	}
	go func() { d.ended <- d.server.Serve(l) }()
	return d, nil
}

// run lets it fail for a moment every five minutes, as a program does that runs
// another one for each request, until ctx is done. Then it ends it.
func (d *demoWireRest) run(ctx context.Context) error {
	for wait := 20 * time.Second; ; wait = 5 * time.Minute {
		for _, next := range []struct {
			after  time.Duration
			status int
		}{{wait, http.StatusInternalServerError}, {7 * time.Second, 0}} {
			select {
			case <-time.After(next.after):
				d.sim.Fail(next.status)
			case <-ctx.Done():
				return d.stop()
			}
		}
	}
}

// stop ends it; no request of anybody else is under way then.
func (d *demoWireRest) stop() error {
	err := d.server.Close()
	if serveErr := <-d.ended; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}

// demoPeers are the peers as WireRest's `wg show dump` would have them. Allowed
// IPs outside of the interface's network are left out: WireRest does not start with them.
func demoPeers(ctx context.Context, reader *wireguard.Collector, network netip.Prefix) ([]demowirerest.Peer, error) {
	views, err := reader.Views(ctx)
	if err != nil {
		return nil, err
	}
	var peers []demowirerest.Peer
	for _, v := range views {
		for i := range v.Peers {
			p := &v.Peers[i]
			peer := demowirerest.Peer{
				PublicKey: p.PublicKey.String(), LatestHandshake: p.LastHandshake, Keepalive: int(p.Keepalive / time.Second),
				TransferRx: int64(p.ReceiveBytes), TransferTx: int64(p.TransmitBytes), //nolint:gosec // a demo moves less than 8 EiB
			}
			if p.Endpoint.IsValid() {
				peer.Endpoint = p.Endpoint.String()
			}
			for _, allowed := range p.AllowedIPs {
				if network.Contains(allowed.Addr()) && allowed.Bits() >= network.Bits() {
					peer.AllowedSubnets = append(peer.AllowedSubnets, allowed)
				}
			}
			peers = append(peers, peer)
		}
	}
	return peers, nil
}
