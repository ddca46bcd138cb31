package app

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/packet"
	"github.com/orielhq/oriel/internal/server"
)

func exportPacketsCommand() *cobra.Command {
	c := packet.Default()
	var web server.Config
	var budget string
	var logs logFlags
	cmd := &cobra.Command{
		Use:   "packets",
		Short: "Export the metrics of captures and of live traffic on 127.0.0.1:7777",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			size, err := conf.ParseByteSize(budget)
			if err != nil {
				return &usageError{fmt.Errorf("--memory-budget: %w", err)}
			}
			c.MemoryBudget = size
			if len(c.Files)+len(c.Interfaces) == 0 {
				return &usageError{fmt.Errorf("nothing to read: want --read FILE or --iface NAME")}
			}
			if err := c.Validate(); err != nil {
				return &usageError{err}
			}
			log, err := logs.logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return exportPackets(cmd, c, web, log)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&c.Files, "read", "r", nil, "capture, or directory of captures, to read; - is standard input; can be repeated")
	flags.StringArrayVarP(&c.Interfaces, "iface", "i", nil, "interface to capture from; can be repeated")
	flags.BoolVar(&c.Promiscuous, "promisc", c.Promiscuous, "take packets that are not for this machine too")
	flags.IntVar(&c.SnapLength, "snaplen", c.SnapLength, "bytes kept of a live packet")
	flags.IntVar(&c.Workers, "workers", c.Workers, "workers to an interface")
	flags.StringVar(&budget, "memory-budget", c.MemoryBudget.String(), "bound of connections and fragments held")
	flags.BoolVar(&c.Netcap, "netcap", c.Netcap, "netcap's own metrics (nc_...) too")
	flags.StringArrayVar(&web.Addresses, "web.listen-address", []string{"127.0.0.1:7777"}, "address to listen on; can be repeated")
	flags.StringVar(&web.WebConfigFile, "web.config.file", "", "TLS and authentication, as in Prometheus' exporters")
	flags.StringVar(&web.AddrFile, "web.addr-file", "", "write the addresses bound to this file")
	logs.add(cmd)
	return cmd
}

// exportPackets serves until the command's context is done, also when all files are read.
func exportPackets(cmd *cobra.Command, c packet.Config, web server.Config, log *slog.Logger) error {
	m, err := packet.New(c, nil, log)
	if err != nil {
		return err
	}
	if err := m.Open(cmd.Context()); err != nil {
		return err
	}
	return export(cmd, log, web, "/metrics", "packets", m)
}
