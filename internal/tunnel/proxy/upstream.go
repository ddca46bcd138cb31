package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// textHeader asks for the text format, whatever the client takes: it is read line by line.
var textHeader = http.Header{"Accept": {"text/plain;version=0.0.4"}}

// asker puts a company's request to Prometheus.
type asker interface {
	ask(company string, r *http.Request) (*http.Response, error)
}

// upstream is the Prometheus behind the proxy.
type upstream struct {
	base   string
	client asker
}

func newUpstream(cfg Config, embedded http.Handler) (*upstream, error) {
	if cfg.Upstream == Embedded {
		return &upstream{base: "http://" + Embedded, client: handlerTransport{embedded}}, nil
	}
	u, err := url.Parse(cfg.Upstream)
	if err != nil {
		return nil, err
	}
	settings, err := cfg.TLS.Client()
	if err != nil {
		return nil, err
	}
	// Compressed only if the client wants it: else Prometheus compresses and we undo it.
	return &upstream{
		base: u.Scheme + "://" + u.Host + strings.TrimRight(u.Path, "/"), client: newDirect(u, settings, 2*cfg.Limits.Concurrent+len(cfg.Companies)),
	}, nil
}

func (u *upstream) close() {
	if t, ok := u.client.(*direct); ok {
		t.CloseIdleConnections()
	}
}

// do asks Prometheus. Nothing of the client's own request travels: no header, no path, no cookie.
func (u *upstream) do(ctx context.Context, company string, q *question) (*http.Response, error) {
	method, target := http.MethodGet, u.base+q.path
	var body io.Reader
	kind := ""
	switch {
	case q.body != nil:
		method, body, kind = http.MethodPost, bytes.NewReader(q.body), q.contentType
	case q.post:
		method, body, kind = http.MethodPost, strings.NewReader(q.form.Encode()), "application/x-www-form-urlencoded"
	case len(q.form) > 0:
		target += "?" + q.form.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	maps.Copy(r.Header, q.header)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if q.gzip {
		r.Header.Set("Accept-Encoding", "gzip")
	}
	r.Header.Set("User-Agent", "oriel-tunnel-proxy")
	resp, err := u.client.ask(company, r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("prometheus sends elsewhere (%d): is the upstream's path right", resp.StatusCode)
	}
	return resp, nil
}

// pass writes Prometheus' answer as it came, within the limit of bytes.
func (p *Proxy) pass(r *request, resp *http.Response, w *reply) error {
	limit := int64(p.cfg.Limits.Response)
	if resp.ContentLength > limit {
		return tooLarge(limit)
	}
	if len(p.cfg.Hide) > 0 {
		return p.passWithout(resp, w)
	}
	for _, name := range []string{"Content-Type", "Content-Encoding"} {
		if v := resp.Header.Get(name); v != "" {
			w.Header().Set(name, v)
		}
	}
	if resp.ContentLength >= 0 {
		w.Header()["Content-Length"] = []string{fmt.Sprint(resp.ContentLength)}
	}
	w.WriteHeader(resp.StatusCode)
	if r.Method == http.MethodHead {
		return nil
	}
	switch read, err := w.from(resp.Body, limit); {
	case w.err != nil:
		return nil //nolint:nilerr // the client does not wait: nothing to tell it
	case read > limit:
		return tooLarge(limit)
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

func tooLarge(limit int64) error {
	return &failure{code: http.StatusUnprocessableEntity, kind: "execution", reason: "response", err: fmt.Errorf("the answer is larger than %d bytes: ask for less", limit)}
}
