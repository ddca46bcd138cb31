package app

import (
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/server"
	"github.com/orielhq/oriel/internal/wireguard"
)

func exportCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "export", Short: "Run one exporter alone, in the place of the one it replaces"}
	cmd.AddCommand(exportWireGuardCommand(), exportWireRestCommand(), exportNeuVectorCommand(), exportPacketsCommand(), exportTunnelsCommand())
	return cmd
}

// wireguardFlags are those of MindFlavor/prometheus_wireguard_exporter 3.6.6
// and of mdlayher/wireguard_exporter, so that their units start this program unchanged.
type wireguardFlags struct {
	address, port  string
	verbose, sudo  bool
	separate       bool
	remote, delay  bool
	nameFiles      []string
	interfaces     []string
	metricsAddr    string
	metricsPath    string
	peerNames      string
	peerFile       string
	socketDir      string
	probe          []string
	netns          []string
	peers          wireguard.PeerFilter
	webConfig      string
	addrFile       string
	listen         []string
	log            logFlags
	changedAddress bool
}

const mindflavorEnv = "PROMETHEUS_WIREGUARD_EXPORTER_"

func exportWireGuardCommand() *cobra.Command {
	var f wireguardFlags
	cmd := &cobra.Command{
		Use:   "wireguard",
		Short: "Export the metrics of WireGuard devices on port 9586",
		Long: "Export the metrics of WireGuard devices, with the names of both MindFlavor's and mdlayher's exporter.\n" +
			"Takes MindFlavor's flags and environment variables (PROMETHEUS_WIREGUARD_EXPORTER_...) and mdlayher's flags,\n" +
			"also with one dash (-metrics.addr). A switch without a value is on.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.environment(cmd); err != nil {
				return &usageError{err}
			}
			if f.verbose {
				f.log.level = "debug"
			}
			log, err := f.log.logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			f.changedAddress = cmd.Flags().Changed("address") || cmd.Flags().Changed("port")
			return f.run(cmd, log)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.address, "address", "l", "0.0.0.0", "address to listen on (MindFlavor)")
	flags.StringVarP(&f.port, "port", "p", "9586", "port to listen on (MindFlavor)")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "log more (MindFlavor)")
	flags.BoolVarP(&f.sudo, "prepend_sudo", "a", false, "accepted and not needed: no program is run (MindFlavor)")
	flags.BoolVarP(&f.separate, "separate_allowed_ips", "s", false, "a label for each allowed IP (MindFlavor)")
	flags.BoolVarP(&f.remote, "export_remote_ip_and_port", "r", false, "labels remote_ip and remote_port (MindFlavor)")
	flags.BoolVarP(&f.delay, "export_latest_handshake_delay", "d", false, "accepted: wireguard_latest_handshake_delay_seconds is always there (MindFlavor)")
	flags.StringArrayVarP(&f.nameFiles, "extract_names_config_files", "n", nil, "WireGuard configuration file with names in comments; can be repeated (MindFlavor)")
	flags.StringArrayVarP(&f.interfaces, "interfaces", "i", nil, "interface to watch, or pattern; can be repeated (MindFlavor)")
	flags.StringVar(&f.metricsAddr, "metrics.addr", ":9586", "address to listen on (mdlayher)")
	flags.StringVar(&f.metricsPath, "metrics.path", "/metrics", "path of the metrics (mdlayher)")
	flags.StringVar(&f.peerNames, "wireguard.peer-names", "", "names of peers, \"keyA:foo,keyB:bar\" (mdlayher)")
	flags.StringVar(&f.peerFile, "wireguard.peer-file", "", "TOML file with names of peers (mdlayher)")
	flags.StringVar(&f.socketDir, "wireguard.socket-dir", wireguard.Default().SocketDir, "where userspace devices have their sockets")
	flags.StringArrayVar(&f.probe, "wireguard.probe", nil, "name, key or pattern of peers to probe by ICMP through the tunnel, '*' for all; can be repeated")
	flags.StringArrayVar(&f.netns, "wireguard.netns", nil, "further network namespace, by name or process id; can be repeated")
	flags.StringArrayVar(&f.peers.Include, "wireguard.include-peer", nil, "show only these peers, by name, key or pattern of a name; can be repeated")
	flags.StringArrayVar(&f.peers.Exclude, "wireguard.exclude-peer", nil, "do not show these peers; can be repeated")
	flags.IntVar(&f.peers.Limit, "wireguard.peer-limit", 0, "show at most so many peers of a device (default: all)")
	flags.StringArrayVar(&f.listen, "web.listen-address", nil, "address to listen on; can be repeated")
	flags.StringVar(&f.webConfig, "web.config.file", "", "TLS and authentication, as in Prometheus' exporters")
	flags.StringVar(&f.addrFile, "web.addr-file", "", "write the addresses bound to this file")
	f.log.add(cmd)
	return cmd
}

// environment takes MindFlavor's variables where the flag is not given.
func (f *wireguardFlags) environment(cmd *cobra.Command) error {
	for flag, variable := range map[string]string{
		"address":                       mindflavorEnv + "ADDRESS",
		"port":                          mindflavorEnv + "PORT",
		"verbose":                       mindflavorEnv + "VERBOSE_ENABLED",
		"prepend_sudo":                  mindflavorEnv + "PREPEND_SUDO_ENABLED",
		"separate_allowed_ips":          mindflavorEnv + "SEPARATE_ALLOWED_IPS_ENABLED",
		"export_remote_ip_and_port":     mindflavorEnv + "EXPORT_REMOTE_IP_AND_PORT_ENABLED",
		"extract_names_config_files":    mindflavorEnv + "CONFIG_FILE_NAMES",
		"interfaces":                    mindflavorEnv + "INTERFACES",
		"export_latest_handshake_delay": "EXPORT_LATEST_HANDSHAKE_DELAY", // no prefix there
	} {
		value, ok := os.LookupEnv(variable)
		if !ok || cmd.Flags().Changed(flag) {
			continue
		}
		values := []string{value}
		if flag == "interfaces" || flag == "extract_names_config_files" {
			values = strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
		}
		for _, v := range values {
			if err := cmd.Flags().Set(flag, v); err != nil {
				return fmt.Errorf("environment variable %s: %w", variable, err)
			}
		}
	}
	return nil
}

// config makes the flags a configuration.
func (f *wireguardFlags) config() (wireguard.Config, error) {
	c := wireguard.Default()
	c.SocketDir, c.Interfaces, c.NameFiles = f.socketDir, f.interfaces, f.nameFiles
	c.SeparateAllowedIPs, c.RemoteIPAndPort = f.separate, f.remote
	c.Probe.Peers, c.Namespaces = f.probe, namespaces(f.netns)
	if len(f.peers.Include) > 0 || len(f.peers.Exclude) > 0 || f.peers.Limit != 0 {
		c.Peers = []wireguard.PeerFilter{f.peers}
	}
	c.Names = map[string]string{}
	for pair := range strings.SplitSeq(f.peerNames, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		key, name, ok := strings.Cut(pair, ":")
		if !ok {
			return c, fmt.Errorf("--wireguard.peer-names: %q is not KEY:NAME", pair)
		}
		c.Names[key] = name
	}
	if f.peerFile != "" {
		file, err := os.Open(f.peerFile)
		if err != nil {
			return c, fmt.Errorf("--wireguard.peer-file: %w", err)
		}
		defer func() { _ = file.Close() }()
		names, err := wireguard.ParsePeerFile(file)
		if err != nil {
			return c, fmt.Errorf("--wireguard.peer-file %q: %w", f.peerFile, err)
		}
		// the file wins, as there
		maps.Copy(c.Names, names)
	}
	return c, c.Validate()
}

// addresses are the listen addresses: our flag, MindFlavor's pair, mdlayher's, in this order.
func (f *wireguardFlags) addresses() ([]string, error) {
	if len(f.listen) > 0 {
		return f.listen, nil
	}
	if !f.changedAddress {
		return []string{f.metricsAddr}, nil
	}
	if _, err := strconv.ParseUint(f.port, 10, 16); err != nil {
		return nil, fmt.Errorf("--port %q is not a port", f.port)
	}
	return []string{net.JoinHostPort(f.address, f.port)}, nil
}

func (f *wireguardFlags) run(cmd *cobra.Command, log *slog.Logger) error {
	cfg, err := f.config()
	if err != nil {
		return &usageError{err}
	}
	addresses, err := f.addresses()
	if err != nil {
		return &usageError{err}
	}
	c, err := wireguard.New(cfg, log)
	if err != nil {
		return err
	}
	return export(cmd, log, server.Config{Addresses: addresses, WebConfigFile: f.webConfig, AddrFile: f.addrFile}, f.metricsPath, "wireguard", c)
}

// export serves one collector, with its own success and duration, until the
// command's context is done; one that works in the background is run meanwhile.
func export(cmd *cobra.Command, log *slog.Logger, web server.Config, path, name string, c collector.Collector) error {
	set := collector.NewSet(log, map[string]collector.Collector{name: c, selfName: collector.From(buildInfo())})
	mux := http.NewServeMux()
	if part, ok := c.(compatible); ok {
		compatMux(log, mux, path, name, set, part)
	} else {
		mux.Handle(path, set)
	}
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { say(w, "Oriel is healthy.") })
	if path != "/" {
		mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { writePage(w, []link{{path, "metrics"}}) })
	}
	srv := server.New(web, mux, log)
	if err := srv.Open(cmd.Context()); err != nil {
		return err
	}
	smallHeap()
	log.Info("exporting", "feature", name, "address", strings.Join(srv.Addrs(), ","), "path", path)
	job, ok := c.(runner)
	if !ok {
		return srv.Run(cmd.Context())
	}
	g, ctx := errgroup.WithContext(cmd.Context())
	g.Go(func() error { return job.Run(ctx) })
	g.Go(func() error { return srv.Run(ctx) })
	g.Go(func() error { keepSmall(ctx); return nil })
	return g.Wait()
}

// translate makes the peers' habits ours: mdlayher's flags have one dash, and
// MindFlavor's switches a value behind a space ("-v true").
func translate(args []string) []string {
	if len(args) >= 2 && args[0] == "export" && args[1] == "packets" {
		return translatePackets(args)
	}
	if len(args) < 2 || args[0] != "export" || args[1] != "wireguard" {
		return args
	}
	switches := map[string]bool{
		"-v": true, "--verbose": true, "-a": true, "--prepend_sudo": true, "-s": true, "--separate_allowed_ips": true,
		"-r": true, "--export_remote_ip_and_port": true, "-d": true, "--export_latest_handshake_delay": true,
	}
	out := append([]string{}, args[:2]...)
	for i := 2; i < len(args); i++ {
		arg := args[i]
		if strings.HasPrefix(arg, "-metrics.") || strings.HasPrefix(arg, "-wireguard.") {
			arg = "-" + arg
		}
		if switches[arg] && i+1 < len(args) {
			if value := strings.ToLower(args[i+1]); value == "true" || value == "false" {
				arg, i = arg+"="+value, i+1
			}
		}
		out = append(out, arg)
	}
	return out
}
