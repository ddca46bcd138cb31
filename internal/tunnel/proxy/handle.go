package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// failure is an answer that is an error, as Prometheus' API has them. reason is
// of a closed list and goes into metrics.
type failure struct {
	code   int
	kind   string // errorType
	reason string
	err    error
	retry  time.Duration
}

func (f *failure) Error() string { return f.err.Error() }

func bad(reason, format string, args ...any) *failure {
	return &failure{code: http.StatusBadRequest, kind: "bad_data", reason: reason, err: fmt.Errorf(format, args...)}
}

// statusGone is what the log says of a client that does not wait for its answer; nobody reads it.
const statusGone = 499

// reasons is the closed list of why a request was refused.
var reasons = []string{
	"bad_request", "body", "busy", "canceled", "contradiction", "hidden", "method", "parse", "path", "points", "range", "rate", "response", "selectors",
	"timeout", "unknown_path", "upstream",
}

// strange are the reasons for which no company is known.
var strange = []string{"connections", "proxy_header", "revoked", "unknown_client"}

// results is the closed list of how Prometheus took a question.
var results = []string{"canceled", "error", "ok", "refused", "timeout", "unreachable"}

// serve answers one request.
func (p *Proxy) serve(ctx context.Context, w *reply, r *http.Request) {
	began := time.Now()
	who, err := p.whose(w.c.Conn)
	name := "none"
	switch {
	case err != nil:
		p.strangers.count("revoked")
		fail(w, &failure{code: http.StatusForbidden, kind: "forbidden", err: errors.New("the certificate is not trusted any more")})
		w.last = true
	case who.company == nil:
		p.strangers.count("unknown_client")
		fail(w, &failure{code: http.StatusForbidden, kind: "forbidden", err: errors.New("the certificate belongs to no company known here")})
	default:
		name, err = p.answer(ctx, w, r, who.company)
		who.company.bytesOut.Add(w.bytes)
	}
	if !p.cfg.Audit {
		return
	}
	company, reason := "", ""
	if who.company != nil {
		company = who.company.Value
	}
	if f, ok := errors.AsType[*failure](err); ok {
		reason = f.reason
	}
	// No query text: it can hold what only the company should know.
	p.log.LogAttrs(ctx, slog.LevelInfo, "request", slog.String("company", company), slog.String("certificate", who.serial), slog.String("endpoint", name),
		slog.String("method", r.Method), slog.Int("code", w.code), slog.Int64("bytes", w.bytes), slog.Duration("took", time.Since(began)), slog.String("refused", reason))
}

// answer serves a company's request and returns the endpoint's name.
func (p *Proxy) answer(ctx context.Context, w *reply, r *http.Request, c *company) (string, error) {
	e, label, code := route(r.URL)
	if e == nil {
		c.asked("none")
		f := &failure{code: code, kind: "not_found", reason: "unknown_path", err: errors.New("there is no such path for tenants")}
		if code == http.StatusBadRequest {
			f = bad("path", "the path has escapes or climbs: say it plainly")
		}
		c.refused(f.reason)
		fail(w, f)
		return "none", f
	}
	c.asked(e.name)
	began := time.Now()
	err := p.admit(ctx, w, r, c, e, label)
	if err == nil {
		c.took.Observe(time.Since(began).Seconds())
		return e.name, nil
	}
	f, ok := errors.AsType[*failure](err)
	if !ok {
		f = &failure{code: http.StatusBadGateway, kind: "internal", reason: "upstream", err: errors.New("prometheus does not answer")}
		p.quiet.Do("ask", "", func(times int) { p.log.Warn("ask prometheus", "err", err, "times", times) })
	}
	c.refused(f.reason)
	if w.begun {
		w.err = f // a part was sent; the client must see that it is not whole
		return e.name, f
	}
	fail(w, f)
	return e.name, f
}

// admit lets a request through if the company's and everybody's limits allow.
func (p *Proxy) admit(ctx context.Context, w *reply, r *http.Request, c *company, e *endpoint, label string) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead && (!e.post || r.Method != http.MethodPost) {
		return &failure{code: http.StatusMethodNotAllowed, kind: "bad_data", reason: "method", err: fmt.Errorf("method %q is not for this path", r.Method)}
	}
	if wait, ok := c.spend(time.Now()); !ok {
		return &failure{code: http.StatusTooManyRequests, kind: "unavailable", reason: "rate", retry: wait, err: errors.New("too many requests in a second")}
	}
	if c.now.Add(1) > c.most {
		c.now.Add(-1)
		return &failure{code: http.StatusTooManyRequests, kind: "unavailable", reason: "busy", retry: time.Second, err: fmt.Errorf("more than %d requests at once", c.most)}
	}
	defer c.now.Add(-1)
	req := &request{Request: r, company: c, tenant: c.Tenant, label: label, gzip: acceptsGzip(r)}
	if err := req.parameters(e, int64(p.cfg.Limits.Body)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Limits.Timeout.Std()+time.Second)
	defer cancel()
	req.ctx = ctx
	if w.r.Body.(*requestBody).ended {
		defer w.c.watch(cancel)()
	}
	if err := p.turn(ctx); err != nil {
		return err
	}
	defer func() { <-p.turns }()
	if e.own != nil {
		return e.own(p, req, w)
	}
	q, err := e.ask(p, req)
	if err != nil {
		return refusedQuery(err)
	}
	resp, err := p.ask(ctx, c, q)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if e.answer != nil && resp.StatusCode == http.StatusOK {
		return e.answer(p, req, resp, w)
	}
	return p.pass(req, resp, w)
}

// parameters reads what the client asks, of its URL and its body.
func (r *request) parameters(e *endpoint, limit int64) error {
	if e.name == "read" {
		var err error
		if r.packed, err = io.ReadAll(io.LimitReader(r.Body, limit+1)); err != nil {
			return bad("bad_request", "read request: %w", err)
		}
		return nil
	}
	body := r.Body
	r.Body = http.MaxBytesReader(nil, body, limit)
	err := r.ParseForm()
	r.Body = body
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &failure{code: http.StatusRequestEntityTooLarge, kind: "bad_data", reason: "body", err: err}
	}
	if err != nil {
		return bad("bad_request", "parse parameters: %w", err)
	}
	r.form = r.Form
	for _, values := range r.Form {
		for _, v := range values {
			r.company.bytesIn.Add(int64(len(v)))
		}
	}
	return nil
}

// ask puts a question for a company, and counts how Prometheus took it.
func (p *Proxy) ask(ctx context.Context, c *company, q *question) (*http.Response, error) {
	began := time.Now()
	resp, err := p.up.do(ctx, c.Value, q)
	c.upstream.Observe(time.Since(began).Seconds())
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		c.told("timeout")
		return nil, &failure{code: http.StatusServiceUnavailable, kind: "timeout", reason: "timeout", err: errors.New("prometheus took too long")}
	case errors.Is(err, context.Canceled):
		c.told("canceled")
		return nil, &failure{code: statusGone, kind: "canceled", reason: "canceled", err: errors.New("the client has gone")}
	case err != nil:
		c.told("unreachable")
	case resp.StatusCode >= http.StatusInternalServerError:
		c.told("error")
	case resp.StatusCode >= http.StatusBadRequest:
		c.told("refused")
	default:
		c.told("ok")
	}
	return resp, err
}

// turn waits for one's place among all that ask Prometheus, first come first served.
func (p *Proxy) turn(ctx context.Context) error {
	select {
	case p.turns <- struct{}{}:
		return nil
	default:
	}
	wait := time.NewTimer(p.cfg.Limits.Wait.Std())
	defer wait.Stop()
	select {
	case p.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
	case <-wait.C:
	}
	return &failure{code: http.StatusTooManyRequests, kind: "unavailable", reason: "busy", retry: time.Second, err: errors.New("prometheus is busy with others")}
}

// refusedQuery makes the error of a question an answer.
func refusedQuery(err error) error {
	if _, ok := errors.AsType[*failure](err); ok {
		return err
	}
	switch {
	case errors.Is(err, ErrContradiction):
		return &failure{code: http.StatusUnprocessableEntity, kind: "execution", reason: "contradiction", err: err}
	case errors.Is(err, errHidden):
		return &failure{code: http.StatusUnprocessableEntity, kind: "execution", reason: "hidden", err: err}
	}
	return bad("parse", "%w", err)
}

// fail writes an error as Prometheus does.
func fail(w *reply, f *failure) {
	w.again()
	w.Header().Set("Content-Type", "application/json")
	if f.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(f.retry.Seconds())+1))
	}
	w.WriteHeader(f.code)
	_ = json.NewEncoder(w).Encode(map[string]string{"status": "error", "errorType": f.kind, "error": f.Error()})
}

// succeed writes data as Prometheus does.
func succeed(w *reply, data any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": data})
}

func acceptsGzip(r *http.Request) bool {
	for _, h := range r.Header.Values("Accept-Encoding") {
		for part := range strings.SplitSeq(h, ",") {
			name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
			if strings.EqualFold(name, "gzip") && strings.ReplaceAll(params, " ", "") != "q=0" {
				return true
			}
		}
	}
	return false
}
