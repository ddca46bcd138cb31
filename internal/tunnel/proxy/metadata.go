package proxy

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
)

// apiVersion is the oldest Prometheus whose API this is: Grafana asks, to know what it may use.
const apiVersion = "2.42.0"

// metaAge is how long what Prometheus knows of its metrics is kept.
const metaAge = time.Minute

func (p *Proxy) buildInfo(_ *request, w *reply) error {
	return succeed(w, map[string]string{"version": apiVersion, "revision": "", "branch": "", "buildUser": "", "buildDate": "", "goVersion": ""})
}

// knowledge is what is known of metrics.
type knowledge struct {
	catalog  Catalog
	upstream map[string]Meta
}

// find looks for a metric, or for the histogram or summary that a series is part of.
func (k knowledge) find(metric string) (name string, m Meta, ok bool) {
	get := func(name string) (Meta, bool) {
		if m, ok := k.catalog(name); ok {
			return m, true
		}
		m, ok := k.upstream[name]
		return m, ok
	}
	if m, ok = get(metric); ok {
		return metric, m, true
	}
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		if base, cut := strings.CutSuffix(metric, suffix); cut {
			if m, ok = get(base); ok && (m.Type == "histogram" || m.Type == "summary") {
				return base, m, true
			}
		}
	}
	return "", Meta{}, false
}

// metaCache is the last answer of Prometheus about its metrics.
type metaCache struct {
	mu sync.Mutex // guards both; held while asking, so that one asks
	at time.Time
	of map[string]Meta
}

// known returns what is known now.
func (p *Proxy) known(ctx context.Context, c *company) (knowledge, error) {
	p.meta.mu.Lock()
	defer p.meta.mu.Unlock()
	if time.Since(p.meta.at) > metaAge {
		var got struct {
			Data map[string][]Meta `json:"data"`
		}
		if err := p.fetch(ctx, c, &question{path: "/api/v1/metadata"}, &got); err != nil {
			return knowledge{}, err
		}
		p.meta.of, p.meta.at = map[string]Meta{}, time.Now()
		for name, list := range got.Data {
			if len(list) > 0 {
				p.meta.of[name] = list[0]
			}
		}
	}
	return knowledge{p.catalog, p.meta.of}, nil
}

// fetch asks what the answer to a company is made of.
func (p *Proxy) fetch(ctx context.Context, c *company, q *question, into any) error {
	resp, err := p.ask(ctx, c, q)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return &failure{code: http.StatusBadGateway, kind: "internal", reason: "upstream", err: errStatus(resp.StatusCode)}
	}
	return p.decode(resp, into)
}

type errStatus int

func (e errStatus) Error() string { return "prometheus answers " + strconv.Itoa(int(e)) }

// metadata tells of the metrics that the tenant has series of, and of no other.
func (p *Proxy) metadata(r *request, w *reply) error {
	form := url.Values{}
	own, err := r.tenant.Selector("")
	if err != nil {
		return err
	}
	form.Set("match[]", own)
	form.Set("start", strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10))
	only, err := r.one("metric")
	if err != nil {
		return err
	}
	limit := -1
	if text, err := r.one("limit"); err != nil {
		return err
	} else if text != "" {
		if limit, err = strconv.Atoi(text); err != nil {
			return bad("bad_request", "parameter \"limit\": want a number")
		}
	}
	var names struct {
		Data []string `json:"data"`
	}
	if err := p.fetch(r.ctx, r.company, &question{path: "/api/v1/label/__name__/values", form: form}, &names); err != nil {
		return err
	}
	known, err := p.known(r.ctx, r.company)
	if err != nil {
		return err
	}
	all := map[string][]map[string]string{}
	for _, metric := range names.Data {
		name, m, ok := known.find(metric)
		if ok && (only == "" || only == name) {
			all[name] = []map[string]string{{"type": m.Type, "help": m.Help, "unit": m.Unit}}
		}
	}
	for i, name := range slices.Sorted(maps.Keys(all)) {
		if limit >= 0 && i >= limit {
			delete(all, name)
		}
	}
	return succeed(w, all)
}

// plain returns an answer's body, unpacked.
func plain(resp *http.Response) (io.ReadCloser, error) {
	if resp.Header.Get("Content-Encoding") != "gzip" {
		return resp.Body, nil
	}
	return gzip.NewReader(resp.Body)
}
