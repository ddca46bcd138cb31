package provisioning

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"

	"github.com/goccy/go-yaml"

	"github.com/orielhq/oriel/rules"
)

// ruleFile is a Prometheus rule file, as far as alerts need it.
type ruleFile struct {
	Groups []struct {
		Name     string `yaml:"name"`
		Interval string `yaml:"interval"`
		Rules    []rule `yaml:"rules"`
	} `yaml:"groups"`
}

type rule struct {
	Alert         string            `yaml:"alert"`
	Record        string            `yaml:"record"`
	Expr          string            `yaml:"expr"`
	For           string            `yaml:"for"`
	KeepFiringFor string            `yaml:"keep_firing_for"`
	Labels        map[string]string `yaml:"labels"`
	Annotations   map[string]string `yaml:"annotations"`
}

// value is Prometheus' name of an alert's value in annotations; Grafana's is by query.
var value = regexp.MustCompile(`\$value\b`)

// alertFolder is not the dashboards' folder: Grafana provisions alerts first, and
// would make that one without its uid; the dashboards' own would then be refused.
const alertFolder = "Oriel alerts"

// managedAlerts is every alert of Oriel's rules as one that Grafana evaluates.
// The recording rules that they read stay with Oriel. Without any, it is an empty document.
func managedAlerts(wanted bool) ([]byte, error) {
	groups := []any{}
	for _, name := range rules.Names() {
		if !wanted {
			break
		}
		text, err := rules.Files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var f ruleFile
		if err := yaml.Unmarshal(text, &f); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, g := range f.Groups {
			var list []any
			for _, r := range g.Rules {
				if r.Alert != "" {
					list = append(list, managed(g.Name, r))
				}
			}
			if len(list) == 0 {
				continue
			}
			interval := g.Interval
			if interval == "" {
				interval = "1m"
			}
			groups = append(groups, map[string]any{"orgId": 1, "name": g.Name, "folder": alertFolder, "interval": interval, "rules": list})
		}
	}
	return document(map[string]any{"apiVersion": 1, "groups": groups})
}

// managed is one alert. A PromQL alert fires for every series that its
// expression yields, whatever the value: B says just that.
func managed(group string, r rule) map[string]any {
	annotations := map[string]string{}
	for key, text := range r.Annotations {
		annotations[key] = value.ReplaceAllString(text, "$$values.A.Value")
	}
	wait := r.For
	if wait == "" {
		wait = "0s"
	}
	out := map[string]any{
		"uid": uid(group, r.Alert+r.Expr), "title": r.Alert, "condition": "B", "for": wait, "noDataState": "OK", "execErrState": "Error",
		"labels": r.Labels, "annotations": annotations,
		"data": []any{
			map[string]any{
				"refId": "A", "relativeTimeRange": map[string]any{"from": 600, "to": 0}, "datasourceUid": UIDPrometheus,
				"model": map[string]any{"refId": "A", "datasource": map[string]any{"type": "prometheus", "uid": UIDPrometheus}, "expr": r.Expr, "instant": true, "range": false, "intervalMs": 1000, "maxDataPoints": 43200},
			},
			map[string]any{
				"refId": "B", "datasourceUid": "__expr__",
				"model": map[string]any{"refId": "B", "type": "math", "expression": "is_number($A) || is_nan($A) || is_inf($A)", "datasource": map[string]any{"type": "__expr__", "uid": "__expr__"}},
			},
		},
	}
	if r.KeepFiringFor != "" {
		out["keepFiringFor"] = r.KeepFiringFor
	}
	return out
}

// uid is the same at each run: 40 characters at most, as Grafana wants it.
func uid(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = h.Write([]byte(p + "\x00"))
	}
	return "oriel-" + hex.EncodeToString(h.Sum(nil))[:30]
}
