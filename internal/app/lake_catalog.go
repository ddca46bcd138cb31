package app

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/orielhq/oriel/internal/lake"
	"github.com/orielhq/oriel/internal/query"
)

// lakeConfig is where the lake is: what the section flows says, otherwise below the data directory.
func (c *Config) lakeConfig() lake.Config {
	cfg, standard := lake.Default(), lake.Default()
	if c.Flows != nil {
		cfg = *c.Flows
	}
	if c.dataDir != "" && cfg.Dir == standard.Dir {
		cfg.Dir = filepath.Join(c.dataDir, "lake")
	}
	if c.dataDir != "" && cfg.CacheDir == standard.CacheDir {
		cfg.CacheDir = filepath.Join(c.dataDir, "lake-cache")
	}
	return cfg
}

// lakeCatalog shows the lake to the query engine: whole transactions only, and
// files that stay until the query has read them.
type lakeCatalog struct{ lake *lake.Lake }

// Tables lists the lake's tables and the views over flows.
func (c lakeCatalog) Tables(ctx context.Context) ([]query.Table, error) {
	list, err := c.lake.Tables(ctx)
	if err != nil {
		return nil, err
	}
	tables := make([]query.Table, len(list))
	for i, t := range list {
		tables[i] = query.Table{Name: t.Name, Columns: queryColumns(t.Columns)}
		if t.Time != "" {
			tables[i].Times = []query.TimeColumn{{Name: t.Time}}
		}
	}
	return query.FlowViews(tables), nil
}

// Files returns the files of the range. The lake's upper bound is outside of
// it, the query's inside: the lake counts in microseconds.
func (c lakeCatalog) Files(ctx context.Context, table string, r query.Range, columns map[string]query.Range) ([]query.File, func(), error) {
	to := r.To
	if !to.IsZero() {
		to = to.Add(time.Microsecond)
	}
	bounds := make([]lake.Bound, 0, len(columns))
	for name, b := range columns {
		bounds = append(bounds, lake.Bound{Column: name, From: b.From, To: b.To})
	}
	files, err := c.lake.Files(ctx, table, r.From, to, bounds...)
	if err != nil {
		return nil, nil, err
	}
	list := make([]query.File, len(files.List))
	for i, f := range files.List {
		list[i] = query.File{Path: f.Path, ETag: f.ETag, Size: f.Size}
	}
	return list, files.Release, nil
}

func queryColumns(list []lake.Column) []query.Column {
	columns := make([]query.Column, len(list))
	for i, c := range list {
		columns[i] = query.Column{Name: c.Name, Type: c.Type, Kind: kindOf(c.Type)}
	}
	return columns
}

// kindOf is what values of a type of DuckDB's look like.
func kindOf(name string) query.Kind {
	switch {
	case name == "BOOLEAN":
		return query.Bool
	case strings.HasPrefix(name, "TIMESTAMP"), name == "DATE":
		return query.Time
	case name == "DOUBLE", name == "FLOAT", strings.HasPrefix(name, "DECIMAL"):
		return query.Float
	case strings.HasSuffix(name, "INT"), name == "INTEGER", name == "UINTEGER":
		return query.Int
	default:
		return query.String
	}
}
