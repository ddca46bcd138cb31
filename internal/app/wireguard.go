package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/wireguard"
	"github.com/orielhq/oriel/internal/wireguard/top"
)

// within tells the collector of devices in this process.
func (c *Config) within(inside wireguard.Inside) {
	if c.WireGuard != nil && inside != nil {
		c.WireGuard.Inside = inside
	}
}

// topFlags are those of `oriel wireguard`.
type topFlags struct {
	config, socketDir         string
	nameFiles, netns, probe   []string
	interval                  time.Duration
	sort, filter, color       string
	reverse, up, once, asJSON bool
	width                     int
}

func wireguardCommand() *cobra.Command {
	var f topFlags
	cmd := &cobra.Command{
		Use:   "wireguard [INTERFACE...]",
		Short: "Show WireGuard's peers live: names, ages, rates, latency",
		Long: "Shows the peers of this machine's WireGuard interfaces, all or those named, as a table that is redrawn; ? explains the keys.\n" +
			"It reads the interfaces itself and needs no server. In a pipe, or with --once, the table is printed once.",
		Example: "  oriel wireguard wg0 -n /etc/wireguard/wg0.conf --sort rx\n  oriel wireguard --json | jq '.[] | select(.up | not) | .name'",
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := f.wireguard(args)
			if err != nil {
				return &usageError{err}
			}
			return f.run(cmd, cfg)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.config, "config.file", "", "take the section wireguard of this configuration file")
	flags.StringArrayVarP(&f.nameFiles, "names", "n", nil, "file with names of peers; can be repeated")
	flags.StringVar(&f.socketDir, "socket-dir", "", "where userspace devices have their sockets (default "+wireguard.Default().SocketDir+")")
	flags.StringArrayVar(&f.netns, "netns", nil, "further network namespace, by name or process id; can be repeated")
	flags.StringArrayVar(&f.probe, "probe", nil, "name, key or pattern of peers to probe by ICMP, '*' for all; can be repeated")
	flags.DurationVar(&f.interval, "interval", 2*time.Second, "time between two readings")
	flags.StringVar(&f.sort, "sort", string(top.ByName), "column to sort by: name, device, age, rx, tx or latency")
	flags.BoolVarP(&f.reverse, "reverse", "r", false, "reverse the order")
	flags.StringVar(&f.filter, "filter", "", "show only peers whose name, key, device, endpoint or allowed IPs hold this")
	flags.BoolVar(&f.up, "up", false, "show only connected peers")
	flags.BoolVar(&f.once, "once", false, "print the table once")
	flags.BoolVar(&f.asJSON, "json", false, "print the peers once, as JSON")
	flags.StringVar(&f.color, "color", "auto", "colours: auto, always or never")
	flags.IntVar(&f.width, "width", 0, "width of the table that is printed (default: the terminal's, or 180)")
	return cmd
}

// wireguard makes the flags a configuration.
func (f *topFlags) wireguard(interfaces []string) (wireguard.Config, error) {
	cfg := wireguard.Default()
	if f.config != "" {
		file, err := loadConfig(f.config, "")
		if err != nil {
			return cfg, err
		}
		if file.WireGuard != nil {
			cfg = *file.WireGuard
		}
	}
	if len(interfaces) > 0 {
		cfg.Interfaces = interfaces
	}
	if f.socketDir != "" {
		cfg.SocketDir = f.socketDir
	}
	cfg.NameFiles = append(cfg.NameFiles, f.nameFiles...)
	cfg.Namespaces = append(cfg.Namespaces, namespaces(f.netns)...)
	cfg.Probe.Peers = f.probe
	switch {
	case f.interval < 100*time.Millisecond:
		return cfg, fmt.Errorf("--interval %s is less than 100ms", f.interval)
	case !slices.Contains(top.Sorts(), top.Sort(f.sort)):
		return cfg, fmt.Errorf("--sort %q: want name, device, age, rx, tx or latency", f.sort)
	case !slices.Contains([]string{"auto", "always", "never"}, f.color):
		return cfg, fmt.Errorf("--color %q: want auto, always or never", f.color)
	}
	cfg.Cache = conf.Duration(min(f.interval/2, cfg.Cache.Std()))
	return cfg, cfg.Validate()
}

// namespaces reads names and process ids.
func namespaces(texts []string) []wireguard.Namespace {
	var list []wireguard.Namespace
	for _, text := range texts {
		if pid, err := strconv.ParseUint(text, 10, 31); err == nil {
			list = append(list, wireguard.Namespace{PID: int(pid)})
		} else {
			list = append(list, wireguard.Namespace{Name: text})
		}
	}
	return list
}

func (f *topFlags) run(cmd *cobra.Command, cfg wireguard.Config) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	c, err := wireguard.New(cfg, slog.New(slog.DiscardHandler)) // its errors are on the screen
	if err != nil {
		return err
	}
	file, isFile := out.(*os.File)
	terminal := isFile && term.IsTerminal(int(file.Fd()))
	if f.asJSON {
		return printPeers(ctx, c, out)
	}
	t := top.New()
	t.Sort, t.Reverse, t.Filter, t.OnlyUp = top.Sort(f.sort), f.reverse, f.filter, f.up
	t.Color = f.color == "always" || f.color == "auto" && terminal && os.Getenv("NO_COLOR") == ""
	if f.once || !terminal {
		rows, err := c.Read(ctx)
		t.Update(rows, err, time.Now())
		if f.width <= 0 {
			f.width = 180
			if terminal {
				if w, _, err := term.GetSize(int(file.Fd())); err == nil {
					f.width = w
				}
			}
		}
		_, printErr := out.Write(t.Plain(f.width))
		return errors.Join(err, printErr)
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }() // the probes
	err = t.Run(ctx, c.Read, f.interval)
	stop()
	return errors.Join(err, <-ended)
}

// printPeers prints what could be read, and fails if something could not.
func printPeers(ctx context.Context, c *wireguard.Collector, out io.Writer) error {
	rows, err := c.Read(ctx)
	if rows == nil {
		rows = []wireguard.PeerRow{}
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return errors.Join(enc.Encode(rows), err)
}
