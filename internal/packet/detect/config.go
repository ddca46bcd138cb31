package detect

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/orielhq/oriel/internal/conf"
)

// Config is the section `packets.detections`.
type Config struct {
	// Off names rules that are not wanted.
	Off []string `yaml:"off"`
	// Trusted are networks whose hosts may scan, guess and call home: monitoring, backup.
	Trusted []netip.Prefix `yaml:"trusted"`
	// Inside are networks that are watched, beside the private ones.
	Inside []netip.Prefix `yaml:"inside"`
	// TrustedDomains are domains whose names may look like a tunnel's.
	TrustedDomains []string `yaml:"trusted_domains"`
	// Window is how long scans, guesses and tunnels are counted.
	Window conf.Duration `yaml:"window"`
	// Repeat is how long an alert of the same rule and hosts is told once only.
	Repeat conf.Duration `yaml:"repeat"`
	// Learn is how much time with traffic it takes until a device or a service is a new one.
	Learn conf.Duration `yaml:"learn"`
	// Ports of one host without an answer from which on it is a scan.
	Ports int `yaml:"ports"`
	// Hosts without an answer on one port from which on it is a scan.
	Hosts int `yaml:"hosts"`
	// Guesses are refused logins, or short SSH connections, from one host to another.
	Guesses int `yaml:"guesses"`
	// TunnelScore is how suspicious the names asked for may be, see docs/guides/packets-detections.md.
	TunnelScore int `yaml:"tunnel_score"`
	// Beats is how many connections at equal intervals are a beacon.
	Beats int `yaml:"beats"`
	// Remember bounds the hosts, pairs of hosts and zones that are kept, of each kind.
	Remember int `yaml:"remember"`
}

// Default is what a section without keys means.
func Default() Config {
	return Config{
		Window: conf.Duration(5 * time.Minute), Repeat: conf.Duration(time.Hour), Learn: conf.Duration(time.Hour),
		Ports: 50, Hosts: 50, Guesses: 10, TunnelScore: 100, Beats: 12, Remember: 4096,
	}
}

// UnmarshalYAML starts from the defaults.
func (c *Config) UnmarshalYAML(unmarshal func(any) error) error {
	type plain Config
	*c = Default()
	return unmarshal((*plain)(c))
}

// Validate names the first key that makes no sense.
func (c *Config) Validate() error {
	for i, name := range c.Off {
		if !slices.ContainsFunc(rules[:], func(r struct{ name, severity, technique string }) bool { return r.name == name }) {
			return conf.Field(fmt.Sprintf("off[%d]", i), "there is no rule %q", name)
		}
	}
	for _, d := range []struct {
		name  string
		value conf.Duration
		least time.Duration
	}{{"window", c.Window, time.Second}, {"repeat", c.Repeat, 0}, {"learn", c.Learn, 0}} {
		if d.value.Std() < d.least {
			return conf.Field(d.name, "%s is less than %s", d.value, d.least)
		}
	}
	for _, n := range []struct {
		name               string
		value, least, most int
	}{
		{"ports", c.Ports, 5, 4096},
		{"hosts", c.Hosts, 5, 4096},
		{"guesses", c.Guesses, 3, 10000},
		{"tunnel_score", c.TunnelScore, 10, 100000},
		{"beats", c.Beats, 4, maxBeats},
		{"remember", c.Remember, 16, 1 << 20},
	} {
		if n.value < n.least || n.value > n.most {
			return conf.Field(n.name, "%d is not between %d and %d", n.value, n.least, n.most)
		}
	}
	return nil
}
