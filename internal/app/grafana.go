package app

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/orielhq/oriel/grafana/provisioning"
)

func grafanaCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "grafana", Short: "Set up a Grafana: provision, secure"}
	cmd.AddCommand(grafanaProvisionCommand(), grafanaSecureCommand())
	return cmd
}

// errDiffers ends a check that found something.
var errDiffers = errors.New("not as it should be")

func grafanaProvisionCommand() *cobra.Command {
	c := provisioning.Config{}
	check := false
	cmd := &cobra.Command{
		Use:   "provision DIR",
		Short: "Write data sources, dashboards, alert rules and the plug-in for a Grafana",
		Long: "Write what a Grafana needs to show Oriel: data sources (Prometheus, SQL, Alertmanager), all dashboards, alert rules and\n" +
			"the data source plug-in. Writing twice changes nothing. DIR is /etc/grafana, or a folder that a container mounts there.",
		Example: `  oriel grafana provision /etc/grafana --plugins-dir /var/lib/grafana/plugins --url http://127.0.0.1:9190
  oriel grafana provision ./grafana --seen-as /etc/oriel && docker run --network host -v ./grafana:/etc/oriel:ro \
    -v ./grafana/plugins/oriel-sql-datasource:/var/lib/grafana/plugins/oriel-sql-datasource:ro \
    -e GF_PATHS_PROVISIONING=/etc/oriel/provisioning -e GF_PLUGINS_ALLOW_LOADING_UNSIGNED_PLUGINS=oriel-sql-datasource grafana/grafana:12.2.0`,
		Args: exactly("a directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c.Dir = args[0]
			if c.PluginFrom == "" {
				c.PluginFrom = builtPlugin()
			}
			if err := c.Validate(); err != nil {
				return &usageError{err}
			}
			files, err := c.Files()
			if err != nil {
				return err
			}
			if err := apply(cmd.OutOrStdout(), files, check); err != nil || check {
				return err
			}
			if c.PluginFrom == "" {
				_, err = fmt.Fprintln(cmd.ErrOrStderr(), "The data source plug-in is not built, so SQL panels stay empty: make plugin, then --plugin grafana/plugin/dist")
			} else {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "Grafana must allow the plug-in: GF_PLUGINS_ALLOW_LOADING_UNSIGNED_PLUGINS=%s\n", provisioning.Plugin)
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&c.URL, "url", "http://127.0.0.1:9190", "address of oriel serve, as Grafana reaches it")
	flags.StringVar(&c.BasicAuthUser, "user", "", "user at Oriel")
	flags.StringVar(&c.PasswordFile, "password-file", "", "file with the user's password, as Grafana sees it")
	flags.StringVar(&c.CAFile, "ca-file", "", "CA of Oriel's certificate, as Grafana sees it")
	flags.StringVar(&c.Alerts, "alerts", provisioning.AlertsDatasource, "datasource: Oriel evaluates its rules and Grafana shows them; grafana: Grafana evaluates copies; or none")
	flags.BoolVar(&c.Notify, "notify", false, "with --alerts grafana: Oriel's Alertmanager notifies of them; otherwise Grafana's own policies do")
	flags.StringVar(&c.SeenAs, "seen-as", "", "where Grafana sees DIR, if that is somewhere else")
	flags.StringVar(&c.PluginsDir, "plugins-dir", "", "Grafana's directory of plug-ins (default DIR/plugins)")
	flags.StringVar(&c.PluginFrom, "plugin", "", "the built plug-in (default: grafana/plugin/dist, or the folder "+provisioning.Plugin+" beside the program)")
	flags.BoolVar(&check, "check", false, "write nothing; say what differs")
	return cmd
}

// builtPlugin finds the plug-in where make puts it, or beside the program.
func builtPlugin() string {
	places := []string{filepath.Join("grafana", "plugin", "dist")}
	if exe, err := os.Executable(); err == nil {
		places = append(places, filepath.Join(filepath.Dir(exe), provisioning.Plugin))
	}
	for _, dir := range places {
		if _, err := os.Stat(filepath.Join(dir, "plugin.json")); err == nil {
			return dir
		}
	}
	return ""
}

// apply writes files, or only says what is not as it should be.
func apply(out io.Writer, files []provisioning.File, check bool) error {
	do := provisioning.Write
	if check {
		do = provisioning.Check
	}
	differences, err := do(files)
	for _, d := range differences {
		_, _ = fmt.Fprintf(out, "%s: %s\n", d.Path, d.What)
	}
	switch {
	case err != nil:
		return err
	case check && len(differences) > 0:
		return fmt.Errorf("%d of %d files: %w", len(differences), len(files), errDiffers)
	case len(differences) == 0:
		_, err = fmt.Fprintf(out, "%d files, all as they should be\n", len(files))
	default:
		_, err = fmt.Fprintf(out, "%d of %d files written\n", len(differences), len(files))
	}
	return err
}

func grafanaSecureCommand() *cobra.Command {
	s := provisioning.Secure{}
	var address, allow string
	var oauth provisioning.OAuth
	check := false
	cmd := &cobra.Command{
		Use:   "secure DIR",
		Short: "Write hardened settings for a Grafana, or audit those that are there",
		Long: "Write grafana.ini with HTTPS on the VPN's address, secrets of mode 0600, nftables rules that let only the VPN in, and a\n" +
			"systemd drop-in. Secrets that are there stay. With --check nothing is written: the settings in DIR are audited and each finding is explained.",
		Example: `  oriel grafana secure /etc/grafana --address 10.9.0.1 --interface wg0 --allow 10.9.0.0/24 --domain grafana.vpn.example
  oriel grafana secure /etc/grafana --check`,
		Args: exactly("a directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s.Dir = args[0]
			if check {
				return audit(cmd.OutOrStdout(), s.Dir)
			}
			var err error
			if s.Address, err = netip.ParseAddr(address); err != nil {
				return &usageError{fmt.Errorf("--address %q: want an address", address)}
			}
			if s.Allow, err = netip.ParsePrefix(allow); err != nil {
				return &usageError{fmt.Errorf("--allow %q: want a network like 10.9.0.0/24", allow)}
			}
			if cmp.Or(oauth.ClientID, oauth.AuthURL, oauth.TokenURL) != "" {
				s.OAuth = &oauth
			}
			if err := s.Validate(); err != nil {
				return &usageError{err}
			}
			files, err := s.Files()
			if err != nil {
				return err
			}
			if err := apply(cmd.OutOrStdout(), files, false); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "The user that Grafana runs as must be able to read %s (--run-as gives it away); the certificate is to be at %s.\n", filepath.Join(s.Dir, "secrets"), cmp.Or(s.CertFile, filepath.Join(s.Dir, "tls", "tls.crt")))
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&address, "address", "", "address of the VPN that Grafana listens on")
	flags.StringVar(&s.Interface, "interface", "wg0", "interface of the VPN")
	flags.StringVar(&allow, "allow", "", "network that may come in through the interface")
	flags.IntVar(&s.Port, "port", 3000, "Grafana's port")
	flags.StringVar(&s.Domain, "domain", "", "name of the host in the address that people type")
	flags.StringVar(&s.CertFile, "cert-file", "", "certificate (default DIR/tls/tls.crt)")
	flags.StringVar(&s.KeyFile, "key-file", "", "its key (default DIR/tls/tls.key)")
	flags.IntSliceVar(&s.MorePorts, "ports", []int{9190, 9586}, "further ports that only the VPN may reach")
	flags.StringVar(&oauth.ClientID, "oauth.client-id", "", "log in by OAuth: Grafana's id there; the secret goes into DIR/secrets/oauth")
	flags.StringVar(&oauth.AuthURL, "oauth.auth-url", "", "where people log in")
	flags.StringVar(&oauth.TokenURL, "oauth.token-url", "", "where Grafana gets tokens")
	flags.StringVar(&oauth.APIURL, "oauth.api-url", "", "where Grafana asks who it is")
	flags.StringVar(&oauth.AllowedDomains, "oauth.allowed-domains", "", "domains of the e-mail addresses that may come in")
	flags.StringVar(&oauth.AdminGroup, "oauth.admin-group", "", "group whose members are administrators")
	flags.StringVar(&s.RunAs, "run-as", "", "system user that Grafana runs as, to whom root gives the secrets (default grafana, if there is one)")
	flags.BoolVar(&s.LDAP, "ldap", false, "log in by LDAP, as DIR/ldap.toml says")
	flags.BoolVar(&check, "check", false, "write nothing; audit the settings in DIR")
	return cmd
}

// audit prints findings, each with its reason.
func audit(out io.Writer, dir string) error {
	found, err := provisioning.Audit(dir)
	if err != nil {
		return err
	}
	for _, f := range found {
		_, _ = fmt.Fprintf(out, "%s\n  is    %s\n  want  %s\n  why   %s\n", f.Where, f.Is, f.Want, f.Why)
	}
	if len(found) > 0 {
		return fmt.Errorf("%d findings: %w", len(found), errDiffers)
	}
	_, err = fmt.Fprintln(out, "nothing found")
	return err
}
