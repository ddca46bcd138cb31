package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/orielhq/oriel/internal/demo/flows"
	"github.com/orielhq/oriel/internal/flow"
	"github.com/orielhq/oriel/internal/lake"
	"github.com/orielhq/oriel/internal/query"
	"github.com/orielhq/oriel/internal/query/duckdb"
)

const (
	lakeHours    = 48
	sqlMemory    = 1 << 30
	sqlThreads   = 2
	panelsAtOnce = 50
)

var lakeStart = time.Date(2026, 8, 20, 0, 0, 0, 0, time.UTC)

// lakeRows is 50 M unless ORIEL_BENCH_ROWS says otherwise.
func lakeRows() int64 { return rowsOr(50_000_000) }

// panel is a query of the dashboard, or several that are one.
type panel struct {
	name  string
	files []string // below grafana/sql/flow-logs; the last one is shown
	// later is how long after its range rows of it may be filed: a flow is filed
	// under its own start, and a connection of the generator lasts up to an hour.
	later time.Duration
}

var boards = []panel{
	{"schema", []string{"schema"}, 0}, {"ratio", []string{"ratio"}, 0}, {"connections", []string{"connections-a", "connections-b"}, time.Hour},
	{"top-sources", []string{"top-sources"}, 0}, {"top-targets", []string{"top-targets"}, 0}, {"bad-actors", []string{"bad-actors"}, 0},
}

// panels measures the dashboard over many rows, beside DuckDB alone with the same files.
func panels(t tools) error {
	dir, done, err := filled(t)
	if err != nil {
		return err
	}
	defer done()
	config := filepath.Join(t.dir, "lake.yml")
	text := fmt.Sprintf("flows: {dir: %s, compact_interval: 0s}\nquery: {memory_limit: %d, threads: %d, timeout: 10m, detections: {interval: 0s}}\n", dir, sqlMemory, sqlThreads)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	addrFile := filepath.Join(t.dir, "addr-sql")
	p, err := start(t.oriel, "serve", "--config.file", config, "--web.listen-address", "127.0.0.1:0", "--web.addr-file", addrFile, "--data.dir", filepath.Join(t.dir, "sql"))
	if err != nil {
		return err
	}
	defer p.stop()
	s := &server{p, "http://" + addr(addrFile)}
	if err := waitFor(s.base + "/-/ready"); err != nil {
		return err
	}
	temp := filepath.Join(t.dir, "plain-tmp")
	e, err := duckdb.Open(context.Background(), duckdb.Config{MemoryLimit: sqlMemory, Threads: sqlThreads, TempDir: temp, SpillLimit: 8 << 30, Dirs: []string{dir, temp}})
	if err != nil {
		return err
	}
	defer func() { _ = e.Close() }()
	fmt.Printf("The flow-log dashboard over %d M rows: CPU seconds of oriel serve, without its cache, and of DuckDB alone on the same files\n", lakeRows()/1_000_000)
	fmt.Printf("%-14s %-6s %9s %9s %7s %9s %9s\n", "panel", "range", "oriel", "DuckDB", "ratio", "oriel s", "again ms")
	var errs []error
	for _, b := range boards {
		for _, hours := range []int{lakeHours, 1} {
			errs = append(errs, s.compare(b, hours, e, dir))
		}
	}
	fmt.Printf("\npeak RSS %.0f MB, DuckDB's limit is %d MB\n", p.memory("VmHWM"), sqlMemory>>20)
	errs = append(errs, s.crowd(e, dir), s.repeat())
	fmt.Printf("peak RSS %.0f MB\n\n", p.memory("VmHWM"))
	return errors.Join(errs...)
}

// filled returns a directory with the lake. ORIEL_BENCH_LAKE names one that is
// kept, and filled only if it is not there: to look into one panel twice.
func filled(t tools) (dir string, done func(), err error) {
	if dir = os.Getenv("ORIEL_BENCH_LAKE"); dir == "" {
		dir = filepath.Join(t.dir, "lake")
		return dir, func() { _ = os.RemoveAll(dir) }, fill(dir)
	}
	if _, err := os.Stat(filepath.Join(dir, lake.FlowTable)); err == nil {
		return dir, func() {}, nil
	}
	return dir, func() {}, fill(dir)
}

// fill writes the rows that importing them would, without the JSON.
func fill(dir string) error {
	l, err := lake.New(lake.NewDir(dir), lake.Options{}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	w := lake.NewWriter(l, lake.FlowTable, func(r *flow.Record) time.Time { return r.StartTime.Std() })
	batch := make([]flow.Record, 0, 1024)
	begin, used := time.Now(), self()
	for f := range (flows.Config{Seed: 1, Start: lakeStart, Duration: lakeHours * time.Hour, Rows: lakeRows()}).All() {
		batch = append(batch, record(f))
		if len(batch) == cap(batch) {
			if err := w.Write(context.Background(), batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if err := errors.Join(w.Write(context.Background(), batch), w.Flush(context.Background())); err != nil {
		return err
	}
	fmt.Printf("%d rows made and written in %.0f s, %.0f s of CPU\n", lakeRows(), time.Since(begin).Seconds(), (self() - used).Seconds())
	return nil
}

func record(f flows.Flow) flow.Record {
	action, direction := flow.Accepted, flow.Outbound
	if f.Rejected {
		action = flow.Rejected
	}
	if f.Inbound {
		direction = flow.Inbound
	}
	num := func(n uint64) *int64 { return new(int64(n)) } //nolint:gosec // made up, and small
	r := flow.Record{
		Provider: flow.IBM, SourceFormat: "ibm_v1", EndTime: flow.At(f.End), ConnectionStartTime: flow.At(f.Connection), Action: action, Direction: direction,
		InitiatorIP: f.Initiator, TargetIP: f.Target, InitiatorPort: new(int32(f.InitiatorPort)), TargetPort: new(int32(f.Port)), TransportProtocol: new(int32(f.Protocol)), EtherType: "IPv4",
		BytesFromInitiator: num(f.Sent), PacketsFromInitiator: num(f.SentPkts), BytesFromTarget: num(f.Received), PacketsFromTarget: num(f.RecvPkts),
		WasInitiated: &f.Begins, WasTerminated: &f.Ends, Bidirectional: true, Observer: "vnic", Version: "0.0.1", RecordType: "all",
	}
	r.SetStart(flow.At(f.Start))
	return r
}

// self is the processor time of this process.
func self() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail so
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

type server struct {
	*process
	base string
}

const benchTarget = "10.10.1.10"

// ask sends a panel's queries about the hours from shift on.
func (s *server) ask(b panel, hours int, shift time.Duration, target string) (took time.Duration, err error) {
	var queries []map[string]any
	for i, f := range b.files {
		text, err := os.ReadFile(filepath.Join("..", "grafana", "sql", "flow-logs", f+".sql"))
		if err != nil {
			return 0, err
		}
		queries = append(queries, map[string]any{"ref_id": string(rune('A' + i)), "sql": string(text), "hide": i < len(b.files)-1})
	}
	from := lakeStart.Add(shift)
	body, err := json.Marshal(map[string]any{
		"from": from.Format(time.RFC3339Nano), "to": from.Add(time.Duration(hours)*time.Hour - time.Second).Format(time.RFC3339Nano), "interval_ms": 60000,
		"variables": map[string]string{"target_ip": target}, "queries": queries,
	})
	if err != nil {
		return 0, err
	}
	began := time.Now()
	resp, err := http.Post(s.base+"/api/sql/query", "application/json", bytes.NewReader(body)) //nolint:noctx // the server has a limit
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || bytes.Contains(answer, []byte(`"error"`))) {
		err = fmt.Errorf("%s: %s: %.300s", b.name, resp.Status, answer)
	}
	return time.Since(began), err
}

// compare runs a panel each way in turn, and a short one often; the least CPU of each counts.
func (s *server) compare(b panel, hours int, e *duckdb.Engine, dir string) error {
	const tries, enough = 3, time.Second
	var mine, took, plain []time.Duration
	var again time.Duration
	begin := time.Now()
	for try := 0; try < tries || try < 10*tries && time.Since(begin) < enough; try++ {
		// Some milliseconds later the range is another, and so is the query: the cache has no answer.
		shift := time.Duration(try+1) * time.Millisecond
		before := s.cpu()
		d, err := s.ask(b, hours, shift, benchTarget)
		if err != nil {
			return err
		}
		mine, took = append(mine, s.cpu()-before), append(took, d)
		if again, err = s.ask(b, hours, shift, benchTarget); err != nil {
			return err
		}
		used := self()
		if err := alone(b, hours, shift, benchTarget, e, dir); err != nil {
			return err
		}
		plain = append(plain, self()-used)
	}
	o, d := slices.Min(mine).Seconds(), slices.Min(plain).Seconds()
	fmt.Printf("%-14s %-6s %9.3f %9.3f %7.2f %9.2f %9.1f\n", b.name, fmt.Sprintf("%d h", hours), o, d, o/d, slices.Min(took).Seconds(), float64(again.Microseconds())/1000)
	return nil
}

// repeat asks for what the cache knows, again and again. What an answer takes
// longer than the processor is busy with it, it waits: mostly for other programs.
func (s *server) repeat() error {
	const times = 300
	b := boards[1]
	if _, err := s.ask(b, 6, 0, benchTarget); err != nil {
		return err
	}
	took, queued := make([]time.Duration, times), make([]time.Duration, times)
	used := s.cpu()
	for i := range took {
		before := s.queued()
		var err error
		if took[i], err = s.ask(b, 6, 0, benchTarget); err != nil {
			return err
		}
		queued[i] = s.queued() - before
	}
	used = s.cpu() - used
	slowest, late := 0, 0
	for i, d := range took {
		if d > took[slowest] {
			slowest = i
		}
		if d > 10*time.Millisecond {
			late++
		}
	}
	worst := queued[slowest]
	slices.Sort(took)
	fmt.Printf("a known answer, %d times: median %.1f ms, 95 %% within %.1f ms, the slowest %.1f ms; %.1f ms of CPU each; %d took more than 10 ms; in the slowest, threads that were ready waited %.1f ms for a processor\n",
		times, ms(took[times/2]), ms(took[times*95/100]), ms(took[times-1]), ms(used)/times, late, ms(worst))
	return nil
}

// alone asks DuckDB for the same in plain SQL, of the files of the hours that have rows of it.
func alone(b panel, hours int, shift time.Duration, target string, e *duckdb.Engine, dir string) error {
	from := lakeStart.Add(shift)
	to := from.Add(time.Duration(hours)*time.Hour - time.Second)
	files, release, err := query.Dir{Path: dir}.Files(context.Background(), "flows", query.Range{From: from, To: to.Add(b.later)}, nil)
	if err != nil {
		return err
	}
	defer release()
	v := query.View{Name: "flows"}
	for _, f := range files {
		v.Files = append(v.Files, f.Path)
	}
	between := func(column string) string {
		const layout = "2006-01-02 15:04:05.000"
		return "(" + column + " >= TIMESTAMP '" + from.Format(layout) + "' AND " + column + " <= TIMESTAMP '" + to.Format(layout) + "')"
	}

	sql := ""
	for i, f := range b.files {
		text, err := os.ReadFile(filepath.Join("..", "grafana", "sql", "flow-logs", f+".sql"))
		if err != nil {
			return err
		}
		plain := strings.NewReplacer("$__source_prev(A)", "("+sql+")", "DESCRIBE $__source", "DESCRIBE flows", "$__source", "flows", "${target_ip}", target, "$__timeGroup(time_stamp, 1h, 0)", "time_bucket(INTERVAL 1 hour, time_stamp)",
			"$__timeFilterColumn(start_time, timestamp)", between("start_time"), "$__timeFilterColumn(connection_start_time, timestamp)", between("connection_start_time")).Replace(string(text))
		if sql = plain; i < len(b.files)-1 {
			sql = strings.TrimRight(sql, "; \n")
		}
	}

	rows, err := e.Query(context.Background(), query.Statement{SQL: sql, Views: []query.View{v}})
	if err != nil {
		return fmt.Errorf("%s: %w", b.name, err)
	}
	row := make([]any, len(rows.Columns()))
	for err == nil {
		err = rows.Next(row)
	}
	if err == io.EOF { //nolint:errorlint // the contract of Rows
		err = nil
	}
	return errors.Join(err, rows.Close())
}

// crowd asks for many panels at once, all different, and then DuckDB for the
// same, one after the other. With first come, first served a panel waits for
// those before it, and none longer than all take.
func (s *server) crowd(e *duckdb.Engine, dir string) error {
	took := make([]time.Duration, panelsAtOnce)
	errs := make([]error, panelsAtOnce)
	nth := func(i int) (panel, time.Duration, string) {
		return boards[1+i%(len(boards)-1)], time.Duration(i) * time.Second, fmt.Sprintf("10.10.%d.%d", 1+i%3, 10+i%4)
	}
	var wg sync.WaitGroup
	began, used := time.Now(), s.cpu()
	for i := range panelsAtOnce {
		wg.Go(func() {
			b, shift, target := nth(i)
			took[i], errs[i] = s.ask(b, 6, shift, target)
		})
	}
	wg.Wait()
	all, mine := time.Since(began), s.cpu()-used
	fmt.Printf("%d panels of 6 h at once: all answered in %.1f s, %.1f s of CPU; answers after", panelsAtOnce, all.Seconds(), mine.Seconds())
	kinds := map[string][]float64{}
	for i, d := range took {
		b, _, _ := nth(i)
		kinds[b.name] = append(kinds[b.name], d.Seconds())
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Printf(" %s %.1f-%.1f s;", name, slices.Min(kinds[name]), slices.Max(kinds[name]))
	}
	slices.Sort(took)
	fmt.Printf(" the first %.1f s, the median %.1f s\n", took[0].Seconds(), took[panelsAtOnce/2].Seconds())
	began, used = time.Now(), self()
	for i := range panelsAtOnce {
		b, shift, target := nth(i)
		errs = append(errs, alone(b, 6, shift, target, e, dir))
	}
	plain := self() - used
	fmt.Printf("DuckDB alone, one after the other: %.1f s, %.1f s of CPU; ratio %.2f\n", time.Since(began).Seconds(), plain.Seconds(), mine.Seconds()/plain.Seconds())
	return errors.Join(errs...)
}
