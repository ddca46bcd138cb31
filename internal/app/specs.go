package app

import (
	"fmt"
	"log/slog"
	"reflect"
	"slices"

	"github.com/orielhq/oriel/internal/flow/netflow"
	"github.com/orielhq/oriel/internal/influx"
	"github.com/orielhq/oriel/internal/lake"
	"github.com/orielhq/oriel/internal/neuvector"
	"github.com/orielhq/oriel/internal/packet"
	"github.com/orielhq/oriel/internal/query"
	"github.com/orielhq/oriel/internal/tunnel/probe"
	"github.com/orielhq/oriel/internal/tunnel/proxy"
	"github.com/orielhq/oriel/internal/tunnel/relay"
	"github.com/orielhq/oriel/internal/wireguard"
	"github.com/orielhq/oriel/internal/wireguard/wirerest"
)

// specs lists the features: the section of the file, what comes with it, and
// how it is made. A feature that uses others stands after them.
func (c *Config) specs() []spec {
	return []spec{
		section("flows", &c.Flows, lake.Default, made{rules: []string{"lake.yml"}, always: true},
			func(_ lake.Config, b *builder) (any, error) { return newFlows(c.lakeConfig(), b.log) }),
		section("wireguard", &c.WireGuard, wireguard.Default, made{rules: []string{"wireguard.yml"}, uses: []string{"flows"}, always: true}, c.buildWireGuard),
		section("neuvector", &c.NeuVector, neuvector.Default, made{rules: []string{"neuvector.yml"}, uses: []string{"flows"}}, c.buildNeuVector),
		section("wirerest", &c.WireRest, wirerest.Default, made{rules: []string{"wirerest.yml"}, uses: []string{"wireguard"}, alone: true}, buildWireRest),
		section("influx", &c.Influx, influx.Default, made{rules: []string{"influx.yml"}, uses: []string{"wireguard"}}, buildInflux),
		section("netflow", &c.NetFlow, netflow.Default, made{uses: []string{"flows"}},
			func(cfg netflow.Config, b *builder) (any, error) { return newNetFlow(cfg, c.lakeConfig(), b.log) }),
		section("tunnels", &c.Tunnels, relay.Default, made{rules: []string{"tunnels.yml"}},
			func(cfg relay.Config, b *builder) (any, error) { return relay.New(cfg, b.log) }),
		section("tunnel_proxy", &c.Proxy, proxy.Default, made{rules: []string{"tunnels-proxy.yml"}}, c.buildTunnelProxy),
		section("probes", &c.Probes, probe.Default, made{rules: []string{"tunnels.yml"}, uses: []string{"tunnels"}, paths: []string{"/probe"}}, buildProbes),
		section("packets", &c.Packets, packet.Default, made{rules: []string{"packets.yml", "packets-detections.yml"}, uses: []string{"flows"}},
			func(cfg packet.Config, b *builder) (any, error) { return newPackets(cfg, c.packetLake(), b.log) }),
		section("query", &c.Query, query.Default, made{
			rules: []string{"flows.yml"}, uses: []string{"flows", "wireguard", "neuvector", "probes"}, paths: []string{"/api/sql/"}, always: true,
		}, func(cfg query.Config, b *builder) (any, error) {
			return newSQLFeature(cfg, c.lakeConfig(), currentTables(b), b.dataDir, b.log)
		}),
	}
}

// spec is a section of the file that makes a feature.
type spec struct {
	name string
	made
	fill     func()       // what the section's name alone means
	validate func() error // nil if the file does not have it
	value    func() any   // the configuration, nil if the file does not have it
	build    func(*builder) (any, error)
}

// made is what comes with a feature.
type made struct {
	rules  []string // built-in rule files
	uses   []string // features that are given to it: it is built again when they are
	paths  []string // below which it answers HTTP
	always bool     // on without a configuration file
	alone  bool     // its metrics would collide with others' and have a page of their own only
}

// builder is what a feature can be made of beside its own section.
type builder struct {
	log      *slog.Logger
	dataDir  string     // of serve's flags
	features []*feature // those before it
}

// part returns the part of a type among the features before this one, and whether there is one.
func part[T any](b *builder) (found T, ok bool) {
	for _, f := range b.features {
		if p, ok := f.part.(T); ok {
			return p, true
		}
	}
	return found, false
}

// section describes the section whose configuration stands in field.
func section[C any, P interface {
	*C
	Validate() error
}](name string, field *P, defaults func() C, m made, build func(C, *builder) (any, error)) spec {
	return spec{
		name: name, made: m,
		fill: func() {
			if *field == nil {
				d := defaults()
				*field = &d
			}
		},
		validate: func() error {
			if *field == nil {
				return nil
			}
			return (*field).Validate()
		},
		value: func() any {
			if *field == nil {
				return nil
			}
			return *(*C)(*field)
		},
		build: func(b *builder) (any, error) { return build(*(*C)(*field), b) },
	}
}

// build makes the features that the file names. Those of before whose section
// has not changed, nor a feature that they use, are taken over as they are.
func (c *Config) build(before []*feature, log *slog.Logger) ([]*feature, error) {
	var features []*feature
	fresh := map[string]bool{} // names of those built anew, or gone
	for _, s := range c.specs() {
		value := s.value()
		old := slices.IndexFunc(before, func(f *feature) bool { return f.name == s.name && reflect.DeepEqual(f.section, value) })
		switch {
		case value == nil:
			fresh[s.name] = slices.ContainsFunc(before, func(f *feature) bool { return f.name == s.name })
			continue
		case old >= 0 && !slices.ContainsFunc(s.uses, func(name string) bool { return fresh[name] }):
			features = append(features, before[old])
			continue
		}
		fresh[s.name] = true
		p, err := s.build(&builder{log: log.With("feature", s.name), dataDir: c.dataDir, features: features})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		features = append(features, newFeature(s.name, value, s.made, p))
	}
	return features, nil
}
