//go:build cgo

package app

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/query"
	"github.com/orielhq/oriel/internal/query/sample"
)

// sqlLake writes two hours of flows and returns the data directory.
func sqlLake(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := sample.Lake(filepath.Join(dir, "lake"), 1, time.Date(2026, 8, 20, 0, 0, 0, 0, time.UTC), 2, 600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func sqlRun(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Main(t.Context(), append([]string{"sql"}, args...), &out, &errs)
	return out.String(), errs.String(), code
}

func TestSQLPrintsTheSameFromServerAndLake(t *testing.T) {
	dir := sqlLake(t)
	f, err := newSQLFeature(query.Default(), (&Config{dataDir: dir}).lakeConfig(), nil, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	srv := httptest.NewServer(f)
	defer func() {
		srv.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-o", "csv", "--from", "2026-08-20T00:00:00Z", "--to", "2026-08-20T00:59:59Z", "SELECT count(*) AS n, min(start_time) AS first FROM $__source WHERE $__timeFilter"}, "n,first\n600,2026-08-20T00:00:00Z\n"},
		{[]string{"-o", "json", "--var", "a=rejected", "--prev", "A=SELECT * FROM flows WHERE action = \"${a}\"", "SELECT count(*) > 0 AS some, 1.5 AS x, NULL AS n FROM $__source_prev(A)"}, "[\n  {\"some\": true, \"x\": 1.5, \"n\": null}\n]\n"},
		{[]string{"SELECT 'a' AS x, 2 AS longer UNION ALL SELECT 'bb', NULL ORDER BY 1"}, "x   longer\na        2\nbb       -\n"},
	} {
		for _, where := range [][]string{{"--url", srv.URL}, {"--lake", filepath.Join(dir, "lake")}} {
			out, errs, code := sqlRun(t, append(where, tt.args...)...)
			if code != 0 || out != tt.want {
				t.Errorf("sql %q %q = %d, %q, %s; want %q", where, tt.args, code, out, errs, tt.want)
			}
		}
	}
	out, errs, code := sqlRun(t, "--url", srv.URL, "-o", "plot", "--from", "2026-08-20T00:00:00Z", "--to", "2026-08-20T01:59:59Z",
		"SELECT $__timeGroup(start_time, 10m, 0) AS time, action, count(*) AS n FROM $__source WHERE $__timeFilter GROUP BY ALL")
	if code != 0 || !strings.Contains(out, `{action="accepted"}`) || !strings.Contains(out, "step 10m") {
		t.Errorf("plot = %d\n%s%s", code, out, errs)
	}
}

func TestSQLErrorsSayWhatIsWrong(t *testing.T) {
	lake := filepath.Join(sqlLake(t), "lake")
	file := filepath.Join(t.TempDir(), "q.sql")
	if err := os.WriteFile(file, []byte("SELECT $__nosuch"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--lake", lake, "-f", file}, 1, "oriel: sql: line 1, column 8: unknown macro $__nosuch"},
		{[]string{"--lake", lake, "DROP TABLE flows"}, 1, "only SELECT is allowed here"},
		{[]string{"--lake", lake, "SELECT * FROM read_text('/etc/passwd')"}, 1, "function read_text is not allowed"},
		{[]string{"--lake", lake, "SELECT * FROM nosuch"}, 1, `there is no table "nosuch"; there are: flow_flat, flows`},
		{[]string{"--lake", lake + "/nosuch", "SELECT 1"}, 1, "no such file"},
		{[]string{"--url", "http://127.0.0.1:1", "SELECT 1"}, 1, "no server at http://127.0.0.1:1"},
		{[]string{"-o", "xml", "SELECT 1"}, 2, `--output "xml"`},
		{[]string{"--var", "x", "SELECT 1"}, 2, "want name=value"},
	} {
		_, errs, code := sqlRun(t, tt.args...)
		if code != tt.code || !strings.Contains(errs, tt.want) {
			t.Errorf("sql %q = %d, %s; want %d, %s", tt.args, code, errs, tt.code, tt.want)
		}
	}
}
