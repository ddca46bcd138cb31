package neuvector

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/orielhq/oriel/internal/collector"
)

// metric is the description of one metric; metrics.go has them all.
type metric struct {
	name string
	kind dto.MetricType
	help string
}

type sample struct {
	labels collector.Labels
	value  float64
}

// page is series by metric. Once made by a refresh it does not change.
type page struct{ series map[*metric][]sample }

func newPage() *page { return &page{series: map[*metric][]sample{}} }

// set adds a series.
func (p *page) set(m *metric, v float64, labels ...string) {
	p.series[m] = append(p.series[m], sample{collector.FormatLabels(labels...), v})
}

// maybe adds a series if there is a value.
func (p *page) maybe(m *metric, v *float64, labels ...string) {
	if v != nil {
		p.set(m, *v, labels...)
	}
}

// add adds all series of another page.
func (p *page) add(other *page) {
	for m, list := range other.series {
		p.series[m] = append(p.series[m], list...)
	}
}

// families returns the metrics as a scrape wants them. A series that came
// twice, as from two objects of one name, is there once, with the first value.
func (p *page) families(which []string) []prometheus.Metric {
	var list []prometheus.Metric
	for m, samples := range p.series {
		family := FamilyOriel
		if strings.HasPrefix(m.name, "nv_") {
			family = FamilyOfficial
		}
		if !slices.Contains(which, family) {
			continue
		}
		samples = once(samples)
		list = append(list, &collector.Family{Name: m.name, Help: m.help, Type: m.kind, Series: func(yield func(collector.Labels, float64) bool) {
			for _, s := range samples {
				if !yield(s.labels, s.value) {
					return
				}
			}
		}})
	}
	return list
}

// once sorts by labels and drops what is there already.
func once(samples []sample) []sample {
	slices.SortStableFunc(samples, func(a, b sample) int { return strings.Compare(string(a.labels), string(b.labels)) })
	return slices.CompactFunc(samples, func(a, b sample) bool { return a.labels == b.labels })
}

// name bounds a text that becomes a label.
func name(s string) string {
	const maxRunes = 200
	if len(s) <= maxRunes {
		return s
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	if r := []rune(s); len(r) > maxRunes {
		s = string(r[:maxRunes-1]) + "…"
	}
	return s
}

// oneOf folds a text into a known set, so that a label cannot grow.
func oneOf(s string, known ...string) string {
	s = strings.ToLower(s)
	if slices.Contains(known, s) {
		return s
	}
	return "other"
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
