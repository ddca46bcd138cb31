package query

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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

// future is a file with the rows of a query, made by the first who wants it.
type future struct {
	done chan struct{}
	file string
	err  error
}

// input is what a query reads, chosen and held.
type input struct {
	views   []View
	etags   []string
	release func()
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
		a := &Answer{Query: *n.Query, Err: n.err, Range: g.span, group: g}
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
	return g.choose(ctx, a.shape)
}

// choose finds the tables of a query and the files that it needs of them.
func (g *group) choose(ctx context.Context, shape *Shape) (*input, error) {
	want, times := map[string]Range{}, map[string]map[string]Range{}
	var views []View
	var add func(name string, r Range, columns map[string]Range, depth int) error
	add = func(name string, r Range, columns map[string]Range, depth int) error {
		t, ok := g.tables[name]
		if !ok || depth > 8 {
			return fmt.Errorf("there is no table %q", name)
		}
		columns = t.bounded(columns)
		if before, seen := want[t.Name]; seen {
			r = r.union(before)
			columns = eitherOf(columns, times[t.Name])
		}
		want[t.Name], times[t.Name] = r, columns
		for _, base := range t.Of {
			// A view's time columns are those of what it shows, by the same names.
			if err := add(base, r, columns, depth+1); err != nil {
				return err
			}
		}
		if t.View != "" && !slices.ContainsFunc(views, func(v View) bool { return v.Name == t.Name }) {
			views = append(views, View{Name: t.Name, SQL: t.View, Columns: t.Columns})
		}
		return nil
	}
	for _, ref := range shape.Tables {
		t, ok := g.tables[ref.Table]
		if !ok {
			return nil, fmt.Errorf("there is no table %q; there are: %s", ref.Table, strings.Join(g.names(), ", "))
		}
		if err := add(t.Name, t.filed(ref.Bounds), ref.Bounds, 0); err != nil {
			return nil, err
		}
	}
	in := &input{}
	var releases []func()
	in.release = sync.OnceFunc(func() {
		for _, f := range releases {
			f()
		}
	})
	names := make([]string, 0, len(want))
	for name := range want {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t := g.tables[name]
		if t.View != "" {
			continue
		}
		files, release, err := g.needs.Catalog.Files(ctx, name, want[name], times[name])
		if err != nil {
			in.release()
			return nil, fmt.Errorf("find the files of table %q: %w", name, err)
		}
		releases = append(releases, release)
		v := View{Name: name, Columns: t.Columns}
		for _, f := range files {
			v.Files = append(v.Files, f.Path)
			in.etags = append(in.etags, name+"\x00"+f.Path+"\x00"+f.ETag+"\x00"+strconv.FormatInt(f.Size, 10))
		}
		in.views = append(in.views, v)
	}
	in.views = append(in.views, views...)
	if g.filter != "" {
		in.etags = append(in.etags, "filter\x00"+g.filter)
	}
	return in, nil
}

func (g *group) names() []string {
	names := make([]string, 0, len(g.tables))
	for name := range g.tables {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// filed returns the range by which files are chosen, from what a query demands of time columns.
func (t *Table) filed(bounds map[string]Range) Range {
	var r Range
	for _, c := range t.Times {
		b, ok := bounds[c.Name]
		if !ok {
			continue
		}
		if c.Before < 0 || b.From.IsZero() {
			b.From = time.Time{}
		} else {
			b.From = b.From.Add(-c.Before)
		}
		if c.After < 0 || b.To.IsZero() {
			b.To = time.Time{}
		} else {
			b.To = b.To.Add(c.After)
		}
		r = r.intersect(b)
	}
	return r
}

// bounded are the bounds of the table's time columns other than the first, by
// which its files are filed anyway.
func (t *Table) bounded(bounds map[string]Range) map[string]Range {
	list := map[string]Range{}
	for i, c := range t.Times {
		if b, ok := bounds[c.Name]; ok && i > 0 {
			list[c.Name] = b
		}
	}
	return list
}

// eitherOf are the bounds of rows that are within those of one place or of another.
func eitherOf(a, b map[string]Range) map[string]Range {
	list := map[string]Range{}
	for name, r := range a {
		if other, ok := b[name]; ok {
			list[name] = r.union(other)
		}
	}
	return list
}

// key names the answer: the query, and the content of all it reads.
func (g *group) key(sql string, etags []string) string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%d\x00%d\x00%s\x00", g.maxRows, len(sql), sql)
	for _, e := range etags {
		_, _ = io.WriteString(h, e+"\x01")
	}
	return hex.EncodeToString(h.Sum(nil))
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

// file returns the rows of a query as a file, made once, and written to the
// destination if the query says so. in has all that the reader reads, so also
// all that this query reads.
func (g *group) file(ctx context.Context, n *node, in *input) (string, error) {
	for {
		g.mu.Lock()
		f := g.files[n.RefID]
		first := f == nil
		if first {
			f = &future{done: make(chan struct{})}
			g.files[n.RefID] = f
		}
		g.mu.Unlock()
		if first {
			f.file, f.err = g.export(ctx, n, in, "parquet")
			if f.err == nil && n.exp.Dest != nil {
				f.err = g.write(ctx, n, f.file)
			}
			if ctx.Err() != nil { // this reader left; the next one tries itself
				g.mu.Lock()
				delete(g.files, n.RefID)
				g.mu.Unlock()
			}
			close(f.done)
			return f.file, f.err
		}
		select {
		case <-f.done:
			g.mu.Lock()
			again := g.files[n.RefID] != f
			g.mu.Unlock()
			if !again {
				return f.file, f.err
			}
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// export runs a query into a new file.
func (g *group) export(ctx context.Context, n *node, in *input, format string) (string, error) {
	st, err := g.statement(ctx, n, in, false)
	if err != nil {
		return "", err
	}
	return g.exportStatement(ctx, n, st, format)
}

func (g *group) exportStatement(ctx context.Context, n *node, st Statement, format string) (string, error) {
	g.mu.Lock()
	if g.dir == "" {
		var err error
		if g.dir, err = g.tempDir(); err != nil {
			g.mu.Unlock()
			return "", err
		}
	}
	file := filepath.Join(g.dir, n.RefID+"."+format)
	g.mu.Unlock()
	if err := g.slots.Acquire(ctx, 1); err != nil {
		return "", err
	}
	defer g.slots.Release(1)
	return file, g.needs.Engine.Export(ctx, st, format, file)
}

// write does what INTO $__dest asks for, with the rows in a Parquet file.
func (g *group) write(ctx context.Context, n *node, file string) error {
	if format := n.exp.Dest.Format; format != "parquet" {
		name := prevName(n.RefID)
		st := Statement{SQL: "SELECT * FROM " + quoteName(name), Views: []View{{Name: name, Files: []string{file}}}}
		var err error
		if file, err = g.exportStatement(ctx, n, st, format); err != nil {
			return err
		}
	}
	name := n.exp.Dest.Suffix
	if name == "" {
		name = n.RefID + "-" + time.Now().UTC().Format("20060102T150405.000Z")
	}
	name = path.Join(g.dest, name)
	if err := g.needs.Destination.Put(ctx, name+"."+n.exp.Dest.Format, file); err != nil {
		return fmt.Errorf("write %q: %w", name, err)
	}
	return nil
}
