package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"
)

// group is the queries of one request at work.
type group struct {
	*Service
	span    Range
	maxRows int
	tables  map[string]Table
	nodes   map[string]*node
	source  string // the table that $__source means
	filter  string // the condition on it, if the request has filters
	dest    string // folder for INTO

	mu    sync.Mutex // guards what follows
	files map[string]*future
	dir   string
	users int // runs that may read from dir
}

// start runs what must run and returns the answers of the visible queries in their order.
func (g *group) start(ctx context.Context, req *Request) []*Answer {
	var answers []*Answer
	var wg sync.WaitGroup
	g.users++ // until all have begun
	for i := range req.Queries {
		n := g.nodes[req.Queries[i].RefID]
		if n.Hide {
			continue // run by those that read it, if any
		}
		a := &Answer{Query: *n.Query, Err: n.err, Range: g.span, ctx: ctx, group: g}
		if n.exp != nil {
			a.Fill = n.exp.Fill
		}
		answers = append(answers, a)
		if a.Err == nil {
			wg.Go(func() { g.begin(ctx, n, a) })
		}
	}
	wg.Wait()
	g.leave()
	return answers
}

// begin starts one query, or finds its result.
func (g *group) begin(ctx context.Context, n *node, a *Answer) {
	in, err := g.prepare(ctx, n, a)
	if err != nil {
		a.Err = err
		return
	}
	key := ""
	// An answer without rows is none for who asks the same and wants them.
	shown := n.ReturnResult == nil || *n.ReturnResult
	if n.exp.Dest == nil && shown && !a.shape.Volatile && g.cfg.CacheSize > 0 {
		key = g.key(a.SQL, in.etags)
	}
	g.enter()
	g.calls.Add(1)
	result, how, done := g.cache.get(ctx, key, func(ctx context.Context, r *Result) (time.Duration, error) {
		defer g.calls.Done()
		defer g.leave()
		defer in.release()
		return g.run(ctx, n, in, r)
	})
	if how != started {
		g.calls.Done()
		in.release()
		g.leave()
	}
	a.Result, a.Cached = result, how == kept
	if ctx.Done() == nil {
		a.done = done
		return
	}
	stop := context.AfterFunc(ctx, done) // who hangs up does not read on
	a.done = func() { stop(); done() }
}

func (g *group) enter() {
	g.mu.Lock()
	g.users++
	g.mu.Unlock()
}

// leave removes the passed-on rows when nobody can want them any longer.
func (g *group) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.users--; g.users == 0 && g.dir != "" {
		if err := os.RemoveAll(g.dir); err != nil {
			g.log.Warn("remove rows of a chain", "err", err)
		}
		g.dir = ""
	}
}

// prepare parses a query with all that it reads in it, and holds the files.
func (g *group) prepare(ctx context.Context, n *node, a *Answer) (*input, error) {
	sql, err := inline(n, g.nodes, func(*node) bool { return false })
	if err != nil {
		return nil, err
	}
	a.SQL, n.whole = sql, sql
	if a.shape, err = g.shapes.inspect(ctx, g.needs.Engine, sql); err != nil {
		return nil, err
	}
	return g.choose(ctx, sql, a.shape)
}

// run executes a query and fills its result with rows.
func (g *group) run(ctx context.Context, n *node, in *input, r *Result) (time.Duration, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, g.cfg.Timeout.Std())
	defer cancel()
	err := g.fill(ctx, n, in, r)
	if err != nil {
		err = g.fault(ctx, err)
	}
	elapsed := time.Since(began)
	g.metrics.ran(err, elapsed, len(r.rows))
	return elapsed, err
}

func (g *group) fill(ctx context.Context, n *node, in *input, r *Result) error {
	if n.exp.Dest != nil {
		if _, err := g.file(ctx, n, in); err != nil {
			return err
		}
	}
	if n.ReturnResult != nil && !*n.ReturnResult {
		r.update(func() { r.columns = []Column{} })
		return nil
	}
	st, err := g.statement(ctx, n, in, n.shared() || n.exp.Dest != nil)
	if err != nil {
		return err
	}
	st.MaxRows = g.maxRows + 1
	if err := g.slots.Acquire(ctx, 1); err != nil {
		return err
	}
	defer g.slots.Release(1)
	rows, err := g.needs.Engine.Query(ctx, st)
	if e, ok := errors.AsType[*EngineError](err); ok && st.SQL != n.whole {
		e.Offset = -1 // it counts in a text that is not the answer's
	}
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // nothing was written
	return g.pump(rows, r)
}

// pump moves rows into the result, few at first so that a reader sees them soon.
func (g *group) pump(rows Rows, r *Result) error {
	columns := rows.Columns()
	r.update(func() { r.columns = columns })
	var batch [][]any
	var size int64
	total, limit := 0, 64
	flush := func(truncated bool) {
		r.update(func() { r.rows, r.bytes, r.truncated = append(r.rows, batch...), size, truncated })
		batch, limit = batch[:0], 4096
	}
	values := make([]any, 0)
	for {
		if len(values) < len(columns) {
			values = make([]any, 256*max(1, len(columns)))
		}
		row := values[:len(columns):len(columns)]
		err := rows.Next(row)
		if err == io.EOF { //nolint:errorlint // the contract of Rows, as of database/sql/driver
			flush(false)
			return nil
		}
		if err != nil {
			flush(false)
			return err
		}
		if total == g.maxRows {
			flush(true)
			return nil
		}
		values = values[len(columns):]
		total++
		if size += sizeOf(row); size > int64(g.cfg.MaxResult) {
			flush(true)
			return fmt.Errorf("the result is larger than %s (max_result): ask for fewer rows or columns", g.cfg.MaxResult)
		}
		if batch = append(batch, row); len(batch) == limit {
			flush(false)
		}
	}
}

// statement is a query for the engine, in which queries that several read are files.
func (g *group) statement(ctx context.Context, n *node, in *input, fromFile bool) (Statement, error) {
	st := Statement{Views: slices.Clone(in.views)}
	if fromFile {
		file, err := g.file(ctx, n, in)
		st.SQL = "SELECT * FROM " + quoteName(prevName(n.RefID))
		st.Views = []View{{Name: prevName(n.RefID), Files: []string{file}}}
		return st, err
	}
	var shared []*node
	sql, err := inline(n, g.nodes, func(p *node) bool {
		if p.shared() && !slices.Contains(shared, p) {
			shared = append(shared, p)
		}
		return p.shared()
	})
	if err != nil {
		return st, err
	}
	st.SQL = sql
	for _, p := range shared {
		file, err := g.file(ctx, p, in)
		if err != nil {
			return st, fmt.Errorf("query %s: %w", p.RefID, err)
		}
		st.Views = append(st.Views, View{Name: prevName(p.RefID), Files: []string{file}})
	}
	return st, nil
}
