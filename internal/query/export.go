package query

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"time"
)

// future is a file with the rows of a query, made by the first who wants it.
type future struct {
	done chan struct{}
	file string
	err  error
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
