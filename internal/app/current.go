package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/orielhq/oriel/internal/lake"
	"github.com/orielhq/oriel/internal/neuvector"
	"github.com/orielhq/oriel/internal/query"
	"github.com/orielhq/oriel/internal/tunnel/probe"
	"github.com/orielhq/oriel/internal/wireguard"
)

// currentTable is a table of what a feature sees now.
type currentTable struct {
	name    string
	columns []lake.Column
	encode  func(io.Writer) error // the rows of now, as a Parquet file
}

// current returns a table whose rows are asked for at each query.
func current[T any](name string, rows func() []T) currentTable {
	return currentTable{
		name: name, columns: lake.ColumnsOf(new(T)),
		encode: func(w io.Writer) error { return lake.Encode(w, rows()) },
	}
}

// currentTables are those of the features before the one that is built.
func currentTables(b *builder) []currentTable {
	var list []currentTable
	if w, ok := part[*wireguard.Collector](b); ok {
		list = append(list, current("wireguard_peers", w.Peers))
	}
	if n, ok := part[*neuvector.Collector](b); ok {
		list = append(list, current("neuvector_workloads", n.Workloads), current("neuvector_images", n.Images))
	}
	if p, ok := part[*probe.Prober](b); ok {
		list = append(list, current("tunnels", p.Tunnels))
	}
	return list
}

// currentCatalog adds current tables to a catalog. Their rows become a file
// that is named by its content, for as long as somebody reads it.
type currentCatalog struct {
	query.Catalog
	tables []currentTable
	dir    string

	mu      sync.Mutex     // guards what follows
	readers map[string]int // by file
}

func newCurrentCatalog(c query.Catalog, tables []currentTable, dir string) *currentCatalog {
	return &currentCatalog{Catalog: c, tables: tables, dir: dir, readers: map[string]int{}}
}

// Tables lists the catalog's tables and the current ones.
func (c *currentCatalog) Tables(ctx context.Context) ([]query.Table, error) {
	list, err := c.Catalog.Tables(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range c.tables {
		list = slices.DeleteFunc(list, func(o query.Table) bool { return o.Name == t.name })
		list = append(list, query.Table{Name: t.name, Columns: queryColumns(t.columns)})
	}
	slices.SortFunc(list, func(a, b query.Table) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Files returns a file with a current table's rows, or the catalog's files.
func (c *currentCatalog) Files(ctx context.Context, table string, r query.Range, columns map[string]query.Range) ([]query.File, func(), error) {
	i := slices.IndexFunc(c.tables, func(t currentTable) bool { return t.name == table })
	if i < 0 {
		return c.Catalog.Files(ctx, table, r, columns)
	}
	var rows bytes.Buffer
	if err := c.tables[i].encode(&rows); err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256(rows.Bytes())
	etag := hex.EncodeToString(sum[:12])
	path := filepath.Join(c.dir, table+"-"+etag+".parquet")
	size := int64(rows.Len())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.readers[path] == 0 {
		if err := os.WriteFile(path, rows.Bytes(), 0o600); err != nil {
			return nil, nil, fmt.Errorf("write %s: %w", table, err)
		}
	}
	c.readers[path]++
	return []query.File{{Path: path, ETag: etag, Size: size}}, sync.OnceFunc(func() { c.release(path) }), nil
}

func (c *currentCatalog) release(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.readers[path]--; c.readers[path] == 0 {
		delete(c.readers, path)
		_ = os.Remove(path) // the folder is emptied at the next start
	}
}
