package app

import (
	"github.com/spf13/cobra"

	"github.com/orielhq/oriel/internal/tunnel/relay"
)

func tunnelCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "tunnel", Short: "TLS tunnels: both ends, the tenant proxy behind them, a probe and a doctor"}
	cmd.AddCommand(
		relayCommand("guardian", "Take plain connections and carry them through mutual TLS", func(c *relay.Config) { c.Gateways = nil }),
		relayCommand("gateway", "Let known guardians through to what stands behind", func(c *relay.Config) { c.Guardians = nil }),
		tunnelProxyCommand(),
		tunnelProbeCommand(),
		tunnelDoctorCommand(),
	)
	return cmd
}

// relayCommand runs one role of the section tunnels.
func relayCommand(role, short string, only func(*relay.Config)) *cobra.Command {
	return tunnelJobCommand(role, short, "127.0.0.1:9597", "The tunnels are those of the section tunnels of the configuration file.",
		func(c *Config) (*Config, bool) {
			if c.Tunnels == nil {
				return nil, false
			}
			only(c.Tunnels)
			return &Config{Tunnels: c.Tunnels}, len(c.Tunnels.Guardians)+len(c.Tunnels.Gateways) > 0
		})
}
