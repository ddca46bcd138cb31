package probe

import (
	"slices"
	"strconv"
	"time"

	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/tunnel/relay"
)

// Metric is one entry of the catalogue. Pages, documentation and tests are made
// of it, so that they cannot differ.
type Metric struct {
	Name    string
	Help    string
	Counter bool
	Common  string   // which common labels it has: a name in CommonLabels
	Extra   []string // further labels
	Seed    string   // the type that the original gives it; empty for ours
	Twin    string   // of an original: our metric that says the same
	Values  string   // what its values mean, and when it is absent

	series func(v *view, yield emit) // of one tunnel
	value  func(p *Prober) float64   // instead, of all of them
}

// CommonLabels are the sets of labels that metrics share.
var CommonLabels = map[string][]string{
	"monitoring": {"tunnel_id", "company_name", "host", "port", "api_type", "port_header", "guardian_host"},
	"usage":      {"company_name", "host", "region", "tunnel_name"},
	"ours":       {"company_name", "tunnel_id"},
	"":           nil,
}

var (
	joinLabels = []string{"tunnel_id", "port", "api_type"}
	infoLabels = []string{"tunnel_name", "host", "port", "region", "api_type", "port_header", "guardian_host", "transport"}
)

// labels are a target's labels, made once.
type labels struct {
	common map[string]collector.Labels // by the names in CommonLabels
	join   collector.Labels            // of ct_tunnel_info
	info   collector.Labels            // of oriel_tunnel_probe_info
}

func labelsOf(t TargetConfig) labels {
	_, api := apiType(t.API)
	value := map[string]string{
		"tunnel_id": t.ID, "company_name": t.Company, "host": t.Host, "port": strconv.Itoa(t.Port), "api_type": api,
		"port_header": t.portHeader(), "guardian_host": t.GuardianHost, "region": t.Region, "tunnel_name": t.name(),
		"transport": t.Transport,
	}
	format := func(keys []string) collector.Labels {
		var pairs []string
		for _, k := range keys {
			pairs = append(pairs, k, value[k])
		}
		return collector.FormatLabels(pairs...)
	}
	set := labels{common: map[string]collector.Labels{}, join: format(joinLabels), info: format(infoLabels)}
	for name, keys := range CommonLabels {
		set.common[name] = format(keys)
	}
	return set
}

// emit takes a series: the labels beyond the common ones, and the value.
type emit func(extra collector.Labels, v float64)

// view is all that is known of a target at one moment.
type view struct {
	*target
	seen  *seen         // nil before the first probe
	state *relay.Status // nil if no guardian or gateway tells
	now   time.Time
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// connected tells whether the port took the connection.
func (v *view) connected() bool {
	if v.seen == nil {
		return false
	}
	_, ok := v.seen.Phases[StepConnect]
	return ok
}

// limit is the number of connections allowed; false if nobody says.
func (v *view) limit() (float64, bool) {
	switch {
	case v.state != nil:
		return float64(v.state.Max), true
	case v.cfg.MaxConnections > 0:
		return float64(v.cfg.MaxConnections), true
	}
	return 0, false
}

// running tells whether the tunnel takes connections, by its own word, else by the open port.
func (v *view) running() bool {
	if v.state != nil {
		return v.state.Status == "active"
	}
	return v.connected()
}

// left is the time until the first certificate of the chain ends.
func (v *view) left() (time.Duration, bool) {
	if v.seen == nil || v.seen.NotAfter().IsZero() {
		return 0, false
	}
	return v.seen.NotAfter().Sub(v.now), true
}

// latency is from the echo's request to the end of its answer.
func (v *view) latency() (time.Duration, bool) {
	if v.seen == nil {
		return 0, false
	}
	transfer, ok := v.seen.Phases[phaseTransfer]
	return v.seen.Phases[phaseProcessing] + transfer, ok
}

// accepting is what a new client would meet.
func (v *view) accepting() bool {
	free := v.state == nil || v.state.Status == "active" && v.state.Connections < v.state.Max
	return v.cfg.Enabled && free && v.seen != nil && v.seen.Err == nil
}

// phaseLabels and errorLabels are made once: they are the same for all targets.
var (
	phaseLabels = func() (list []collector.Labels) {
		for _, p := range Phases() {
			list = append(list, collector.FormatLabels("phase", p))
		}
		return list
	}()
	errorLabels = func() (list []collector.Labels) {
		for _, t := range errorTypes {
			list = append(list, collector.FormatLabels("error_type", t.name))
		}
		return list
	}()
)

func eachPhase(v *view, yield emit) {
	if v.seen == nil {
		return
	}
	for i, p := range Phases() {
		if took, ok := v.seen.Phases[p]; ok {
			yield(phaseLabels[i], took.Seconds())
		}
	}
}

func eachError(v *view, yield emit) {
	for i := range errorTypes {
		yield(errorLabels[i], float64(v.errors[i].Load()))
	}
}

// Catalog lists all metrics of tunnels that are probed, in the order of the documentation.
func Catalog() []Metric {
	return slices.Concat(monitoring(), usage(), ours(), totals())
}
