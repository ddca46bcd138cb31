package proxy

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/orielhq/oriel/internal/conf"
)

// question is a request to Prometheus, made of what was understood and nothing else.
type question struct {
	path        string
	post        bool
	form        url.Values
	body        []byte // instead of the form
	contentType string
	gzip        bool
	header      http.Header
}

// one returns the only value of a parameter. Two of them are refused: who is right?
func (r *request) one(name string) (string, error) {
	switch v := r.form[name]; len(v) {
	case 0:
		return "", nil
	case 1:
		return v[0], nil
	default:
		return "", bad("bad_request", "parameter %q is there %d times", name, len(v))
	}
}

// take copies parameters that have one value each.
func (r *request) take(to url.Values, names ...string) error {
	for _, name := range names {
		v, err := r.one(name)
		if err != nil {
			return err
		}
		if v != "" {
			to.Set(name, v)
		}
	}
	return nil
}

// query takes the query, held to the tenant.
func (p *Proxy) query(r *request, to url.Values) error {
	text, err := r.one("query")
	if err != nil {
		return err
	}
	if text == "" {
		return bad("bad_request", "parameter \"query\" is missing")
	}
	text, err = r.company.queryOnce(text, p.rules)
	if err != nil {
		return err
	}
	to.Set("query", text)
	return nil
}

func (p *Proxy) askQuery(r *request) (*question, error) {
	q := &question{path: "/api/v1/query", post: true, form: url.Values{}, gzip: r.gzip}
	if err := r.take(q.form, "time", "limit", "lookback_delta", "stats"); err != nil {
		return nil, err
	}
	if err := p.timeout(r, q.form); err != nil {
		return nil, err
	}
	return q, p.query(r, q.form)
}

func (p *Proxy) askRange(r *request) (*question, error) {
	q := &question{path: "/api/v1/query_range", post: true, form: url.Values{}, gzip: r.gzip}
	if err := r.take(q.form, "start", "end", "step", "limit", "lookback_delta", "stats"); err != nil {
		return nil, err
	}
	if err := p.timeout(r, q.form); err != nil {
		return nil, err
	}
	span, err := p.span(q.form, true)
	if err != nil {
		return nil, err
	}
	step, err := parseStep(q.form.Get("step"))
	if err != nil || step <= 0 {
		return nil, bad("bad_request", "parameter \"step\": want a positive duration")
	}
	if points := span / step; points > time.Duration(p.cfg.Limits.Points) {
		return nil, &failure{code: http.StatusUnprocessableEntity, kind: "bad_data", reason: "points", err: fmt.Errorf("%d points: want at most %d", points, p.cfg.Limits.Points)}
	}
	return q, p.query(r, q.form)
}

func (p *Proxy) askExemplars(r *request) (*question, error) {
	q := &question{path: "/api/v1/query_exemplars", post: true, form: url.Values{}, gzip: r.gzip}
	if err := r.take(q.form, "start", "end"); err != nil {
		return nil, err
	}
	if _, err := p.span(q.form, false); err != nil {
		return nil, err
	}
	return q, p.query(r, q.form)
}

// askFormat and askParse are pure: Prometheus looks at the text alone, so it stays as it is.
func (p *Proxy) askFormat(r *request) (*question, error) { return pure(r, "/api/v1/format_query") }

func (p *Proxy) askParse(r *request) (*question, error) { return pure(r, "/api/v1/parse_query") }

func pure(r *request, path string) (*question, error) {
	q := &question{path: path, post: true, form: url.Values{}, gzip: r.gzip}
	err := r.take(q.form, "query")
	if text := q.form.Get("query"); err == nil && (text == "" || len(text) > maxQuery) {
		err = bad("bad_request", "parameter \"query\": want 1 to %d bytes", maxQuery)
	}
	return q, err
}

// selectors takes match[], each held to the tenant; without any, the tenant itself.
func (p *Proxy) selectors(r *request, to url.Values, needed bool) error {
	list := r.form["match[]"]
	if len(list) > p.cfg.Limits.Selectors {
		return bad("selectors", "%d match[]: want at most %d", len(list), p.cfg.Limits.Selectors)
	}
	if len(list) == 0 && needed {
		return bad("bad_request", "no match[] parameter")
	}
	if len(list) == 0 || slices.Equal(list, []string{""}) && !needed {
		own, err := r.tenant.Selector("")
		to.Add("match[]", own)
		return err
	}
	for _, s := range list {
		if s == "" {
			return bad("bad_request", "an empty match[]")
		}
		held, err := r.company.selectorOnce(s, p.rules)
		if err != nil {
			return err
		}
		to.Add("match[]", held)
	}
	return nil
}

func (p *Proxy) matched(r *request, path string, post, needed bool) (*question, error) {
	q := &question{path: path, post: post, form: url.Values{}, gzip: r.gzip}
	if err := r.take(q.form, "start", "end", "limit"); err != nil {
		return nil, err
	}
	if _, err := p.span(q.form, false); err != nil {
		return nil, err
	}
	return q, p.selectors(r, q.form, needed)
}

func (p *Proxy) askSeries(r *request) (*question, error) {
	return p.matched(r, "/api/v1/series", true, true)
}

func (p *Proxy) askLabels(r *request) (*question, error) {
	return p.matched(r, "/api/v1/labels", true, false)
}

func (p *Proxy) askLabelValues(r *request) (*question, error) {
	if slices.Contains(p.cfg.Hide, r.label) {
		return nil, fmt.Errorf("%w: %q", errHidden, r.label)
	}
	// labelForm has seen the name: there is nothing to escape.
	return p.matched(r, "/api/v1/label/"+r.label+"/values", false, false)
}

func (p *Proxy) askFederate(r *request) (*question, error) {
	q := &question{path: "/federate", form: url.Values{}, header: textHeader}
	return q, p.selectors(r, q.form, false)
}

// askMetrics asks for what the configuration calls the metrics of a company.
func (p *Proxy) askMetrics(r *request) (*question, error) {
	q := &question{path: "/federate", form: url.Values{}, header: textHeader}
	for _, s := range p.cfg.Metrics {
		held, err := r.tenant.Selector(s)
		if err != nil {
			return nil, err
		}
		q.form.Add("match[]", held)
	}
	return q, nil
}

func (p *Proxy) askRules(*request) (*question, error) { return &question{path: "/api/v1/rules"}, nil }

func (p *Proxy) askAlerts(*request) (*question, error) { return &question{path: "/api/v1/alerts"}, nil }

// timeout sets the time for a query: the client's, but not more than ours.
func (p *Proxy) timeout(r *request, to url.Values) error {
	limit := p.cfg.Limits.Timeout.Std()
	text, err := r.one("timeout")
	if err != nil {
		return err
	}
	if text != "" {
		d, err := parseStep(text)
		if err != nil || d <= 0 {
			return bad("bad_request", "parameter \"timeout\": want a positive duration")
		}
		limit = min(limit, d)
	}
	to.Set("timeout", strconv.FormatFloat(limit.Seconds(), 'f', -1, 64))
	return nil
}

// span is the time between start and end. Where both may be missing Prometheus
// takes all it has: then the limit is what is asked for.
func (p *Proxy) span(form url.Values, needed bool) (time.Duration, error) {
	limit := p.cfg.Limits.Range.Std()
	now := time.Now()
	start, end := now, now
	for name, t := range map[string]*time.Time{"start": &start, "end": &end} {
		text := form.Get(name)
		if text == "" {
			if needed {
				return 0, bad("bad_request", "parameter %q is missing", name)
			}
			continue
		}
		var err error
		if *t, err = parseTime(text); err != nil {
			return 0, bad("bad_request", "parameter %q: want seconds or RFC 3339", name)
		}
	}
	if form.Get("start") == "" {
		start = end.Add(-limit)
		form.Set("start", strconv.FormatInt(start.Unix()+1, 10))
	}
	span := end.Sub(start)
	switch {
	case span < 0:
		return 0, bad("bad_request", "the end is before the start")
	case span > limit:
		return 0, &failure{code: http.StatusUnprocessableEntity, kind: "bad_data", reason: "range", err: fmt.Errorf("a range of %s: want at most %s", span.Round(time.Second), limit)}
	}
	if form.Get("end") == "" {
		form.Set("end", strconv.FormatInt(end.Unix(), 10))
	}
	return span, nil
}

// maxUnix bounds times to what a time.Duration between two of them can hold.
const maxUnix = 4e9

func parseTime(text string) (time.Time, error) {
	if s, err := strconv.ParseFloat(text, 64); err == nil {
		if math.IsNaN(s) || math.Abs(s) > maxUnix {
			return time.Time{}, fmt.Errorf("%q is out of range", text)
		}
		whole, part := math.Modf(s)
		return time.Unix(int64(whole), int64(part*1e9)), nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err == nil && (t.Unix() > maxUnix || t.Unix() < -maxUnix) {
		err = fmt.Errorf("%q is out of range", text)
	}
	return t, err
}

// parseStep reads seconds or a duration as Prometheus writes it.
func parseStep(text string) (time.Duration, error) {
	if s, err := strconv.ParseFloat(text, 64); err == nil {
		if math.IsNaN(s) || math.Abs(s) > maxUnix {
			return 0, fmt.Errorf("%q is out of range", text)
		}
		return time.Duration(s * 1e9), nil
	}
	d, err := conf.ParseDuration(text)
	return d.Std(), err
}
