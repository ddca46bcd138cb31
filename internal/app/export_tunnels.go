package app

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/server"
	"github.com/orielhq/oriel/internal/tunnel/probe"
	"github.com/orielhq/oriel/internal/tunnel/relay"
)

// buildProbes gives the prober the state of this program's own guardians and gateways.
func buildProbes(cfg probe.Config, b *builder) (any, error) {
	if r, ok := part[*relay.Relay](b); ok {
		return probe.New(cfg, r.Status, b.log)
	}
	return probe.New(cfg, nil, b.log)
}

func exportTunnelsCommand() *cobra.Command {
	var file, path string
	var web server.Config
	var lf logFlags
	cmd := &cobra.Command{
		Use:   "tunnels",
		Short: "Probe TLS tunnels and export their metrics on port 9596",
		Long: "Probe the tunnels of the section probes of a configuration file, and export their metrics: vc_..., ct_instance_... and\n" +
			"oriel_tunnel_probe_.... On /probe it answers as blackbox_exporter does, for the targets that the section allows.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := lf.logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			cfg, err := loadConfig(file, "")
			if err != nil {
				return err
			}
			if cfg.Probes == nil {
				return fmt.Errorf("%s: there is no section probes", file)
			}
			p, err := probe.New(*cfg.Probes, nil, log)
			if err != nil {
				return err
			}
			return exportTunnels(cmd, p, web, path, log)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&file, "config.file", "oriel.yml", "configuration file")
	flags.StringVar(&path, "web.telemetry-path", "/metrics", "path of the metrics")
	flags.StringArrayVar(&web.Addresses, "web.listen-address", []string{":9596"}, "address to listen on; can be repeated")
	flags.StringVar(&web.WebConfigFile, "web.config.file", "", "TLS and authentication, as in Prometheus' exporters")
	flags.StringVar(&web.AddrFile, "web.addr-file", "", "write the addresses bound to this file")
	lf.add(cmd)
	return cmd
}

// tunnelsGC lets the heap of commands of tunnels grow more than usual before
// garbage is looked for: it is small and each handshake leaves much (a quarter as many collections
// save a tenth of a probe). Twice as much again would make a tenth more connections, and a
// gateway with thousands of them keep five times what it uses.
const tunnelsGC = 200

// exportTunnels probes and answers until the command's context is done.
func exportTunnels(cmd *cobra.Command, p *probe.Prober, web server.Config, path string, log *slog.Logger) error {
	mux := http.NewServeMux()
	mux.Handle(path, collector.NewSet(log, map[string]collector.Collector{"probes": p, selfName: collector.From(buildInfo())}))
	mux.Handle("/probe", p)
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { say(w, "Oriel is healthy.") })
	if path != "/" {
		mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
			writePage(w, []link{{path, "metrics"}, {"/probe?target=", "probe one of the configuration's targets"}})
		})
	}
	srv := server.New(web, mux, log)
	if err := srv.Open(cmd.Context()); err != nil {
		return err
	}
	dropProgramPages()
	debug.SetGCPercent(tunnelsGC)
	log.Info("exporting", "feature", "probes", "address", strings.Join(srv.Addrs(), ","), "path", path)
	g, ctx := errgroup.WithContext(cmd.Context())
	g.Go(func() error { return p.Run(ctx) })
	g.Go(func() error { return srv.Run(ctx) })
	return g.Wait()
}
