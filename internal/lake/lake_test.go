package lake

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/orielhq/oriel/internal/flow"
)

var t0 = time.Date(2026, 8, 20, 1, 59, 58, 0, time.UTC)

var discard = slog.New(slog.DiscardHandler)

func startOf(r *flow.Record) time.Time { return r.StartTime.Std() }

func record(t time.Time, no int32) flow.Record {
	r := flow.Record{Provider: flow.IBM, SourceFormat: "ibm_v1", InitiatorIP: "10.0.0.1", TargetPort: new(int32(0)), BytesFromInitiator: new(int64(no)), WasInitiated: new(false), RecordNo: no}
	r.SetStart(flow.At(t))
	return r
}

func newLake(t *testing.T) *Lake {
	t.Helper()
	l, err := New(NewDir(t.TempDir()), Options{}, discard)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// rows reads all rows of the files.
func rows(t *testing.T, files *Files) []flow.Record {
	t.Helper()
	defer files.Release()
	var all []flow.Record
	for _, f := range files.List {
		r, err := parquet.ReadFile[flow.Record](f.Path)
		if err != nil {
			t.Fatalf("%s: %v", f.Key, err)
		}
		all = append(all, r...)
	}
	return all
}

func TestWrittenRowsAreReadByHour(t *testing.T) {
	ctx := context.Background()
	l := newLake(t)
	w := NewWriter(l, "flows", startOf)
	in := []flow.Record{record(t0.Add(3*time.Second), 3), record(t0, 1), record(t0.Add(time.Second), 2), record(t0.Add(2*time.Second), 4)}
	if err := w.Write(ctx, in); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(ctx); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		from, to time.Time
		want     []int32
	}{
		{"all", time.Time{}, time.Time{}, []int32{1, 2, 4, 3}},
		{"first hour", t0, t0.Add(time.Second), []int32{1, 2}},
		{"second hour", t0.Add(2 * time.Second), t0.Add(time.Hour), []int32{4, 3}},
		{"before", t0.Add(-3 * time.Hour), t0.Add(-time.Hour), nil},
		{"after", t0.Add(3 * time.Hour), t0.Add(4 * time.Hour), nil},
	} {
		files, err := l.Files(ctx, "flows", tt.from, tt.to)
		if err != nil {
			t.Fatal(err)
		}
		var got []int32
		for _, r := range rows(t, files) {
			got = append(got, r.RecordNo)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	files, err := l.Files(ctx, "flows", time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if got := rows(t, files)[0]; !cmp.Equal(got, in[1]) {
		t.Errorf("read back:\n%s", cmp.Diff(in[1], got))
	}
}

func TestTables(t *testing.T) {
	ctx := context.Background()
	l := newLake(t)
	if tables, err := l.Tables(ctx); err != nil || len(tables) != 0 {
		t.Errorf("Tables of an empty lake = %v, %v", tables, err)
	}
	w := NewWriter(l, "flows", startOf)
	for _, days := range []int{0, 1, 37, 400} {
		if err := w.Write(ctx, []flow.Record{record(t0.AddDate(0, 0, days), 1)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(ctx); err != nil {
		t.Fatal(err)
	}
	tables, err := l.Tables(ctx)
	if err != nil || len(tables) != 1 {
		t.Fatalf("Tables = %v, %v; want one", tables, err)
	}
	got := tables[0]
	if got.Name != "flows" || got.Time != "start_time" || !got.First.Equal(t0.Truncate(time.Hour)) || !got.Last.Equal(t0.AddDate(0, 0, 400).Truncate(time.Hour)) {
		t.Errorf("table = %s, time %s, %s to %s", got.Name, got.Time, got.First, got.Last)
	}
	types := map[string]string{}
	for _, c := range got.Columns {
		types[c.Name] = c.Type
	}
	for name, want := range map[string]string{"provider": "VARCHAR", "start_time": "TIMESTAMP", "target_port": "INTEGER", "bytes_from_target": "BIGINT", "was_initiated": "BOOLEAN"} {
		if types[name] != want {
			t.Errorf("type of %s = %s; want %s", name, types[name], want)
		}
	}
}

// TestWriterHoldsLittle: of many hours only the latest are kept in memory.
func TestWriterHoldsLittle(t *testing.T) {
	ctx := context.Background()
	l := newLake(t)
	w := NewWriter(l, FlowTable, startOf)
	w.limit = 100_000
	batch := make([]flow.Record, 1000)
	batches := maxBuffered/len(batch) + 2
	for i := range batches {
		for j := range batch {
			batch[j] = record(t0.Add(time.Duration(i)*10*time.Minute), int32(i*len(batch)+j))
		}
		if err := w.Write(ctx, batch); err != nil {
			t.Fatal(err)
		}
		if held := w.held(); held > w.limit {
			t.Fatalf("%d bytes are held", held)
		}
	}
	if len(w.put) == 0 {
		t.Error("nothing was written before Flush")
	}
	if err := w.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if got := len(all(t, l)); got != batches*len(batch) {
		t.Errorf("%d rows", got)
	}
}

// TestWriterHoldsAsToldAndNoMore: a table among many keeps few rows and writes small files.
func TestWriterHoldsAsToldAndNoMore(t *testing.T) {
	ctx := context.Background()
	l := newLake(t)
	w := NewWriter(l, FlowTable, startOf)
	w.Hold(500, 20_000)
	const batches = 40
	for i := range batches {
		batch := make([]flow.Record, 100)
		for j := range batch {
			batch[j] = record(t0, int32(i*len(batch)+j)) // of one hour
		}
		if err := w.Write(ctx, batch); err != nil {
			t.Fatal(err)
		}
		if w.Buffered() >= 500 || w.held() >= 20_000 {
			t.Fatalf("%d rows and %d bytes are held", w.Buffered(), w.held())
		}
	}
	if len(w.put) == 0 {
		t.Error("nothing was written before Flush")
	}
	if err := w.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if got := len(all(t, l)); got != batches*100 {
		t.Errorf("%d rows; want %d", got, batches*100)
	}
}
