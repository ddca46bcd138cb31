//go:build cgo

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/query"
	"github.com/orielhq/oriel/internal/query/duckdb"
)

// orphanEnv makes the test's program one that has an engine, says so, and waits to be killed.
const orphanEnv = "ORIEL_SANDBOX_ORPHAN_TEST"

func TestMain(m *testing.M) {
	switch dir := os.Getenv(orphanEnv); {
	case len(os.Args) == 2 && os.Args[1] == Argument:
		if err := Serve(context.Background(), func() {}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case dir != "":
		e, err := Open(context.Background(), config(dir), slog.New(slog.DiscardHandler))
		if err == nil {
			_, err = e.Inspect(context.Background(), "SELECT 1")
		}
		fmt.Println(e.current.cmd.Process.Pid, err)
		_, err = e.Query(context.Background(), query.Statement{SQL: endless})
		fmt.Println(err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const (
	testMemory = 256 << 20
	endless    = "SELECT count(*) FROM range(1000000000000) t(x) WHERE hash(x) = 1"
)

func config(dir string) duckdb.Config {
	return duckdb.Config{MemoryLimit: testMemory, Threads: 2, TempDir: filepath.Join(dir, "tmp"), SpillLimit: conf.ByteSize(4 << 30), Dirs: []string{dir}}
}

type sample struct {
	N    int64  `parquet:"n"`
	Text string `parquet:"text"`
}

// engine opens an engine, and writes a table of a thousand rows.
func engine(t testing.TB) (*Engine, query.View) {
	t.Helper()
	dir := t.TempDir()
	rows := make([]sample, 1000)
	for i := range rows {
		rows[i] = sample{int64(i), strings.Repeat(strconv.Itoa(i%10), 10)}
	}
	file := filepath.Join(dir, "t.parquet")
	if err := parquet.WriteFile(file, rows); err != nil {
		t.Fatal(err)
	}
	e, err := Open(t.Context(), config(dir), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e, query.View{Name: "t", Files: []string{file}}
}

func all(ctx context.Context, e query.Engine, st query.Statement) (rows [][]any, err error) {
	r, err := e.Query(ctx, st)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		row := make([]any, len(r.Columns()))
		if err := r.Next(row); err == io.EOF { //nolint:errorlint // the contract of Rows
			return rows, nil
		} else if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
}

// pid is the engine's process; it is started if there is none.
func (e *Engine) pid(t testing.TB) int {
	t.Helper()
	p, err := e.process(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p.cmd.Process.Pid
}

// memory is a line of /proc/PID/status, in MB.
func memory(t testing.TB, pid int, what string) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "\n"+what+":")
	var kb int
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		t.Fatal(err)
	}
	return kb >> 10
}

func TestAnswersAreThoseOfTheEngine(t *testing.T) {
	e, view := engine(t)
	dir := t.TempDir()
	inside, err := duckdb.Open(t.Context(), config(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	for _, sql := range []string{
		"SELECT * FROM (VALUES (1, 'a', 1.5, true, TIMESTAMP '2026-01-02 03:04:05.678901', NULL), (-9223372036854775808, '', 'nan'::DOUBLE, false, TIMESTAMP '1677-09-21 00:12:44', [1])) t",
		"SELECT DATE '0001-01-01', DATE '9999-12-31', TIME '01:02:03', INTERVAL 1 DAY, {'a': 1}, 1::HUGEINT, 'infinity'::TIMESTAMP",
		"SELECT x, x || 'abc', x / 3 FROM range(100000) t(x)", "SELECT 1 WHERE false", "SELEC 1", "SELECT nothing", "SELECT error('no')", "SELECT 1; SELECT 2",
		"SELECT 1 AS a,\n  b FROM range(3)", "COPY (SELECT 1) TO 'x'", "SELECT $1",
	} {
		st := query.Statement{SQL: sql}
		wantShape, wantErr := inside.Inspect(t.Context(), sql)
		shape, err := e.Inspect(t.Context(), sql)
		if diff := cmp.Diff(wantShape, shape); diff != "" || fmt.Sprintf("%#v", err) != fmt.Sprintf("%#v", wantErr) && kindOf(err) != kindOf(wantErr) {
			t.Errorf("Inspect(%s): %#v; want %#v (-want +got):\n%s", sql, err, wantErr, diff)
		}
		want, wantErr := all(t.Context(), inside, st)
		got, err := all(t.Context(), e, st)
		if kindOf(err) != kindOf(wantErr) {
			t.Errorf("Query(%s): %v; want %v", sql, kindOf(err), kindOf(wantErr))
		}
		if diff := cmp.Diff(fmt.Sprint(want), fmt.Sprint(got)); diff != "" {
			t.Errorf("Query(%s) (-want +got):\n%s", sql, diff)
		}
	}
	out := filepath.Join(filepath.Dir(view.Files[0]), "out.json")
	if err := e.Export(t.Context(), query.Statement{SQL: "SELECT sum(n) AS n FROM t", Views: []query.View{view}}, "json", out); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(out); err != nil || strings.TrimSpace(string(b)) != `{"n":499500}` {
		t.Errorf("exported %q, %v", b, err)
	}
}

// kindOf is an error with what the service reads of it.
func kindOf(err error) string {
	if e, ok := errors.AsType[*query.EngineError](err); ok {
		return fmt.Sprintf("engine: %s at %d", e.Msg, e.Offset)
	}
	return fmt.Sprint(err)
}

// greedy are queries each of which makes a value whose size it computes, or many.
var greedy = map[string]string{
	"repeat":        "SELECT length(repeat('x', n * 1000000000)) FROM t WHERE n BETWEEN 3 AND 6",
	"written":       "SELECT length(repeat('x', 10000000000))",
	"chain":         "SELECT length(" + strings.Repeat("concat(s,", 14) + "''" + strings.Repeat(")", 14) + ") FROM (SELECT repeat(text, 40000000) AS s FROM t LIMIT 1)",
	"doubling":      "WITH RECURSIVE r AS (SELECT 1 AS i, 'x' AS s UNION ALL SELECT i + 1, s || s FROM r WHERE i < 36) SELECT max(length(s)) FROM r",
	"string_agg":    "SELECT length(string_agg(s, ',')) FROM (SELECT repeat(text, 1000000) || x AS s FROM t)",
	"list":          "SELECT len(list_aggregate(list(s), 'string_agg', ',')) FROM (SELECT repeat(text, 1000000) || x AS s FROM t)",
	"list_resize":   "SELECT len(list_resize([1], n * 100000000)) FROM t WHERE n BETWEEN 5 AND 9",
	"range":         "SELECT len(range(n * 100000000)) FROM t WHERE n BETWEEN 5 AND 9",
	"format":        "SELECT length(format('{:' || (n * 1000000000) || '}', 1)) FROM t WHERE n = 2",
	"large results": "SELECT repeat(text, 20000000) FROM t",
	"large value":   "SELECT repeat(text, 10000000) FROM t LIMIT 1",
}

// TestGreedyQueriesCostThemselves: each of them has an error, soon, ten others
// beside it have their answers, and neither process is larger than its bound.
func TestGreedyQueriesCostThemselves(t *testing.T) {
	e, view := engine(t)
	limit := 0
	for name, sql := range greedy {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			if limit == 0 {
				limit = memory(t, e.pid(t), "VmHWM") + testMemory>>20 + 2*perThread>>20 + beside>>20
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				began := time.Now()
				rows, err := all(ctx, e, query.Statement{SQL: sql, Views: []query.View{view}})
				if err == nil || ctx.Err() != nil {
					t.Errorf("%d rows, %v; want an error", len(rows), err)
				}
				t.Logf("%s: %.1f s: %v", name, time.Since(began).Seconds(), err)
			})
			for i := range 10 {
				wg.Go(func() {
					for range 5 {
						st := query.Statement{SQL: "SELECT text, count(*) AS c FROM t WHERE n % 10 = " + strconv.Itoa(i) + " GROUP BY 1", Views: []query.View{view}}
						rows, err := all(t.Context(), e, st)
						if err != nil || len(rows) != 1 || rows[0][1] != int64(100) {
							t.Errorf("a query beside it: %v, %v", rows, err)
							return
						}
					}
				})
			}
			wg.Wait()
			pid := e.pid(t)
			if got := memory(t, pid, "VmHWM"); got > limit {
				t.Errorf("the engine took %d MB; want at most %d", got, limit)
			}
			t.Logf("peak of the engine %d MB, of the limit %d; deaths %v", memory(t, pid, "VmHWM"), limit, e.deaths)
		})
	}
	t.Logf("peak of this process %d MB", memory(t, os.Getpid(), "VmHWM"))
}

// TestOrdinaryHeavyWorkPasses under the bound of the kernel: DuckDB's own limit
// is the one that is felt, and it goes to disk.
func TestOrdinaryHeavyWorkPasses(t *testing.T) {
	dir := t.TempDir()
	for _, threads := range []int{2, 32} {
		cfg := config(dir)
		cfg.Threads, cfg.MemoryLimit = threads, conf.ByteSize(threads/2)*64<<20+testMemory // each thread needs some
		e, err := Open(t.Context(), cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
		if err != nil {
			t.Fatal(err)
		}
		for _, sql := range []string{
			"SELECT count(*), max(k) FROM (SELECT hash(x) % 3000000 AS k, count(*) AS c, sum(x) AS s FROM range(6000000) t(x) GROUP BY 1)",
			"SELECT count(*), max(s) FROM (SELECT x, hash(x)::VARCHAR || 'some text that makes it wide' AS s, row_number() OVER (ORDER BY hash(x)) AS r FROM range(4000000) t(x))",
			"SELECT count(*) FROM (SELECT * FROM range(8000000) a(x) JOIN range(2000000, 6000000) b(y) ON hash(x) = hash(y))",
			"SELECT count(*), count(DISTINCT hash(x)::VARCHAR) FROM range(2000000) t(x)",
			"SELECT length(string_agg(x::VARCHAR, ',' ORDER BY hash(x))) FROM range(1000000) t(x)",
		} {
			began := time.Now()
			if rows, err := all(t.Context(), e, query.Statement{SQL: sql}); err != nil || len(rows) != 1 {
				t.Errorf("%d threads: %s: %v", threads, sql, err)
			}
			pid := e.pid(t)
			t.Logf("%d threads, limit %d MB: %.1f s, peak %d MB, data %d MB", threads, cfg.MemoryLimit>>20, time.Since(began).Seconds(), memory(t, pid, "VmHWM"), memory(t, pid, "VmData"))
		}
		if e.deaths[causeCrash] > 0 {
			t.Errorf("ends %v", e.deaths)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}
