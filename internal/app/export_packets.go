package app

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/orielhq/oriel/internal/packet"
	"github.com/orielhq/oriel/internal/server"
)

const (
	packetsAddress = "127.0.0.1:7777"
	// netcapSeries keeps each of netcap's counters small enough for a page that
	// is scraped in milliseconds, and gives its dashboard something to show.
	netcapSeries = 50
)

func exportPacketsCommand() *cobra.Command {
	var f packetFlags
	var peer netcapFlags
	var web server.Config
	var logs logFlags
	cmd := &cobra.Command{
		Use:   "packets [FILE|DIRECTORY]...",
		Short: "Export the metrics of captures and of live traffic on " + packetsAddress,
		Long: "Read captures, audit records of netcap or live traffic, and export their metrics on " + packetsAddress + ".\n" +
			"Takes the flags of netcap's `net export`, also with one dash (-read, -iface, -dir .), its environment variables (NC_READ, ...)\n" +
			"and its configuration file (-config).",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := peer.environment(cmd); err != nil {
				return &usageError{err}
			}
			if peer.generate {
				return printNetcapConfig(cmd, cmd.OutOrStdout())
			}
			c, err := peer.apply(&f, args)
			if err != nil {
				return &usageError{err}
			}
			if peer.address != "" {
				web.Addresses = []string{peer.address}
			}
			log, err := logs.logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			var dump io.Writer
			if peer.dumpJSON {
				dump = cmd.OutOrStdout()
			}
			return exportPackets(cmd, c, web, dump, log)
		},
	}
	f.add(cmd)
	peer.add(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.cfg.Netcap, "netcap", f.cfg.Netcap, "netcap's own metrics (nc_...) too")
	flags.IntVar(&f.cfg.NetcapSeries, "netcap-series", netcapSeries, "netcap's counters of records with all their labels, addresses among them, as so many series each; 0: none")
	flags.StringVarP(&f.cfg.Records.Dir, "out", "o", "", "write records to this directory too")
	flags.StringVar(&f.cfg.Records.Format, "format", packet.FormatNcap, "of the records: parquet, json or ncap")
	flags.StringArrayVar(&web.Addresses, "web.listen-address", []string{packetsAddress}, "address to listen on; can be repeated")
	flags.StringVar(&web.WebConfigFile, "web.config.file", "", "TLS and authentication, as in Prometheus' exporters")
	flags.StringVar(&web.AddrFile, "web.addr-file", "", "write the addresses bound to this file")
	logs.add(cmd)
	return cmd
}

// apply puts netcap's flags into the configuration.
func (f *netcapFlags) apply(p *packetFlags, args []string) (packet.Config, error) {
	c := &p.cfg
	c.Files = append(c.Files, args...)
	if f.dir != "" {
		c.Files = append(c.Files, f.dir)
	}
	if f.bpf != "" {
		c.Filter = f.bpf
	}
	c.NetcapEntropy = c.NetcapEntropy || f.entropy
	if !c.Netcap {
		c.NetcapSeries = 0
	}
	include, err := netcapKinds(f.include)
	if err != nil {
		return *c, fmt.Errorf("--include: %w", err)
	}
	exclude, err := netcapKinds(f.exclude)
	if err != nil {
		return *c, fmt.Errorf("--exclude: %w", err)
	}
	if len(include) > 0 {
		c.Records.Kinds = include
	}
	if len(exclude) > 0 {
		if len(c.Records.Kinds) == 0 {
			c.Records.Kinds = packet.Kinds()
		}
		c.Records.Kinds = slices.DeleteFunc(c.Records.Kinds, func(k string) bool { return slices.Contains(exclude, k) })
	}
	return p.config()
}

// exportPackets serves until the command's context is done, also when all files are read.
func exportPackets(cmd *cobra.Command, c packet.Config, web server.Config, dump io.Writer, log *slog.Logger) error {
	m, err := newPackets(c, nil, log)
	if err != nil {
		return err
	}
	if dump != nil {
		m.DumpAudit(dump)
	}
	if err := m.Open(cmd.Context()); err != nil {
		return err
	}
	packetHeap(c)
	return export(cmd, log, web, "/metrics", "packets", m)
}

// printNetcapConfig prints the flags as netcap's configuration file has them.
func printNetcapConfig(cmd *cobra.Command, out io.Writer) error {
	for _, name := range netcapOurs {
		flag := cmd.Flags().Lookup(name)
		if name == "config" || name == "gen-config" || flag == nil {
			continue
		}
		if _, err := fmt.Fprintf(out, "# %s\n%s %s\n\n", flag.Usage, name, strings.Trim(flag.Value.String(), "[]")); err != nil {
			return err
		}
	}
	return nil
}
