package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/orielhq/oriel/internal/demo/history"
	demowireguard "github.com/orielhq/oriel/internal/demo/wireguard"
	"github.com/orielhq/oriel/internal/wireguard"
)

func demoCommand() *cobra.Command {
	var f serveFlags
	var dashboards string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run everything on traffic that it makes itself; leaves nothing behind",
		Long: "Starts WireGuard devices inside this process, which shake hands and move traffic, and simulated controllers, and watches\n" +
			"them as `oriel serve` watches real ones. Needs no root. All it writes is below a temporary directory that goes at the end.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := f.log.logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return demo(cmd.Context(), f, dashboards, cmd.OutOrStdout(), log)
		},
	}
	f.add(cmd)
	f.log.add(cmd)
	cmd.Flags().StringVar(&dashboards, "dashboards", "", "folder with dashboards of your own (Grafana's JSON) to show too")
	return cmd
}

// demoPart makes traffic and says how a user's configuration would name it.
type demoPart struct {
	run      func(context.Context) error // until ctx is done; lets go of everything
	sections map[string]any
	inside   wireguard.Inside // what is known of devices in this process, or nil
	past     demoPast         // of its jobs
}

// demoParts opens each part, with a folder of its own.
var demoParts = []struct {
	name string
	open func(ctx context.Context, dir string, log *slog.Logger) (demoPart, error)
}{
	{"wireguard", openDemoWireGuard},
	{"neuvector", openDemoNeuVector},
	{"flows", openDemoFlows},
	{"influx", openDemoInflux},
	{"tunnels", openDemoTunnels},
	{"packets", openDemoPackets},
}

// demo starts the traffic, then serves as `serve` would with a file that names it.
func demo(ctx context.Context, f serveFlags, dashboards string, out io.Writer, log *slog.Logger) (err error) {
	f.past = &demoPast{began: time.Now(), expected: map[string]expected{}, rounds: map[string]history.Round{}}
	dir, err := os.MkdirTemp("", "oriel-demo-")
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, stop := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop(nil)

	config := map[string]any{
		"instance":         "demo",
		"collect_interval": "5s",
		"prometheus":       map[string]any{"global": map[string]any{"scrape_interval": "5s", "evaluation_interval": "5s"}},
	}
	if dashboards != "" {
		if dashboards, err = filepath.Abs(dashboards); err != nil {
			return fmt.Errorf("folder of dashboards: %w", err)
		}
		config["console"] = map[string]any{"dashboards": dashboards}
	}
	openCtx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, p := range demoParts {
		part, err := p.open(openCtx, filepath.Join(dir, p.name), log.With("feature", "demo"))
		if err != nil {
			return fmt.Errorf("demo: %s: %w", p.name, err)
		}
		for name, section := range part.sections {
			if both, ok := config[name].(map[string]any); ok { // prometheus: several parts may add to it
				maps.Copy(both, section.(map[string]any))
			} else {
				config[name] = section
			}
		}
		if part.inside != nil {
			f.inside = part.inside
		}
		maps.Copy(f.past.expected, part.past.expected)
		maps.Copy(f.past.rounds, part.past.rounds)
		wg.Go(func() {
			if err := part.run(ctx); err != nil {
				stop(fmt.Errorf("demo: %s: %w", p.name, err))
			}
		})
	}
	f.dataDir, f.config = filepath.Join(dir, "data"), filepath.Join(dir, "oriel.yml")
	text, err := yaml.Marshal(config)
	if err == nil {
		err = os.WriteFile(f.config, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return serve(ctx, f, log, func(url string) { _, _ = fmt.Fprintf(out, demoText, os.Args[0], url) })
}

// openDemoWireGuard starts devices that shake hands.
func openDemoWireGuard(ctx context.Context, dir string, log *slog.Logger) (demoPart, error) {
	mesh, err := demowireguard.New(demowireguard.Config{Dir: dir}, log)
	if err != nil {
		return demoPart{}, err
	}
	addresses := map[string][]string{}
	for _, d := range mesh.Devices() {
		for _, a := range d.Addresses {
			addresses[d.Name] = append(addresses[d.Name], a.String())
		}
	}
	if err := mesh.Open(ctx); err != nil {
		return demoPart{}, err
	}
	wirerest, err := startDemoWireRest(ctx, mesh, dir, dir, log)
	if err != nil {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		return demoPart{}, errors.Join(err, mesh.Run(ended)) // closes the devices
	}
	return demoPart{
		run: func(ctx context.Context) error {
			ctx, stop := context.WithCancel(ctx)
			ended := make(chan error, 1)
			go func() { ended <- wirerest.run(ctx) }()
			err := mesh.Run(ctx)
			stop()
			return errors.Join(err, <-ended)
		},
		sections: map[string]any{
			"wireguard": map[string]any{"socket_dir": dir, "names": mesh.Names(), "addresses": addresses, "probe": map[string]any{"peers": []string{"*"}, "count": 2}},
			"wirerest":  wirerest.section,
		},
		inside: mesh,
	}, nil
}

var demoText = strings.TrimLeft(`
Two WireGuard devices run in this process, wg-office and wg-backup, with peers that move traffic; and a simulated
NeuVector controller, "primary", that manages the clusters edge1 and edge2. A day of flow logs of four clouds,
with a scan and an exfiltration in them, are imported into a lake. All metrics are pushed to a simulated InfluxDB 2,
which is overloaded for 20 s every four minutes. Two companies, acme and globex, read their tunnels'
metrics through guardian, gateway and tenant proxy, each its own; a certificate of globex's ends in five days, and a third
company is refused. A minute of an office's packets, recorded of real HTTP, TLS, SSH and DNS between goroutines, with a
port scan in it, is replayed again and again.

  look at      %[2]s                      the console: what is healthy, what fires, who talks
               %[2]s/dashboards           every dashboard, with a day of history made up from the first seconds
               %[2]s/explore              PromQL and SQL
               %[2]s/entity?q=203.0.113.66   who scanned

  peers        %[1]s promql wireguard_latest_handshake_seconds
  traffic      %[1]s promql --range 5m 'sum by (device) (rate(wireguard_peer_receive_bytes_total[30s]))'
  containers   %[1]s promql 'topk(5, oriel_neuvector_service_vulnerabilities{severity="critical"})'
  security     %[1]s promql 'sum by (cluster, class) (oriel_neuvector_security_events_total)'
  flows        %[1]s sql --range 3h 'SELECT provider, action, count(*) AS n FROM flows GROUP BY ALL ORDER BY ALL'
  InfluxDB     %[1]s promql 'rate(oriel_influx_written_lines_total[1m])'
  tunnels      %[1]s promql 'sum by (tunnel, reason) (oriel_tunnel_refusals_total) > 0'
  a customer   %[1]s promql 'customer_vc_tls_cert_expiry'
  packets      %[1]s promql 'sum by (layer) (rate(oriel_packets_layer_packets_total[1m]))'
  requests     %[1]s sql --range 1h 'SELECT host, status, count(*) AS n FROM http GROUP BY ALL ORDER BY n DESC'
  alerts       %[1]s promql 'ALERTS'

"Lisbon branch" is cut off after 30 s. Its tunnel counts as stale after five minutes, not before: a healthy one
renews its keys every two to three. WireGuardPeerStale fires a minute after that, and about then
WireGuardUnknownPeerActive for a peer that nobody named.

Ctrl-C ends it all; nothing stays behind.

`, "\n")
