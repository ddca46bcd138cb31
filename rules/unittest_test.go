package rules

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	promrules "github.com/prometheus/prometheus/rules"
)

// unitFile is the part of promtool's unit test format that our files use. Decoding is
// strict: a key that is missing here fails the test, lest it be ignored in silence.
type unitFile struct {
	RuleFiles          []string      `yaml:"rule_files"`
	EvaluationInterval time.Duration `yaml:"evaluation_interval"`
	GroupEvalOrder     []string      `yaml:"group_eval_order"`
	Tests              []unitGroup   `yaml:"tests"`
}

type unitGroup struct {
	Name        string        `yaml:"name"`
	Interval    time.Duration `yaml:"interval"`
	InputSeries []struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	} `yaml:"input_series"`
	AlertRuleTests  []alertCase `yaml:"alert_rule_test"`
	PromqlExprTests []exprCase  `yaml:"promql_expr_test"`
}

type alertCase struct {
	EvalTime  time.Duration `yaml:"eval_time"`
	Alertname string        `yaml:"alertname"`
	ExpAlerts []firing      `yaml:"exp_alerts"`
}

type firing struct {
	Labels      map[string]string `yaml:"exp_labels"`
	Annotations map[string]string `yaml:"exp_annotations"`
}

type exprCase struct {
	Expr       string        `yaml:"expr"`
	EvalTime   time.Duration `yaml:"eval_time"`
	ExpSamples []struct {
		Labels string  `yaml:"labels"`
		Value  float64 `yaml:"value"`
	} `yaml:"exp_samples"`
}

func decodeUnitFile(b []byte) (*unitFile, error) {
	var u unitFile
	if err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(&u); err != nil {
		return nil, err
	}
	if u.EvaluationInterval <= 0 {
		return nil, fmt.Errorf("evaluation_interval is missing")
	}
	for _, g := range u.Tests {
		if g.Name == "" || g.Interval <= 0 || len(g.AlertRuleTests)+len(g.PromqlExprTests) == 0 {
			return nil, fmt.Errorf("test %q: name, interval or cases are missing", g.Name)
		}
	}
	return &u, nil
}

func readUnitFile(t *testing.T, name string) *unitFile {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	u, err := decodeUnitFile(b)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return u
}

// groups loads the rule files and puts their groups in the order the file asks for;
// promtool leaves the order open where the file does not, we insist on it.
func (u *unitFile) groups(t *testing.T, suite *promqltest.LazyLoader, interval time.Duration) []*promrules.Group {
	t.Helper()
	m := promrules.NewManager(&promrules.ManagerOptions{
		QueryFunc:  promrules.EngineQueryFunc(suite.QueryEngine(), suite.Storage()),
		Appendable: suite.Storage(),
		Context:    t.Context(),
		NotifyFunc: func(context.Context, string, ...*promrules.Alert) {},
		Logger:     slog.New(slog.DiscardHandler),
		Parser:     parser.NewParser(parser.Options{}),
	})
	loaded, errs := m.LoadGroups(interval, labels.EmptyLabels(), "", nil, false, u.RuleFiles...)
	for _, err := range errs {
		t.Fatal(err)
	}
	var groups []*promrules.Group
	for _, g := range loaded {
		if !slices.Contains(u.GroupEvalOrder, g.Name()) {
			t.Fatalf("group %q is not in group_eval_order", g.Name())
		}
		groups = append(groups, g)
	}
	sort.Slice(groups, func(i, j int) bool {
		return slices.Index(u.GroupEvalOrder, groups[i].Name()) < slices.Index(u.GroupEvalOrder, groups[j].Name())
	})
	return groups
}

// run evaluates the rules over the series of one test, interval by interval in one
// storage, and checks each case at the evaluation its eval_time falls on.
func (u *unitFile) run(t *testing.T, g unitGroup) {
	var load strings.Builder
	fmt.Fprintf(&load, "load %ds\n", int(g.Interval.Seconds()))
	for _, s := range g.InputSeries {
		fmt.Fprintf(&load, "  %s %s\n", s.Series, s.Values)
	}
	suite, err := promqltest.NewLazyLoader(load.String(),
		promqltest.LazyLoaderOpts{EnableAtModifier: true, EnableNegativeOffset: true})
	if err != nil {
		t.Fatal(err)
	}
	defer suite.Close()
	suite.SubqueryInterval = u.EvaluationInterval

	groups := u.groups(t, suite, g.Interval)
	alerting := map[string][]*promrules.AlertingRule{}
	for _, rg := range groups {
		for _, r := range rg.Rules() {
			if ar, ok := r.(*promrules.AlertingRule); ok {
				ar.SetRestored(true) // else the ALERTS series is not written
				alerting[ar.Name()] = append(alerting[ar.Name()], ar)
			}
		}
	}
	end := time.Duration(0)
	for _, c := range g.AlertRuleTests {
		end = max(end, c.EvalTime)
		if alerting[c.Alertname] == nil {
			t.Errorf("no alert is named %q", c.Alertname)
		}
	}
	for _, c := range g.PromqlExprTests {
		end = max(end, c.EvalTime)
	}

	for at := time.Duration(0); at <= end; at += u.EvaluationInterval {
		ts := time.Unix(0, 0).UTC().Add(at)
		suite.WithSamplesTill(ts, func(e error) { err = e })
		if err != nil {
			t.Fatal(err)
		}
		for _, rg := range groups {
			rg.Eval(suite.Context(), ts)
			for _, r := range rg.Rules() {
				if r.LastError() != nil {
					t.Fatalf("%s at %v: %v", r.Name(), at, r.LastError())
				}
			}
		}
		for _, c := range g.AlertRuleTests {
			if at <= c.EvalTime && c.EvalTime < at+u.EvaluationInterval {
				c.check(t, alerting[c.Alertname])
			}
		}
	}
	for _, c := range g.PromqlExprTests {
		c.check(t, suite)
	}
}

func (c alertCase) check(t *testing.T, rs []*promrules.AlertingRule) {
	t.Helper()
	var got []firing
	for _, r := range rs {
		for _, a := range r.ActiveAlerts() {
			if a.State == promrules.StateFiring {
				got = append(got, firing{a.Labels.Map(), a.Annotations.Map()})
			}
		}
	}
	want := make([]firing, 0, len(c.ExpAlerts))
	for _, e := range c.ExpAlerts {
		ls := map[string]string{labels.AlertName: c.Alertname}
		maps.Copy(ls, e.Labels)
		want = append(want, firing{ls, e.Annotations})
	}
	byLabels := func(fs []firing) {
		sort.Slice(fs, func(i, j int) bool {
			return labels.Compare(labels.FromMap(fs[i].Labels), labels.FromMap(fs[j].Labels)) < 0
		})
	}
	byLabels(got)
	byLabels(want)
	if len(got)+len(want) == 0 {
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s at %v (-want +got):\n%s", c.Alertname, c.EvalTime, diff)
	}
}

func (c exprCase) check(t *testing.T, suite *promqltest.LazyLoader) {
	t.Helper()
	q, err := suite.QueryEngine().NewInstantQuery(t.Context(), suite.Queryable(), nil, c.Expr, time.Unix(0, 0).UTC().Add(c.EvalTime))
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	res := q.Exec(t.Context())
	vec, ok := res.Value.(promql.Vector)
	if res.Err != nil || !ok {
		t.Fatalf("%s: %v, %T; want a vector", c.Expr, res.Err, res.Value)
	}
	got, want := map[string]float64{}, map[string]float64{}
	for _, s := range vec {
		got[s.Metric.String()] = s.F
	}
	p := parser.NewParser(parser.Options{})
	for _, s := range c.ExpSamples {
		m, err := p.ParseMetric(s.Labels)
		if err != nil {
			t.Fatalf("labels %q: %v", s.Labels, err)
		}
		want[m.String()] = s.Value
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s at %v (-want +got):\n%s", c.Expr, c.EvalTime, diff)
	}
}
