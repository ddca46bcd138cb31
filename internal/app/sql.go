package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/orielhq/oriel/internal/lake"
	"github.com/orielhq/oriel/internal/query"
	"github.com/orielhq/oriel/internal/query/duckdb"
	"github.com/orielhq/oriel/internal/query/sandbox"
)

// sqlFlags is the command line as it was given.
type sqlFlags struct {
	url, configFile, lake, file      string
	from, to, window, interval       string
	variables, prev                  []string
	timeColumn, metricColumn, format string
	output, source, dest             string
	timeout                          time.Duration
	maxRows                          int
}

func sqlCommand() *cobra.Command {
	var f sqlFlags
	cmd := &cobra.Command{
		Use:   "sql [SQL]",
		Short: "Ask a running server, or a lake in a directory, in SQL",
		Long: `Ask a running server, or a lake in a directory, in SQL and print the answer.

Macros and variables work as in dashboards: $__source is the table of flow logs,
$__timeFilter the range of --from and --to (or --range), ${name} what --var says.
The SQL is the argument, a file (-f), or comes through a pipe; without any of them a terminal asks for it.
SHOW TABLES and \d list the tables, \d NAME the columns of one, and -o sql shows what the macros make of a query.`,
		Example: `  oriel sql --range 6h 'SELECT action, count(*) FROM $__source WHERE $__timeFilter GROUP BY action'
  oriel sql --lake oriel-data/lake -o csv 'SELECT * FROM flows LIMIT 10'
  oriel sql --range 1d -o plot 'SELECT $__timeGroup(start_time, 15m, 0) AS time, action, count(*) AS n FROM $__source WHERE $__timeFilter GROUP BY ALL'
  oriel sql --var ip=10.0.0.1 --prev "A=SELECT * FROM flows WHERE target_ip = '${ip}'" 'SELECT count(*) FROM $__source_prev(A)'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if env := os.Getenv("ORIEL_URL"); env != "" && !cmd.Flags().Changed("url") {
				f.url = env
			}
			out := cmd.OutOrStdout()
			if in, ok := cmd.InOrStdin().(*os.File); ok && len(args) == 0 && f.file == "" && term.IsTerminal(int(in.Fd())) {
				return (&sqlShell{flags: &f, in: in, out: out, screen: promqlScreenOf(out)}).run(cmd.Context())
			}
			text, err := f.text(args, cmd.InOrStdin())
			if err != nil {
				return fmt.Errorf("sql: %w", err)
			}
			return f.run(cmd.Context(), text, out, cmd.ErrOrStderr(), promqlScreenOf(out))
		},
	}
	fl := cmd.Flags()
	fl.SetNormalizeFunc(otherName("lake.dir", "lake"))
	fl.StringVar(&f.url, "url", promqlURL, "`address` of the server; also in ORIEL_URL")
	fl.StringVar(&f.configFile, "http.config.file", "", "`file` with TLS and authentication for the server, as promtool has it")
	fl.StringVar(&f.lake, "lake", "", "read this `directory` of a lake, without a server")
	fl.StringVarP(&f.file, "file", "f", "", "read the SQL from this `file`; - is standard input")
	fl.StringVar(&f.window, "range", "", "ask for this `duration` up to --to")
	fl.StringVar(&f.from, "from", "", "ask from this `time` (RFC 3339, milliseconds, or now-6h)")
	fl.StringVar(&f.to, "to", "", "ask up to this `time` (default now)")
	fl.StringVar(&f.interval, "interval", "", "`duration` that $__interval stands for")
	fl.StringArrayVar(&f.variables, "var", nil, "`name=value` of a variable; repeated for several values")
	fl.StringArrayVar(&f.prev, "prev", nil, "`name=SQL` of a query that $__source_prev(name) reads")
	fl.StringVar(&f.timeColumn, "time-column", "", "`column` with the time of a plot, and of $__timeFilter")
	fl.StringVar(&f.metricColumn, "metric-column", "", "`column` that names the series of a plot")
	fl.StringVar(&f.format, "format", "table", "`shape` of the answer: table, time_series (a column for each series) or long")
	fl.StringVarP(&f.output, "output", "o", "table", "`format`: table, vertical (a line for each value), csv, json, plot, or sql (the query without macros)")
	fl.StringVar(&f.source, "source", query.FlowFlat, "with --lake: the `table` that $__source means")
	fl.StringVar(&f.dest, "dest", "", "with --lake: the `directory` that INTO $__dest writes to")
	fl.DurationVar(&f.timeout, "timeout", time.Minute, "how long to wait for the answer")
	fl.IntVar(&f.maxRows, "max-rows", 1000, "rows to ask for, at most")
	cmd.MarkFlagsMutuallyExclusive("url", "lake")
	cmd.MarkFlagsMutuallyExclusive("range", "from")
	return cmd
}

// maxSQLText bounds what is read of a file or a pipe.
const maxSQLText = 16 << 20

func (f *sqlFlags) text(args []string, stdin io.Reader) (string, error) {
	switch {
	case len(args) == 1 && f.file != "":
		return "", errors.New("the SQL is given twice: as an argument and by --file")
	case len(args) == 1 && args[0] != "-":
		return args[0], nil
	case f.file != "" && f.file != "-":
		b, err := os.ReadFile(f.file)
		return string(b), err
	}
	b, err := io.ReadAll(io.LimitReader(stdin, maxSQLText+1))
	if len(b) > maxSQLText {
		return "", fmt.Errorf("more than %d bytes of SQL", maxSQLText)
	}
	return string(b), err
}

// request makes what is asked of the flags.
func (f *sqlFlags) request(text string) (*query.Request, error) {
	req := &query.Request{MaxRows: f.maxRows, Variables: map[string]query.Variable{}}
	from, to := f.from, f.to
	if f.window != "" {
		var err error
		if from, err = before(to, f.window); err != nil {
			return nil, err
		}
	}
	if from != "" && to == "" {
		to = "now"
	}
	if from != "" {
		req.From, req.To = from, to
	} else if to != "" {
		return nil, errors.New("--to needs --from")
	}
	if f.interval != "" {
		i, err := query.ParseInterval(f.interval)
		if err != nil || i.Months > 0 {
			return nil, fmt.Errorf("--interval %q: want a duration as 30s, 5m or 1h", f.interval)
		}
		req.IntervalMS = i.Every.Milliseconds()
	}
	for _, v := range f.variables {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--var %q: want name=value", v)
		}
		req.Variables[name] = append(req.Variables[name], value)
	}
	for _, p := range f.prev {
		name, sql, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--prev %q: want name=SQL", p)
		}
		req.Queries = append(req.Queries, query.Query{RefID: name, SQL: sql, Hide: true, TimeColumn: f.timeColumn})
	}
	format := f.format
	if f.output == "plot" && format == "table" {
		format = "time_series"
	}
	req.Queries = append(req.Queries, query.Query{RefID: "result", SQL: text, Format: format, TimeColumn: f.timeColumn, MetricColumn: f.metricColumn})
	return req, nil
}

// before is the time a window before another: a time as RFC 3339 or in
// milliseconds, now-6h, or now if it is empty.
func before(to, window string) (string, error) {
	back, err := query.ParseInterval(window)
	if err != nil || back.Months > 0 {
		return "", fmt.Errorf("--range %q: want a duration as 30m, 6h or 7d", window)
	}
	if rest, ok := strings.CutPrefix(to, "now-"); ok {
		more, err := query.ParseInterval(rest)
		if err != nil || more.Months > 0 {
			return "", fmt.Errorf("--to %q: want a time, now or now-6h", to)
		}
		return fmt.Sprintf("now-%dms", (back.Every + more.Every).Milliseconds()), nil
	}
	if to == "" || to == "now" {
		return fmt.Sprintf("now-%dms", back.Every.Milliseconds()), nil
	}
	at, err := time.Parse(time.RFC3339Nano, to)
	if ms, numeric := strconv.ParseInt(to, 10, 64); numeric == nil {
		at, err = time.UnixMilli(ms), nil
	}
	if err != nil {
		return "", fmt.Errorf("--to %q: want a time as 2026-08-20T06:00:00Z, now or now-6h", to)
	}
	return at.Add(-back.Every).UTC().Format(time.RFC3339Nano), nil
}

// sqlOutputs are the ways to print an answer.
var sqlOutputs = []string{"table", "vertical", "csv", "json", "plot", "sql"}

func (f *sqlFlags) run(ctx context.Context, text string, stdout, stderr io.Writer, screen promqlScreen) error {
	switch {
	case !slices.Contains(sqlOutputs, f.output):
		return &usageError{fmt.Errorf("sql: --output %q: want %s", f.output, strings.Join(sqlOutputs, ", "))}
	case f.timeout <= 0 || f.maxRows < 1:
		return &usageError{errors.New("sql: --timeout and --max-rows: want more than 0")}
	}
	text, err := sqlShortcut(text)
	if err != nil {
		return fmt.Errorf("sql: %w", err)
	}
	req, err := f.request(text)
	if err != nil {
		return &usageError{fmt.Errorf("sql: %w", err)}
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	ask := f.askServer
	if f.lake != "" {
		ask = f.askLake
	}
	answer, err := ask(ctx, req)
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("no answer within %v", f.timeout)
		}
		return fmt.Errorf("sql: %w", err)
	}
	if answer.Truncated {
		_, _ = fmt.Fprintf(stderr, "sql: only the first %d rows; --max-rows asks for more\n", len(answer.Rows))
	}
	switch f.output {
	case "sql":
		_, err := fmt.Fprintln(stdout, strings.TrimSpace(answer.SQL))
		return err
	case "vertical":
		return answer.vertical(stdout, stderr, screen.zone)
	case "csv":
		return answer.csv(stdout)
	case "json":
		return answer.json(stdout)
	case "plot":
		return answer.plot(stdout, stderr, screen)
	}
	return answer.table(stdout, stderr, screen.zone)
}

// askLake starts an engine for one request.
func (f *sqlFlags) askLake(ctx context.Context, req *query.Request) (*sqlAnswer, error) {
	info, err := os.Stat(f.lake)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("--lake %s: not a directory", f.lake)
	}
	dir, err := filepath.Abs(f.lake)
	if err != nil {
		return nil, err
	}
	where := lake.Default()
	where.Dir = dir
	l, err := where.Open(slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	temp, err := os.MkdirTemp("", "oriel-sql-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp) //nolint:errcheck // a temporary folder
	cfg := query.Default()
	cfg.Source, cfg.CacheSize = f.source, 0
	engine, err := sandbox.Open(ctx, duckdb.Config{MemoryLimit: cfg.MemoryLimit, SpillLimit: cfg.SpillLimit, TempDir: temp, Dirs: []string{dir, temp}}, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer engine.Close() //nolint:errcheck // it has nothing to keep
	needs := query.Needs{Engine: engine, Dialect: query.DuckDB{}, Catalog: lakeCatalog{l}, TempDir: temp}
	if f.dest != "" {
		needs.Destination = query.DirDestination{Path: f.dest}
	}
	s, err := query.New(cfg, needs, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	answers, done, err := s.Do(ctx, req)
	if err != nil {
		return nil, err
	}
	defer done()
	columns, batches, err := answers[0].Batches(ctx)
	if err != nil {
		return nil, err
	}
	out := &sqlAnswer{Columns: columns, SQL: answers[0].SQL}
	for rows, err := range batches {
		if err != nil {
			return nil, err
		}
		out.Rows = append(out.Rows, rows...)
	}
	out.Truncated = answers[0].Result.Truncated()
	return out, nil
}
