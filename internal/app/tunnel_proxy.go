package app

import (
	"github.com/spf13/cobra"

	"github.com/orielhq/oriel/internal/tunnel/probe"
	"github.com/orielhq/oriel/internal/tunnel/proxy"
)

// buildTunnelProxy gives the tenant proxy our own help texts and, in serve, the embedded Prometheus.
func (c *Config) buildTunnelProxy(cfg proxy.Config, b *builder) (any, error) {
	known := map[string]proxy.Meta{}
	for _, m := range probe.Catalog() {
		kind := "gauge"
		if m.Counter {
			kind = "counter"
		}
		known[m.Name] = proxy.Meta{Type: kind, Help: m.Help}
	}
	return proxy.New(cfg, proxy.Needs{
		Catalog: func(name string) (proxy.Meta, bool) { m, ok := known[name]; return m, ok }, Embedded: c.api,
	}, b.log)
}

func tunnelProxyCommand() *cobra.Command {
	return tunnelJobCommand("proxy", "Show each company its own series of a Prometheus, and nothing else", "127.0.0.1:9599",
		"The proxy is that of the section tunnel_proxy of the configuration file. Companies are known by their certificates, or through\n"+
			"a gateway that tells them in the PROXY protocol.",
		func(c *Config) (*Config, bool) { return &Config{Proxy: c.Proxy}, c.Proxy != nil })
}
