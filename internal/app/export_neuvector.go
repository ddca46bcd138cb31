package app

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/neuvector"
	"github.com/orielhq/oriel/internal/server"
)

// neuvectorFlags are those of neuvector/prometheus-exporter, with more of our own.
type neuvectorFlags struct {
	server, port, user, password string
	passwordFile, apiKeyFile     string
	cluster                      string
	groups                       []string
	stats                        bool
	command, federation          bool
	tls                          conf.TLS
	listen                       []string
	metricsPath                  string
	webConfig, addrFile          string
	log                          logFlags
}

func exportNeuVectorCommand() *cobra.Command { return new(neuvectorFlags).cobra() }

// cobra returns the command whose flags f is.
func (f *neuvectorFlags) cobra() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "neuvector",
		Short: "Export the metrics of a NeuVector controller on port 8068",
		Long: "Export the metrics of a NeuVector controller, and of the clusters that it manages, with the names of the official exporter.\n" +
			"Takes its flags and its environment variables: CTRL_API_SERVICE, CTRL_USERNAME, CTRL_PASSWORD, EXPORTER_PORT,\n" +
			"ENFORCER_STATS (0 and false switch off) and EXPORTER_METRICS (names of groups); and of ours CTRL_APIKEY, name:secret of an API key.\n\n" +
			"The controller's certificate is verified. Where it is NeuVector's own, self-signed one, give it with --tls.ca-file and\n" +
			"--tls.server-name, or do without with --tls.insecure-skip-verify or CTRL_TLS_INSECURE=1.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := f.config(cmd, os.LookupEnv)
			if err != nil {
				return &usageError{err}
			}
			log, err := f.log.logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return f.run(cmd, cfg, log)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.server, "server", "s", "", "controller, host:port (10443)")
	flags.StringVarP(&f.port, "port", "e", "8068", "port to listen on, on all addresses")
	flags.StringVarP(&f.user, "username", "u", "admin", "user; the role reader is enough")
	flags.StringVarP(&f.password, "password", "p", "", "password; other users of this machine see it here: rather use the environment or the file")
	flags.StringVar(&f.passwordFile, "password-file", "", "file with the password")
	flags.StringVar(&f.apiKeyFile, "api-key-file", "", "file with an API key, name:secret, instead of user and password")
	flags.StringVar(&f.cluster, "cluster", "", "label of the controller's own cluster (default: the host of --server)")
	flags.StringSliceVar(&f.groups, "groups", nil, "groups of figures: "+strings.Join(neuvector.Groups(), ",")+" (default: all but score)")
	flags.BoolVar(&f.stats, "enforcer-stats", true, "CPU, memory and traffic of each enforcer")
	flags.BoolVar(&f.command, "command-label", false, "put command lines of incidents on nv_log_events, as the official exporter does")
	flags.BoolVar(&f.federation, "federation", true, "also export the clusters that the controller manages")
	flags.StringVar(&f.tls.CAFile, "tls.ca-file", "", "certificate of the CA that signed the controller's, or the controller's own")
	flags.StringVar(&f.tls.CertFile, "tls.cert-file", "", "certificate to show to the controller")
	flags.StringVar(&f.tls.KeyFile, "tls.key-file", "", "key of that certificate")
	flags.StringVar(&f.tls.ServerName, "tls.server-name", "", "name to expect in the controller's certificate")
	flags.BoolVar(&f.tls.InsecureSkipVerify, "tls.insecure-skip-verify", false, "do not verify the controller's certificate: who sits between can read the password")
	flags.StringArrayVar(&f.listen, "web.listen-address", nil, "address to listen on; can be repeated (default: all, with --port)")
	flags.StringVar(&f.metricsPath, "web.telemetry-path", "/metrics", "path of the metrics")
	flags.StringVar(&f.webConfig, "web.config.file", "", "TLS and authentication, as in Prometheus' exporters")
	flags.StringVar(&f.addrFile, "web.addr-file", "", "write the addresses bound to this file")
	f.log.add(cmd)
	return cmd
}

// config makes the flags and, where a flag is not given, the environment a configuration.
func (f *neuvectorFlags) config(cmd *cobra.Command, env func(string) (string, bool)) (neuvector.Config, error) {
	c := neuvector.Default()
	for flag, variable := range map[string]string{"server": "CTRL_API_SERVICE", "port": "EXPORTER_PORT", "username": "CTRL_USERNAME", "password": "CTRL_PASSWORD"} {
		if value, ok := env(variable); ok && value != "" && !cmd.Flags().Changed(flag) {
			if err := cmd.Flags().Set(flag, value); err != nil {
				return c, fmt.Errorf("environment variable %s: %w", variable, err)
			}
		}
	}
	for flag, variable := range map[string]string{"enforcer-stats": "ENFORCER_STATS", "tls.insecure-skip-verify": "CTRL_TLS_INSECURE"} {
		value, ok := env(variable)
		if !ok || value == "" || cmd.Flags().Changed(flag) {
			continue
		}
		on, err := strconv.ParseBool(value)
		if err != nil {
			on = true // the official exporter takes any word for yes
		}
		if err := cmd.Flags().Set(flag, strconv.FormatBool(on)); err != nil {
			return c, fmt.Errorf("environment variable %s: %w", variable, err)
		}
	}
	if f.server == "" {
		return c, errors.New("no controller: give --server or CTRL_API_SERVICE")
	}
	if _, err := strconv.ParseUint(f.port, 10, 16); err != nil {
		return c, fmt.Errorf("--port %q is not a port", f.port)
	}
	c.Address, c.Cluster, c.TLS = f.server, f.cluster, f.tls
	if key, ok := env("CTRL_APIKEY"); ok && f.apiKeyFile == "" {
		c.APIKey = conf.Secret(key)
	}
	if c.APIKeyFile = f.apiKeyFile; c.APIKey == "" && c.APIKeyFile == "" {
		c.Username, c.Password, c.PasswordFile = f.user, conf.Secret(f.password), f.passwordFile
		if c.PasswordFile != "" && !cmd.Flags().Changed("password") {
			c.Password = ""
		}
	}
	c.EnforcerStats, c.CommandLabel, c.Federation = f.stats, f.command, f.federation
	c.Groups = slices.DeleteFunc(neuvector.Groups(), func(g string) bool { return g == "score" }) // the official ones are all there
	if len(f.groups) > 0 {
		c.Groups = f.groups
	} else if list, ok := env("EXPORTER_METRICS"); ok && strings.TrimSpace(list) != "" {
		groups, err := neuvector.OfficialGroups(list)
		if err != nil {
			return c, fmt.Errorf("environment variable EXPORTER_METRICS: %w", err)
		}
		c.Groups = groups
	}
	return c, c.Validate()
}

// run exports while the figures are refreshed, until the command's context is done.
func (f *neuvectorFlags) run(cmd *cobra.Command, cfg neuvector.Config, log *slog.Logger) error {
	c, err := neuvector.New(cfg, log)
	if err != nil {
		return err
	}
	addresses := f.listen
	if len(addresses) == 0 {
		addresses = []string{net.JoinHostPort("", f.port)}
	}
	if cfg.TLS.InsecureSkipVerify {
		log.Warn("the controller's certificate is not verified: who sits between can read the credential")
	}
	return export(cmd, log, server.Config{Addresses: addresses, WebConfigFile: f.webConfig, AddrFile: f.addrFile}, f.metricsPath, "neuvector", c)
}
