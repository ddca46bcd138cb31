package query

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/orielhq/oriel/internal/query/lex"
	"github.com/orielhq/oriel/internal/query/timeseries"
)

// Needs is what a service works with.
type Needs struct {
	Engine      Engine
	Dialect     Dialect
	Catalog     Catalog
	Destination Destination // nil: INTO is refused
	TempDir     string      // where chained queries pass rows on; must be one that the engine may use
}

// Service answers requests.
type Service struct {
	cfg   Config
	needs Needs
	log   *slog.Logger
	cache *cache
	slots *semaphore.Weighted // first come, first served

	metrics   *metrics
	detectors *detectors
	shapes    shapes

	calls sync.WaitGroup // all that uses the engine

	mu      sync.Mutex // guards what follows
	closed  bool
	running map[string]context.CancelCauseFunc
}

var (
	errCancelled = errors.New("the query was cancelled")
	// ErrNoEngine is what a program built without an SQL engine answers.
	ErrNoEngine = errors.New("this program was built without DuckDB (cgo): it has no SQL engine")
)

// New makes a service. It starts nothing.
func New(cfg Config, needs Needs, log *slog.Logger) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	detectors, err := newDetectors()
	if err != nil {
		return nil, err
	}
	return &Service{
		detectors: detectors,
		cfg:       cfg, needs: needs, log: log, cache: newCache(int64(cfg.CacheSize), cfg.CacheAge.Std()),
		metrics: newMetrics(), slots: semaphore.NewWeighted(int64(cfg.Concurrency)), running: map[string]context.CancelCauseFunc{},
	}, nil
}

// Answer is what one query of a request comes to. Result is nil if Err is not, and
// for a query that returns nothing on purpose.
type Answer struct {
	Query  Query
	SQL    string // without macros
	Result *Result
	Err    error
	Cached bool
	Range  Range
	Fill   *Fill

	ctx   context.Context //nolint:containedctx // the request's: who reads may have another
	group *group
	shape *Shape
	view  *view
	done  func()
}

// Do starts the queries of a request and returns an answer for each visible
// one, whose rows may still be coming. done must be called after reading; it
// ends what nobody reads.
func (s *Service) Do(ctx context.Context, req *Request) (answers []*Answer, done func(), err error) {
	if s.needs.Engine == nil {
		return nil, nil, ErrNoEngine
	}
	if !s.enter() {
		return nil, nil, errors.New("the SQL engine is stopping")
	}
	defer s.calls.Done()
	if err := req.check(int(s.cfg.MaxQuery)); err != nil {
		return nil, nil, err
	}
	span, every, err := req.span(time.Now())
	if err != nil {
		return nil, nil, err
	}
	tables, err := s.needs.Catalog.Tables(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("list tables: %w", err)
	}
	ctx, forget, err := s.register(ctx, req.ID)
	if err != nil {
		return nil, nil, err
	}
	g := &group{Service: s, span: span, tables: map[string]Table{}, nodes: map[string]*node{}, files: map[string]*future{}, maxRows: s.cfg.MaxRows}
	if req.MaxRows > 0 {
		g.maxRows = min(g.maxRows, req.MaxRows)
	}
	for _, t := range tables {
		g.tables[t.Name] = t
	}
	if err := g.setUp(req); err != nil {
		forget()
		return nil, nil, err
	}
	for i := range req.Queries {
		q := &req.Queries[i]
		if list, ok := shown(q.SQL, g.tables); ok {
			q.SQL = list
		}
		n := &node{Query: q}
		n.exp, n.err = s.expand(q, req, span, every, g.source, g.tables)
		g.nodes[q.RefID] = n
	}
	oneWriter(link(g.nodes), g.nodes)
	answers = g.start(ctx, req)
	return answers, func() {
		for _, a := range answers {
			if a.done != nil {
				a.done()
			}
		}
		forget()
	}, nil
}

func (s *Service) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.calls.Add(1)
	}
	return !s.closed
}

// Close ends all queries and waits until none uses the engine any longer.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cache.stop()
	s.calls.Wait()
}

// expand makes plain SQL of a query.
func (s *Service) expand(q *Query, req *Request, span Range, every time.Duration, source string, tables map[string]Table) (*Expansion, error) {
	scope := &Scope{Range: span, Interval: every, Source: source, TimeColumn: q.TimeColumn, Dialect: s.needs.Dialect, Variables: map[string][]string{}}
	for name, values := range req.Variables {
		scope.Variables[name] = values
	}
	if times := tables[source].Times; len(times) > 0 {
		// The time column of a chart is often one that the query makes (AS time); a filter needs one that the table has.
		known := false
		for _, c := range tables[source].Columns {
			known = known || c.Name == q.TimeColumn
		}
		if !known {
			scope.TimeColumn = times[0].Name
		}
	}
	exp, err := Expand(q.SQL, scope)
	if err != nil {
		return nil, err
	}
	if exp.Dest != nil && s.needs.Destination == nil {
		return nil, errors.New("INTO: no destination is configured")
	}
	if exp.SQL, err = timeseries.Rewrite(exp.SQL, milliseconds); err != nil {
		return nil, err
	}
	return exp, nil
}

// milliseconds reads an interval of the time-series dialect.
func milliseconds(text string) (int64, error) {
	i, err := ParseInterval(text)
	if err == nil && i.Months > 0 {
		err = fmt.Errorf("interval %q: a month has no fixed length", text)
	}
	return i.Every.Milliseconds(), err
}

// register makes a request that can be cancelled by its name.
func (s *Service) register(ctx context.Context, id string) (context.Context, func(), error) {
	if id == "" {
		return ctx, func() {}, nil
	}
	if len(id) > 128 {
		return nil, nil, errors.New("request_id: longer than 128 bytes")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[id] != nil {
		return nil, nil, fmt.Errorf("request_id %q is under way already", id)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	s.running[id] = cancel
	return ctx, func() {
		s.mu.Lock()
		delete(s.running, id)
		s.mu.Unlock()
		cancel(nil)
	}, nil
}

// Cancel ends a request by its ID and tells whether there was one.
func (s *Service) Cancel(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	cancel, ok := s.running[id]
	if ok {
		cancel(errCancelled)
	}
	return ok
}

// Tables lists the tables that a query may name.
func (s *Service) Tables(ctx context.Context) ([]Table, error) { return s.needs.Catalog.Tables(ctx) }

// fault makes an engine's error one for people.
func (s *Service) fault(ctx context.Context, err error) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, context.DeadlineExceeded):
		return fmt.Errorf("the query took longer than %s: %w", s.cfg.Timeout, context.DeadlineExceeded)
	case cause != nil:
		return cause
	}
	return err
}

// tempDir makes a folder for the rows that queries of a request pass on.
func (s *Service) tempDir() (string, error) {
	dir, err := os.MkdirTemp(s.needs.TempDir, "chain-")
	if err != nil {
		return "", fmt.Errorf("make a folder for chained queries: %w", err)
	}
	return dir, nil
}

// position reads where in the text a fault is, if the error knows.
func position(err error) (line, column int) {
	if e, ok := errors.AsType[*lex.Error](err); ok {
		return e.Line, e.Column
	}
	return 0, 0
}
