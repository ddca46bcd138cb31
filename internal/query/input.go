package query

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// input is what a query reads, chosen and held.
type input struct {
	views   []View
	etags   []string
	release func()
}

// choose finds the tables of a query and the files that it needs of them.
func (g *group) choose(ctx context.Context, sql string, shape *Shape) (*input, error) {
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
			return nil, &EngineError{Msg: fmt.Sprintf("there is no table %q; there are: %s", ref.Table, strings.Join(g.names(), ", ")), Offset: tableAt(sql, ref.Table)}
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
