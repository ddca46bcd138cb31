package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// Table is a table of the lake.
type Table struct {
	Name    string
	Columns []Column // as in its newest file
	// Time is the column that says when a row happened: the first of type
	// TIMESTAMP. Files are partitioned and sorted by it.
	Time  string
	First time.Time // hour of the oldest file
	Last  time.Time // hour of the newest file
}

// Column of a table.
type Column struct {
	Name string
	Type string // as DuckDB names it: VARCHAR, BIGINT, INTEGER, DOUBLE, BOOLEAN, TIMESTAMP, ...
}

func isNotFound(err error) bool { return errors.Is(err, ErrNotFound) }

func compare(a, b string) int { return strings.Compare(a, b) }

// cutKey splits the first part off a key.
func cutKey(key string) (first, rest string, ok bool) { return strings.Cut(key, "/") }

// table describes the table of which first is the oldest partition.
func (l *Lake) table(ctx context.Context, first partition) (Table, error) {
	t := Table{Name: first.table, First: first.hour}
	newest, err := l.newest(ctx, first)
	if err != nil {
		return t, err
	}
	p, _, _ := parseKey(newest.Key)
	t.Last = p.hour
	t.Columns, t.Time, err = l.schema(ctx, newest)
	return t, err
}

// maxSchemas is how many files' schemas are kept: those of the tables' newest ones.
const maxSchemas = 1000

// schemas remembers the columns of files, which never change.
type schemas struct {
	mu    sync.Mutex
	files map[string]schema // by key and ETag
}

type schema struct {
	columns []Column
	time    string
}

// schema returns the columns of a file, and the one that says when a row happened.
func (l *Lake) schema(ctx context.Context, o Object) ([]Column, string, error) {
	id := o.Key + "\x00" + o.ETag
	l.schemas.mu.Lock()
	s, ok := l.schemas.files[id]
	l.schemas.mu.Unlock()
	if ok {
		return s.columns, s.time, nil
	}
	file, err := l.openFile(ctx, o)
	if err != nil {
		return nil, "", err
	}
	s = schema{columns(file.Schema()), timeColumn(file.Schema())}
	l.schemas.mu.Lock()
	defer l.schemas.mu.Unlock()
	if l.schemas.files == nil || len(l.schemas.files) >= maxSchemas {
		l.schemas.files = map[string]schema{}
	}
	l.schemas.files[id] = s
	return s.columns, s.time, nil
}

// newest returns a file of a table's last hour. It halves the days between the
// first and tomorrow instead of listing them all.
func (l *Lake) newest(ctx context.Context, first partition) (Object, error) {
	after := func(days int) (string, error) {
		return l.firstAfter(ctx, first.table+"/", first.table+"/date="+first.hour.AddDate(0, 0, days).Format(dayFormat))
	}
	low, high := 0, 1 // there is a file after day low; none after day high, when found
	for {
		key, err := after(high)
		if err != nil {
			return Object{}, err
		}
		if key == "" {
			break
		}
		low, high = high, high*2
		if high > 1<<20 {
			break
		}
	}
	for high-low > 1 {
		mid := (low + high) / 2
		key, err := after(mid)
		if err != nil {
			return Object{}, err
		}
		if key == "" {
			high = mid
		} else {
			low = mid
		}
	}
	var last Object
	for o, err := range l.store.List(ctx, first.table+"/", first.table+"/date="+first.hour.AddDate(0, 0, low).Format(dayFormat)) {
		if err != nil {
			return last, err
		}
		if _, _, ok := parseKey(o.Key); ok {
			last = o
		}
	}
	if last.Key == "" {
		return last, fmt.Errorf("no file: %w", ErrNotFound)
	}
	return last, nil
}

// openFile reads the footer of a Parquet file.
func (l *Lake) openFile(ctx context.Context, o Object) (*parquet.File, error) {
	f, err := parquet.OpenFile(&objectReader{ctx: ctx, store: l.store, key: o.Key}, o.Size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", o.Key, err)
	}
	return f, nil
}

// objectReader reads an object at any place. It lives as long as one call.
type objectReader struct {
	ctx   context.Context //nolint:containedctx // io.ReaderAt has no place for it
	store Store
	key   string
}

func (r *objectReader) ReadAt(p []byte, off int64) (int, error) {
	body, err := r.store.GetRange(r.ctx, r.key, off, int64(len(p)))
	if err != nil {
		return 0, err
	}
	n, err := io.ReadFull(body, p)
	if cerr := body.Close(); err == nil {
		err = cerr
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

func columns(schema *parquet.Schema) []Column {
	var list []Column
	for _, f := range schema.Fields() {
		list = append(list, Column{f.Name(), duckType(f)})
	}
	return list
}

// duckType is the DuckDB type that a Parquet column is read as.
func duckType(f parquet.Field) string {
	if f.Repeated() {
		return "LIST"
	}
	var logical format.LogicalTypeValue
	if lt := f.Type().LogicalType(); lt != nil {
		logical = lt.Value
	}
	switch lt := logical.(type) {
	case *format.ListType:
		return "LIST"
	case *format.MapType:
		return "MAP"
	case *format.StringType, *format.EnumType:
		return "VARCHAR"
	case *format.JsonType:
		return "JSON"
	case *format.UUIDType:
		return "UUID"
	case *format.DateType:
		return "DATE"
	case *format.TimestampType:
		return timestampType(lt)
	case *format.IntType:
		return integerType(lt)
	}
	if !f.Leaf() {
		return "STRUCT"
	}
	switch f.Type().Kind() {
	case parquet.Boolean:
		return "BOOLEAN"
	case parquet.Int32:
		return "INTEGER"
	case parquet.Int64:
		return "BIGINT"
	case parquet.Float:
		return "FLOAT"
	case parquet.Double:
		return "DOUBLE"
	}
	return "BLOB"
}

func timestampType(t *format.TimestampType) string {
	if t.IsAdjustedToUTC {
		return "TIMESTAMP WITH TIME ZONE"
	}
	if _, ok := t.Unit.Value.(*format.NanoSeconds); ok {
		return "TIMESTAMP_NS"
	}
	return "TIMESTAMP"
}

func integerType(t *format.IntType) string {
	name := map[int8]string{8: "TINYINT", 16: "SMALLINT", 32: "INTEGER", 64: "BIGINT"}[t.BitWidth]
	if !t.IsSigned {
		return "U" + name
	}
	return name
}
