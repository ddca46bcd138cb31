package proxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// decode reads a JSON answer of Prometheus, bounded.
func (p *Proxy) decode(resp *http.Response, into any) error {
	limit := int64(p.cfg.Limits.Response)
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return err
	}
	if int64(len(b)) > limit {
		return tooLarge(limit)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("answer of prometheus: %w", err)
	}
	return nil
}

type object = map[string]any

// own tells whether an object's labels are the tenant's.
func (p *Proxy) own(t Tenant, o object) bool {
	set, ok := o["labels"].(object)
	return ok && set[t.Label] == any(t.Value)
}

// stripped takes hidden labels out of a set.
func (p *Proxy) stripped(set any) {
	if o, ok := set.(object); ok {
		for _, name := range p.cfg.Hide {
			delete(o, name)
		}
	}
}

func objects(v any) (list []object) {
	all, _ := v.([]any)
	for _, one := range all {
		if o, ok := one.(object); ok {
			list = append(list, o)
		}
	}
	return list
}

// answerAlerts keeps the alerts that carry the tenant's label.
func (p *Proxy) answerAlerts(r *request, resp *http.Response, w *reply) error {
	var got struct {
		Data struct {
			Alerts []any `json:"alerts"`
		} `json:"data"`
	}
	if err := p.decode(resp, &got); err != nil {
		return err
	}
	return succeed(w, object{"alerts": p.ownAlerts(r.tenant, got.Data.Alerts)})
}

func (p *Proxy) ownAlerts(t Tenant, all any) []object {
	mine := []object{}
	for _, a := range objects(all) {
		if p.own(t, a) {
			p.stripped(a["labels"])
			mine = append(mine, a)
		}
	}
	return mine
}

// answerRules keeps the rules that carry the tenant's label, each with the
// tenant's alerts only. Files' names are the provider's and stay there.
func (p *Proxy) answerRules(r *request, resp *http.Response, w *reply) error {
	kind, err := r.one("type")
	if err != nil {
		return err
	}
	kinds := map[string]string{"": "", "alert": "alerting", "record": "recording"}
	want, ok := kinds[kind]
	if !ok {
		return bad("bad_request", "parameter \"type\": want alert or record")
	}
	var got struct {
		Data struct {
			Groups []any `json:"groups"`
		} `json:"data"`
	}
	if err := p.decode(resp, &got); err != nil {
		return err
	}
	groups := []object{}
	for _, g := range objects(got.Data.Groups) {
		mine := []object{}
		for _, one := range objects(g["rules"]) {
			if !p.own(r.tenant, one) || want != "" && one["type"] != any(want) {
				continue
			}
			if alerts, ok := one["alerts"]; ok {
				one["alerts"] = p.ownAlerts(r.tenant, alerts)
			}
			if text, _ := one["lastError"].(string); text != "" {
				one["lastError"] = "the rule could not be evaluated" // Prometheus names series in it, of whomever
			}
			p.stripped(one["labels"])
			mine = append(mine, one)
		}
		if len(mine) > 0 {
			g["rules"], g["file"] = mine, ""
			groups = append(groups, g)
		}
	}
	return succeed(w, object{"groups": groups})
}

// passWithout passes an answer of the API without hidden labels: of series, of
// query results, of exemplars and of the list of labels.
func (p *Proxy) passWithout(resp *http.Response, w *reply) error {
	body, err := plain(resp)
	if err != nil {
		return err
	}
	resp.Body = body
	var got object
	if err := p.decode(resp, &got); err != nil {
		return err
	}
	if names, ok := got["data"].([]any); ok && strings.HasSuffix(resp.Request.URL.Path, "/api/v1/labels") {
		got["data"] = slices.DeleteFunc(names, func(e any) bool { s, ok := e.(string); return ok && slices.Contains(p.cfg.Hide, s) })
	}
	p.without(got["data"])
	p.unsaid(got)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(resp.StatusCode)
	return json.NewEncoder(w).Encode(got)
}

// unsaid takes out what Prometheus says of an error or a warning if it names hidden labels: it may quote a series.
func (p *Proxy) unsaid(answer object) {
	const instead = "prometheus' words on this are not shown: they name labels that are hidden here"
	named := func(v any) bool {
		text, _ := v.(string)
		return slices.ContainsFunc(p.cfg.Hide, func(name string) bool { return strings.Contains(text, name) })
	}
	if named(answer["error"]) {
		answer["error"] = instead
	}
	for _, kind := range []string{"warnings", "infos"} {
		list, _ := answer[kind].([]any)
		for i, text := range list {
			if named(text) {
				list[i] = instead
			}
		}
	}
}

// labelSets are the keys below which Prometheus' answers have labels; a list of series has them bare.
var labelSets = []string{"metric", "seriesLabels", "labels"}

func (p *Proxy) without(v any) {
	switch v := v.(type) {
	case object:
		for k, inner := range v {
			if slices.Contains(labelSets, k) {
				p.stripped(inner)
			}
			p.without(inner)
		}
	case []any:
		for _, inner := range v {
			if o, ok := inner.(object); ok && o["__name__"] != nil {
				p.stripped(o)
			}
			p.without(inner)
		}
	}
}
