package app

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/orielhq/oriel/internal/server"
	"github.com/orielhq/oriel/internal/wireguard"
	"github.com/orielhq/oriel/internal/wireguard/wirerest"
)

func buildWireRest(cfg wirerest.Config, b *builder) (any, error) {
	devices, _ := part[*wireguard.Collector](b)
	return wirerest.New(cfg, wirerestDevices(devices), b.log)
}

// wirerestDevices makes readings of WireGuard what WireRest's figures are computed from; nil without a collector.
func wirerestDevices(c *wireguard.Collector) func(context.Context) ([]wirerest.Device, error) {
	if c == nil {
		return nil
	}
	return func(ctx context.Context) ([]wirerest.Device, error) {
		views, err := c.Views(ctx)
		devices := make([]wirerest.Device, len(views))
		for i, v := range views {
			devices[i] = wirerest.Device{Name: v.Name, PoolTotal: v.PoolTotal, PoolUsed: v.PoolUsed, Peers: make([]wirerest.Peer, len(v.Peers))}
			for j := range v.Peers {
				p := &v.Peers[j]
				devices[i].Peers[j] = wirerest.Peer{PublicKey: p.PublicKey, ReceiveBytes: p.ReceiveBytes, TransmitBytes: p.TransmitBytes}
			}
		}
		return devices, err
	}
}

// wirerestFlags are those of `export wirerest`.
type wirerestFlags struct {
	config    wirerest.Config
	socketDir string
	web       server.Config
	log       logFlags
}

func exportWireRestCommand() *cobra.Command {
	f := wirerestFlags{config: wirerest.Default()}
	cmd := &cobra.Command{
		Use:   "wirerest",
		Short: "Export WireRest's metrics, relayed and computed from the interfaces, on port 9587",
		Long: "Reads WireRest's metrics with its token, which stays here, and passes them on without one; computes the same figures\n" +
			"from the WireGuard interfaces of this machine; and probes WireRest's API. Without --wirerest.url only the\n" +
			"interfaces' figures are there, under WireRest's names, so that its dashboard works without it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := f.log.logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return f.run(cmd, log)
		},
	}
	flags, c := cmd.Flags(), &f.config
	flags.StringVar(&c.URL, "wirerest.url", "", "WireRest's address, like http://127.0.0.1:8081")
	flags.StringVar(&c.TokenFile, "wirerest.token-file", "", "file with WireRest's token")
	flags.StringArrayVar(&c.Interfaces, "wirerest.interface", nil, "interface that counts; can be repeated (default: all)")
	flags.BoolVar(&c.Native, "wirerest.native", c.Native, "compute WireRest's figures from the interfaces of this machine")
	flags.StringVar(&c.Clients, "wirerest.clients", c.Clients, "where the traffic of each client comes from: interface, api or off")
	flags.StringArrayVar(&c.ProbePaths, "wirerest.probe-path", c.ProbePaths, "path of the API to probe; can be repeated")
	flags.StringVar(&f.socketDir, "wireguard.socket-dir", wireguard.Default().SocketDir, "where userspace devices have their sockets")
	flags.StringArrayVar(&f.web.Addresses, "web.listen-address", []string{":9587"}, "address to listen on; can be repeated")
	flags.StringVar(&f.web.WebConfigFile, "web.config.file", "", "TLS and authentication, as in Prometheus' exporters")
	flags.StringVar(&f.web.AddrFile, "web.addr-file", "", "write the addresses bound to this file")
	f.log.add(cmd)
	return cmd
}

func (f *wirerestFlags) run(cmd *cobra.Command, log *slog.Logger) error {
	if err := f.config.Validate(); err != nil {
		return &usageError{fmt.Errorf("--wirerest: %w", err)}
	}
	cfg := wireguard.Default()
	cfg.SocketDir = f.socketDir
	devices, err := wireguard.New(cfg, log)
	if err != nil {
		return err
	}
	c, err := wirerest.New(f.config, wirerestDevices(devices), log)
	if err != nil {
		return err
	}
	return export(cmd, log, f.web, "/metrics", "wirerest", c)
}
