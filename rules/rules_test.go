package rules

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/orielhq/oriel/internal/proctest"
)

const runbook = "https://github.com/orielhq/oriel/blob/main/docs/guides/"

type rule struct {
	Record      string            `yaml:"record"`
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// load returns every rule of every rule file. That the files are well formed is checked
// where the cases run: Prometheus loads them there.
func load(t *testing.T) []rule {
	t.Helper()
	var all []rule
	for _, name := range Names() {
		b, err := Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var f struct {
			Groups []struct {
				Rules []rule `yaml:"rules"`
			} `yaml:"groups"`
		}
		if err := yaml.Unmarshal(b, &f); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, g := range f.Groups {
			all = append(all, g.Rules...)
		}
	}
	if len(all) == 0 {
		t.Fatal("there are no rules")
	}
	return all
}

func unitFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*_test.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no *_test.yml: %v", err)
	}
	return files
}

func TestNamesLeavesOutCases(t *testing.T) {
	want, err := filepath.Glob("*.yml")
	if err != nil {
		t.Fatal(err)
	}
	cases := unitFiles(t)
	want = slices.DeleteFunc(want, func(name string) bool { return slices.Contains(cases, name) })
	if diff := cmp.Diff(want, Names()); diff != "" || !slices.Contains(want, "wireguard.yml") {
		t.Errorf("Names() (-want +got):\n%s", diff)
	}
}

func TestEveryRuleFileHasCases(t *testing.T) {
	tested := map[string]bool{}
	for _, name := range unitFiles(t) {
		for _, f := range readUnitFile(t, name).RuleFiles {
			tested[f] = true
		}
	}
	for _, name := range Names() {
		if !tested[name] {
			t.Errorf("no *_test.yml names %s in rule_files", name)
		}
	}
}

func TestCases(t *testing.T) {
	for _, name := range unitFiles(t) {
		u := readUnitFile(t, name)
		for _, g := range u.Tests {
			t.Run(name+"/"+g.Name, func(t *testing.T) {
				t.Parallel()
				u.run(t, g)
			})
		}
	}
}

func TestPromtoolAgrees(t *testing.T) {
	promtool := proctest.External(t, "promtool")
	for _, args := range [][]string{
		append([]string{"check", "rules"}, Names()...),
		append([]string{"test", "rules"}, unitFiles(t)...),
	} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func TestUnknownKeysFail(t *testing.T) {
	const file = "evaluation_interval: 1m\ntests:\n- name: a\n  interval: 1m\n  alert_rule_test: [{eval_time: 1m, alertname: A}]\n"
	if _, err := decodeUnitFile([]byte(file)); err != nil {
		t.Errorf("decodeUnitFile: %v; want no error", err)
	}
	for _, bad := range []string{"fuzzy_compare: true\n" + file, file + "  external_url: x\n", strings.Replace(file, "1m, ", "1m, exp: 1, ", 1)} {
		if _, err := decodeUnitFile([]byte(bad)); err == nil {
			t.Errorf("decodeUnitFile(%q): no error; want one for the unknown key", bad)
		}
	}
}

// TestAlertsAreComplete: who is woken by an alert finds out how bad it is, what it is
// about, what it means and what to do.
func TestAlertsAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range load(t) {
		if r.Alert == "" {
			continue
		}
		if seen[r.Alert] {
			t.Errorf("%s: there are two alerts of this name", r.Alert)
		}
		seen[r.Alert] = true
		if s := r.Labels["severity"]; !slices.Contains([]string{"info", "warning", "critical"}, s) {
			t.Errorf("%s: severity = %q; want info, warning or critical", r.Alert, s)
		}
		for _, a := range []string{"summary", "description"} {
			if strings.TrimSpace(r.Annotations[a]) == "" {
				t.Errorf("%s: annotation %s is missing", r.Alert, a)
			}
		}
		page, anchor, _ := strings.Cut(strings.TrimPrefix(r.Annotations["runbook_url"], runbook), "#")
		if anchor != strings.ToLower(r.Alert) {
			t.Errorf("%s: runbook_url = %q; want %s<page>#%s", r.Alert, r.Annotations["runbook_url"], runbook, strings.ToLower(r.Alert))
			continue
		}
		b, err := os.ReadFile(filepath.Join("..", "docs", "guides", filepath.Base(page)))
		if err != nil {
			t.Errorf("%s: %v", r.Alert, err)
			continue
		}
		if !regexp.MustCompile(`(?m)^#{2,4} ` + r.Alert + `$`).Match(b) {
			t.Errorf("%s: %s has no heading of this name", r.Alert, page)
		}
	}
}

func TestEveryAlertHasFiringAndSilentCase(t *testing.T) {
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, name := range unitFiles(t) {
		for _, g := range readUnitFile(t, name).Tests {
			for _, c := range g.AlertRuleTests {
				if len(c.ExpAlerts) > 0 {
					fires[c.Alertname] = true
				} else {
					silent[c.Alertname] = true
				}
			}
		}
	}
	for _, r := range load(t) {
		if r.Alert != "" && (!fires[r.Alert] || !silent[r.Alert]) {
			t.Errorf("%s: firing case %v, silent case %v; want both", r.Alert, fires[r.Alert], silent[r.Alert])
		}
	}
}

// TestRulesUseKnownMetrics: a metric that is renamed in a collector fails here, and not
// in a rule that falls silent. The queries in annotations count too.
func TestRulesUseKnownMetrics(t *testing.T) {
	known := golden(t)
	known["up"], known["ALERTS"] = true, true
	all := load(t)
	for _, r := range all {
		known[r.Record] = true
	}
	p := parser.NewParser(parser.Options{})
	inText := regexp.MustCompile(`\b(wireguard|oriel)[a-z0-9_:]*_[a-z0-9_:]+`)
	for _, r := range all {
		name := r.Record + r.Alert
		expr, err := p.ParseExpr(r.Expr)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, m := range metricNames(expr) {
			if !known[m] {
				t.Errorf("%s: no golden file has metric %q", name, m)
			}
		}
		for _, a := range r.Annotations {
			for _, m := range inText.FindAllString(a, -1) {
				if !known[m] {
					t.Errorf("%s: no golden file has metric %q of an annotation", name, m)
				}
			}
		}
	}
}

// TestRunbookQueriesParse covers the queries that a reader of the runbook copies.
func TestRunbookQueriesParse(t *testing.T) {
	known := golden(t)
	known["up"] = true
	for _, r := range load(t) {
		known[r.Record] = true
	}
	pages, err := filepath.Glob("../docs/guides/*-alerts.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no runbook: %v", err)
	}
	p := parser.NewParser(parser.Options{})
	for _, page := range pages {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range regexp.MustCompile("(?s)```promql\n(.*?)```").FindAllStringSubmatch(string(b), -1) {
			for line := range strings.Lines(block[1]) {
				expr, err := p.ParseExpr(line)
				if err != nil {
					t.Errorf("%s: %q: %v", page, line, err)
					continue
				}
				for _, m := range metricNames(expr) {
					if !known[m] {
						t.Errorf("%s: %q: no golden file has metric %q", page, line, m)
					}
				}
			}
		}
	}
}

func metricNames(expr parser.Expr) []string {
	var names []string
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			for _, m := range v.LabelMatchers {
				if m.Name == model.MetricNameLabel {
					names = append(names, m.Value)
				}
			}
		}
		return nil
	})
	return names
}

// golden returns the names of all metrics that our collectors expose.
func golden(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../internal/*/testdata/metrics.prom")
	deeper, _ := filepath.Glob("../internal/*/*/testdata/metrics.prom") // the pattern is valid
	files = append(files, deeper...)
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden file in ../internal/*/testdata/metrics.prom: %v", err)
	}
	known := map[string]bool{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, err := textparse.New(b, "text/plain; version=0.0.4", labels.NewSymbolTable(), textparse.ParserOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for {
			e, err := p.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if e == textparse.EntrySeries {
				var ls labels.Labels
				p.Labels(&ls)
				known[ls.Get(model.MetricNameLabel)] = true
			}
		}
	}
	return known
}
