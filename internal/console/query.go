package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

const (
	maxQueries      = 64
	maxQueryBody    = 1 << 20
	queriesAtOnce   = 4
	maxQueryAnswers = 256 << 20 // of one request
)

// promQuery is one query of a panel. Times are Unix seconds, as text.
type promQuery struct {
	RefID   string `json:"ref_id"`
	Expr    string `json:"expr"`
	Instant bool   `json:"instant"`
	Start   string `json:"start"`
	End     string `json:"end"` // the time of an instant query
	Step    string `json:"step"`
}

// promAnswer is Prometheus' own answer to it.
type promAnswer struct {
	RefID string          `json:"ref_id"`
	Code  int             `json:"code"`
	Body  json.RawMessage `json:"body"`
}

// serveQuery asks the engine all queries of a panel: one request instead of
// one a query, of which browsers send six at a time. It ends with the request.
func (c *Console) serveQuery(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Queries []promQuery `json:"queries"`
	}
	if t := r.Header.Get("Content-Type"); !strings.HasPrefix(t, "application/json") {
		refuse(w, http.StatusUnsupportedMediaType, "the body must be application/json")
		return
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQueryBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&req); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	if n := len(req.Queries); n == 0 || n > maxQueries {
		refuse(w, http.StatusBadRequest, "want 1 to 64 queries")
		return
	}
	answers := make([]promAnswer, len(req.Queries))
	budget := &budget{left: maxQueryAnswers}
	slots := make(chan struct{}, queriesAtOnce)
	var wg sync.WaitGroup
	for i, q := range req.Queries {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			answers[i] = c.ask(r.Context(), q, budget)
		})
	}
	wg.Wait()
	if r.Context().Err() == nil {
		answer(w, http.StatusOK, map[string]any{"results": answers})
	}
}

// ask sends one query to the engine's own API.
func (c *Console) ask(ctx context.Context, q promQuery, b *budget) promAnswer {
	form := url.Values{"query": {q.Expr}}
	path := "/api/v1/query_range"
	if q.Instant {
		path = "/api/v1/query"
		form.Set("time", q.End)
	} else {
		form.Set("start", q.Start)
		form.Set("end", q.End)
		form.Set("step", q.Step)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://engine.internal"+path, strings.NewReader(form.Encode()))
	if err != nil {
		return promAnswer{RefID: q.RefID, Code: http.StatusBadRequest, Body: failure(err.Error())}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rec := &recorder{head: http.Header{}, code: http.StatusOK, budget: b}
	cut := !c.engine(rec, req)
	a := promAnswer{RefID: q.RefID, Code: rec.code, Body: rec.body.Bytes()}
	switch {
	case rec.full:
		a.Code, a.Body = http.StatusRequestEntityTooLarge, failure("the answer is too large: ask for fewer series or a shorter range")
	case cut:
		a.Code, a.Body = http.StatusBadGateway, failure("the engine's answer broke off")
	case !json.Valid(a.Body):
		a.Body = failure(strings.TrimSpace(string(a.Body[:min(len(a.Body), 512)])))
	}
	return a
}

// engine asks it and tells whether the whole answer came. A handler gives up by a
// panic, of which net/http knows; here it would end the program: each query has a
// goroutine of its own.
func (c *Console) engine(w http.ResponseWriter, r *http.Request) (whole bool) {
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler { //nolint:errorlint // that very value, as net/http compares it
			panic(v)
		}
	}()
	c.needs.Engine.ServeHTTP(w, r)
	return true
}

func failure(message string) json.RawMessage {
	b, _ := json.Marshal(map[string]string{"status": "error", "error": message}) // strings are JSON
	return b
}

// budget is what the answers of one request may take in memory.
type budget struct {
	mu   sync.Mutex
	left int
}

func (b *budget) take(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left -= n
	return b.left >= 0
}

// recorder keeps an answer, within the budget.
type recorder struct {
	head   http.Header
	code   int
	body   bytes.Buffer
	budget *budget
	full   bool
}

// Header is the header of the answer; nobody reads it.
func (r *recorder) Header() http.Header { return r.head }

// WriteHeader keeps the status.
func (r *recorder) WriteHeader(code int) { r.code = code }

// Write keeps the body.
func (r *recorder) Write(p []byte) (int, error) {
	if r.full || !r.budget.take(len(p)) {
		r.full = true
		return 0, errors.New("answer too large")
	}
	return r.body.Write(p)
}
