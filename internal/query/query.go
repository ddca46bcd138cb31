// Package query answers SQL with macros over the lake: it expands macros and
// variables, links the queries of one request to chains, chooses the files to
// read by the time that a query asks for, keeps answers while they are true,
// and turns rows into tables and time series. An Engine runs the SQL itself.
package query

import (
	"context"
	"time"
)

// Engine runs SQL over Parquet files.
type Engine interface {
	// Inspect parses sql, which must be one SELECT that reads nothing but
	// tables; anything else is an error that says what is not allowed.
	Inspect(ctx context.Context, sql string) (*Shape, error)
	// Query runs a SELECT. Whoever gets Rows closes them.
	Query(ctx context.Context, st Statement) (Rows, error)
	// Export writes what a SELECT yields into a new file: parquet, csv or json.
	Export(ctx context.Context, st Statement, format, file string) error
}

// Shape is what a parsed query needs.
type Shape struct {
	Tables   []Reference
	Volatile bool // it asks for the time or for chance: two runs differ
}

// Reference is one place of a query that names a table.
type Reference struct {
	Table string
	// Bounds are what the query itself demands of columns of type time, at the
	// place of the reference: rows outside of them cannot matter.
	Bounds map[string]Range
}

// Statement is a SELECT and the views it may name.
type Statement struct {
	SQL     string
	Views   []View
	MaxRows int // 0: all
}

// View is a table for the length of one statement: files, or SQL over views before it.
type View struct {
	Name    string
	SQL     string
	Files   []string
	Columns []Column // the columns when there are no files
}

// Rows are what a query yields: values of type nil, bool, int64, float64, string, time.Time (UTC).
type Rows interface {
	Columns() []Column
	// Next fills row, which has a place for each column. At the end it returns io.EOF.
	Next(row []any) error
	Close() error
}

// Column is a column of a table or of a result.
type Column struct {
	Name string `json:"name"`
	// Type is the engine's own name of the type.
	Type string `json:"type"`
	// Kind is what values look like: bool, int, float, string or time.
	Kind Kind `json:"kind"`
	// Labels tell the columns of a wide time series apart.
	Labels map[string]string `json:"labels,omitempty"`
}

// Kind is what the values of a column look like.
type Kind string

// The kinds of values.
const (
	Bool   Kind = "bool"
	Int    Kind = "int"
	Float  Kind = "float"
	String Kind = "string"
	Time   Kind = "time"
)

// Range is a span of time, both ends included. A zero end is open.
type Range struct{ From, To time.Time }

// union is the smallest range that contains both.
func (r Range) union(o Range) Range {
	if r.From.IsZero() || o.From.IsZero() {
		r.From = time.Time{}
	} else if o.From.Before(r.From) {
		r.From = o.From
	}
	if r.To.IsZero() || o.To.IsZero() {
		r.To = time.Time{}
	} else if o.To.After(r.To) {
		r.To = o.To
	}
	return r
}

// intersect is what is in both.
func (r Range) intersect(o Range) Range {
	if r.From.IsZero() || o.From.After(r.From) {
		r.From = o.From
	}
	if r.To.IsZero() || !o.To.IsZero() && o.To.Before(r.To) {
		r.To = o.To
	}
	return r
}

// Catalog is what the lake knows. Its methods may be called concurrently.
type Catalog interface {
	// Tables lists all tables and views.
	Tables(ctx context.Context) ([]Table, error)
	// Files returns local files with all rows of a table that are filed under a
	// time in the range and have times in columns as they say (and maybe more);
	// release tells that they are not read any longer.
	Files(ctx context.Context, table string, r Range, columns map[string]Range) (files []File, release func(), err error)
}

// Table is something that a query may name.
type Table struct {
	Name    string
	Columns []Column
	// View is the SQL of a view over the tables in Of; empty for a table with files.
	View string
	Of   []string
	// Times are the columns from whose value the time by which files are
	// chosen can be told.
	Times []TimeColumn
}

// TimeColumn says that a row with time c in this column is filed under a time
// from c-Before to c+After. Negative means without limit. The first of a table's
// is the one that $__timeFilter means.
type TimeColumn struct {
	Name          string
	Before, After time.Duration
}

// File is a Parquet file on a local disk.
type File struct {
	Path string
	Size int64
	ETag string // another content has another
}

// Destination takes the files that INTO $__dest makes. Put stores a file under
// a name (slash separated, relative) wholly or not at all.
type Destination interface {
	Put(ctx context.Context, name, file string) error
}
