package grafana

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/orielhq/oriel/rules"
)

// catalog is what an expression may name: the metrics of the golden files with their
// labels, what the scrape and the rules add, and the labels made by the rules.
type catalog struct {
	metrics map[string]map[string]bool // name to labels; nil labels: not known, any will do
	labels  map[string]bool
}

// known reads the catalog from the golden files of all collectors and from the rules.
func known(t *testing.T) *catalog {
	t.Helper()
	c := &catalog{
		metrics: map[string]map[string]bool{"up": {}, "ALERTS": nil},
		labels:  map[string]bool{"instance": true, "job": true, "alertname": true, "alertstate": true, "severity": true},
	}
	files, err := filepath.Glob("../internal/*/testdata/metrics.prom")
	deeper, _ := filepath.Glob("../internal/*/*/testdata/metrics.prom") // the pattern is valid
	files = append(files, deeper...)
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden file in ../internal/*/testdata/metrics.prom: %v", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.addPage(b); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	for _, name := range rules.Names() {
		b, err := rules.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var f struct {
			Groups []struct {
				Rules []struct {
					Record string `yaml:"record"`
				} `yaml:"rules"`
			} `yaml:"groups"`
		}
		if err := yaml.Unmarshal(b, &f); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, g := range f.Groups {
			for _, r := range g.Rules {
				if r.Record != "" {
					c.metrics[r.Record] = nil
				}
			}
		}
	}
	return c
}

func (c *catalog) addPage(b []byte) error {
	p, err := textparse.New(b, "text/plain; version=0.0.4", labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return err
	}
	for {
		e, err := p.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if e != textparse.EntrySeries {
			continue
		}
		var ls labels.Labels
		p.Labels(&ls)
		name := ls.Get(model.MetricNameLabel)
		if c.metrics[name] == nil {
			c.metrics[name] = map[string]bool{}
		}
		ls.Range(func(l labels.Label) {
			if l.Name != model.MetricNameLabel {
				c.metrics[name][l.Name], c.labels[l.Name] = true, true
			}
		})
	}
}

// check parses expr and returns what is wrong with it, and the labels it makes itself.
func (c *catalog) check(expr string) (made []string, err error) {
	root, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		return nil, err
	}
	var errs []error
	label := func(names ...string) {
		for _, n := range names {
			if !c.labels[n] {
				errs = append(errs, fmt.Errorf("label %q is in no golden file", n))
			}
		}
	}
	parser.Inspect(root, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			errs = append(errs, c.selector(n)...)
		case *parser.AggregateExpr:
			label(n.Grouping...)
		case *parser.BinaryExpr:
			if m := n.VectorMatching; m != nil {
				label(m.MatchingLabels...)
				label(m.Include...)
			}
		case *parser.Call:
			if s, ok := arg(n, 1); ok && (n.Func.Name == "label_replace" || n.Func.Name == "label_join") {
				made = append(made, s)
			}
		}
		return nil
	})
	return made, errors.Join(errs...)
}

func arg(c *parser.Call, i int) (string, bool) {
	if i >= len(c.Args) {
		return "", false
	}
	s, ok := c.Args[i].(*parser.StringLiteral)
	if !ok {
		return "", false
	}
	return s.Val, true
}

func (c *catalog) selector(v *parser.VectorSelector) []error {
	own, found := c.metrics[v.Name]
	if !found {
		return []error{fmt.Errorf("metric %q is in no golden file", v.Name)}
	}
	var errs []error
	scrape := []string{model.MetricNameLabel, "instance", "job"}
	for _, m := range v.LabelMatchers {
		switch {
		case slices.Contains(scrape, m.Name), own[m.Name]:
		case own == nil && c.labels[m.Name]:
		default:
			errs = append(errs, fmt.Errorf("metric %q has no label %q", v.Name, m.Name))
		}
	}
	return errs
}

// joinsWithoutInstance returns the joins that would mix two hosts.
func joinsWithoutInstance(expr string) []string {
	root, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		return nil // check has said so
	}
	var bad []string
	parser.Inspect(root, func(n parser.Node, _ []parser.Node) error {
		if b, ok := n.(*parser.BinaryExpr); ok && b.VectorMatching != nil && b.VectorMatching.On && !slices.Contains(b.VectorMatching.MatchingLabels, "instance") {
			bad = append(bad, b.String())
		}
		return nil
	})
	return bad
}
