package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

const (
	promqlURL = "http://127.0.0.1:9190"
	// promqlSteps is how many steps a range has if none is asked for.
	promqlSteps = 250
	// promqlWidth is that of a terminal that does not tell.
	promqlWidth = 100
)

// promqlFlags is the command line as it was given.
type promqlFlags struct {
	url, configFile              string
	at, window, start, end, step string
	output                       string
	timeout                      time.Duration
	limit                        int
}

// promqlQuery is what is asked: at one time (the server's now if zero), or over a range.
type promqlQuery struct {
	expr   string
	at     time.Time
	ranged bool
	over   v1.Range
}

// promqlScreen is what the output goes to.
type promqlScreen struct {
	terminal bool
	color    bool
	width    int
	zone     *time.Location
}

func promqlCommand() *cobra.Command {
	var f promqlFlags
	cmd := &cobra.Command{
		Use:   "promql EXPR",
		Short: "Ask a running server in PromQL",
		Long: `Ask a running server, Oriel or Prometheus, in PromQL and print the answer.

With --range, or --start, the expression is evaluated at every step of a time
range; on a terminal the answer is then drawn.`,
		Example: `  oriel promql 'time() - wireguard_peer_last_handshake_seconds'
  oriel promql --range 1h 'rate(wireguard_peer_receive_bytes_total[5m])'
  oriel promql -o json up | jq '.result[].metric.instance'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("promql: want one expression, got %d arguments: put it in quotes", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true // the expression may be wrong; the command line is not
			if env := os.Getenv("ORIEL_URL"); env != "" && !cmd.Flags().Changed("url") {
				f.url = env
			}
			ctx := cmd.Context()
			if ctx == nil {
				ctx = context.Background()
			}
			stdout := cmd.OutOrStdout()
			return f.run(ctx, args[0], stdout, cmd.ErrOrStderr(), promqlScreenOf(stdout))
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.url, "url", promqlURL, "`address` of the server; also in ORIEL_URL")
	fl.StringVar(&f.configFile, "http.config.file", "", "`file` with TLS and authentication for the server, as promtool has it")
	fl.StringVar(&f.at, "time", "", "evaluate at this `time` (RFC 3339 or Unix seconds; default now)")
	fl.StringVar(&f.window, "range", "", "evaluate over this `duration` up to --end")
	fl.StringVar(&f.start, "start", "", "evaluate from this `time`")
	fl.StringVar(&f.end, "end", "", "evaluate up to this `time` (default now)")
	fl.StringVar(&f.step, "step", "", "`duration` between evaluations (default a 250th of the range, at least 1s)")
	fl.StringVarP(&f.output, "output", "o", "", "`format`: table, json or plot (default table; a range on a terminal: plot)")
	fl.DurationVar(&f.timeout, "timeout", 30*time.Second, "how long to wait for the answer")
	fl.IntVar(&f.limit, "limit", 100, "rows of a table to show; 0 shows all")
	for _, other := range []string{"range", "start", "end", "step"} {
		cmd.MarkFlagsMutuallyExclusive("time", other)
	}
	return cmd
}

func (f *promqlFlags) run(ctx context.Context, expr string, stdout, stderr io.Writer, screen promqlScreen) error {
	q, err := f.query(expr, time.Now())
	if err != nil {
		return fmt.Errorf("promql: %w", err)
	}
	output := f.output
	switch {
	case output == "" && q.ranged && screen.terminal:
		output = "plot"
	case output == "":
		output = "table"
	case !slices.Contains([]string{"table", "json", "plot"}, output):
		return fmt.Errorf("promql: --output %q: want table, json or plot", output)
	case output == "plot" && !q.ranged:
		return errors.New("promql: a plot needs a time range: add --range 1h")
	}
	if f.limit < 0 {
		return fmt.Errorf("promql: --limit %d: want 0 or more", f.limit)
	}
	if f.timeout <= 0 {
		return fmt.Errorf("promql: --timeout %v: want more than 0s", f.timeout)
	}
	client, err := newPromqlClient(f.url, f.configFile)
	if err != nil {
		return fmt.Errorf("promql: %w", err)
	}
	defer client.close()

	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	value, notes, err := client.ask(ctx, q, f.timeout)
	for _, n := range notes {
		fmt.Fprintln(stderr, promqlClean(n))
	}
	if err != nil {
		return err
	}
	switch output {
	case "json":
		return client.writeData(stdout)
	case "plot":
		return promqlPlot(stdout, stderr, value, q, screen)
	default:
		return promqlTable(stdout, stderr, value, promqlOrdered(expr), f.limit, screen.zone)
	}
}

// query turns the flags into what is asked.
func (f *promqlFlags) query(expr string, now time.Time) (promqlQuery, error) {
	q := promqlQuery{expr: expr}
	if strings.TrimSpace(expr) == "" {
		return q, errors.New("the expression is empty")
	}
	var err error
	if f.window == "" && f.start == "" {
		switch {
		case f.end != "":
			return q, errors.New("--end needs --range or --start")
		case f.step != "":
			return q, errors.New("--step needs --range or --start")
		case f.at != "":
			q.at, err = promqlTime("time", f.at)
		}
		return q, err
	}
	q.ranged = true
	if f.window != "" && f.start != "" && f.end != "" {
		return q, errors.New("--range, --start and --end together: two of them say it")
	}
	if q.over, err = f.interval(now); err != nil {
		return q, err
	}
	length := q.over.End.Sub(q.over.Start)
	if length < 0 {
		return q, fmt.Errorf("--start %q is after the end", f.start)
	}
	q.over.Step = max((length / promqlSteps).Truncate(time.Second), time.Second)
	if f.step != "" {
		q.over.Step, err = promqlDuration("step", f.step)
	}
	return q, err
}

// interval returns the start and end of a range query.
func (f *promqlFlags) interval(now time.Time) (r v1.Range, err error) {
	r.End = now.Truncate(time.Second)
	if f.end != "" {
		if r.End, err = promqlTime("end", f.end); err != nil {
			return r, err
		}
	}
	if f.start != "" {
		if r.Start, err = promqlTime("start", f.start); err != nil || f.window == "" {
			return r, err
		}
	}
	window, err := promqlDuration("range", f.window)
	if err != nil {
		return r, err
	}
	if f.start != "" {
		r.End = r.Start.Add(window)
	} else {
		r.Start = r.End.Add(-window)
	}
	return r, nil
}

// promqlTime reads a time as the HTTP API does.
func promqlTime(flag, s string) (time.Time, error) {
	if sec, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(sec) < 1e11 {
		whole, frac := math.Modf(sec)
		return time.Unix(int64(whole), int64(math.Round(frac*1e3))*1e6), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("--%s %q: want a time as 2006-01-02T15:04:05Z or Unix seconds", flag, s)
}

// promqlDuration reads a duration as the HTTP API does: 1h30m, 7d, or seconds.
func promqlDuration(flag, s string) (time.Duration, error) {
	var d time.Duration
	if sec, err := strconv.ParseFloat(s, 64); err == nil && sec < 1e9 {
		d = time.Duration(sec * float64(time.Second)).Round(time.Millisecond)
	} else if md, err := model.ParseDuration(s); err == nil {
		d = time.Duration(md)
	}
	if d <= 0 {
		return 0, fmt.Errorf("--%s %q: want a duration as 30s, 1h30m or 7d", flag, s)
	}
	return d, nil
}

// promqlOrdered says whether the expression itself puts its result in order.
func promqlOrdered(expr string) bool {
	expr = strings.TrimSpace(expr)
	for _, f := range []string{"sort", "topk", "bottomk"} {
		if strings.HasPrefix(expr, f) {
			return true
		}
	}
	return false
}

func promqlScreenOf(w io.Writer) promqlScreen {
	s := promqlScreen{width: promqlWidth, zone: time.Local}
	if columns, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && columns > 0 {
		s.width = columns
	}
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return s
	}
	s.terminal = true
	s.color = os.Getenv("NO_COLOR") == ""
	if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
		s.width = width
	}
	return s
}
