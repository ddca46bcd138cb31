package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/server"
	"github.com/orielhq/oriel/internal/tunnel/relay"
)

func tunnelCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "tunnel", Short: "TLS tunnels: both ends, and a probe"}
	cmd.AddCommand(
		relayCommand("guardian", "Take plain connections and carry them through mutual TLS", func(c *relay.Config) { c.Gateways = nil }),
		relayCommand("gateway", "Let known guardians through to what stands behind", func(c *relay.Config) { c.Guardians = nil }),
		tunnelProbeCommand(),
		tunnelDoctorCommand(),
	)
	return cmd
}

// relayCommand runs one role of the section tunnels, with its metrics on /metrics and its state on /status.
func relayCommand(role, short string, only func(*relay.Config)) *cobra.Command {
	var file string
	var web server.Config
	var lf logFlags
	cmd := &cobra.Command{
		Use: role, Short: short, Args: cobra.NoArgs,
		Long: short + ".\nThe tunnels are those of the section tunnels of the configuration file. Changed certificate, key, CA and revocation\n" +
			"files take effect within seconds, or not at all.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := lf.logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			cfg, err := loadConfig(file, "")
			if err != nil {
				return err
			}
			if cfg.Tunnels == nil {
				return fmt.Errorf("%s: there is no section tunnels", file)
			}
			only(cfg.Tunnels)
			if len(cfg.Tunnels.Guardians)+len(cfg.Tunnels.Gateways) == 0 {
				return fmt.Errorf("%s: tunnels: there is no %s", file, role)
			}
			r, err := relay.New(*cfg.Tunnels, log)
			if err != nil {
				return err
			}
			mux := http.NewServeMux()
			mux.Handle("GET /metrics", collector.NewSet(log, map[string]collector.Collector{"tunnels": r, selfName: collector.From(buildInfo())}))
			mux.Handle("GET /status", r)
			srv := server.New(web, mux, log)
			if err := srv.Open(cmd.Context()); err != nil {
				return err
			}
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			if err := r.Open(ctx); err != nil {
				cancel()
				return errors.Join(err, srv.Run(ctx)) // closes the listeners
			}
			log.Info("ready", "role", role, "address", strings.Join(srv.Addrs(), ","))
			_, _ = daemon.SdNotify(false, daemon.SdNotifyReady) // no systemd is no error
			ended := make(chan error, 1)
			go func() {
				defer cancel()
				ended <- srv.Run(ctx)
			}()
			err = r.Run(ctx)
			_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
			cancel()
			return errors.Join(err, <-ended)
		},
	}
	cmd.Flags().StringVar(&file, "config.file", "oriel.yml", "configuration file")
	cmd.Flags().StringArrayVar(&web.Addresses, "web.listen-address", []string{"127.0.0.1:9597"}, "address for metrics and status; can be repeated")
	cmd.Flags().StringVar(&web.WebConfigFile, "web.config.file", "", "TLS and authentication, as in Prometheus' exporters")
	cmd.Flags().StringVar(&web.AddrFile, "web.addr-file", "", "write the addresses bound to this file")
	lf.add(cmd)
	return cmd
}
