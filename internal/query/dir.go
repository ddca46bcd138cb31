package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
)

// Dir is a catalog over a directory of the lake's layout,
// <table>/date=YYYY-MM-DD/hour=HH/*.parquet, that nobody is rewriting: it knows
// nothing of imports and compactions under way. It is for a copy of a lake on a
// laptop; a server asks the lake itself.
type Dir struct{ Path string }

// Tables lists the folders, with the columns of each one's newest file.
func (d Dir) Tables(ctx context.Context) ([]Table, error) {
	entries, err := os.ReadDir(d.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	var tables []Table
	for _, e := range entries {
		if !e.IsDir() || !refID.MatchString(e.Name()) {
			continue
		}
		files, _, err := d.Files(ctx, e.Name(), Range{}, nil)
		if err != nil {
			return nil, err
		}
		if len(files) == 0 {
			continue
		}
		t := Table{Name: e.Name()}
		if t.Columns, err = parquetColumns(files[len(files)-1].Path); err != nil {
			return nil, fmt.Errorf("table %q: %w", t.Name, err)
		}
		for _, c := range t.Columns {
			if c.Kind == Time {
				t.Times = []TimeColumn{{Name: c.Name}}
				break
			}
		}
		tables = append(tables, t)
	}
	return FlowViews(tables), nil
}

// Files lists the files of the hours in the range.
func (d Dir) Files(ctx context.Context, table string, r Range, _ map[string]Range) ([]File, func(), error) {
	var files []File
	if !refID.MatchString(table) {
		return nil, nil, fmt.Errorf("table %q: not a name", table)
	}
	root := filepath.Join(d.Path, table)
	days, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("list files: %w", err)
	}
	for _, day := range days {
		hours, err := os.ReadDir(filepath.Join(root, day.Name()))
		if err != nil || ctx.Err() != nil {
			return nil, nil, fmt.Errorf("list files: %w", errors.Join(err, ctx.Err()))
		}
		for _, hour := range hours {
			start, err := time.Parse("date=2006-01-02/hour=15", day.Name()+"/"+hour.Name())
			if err != nil || !r.From.IsZero() && !start.Add(time.Hour).After(r.From) || !r.To.IsZero() && start.After(r.To) {
				continue
			}
			found, err := parquetFiles(filepath.Join(root, day.Name(), hour.Name()))
			if err != nil {
				return nil, nil, err
			}
			files = append(files, found...)
		}
	}
	return files, func() {}, nil
}

func parquetFiles(dir string) ([]File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	var files []File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".parquet") || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, fmt.Errorf("list files: %w", err)
		}
		files = append(files, File{Path: filepath.Join(dir, e.Name()), Size: info.Size(), ETag: fmt.Sprintf("%d-%d", info.ModTime().UnixNano(), info.Size())})
	}
	return files, nil
}

// parquetColumns reads the columns from a file's footer.
func parquetColumns(file string) ([]Column, error) {
	f, err := os.Open(file) //nolint:gosec // a file of the folder that the operator names
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	p, err := parquet.OpenFile(f, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", file, err)
	}
	var columns []Column
	for _, field := range p.Schema().Fields() {
		c := Column{Name: field.Name(), Type: "VARCHAR", Kind: String}
		if field.Leaf() {
			c.Type, c.Kind = parquetType(field.Type())
		}
		columns = append(columns, c)
	}
	return columns, nil
}

func parquetType(t parquet.Type) (string, Kind) {
	if l := t.LogicalType(); l != nil {
		switch text := l.String(); {
		case strings.HasPrefix(text, "TIMESTAMP") && strings.Contains(text, "isAdjustedToUTC=true"):
			return "TIMESTAMPTZ", Time
		case strings.HasPrefix(text, "TIMESTAMP"):
			return "TIMESTAMP", Time
		case strings.HasPrefix(text, "DATE"):
			return "DATE", Time
		}
	}
	switch t.Kind() {
	case parquet.Boolean:
		return "BOOLEAN", Bool
	case parquet.Int32:
		return "INTEGER", Int
	case parquet.Int64:
		return "BIGINT", Int
	case parquet.Float, parquet.Double:
		return "DOUBLE", Float
	}
	return "VARCHAR", String
}

// DirDestination keeps what INTO $__dest writes in a folder.
type DirDestination struct{ Path string }

// writing begins the name of a file that is not whole yet.
const writing = ".writing-"

// Sweep removes what a process that was killed has left half written. What is
// younger than an hour may be another one's that still writes.
func (d DirDestination) Sweep() error {
	root, err := os.OpenRoot(d.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // read only
	return fs.WalkDir(root.FS(), ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasPrefix(e.Name(), writing) {
			return err
		}
		if info, err := e.Info(); err != nil || time.Since(info.ModTime()) < time.Hour {
			return nil //nolint:nilerr // it is no more
		}
		return root.Remove(path)
	})
}

// Put writes under a temporary name first, so that nobody sees half a file.
func (d DirDestination) Put(ctx context.Context, name, file string) (err error) {
	if !filepath.IsLocal(name) || slices.Contains(strings.Split(name, "/"), "..") {
		return fmt.Errorf("%q leads out of the destination", name)
	}
	target := filepath.Join(d.Path, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
		return err
	}
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // read only
	out, err := os.CreateTemp(filepath.Dir(target), writing+"*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(out.Name()))
		}
	}()
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close(), ctx.Err()); err != nil {
		return err
	}
	return os.Rename(out.Name(), target)
}
