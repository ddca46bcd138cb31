//go:build cgo

package duckdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/orielhq/oriel/internal/query"
)

// Engine is a DuckDB in memory.
type Engine struct{ db *sql.DB }

// Open starts a DuckDB and locks it down. TempDir is made if it is missing.
func Open(ctx context.Context, cfg Config) (*Engine, error) {
	if cfg.TempDir != "" {
		if err := os.MkdirAll(cfg.TempDir, 0o700); err != nil {
			return nil, fmt.Errorf("open DuckDB: %w", err)
		}
	}
	connector, err := duckdb.NewConnector("", nil)
	if err != nil {
		return nil, fmt.Errorf("open DuckDB: %w", err)
	}
	e := &Engine{db: sql.OpenDB(connector)}
	if err := define(ctx, e.db); err != nil {
		return nil, errors.Join(fmt.Errorf("open DuckDB: %w", err), e.db.Close())
	}
	threads := cfg.Threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	dirs := make([]string, len(cfg.Dirs))
	for i, d := range cfg.Dirs {
		dirs[i] = text(strings.TrimSuffix(d, "/") + "/")
	}
	for _, set := range []string{
		"SET GLOBAL TimeZone = 'UTC'",
		"SET GLOBAL autoinstall_known_extensions = false",
		"SET GLOBAL autoload_known_extensions = false",
		"SET GLOBAL allow_community_extensions = false",
		"SET GLOBAL parquet_metadata_cache = true",
		"SET GLOBAL threads = " + strconv.Itoa(threads),
		"SET GLOBAL memory_limit = " + text(strconv.FormatInt(int64(cfg.MemoryLimit), 10)+"B"),
		"SET GLOBAL temp_directory = " + text(cfg.TempDir),
		"SET GLOBAL max_temp_directory_size = " + text(strconv.FormatInt(int64(cfg.SpillLimit), 10)+"B"),
		"SET GLOBAL allowed_directories = [" + strings.Join(dirs, ", ") + "]",
		"SET GLOBAL enable_external_access = false",
		"SET GLOBAL lock_configuration = true",
	} {
		if _, err := e.db.ExecContext(ctx, set); err != nil {
			return nil, errors.Join(fmt.Errorf("open DuckDB: %s: %w", set, err), e.db.Close())
		}
	}
	return e, nil
}

// Close ends the engine. Queries must have ended.
func (e *Engine) Close() error { return e.db.Close() }

func text(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
func name(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// Inspect is documented at query.Engine.
func (e *Engine) Inspect(ctx context.Context, sqlText string) (*query.Shape, error) {
	var tree duckdb.Composite[map[string]any]
	row := e.db.QueryRowContext(ctx, "SELECT json_serialize_sql(?::VARCHAR, skip_empty := true, skip_null := true)", sqlText)
	if err := row.Scan(&tree); err != nil {
		return nil, clean(err, "")
	}
	in := &inspector{shape: &query.Shape{}}
	if err := in.statement(tree.Get()); err != nil {
		return nil, err
	}
	return in.shape, nil
}

// Query is documented at query.Engine.
func (e *Engine) Query(ctx context.Context, st query.Statement) (query.Rows, error) {
	conn, err := e.db.Conn(ctx)
	if err != nil {
		return nil, clean(err, "")
	}
	r := &rows{conn: conn, ctx: ctx}
	if err := r.open(st); err != nil {
		return nil, errors.Join(r.place(err), r.Close())
	}
	return r, nil
}

// Export is documented at query.Engine.
func (e *Engine) Export(ctx context.Context, st query.Statement, format, file string) (err error) {
	options, ok := map[string]string{"parquet": "FORMAT parquet, COMPRESSION zstd", "csv": "FORMAT csv, HEADER", "json": "FORMAT json"}[format]
	if !ok {
		return fmt.Errorf("export: format %q: want parquet, csv or json", format)
	}
	conn, err := e.db.Conn(ctx)
	if err != nil {
		return clean(err, "")
	}
	r := &rows{conn: conn, ctx: ctx}
	defer func() { err = errors.Join(r.place(err), r.Close()) }()
	if err := r.prepare(st); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "COPY (\n"+r.text+"\n) TO "+text(file)+" ("+options+")")
	return err
}

// rows are those of one query on its own connection.
type rows struct {
	conn    *sql.Conn
	text    string          // of the statement, with what is put around it
	before  int             // bytes of text that are put before it
	ctx     context.Context //nolint:containedctx // of the query
	stmt    *duckdb.Stmt
	rows    driver.Rows
	columns []query.Column
	values  []driver.Value
	convert []func(driver.Value) any
}

// with puts views before a statement. As views of DuckDB's they would have
// their files looked into when they are made and again when they are read.
func with(views []query.View) (string, error) {
	if len(views) == 0 {
		return "", nil
	}
	list := make([]string, len(views))
	for i, v := range views {
		body, err := relation(v)
		if err != nil {
			return "", err
		}
		list[i] = name(v.Name) + " AS NOT MATERIALIZED (\n" + body + "\n)"
	}
	return "WITH " + strings.Join(list, ", ") + "\n", nil
}

// relation is a view's SELECT.
func relation(v query.View) (string, error) {
	switch {
	case v.SQL != "":
		return v.SQL, nil
	case len(v.Files) > 0:
		files := make([]string, len(v.Files))
		for i, f := range v.Files {
			files[i] = text(f)
		}
		return "SELECT * FROM read_parquet([" + strings.Join(files, ", ") + "], union_by_name = true, hive_partitioning = false)", nil
	case len(v.Columns) > 0:
		columns := make([]string, len(v.Columns))
		for i, c := range v.Columns {
			columns[i] = "CAST(NULL AS " + c.Type + ") AS " + name(c.Name)
		}
		return "SELECT " + strings.Join(columns, ", ") + " WHERE false", nil
	}
	return "", fmt.Errorf("table %q has no files yet", v.Name)
}

// prepare puts a statement's views before it and sees that it is a SELECT.
func (r *rows) prepare(st query.Statement) error {
	before, err := with(st.Views)
	if err != nil {
		return err
	}
	before += "SELECT * FROM (\n"
	r.before, r.text = len(before), before+st.SQL+"\n)"
	if st.MaxRows > 0 {
		r.text += " LIMIT " + strconv.Itoa(st.MaxRows)
	}
	return r.conn.Raw(func(c any) error {
		s, err := c.(*duckdb.Conn).PrepareContext(r.ctx, r.text)
		if err != nil {
			return err
		}
		r.stmt = s.(*duckdb.Stmt)
		if kind, err := r.stmt.StatementType(); err != nil || kind != duckdb.STATEMENT_TYPE_SELECT {
			return errors.Join(errors.New("only SELECT is allowed here"), err)
		}
		return nil
	})
}

func (r *rows) open(st query.Statement) error {
	if err := r.prepare(st); err != nil {
		return err
	}
	if r.stmt.NumInput() > 0 {
		return errors.New("parameters ($1, ?) are not supported: use variables")
	}
	if err := r.conn.Raw(func(any) (err error) { r.rows, err = r.stmt.QueryContext(r.ctx, nil); return err }); err != nil {
		return err
	}
	for i, c := range r.rows.Columns() {
		typ := r.rows.(driver.RowsColumnTypeDatabaseTypeName).ColumnTypeDatabaseTypeName(i)
		kind, convert := conversion(typ)
		r.columns = append(r.columns, query.Column{Name: c, Type: typ, Kind: kind})
		r.convert = append(r.convert, convert)
	}
	r.values = make([]driver.Value, len(r.columns))
	return nil
}

// place is clean for a statement with something before it.
func (r *rows) place(err error) error {
	err = clean(err, r.text)
	if e, ok := errors.AsType[*query.EngineError](err); ok && e.Offset >= 0 {
		e.Offset = max(-1, e.Offset-r.before)
	}
	return err
}

// Columns is documented at query.Rows.
func (r *rows) Columns() []query.Column { return r.columns }

// Next is documented at query.Rows.
func (r *rows) Next(row []any) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	err := r.rows.Next(r.values)
	if err != nil {
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		return r.place(err)
	}
	for i, v := range r.values {
		if v == nil {
			row[i] = nil
		} else {
			row[i] = r.convert[i](v)
		}
	}
	return nil
}

// Close gives the connection back.
func (r *rows) Close() error {
	var errs []error
	if r.rows != nil {
		errs = append(errs, r.conn.Raw(func(any) error { return r.rows.Close() }))
	}
	if r.stmt != nil {
		errs = append(errs, r.conn.Raw(func(any) error { return r.stmt.Close() }))
	}
	errs = append(errs, r.conn.Close())
	return errors.Join(errs...)
}

// clean makes our error of the driver's: without its own words, and with the place
// in the statement that it shows below a line of it.
func clean(err error, statement string) error {
	d, ok := errors.AsType[*duckdb.Error](err)
	if !ok {
		return err
	}
	return said(d.Msg, statement)
}
