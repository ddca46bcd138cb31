package lake

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orielhq/oriel/internal/flow"
)

// byKey sorts rows by what makes each unique in these tests.
func byKey(rows []flow.Record) []flow.Record {
	slices.SortFunc(rows, func(a, b flow.Record) int { return int(a.RecordNo) - int(b.RecordNo) })
	return rows
}

func TestCompactKeepsEveryRow(t *testing.T) {
	ctx := context.Background()
	l, err := New(NewDir(t.TempDir()), Options{Grace: time.Hour}, discard)
	if err != nil {
		t.Fatal(err)
	}
	w := NewWriter(l, FlowTable, startOf)
	no := int32(0)
	for range 5 {
		var rows []flow.Record
		for i := range 500 {
			no++
			rows = append(rows, record(t0.Add(time.Duration((i*7919)%7000)*time.Second/2), no))
		}
		if err := w.Write(ctx, rows); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	before, err := l.Files(ctx, FlowTable, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	n := len(before.List)
	want := byKey(rows(t, before))
	c, err := l.Compact(ctx, FlowTable, t0.Add(24*time.Hour), nil)
	if err != nil || c.Before != int64(n) || c.After != 2 || c.Rows != 2500 {
		t.Fatalf("Compact = %+v, %v; want %d files made 2", c, err, n)
	}
	after, err := l.Files(ctx, FlowTable, time.Time{}, time.Time{})
	if err != nil || len(after.List) != 2 {
		t.Fatalf("%d files, %v; want 2", len(after.List), err)
	}
	got := rows(t, after)
	if !slices.IsSortedFunc(got, func(a, b flow.Record) int { return int(a.StartTime - b.StartTime) }) {
		t.Error("the rows are not in order of time")
	}
	if diff := cmp.Diff(want, byKey(got)); diff != "" {
		t.Errorf("rows differ (-before +after):\n%.2000s", diff)
	}
	// Who listed before can still read.
	if again := rows(t, before); len(again) != 2500 {
		t.Errorf("the replaced files have %d rows; want them to be there", len(again))
	}
	if c, err := l.Compact(ctx, FlowTable, t0.Add(24*time.Hour), nil); err != nil || c.Before != 0 {
		t.Errorf("second Compact = %+v, %v; want nothing to do", c, err)
	}
	l.grace = 0
	if _, err := l.Compact(ctx, FlowTable, t0.Add(24*time.Hour), nil); err != nil {
		t.Fatal(err)
	}
	left := 0
	for o, err := range l.store.List(ctx, "", "") {
		if err != nil {
			t.Fatal(err)
		}
		if _, _, ok := parseKey(o.Key); ok {
			left++
		} else if o.Key != "_lock/compact-flows" {
			t.Errorf("%s is left", o.Key)
		}
	}
	if left != 2 || len(all(t, l)) != 2500 {
		t.Errorf("%d files are left, %d rows", left, len(all(t, l)))
	}
}

func TestCompactLeavesYoungHours(t *testing.T) {
	ctx := context.Background()
	l := newLake(t)
	w := NewWriter(l, FlowTable, startOf)
	for i := range 3 {
		if err := w.Write(ctx, []flow.Record{record(t0, int32(i))}); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := l.Compact(ctx, FlowTable, t0, nil); err != nil || c.Before != 0 {
		t.Errorf("Compact = %+v, %v; want nothing done", c, err)
	}
}

func TestExpireRemovesWholeHours(t *testing.T) {
	ctx := context.Background()
	l := newLake(t)
	w := NewWriter(l, FlowTable, startOf)
	for i := range 5 {
		if err := w.Write(ctx, []flow.Record{record(t0.Add(time.Duration(i)*time.Hour), int32(i))}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	begun, err := l.Files(ctx, FlowTable, time.Time{}, time.Time{}) // a query
	if err != nil {
		t.Fatal(err)
	}
	n, err := l.Expire(ctx, FlowTable, t0.Add(2*time.Hour))
	if err != nil || n != 2 {
		t.Errorf("Expire = %d, %v; want 2", n, err)
	}
	if got := rows(t, begun); len(got) != 5 {
		t.Errorf("a query that began before reads %d rows; want 5", len(got))
	}
	l.grace = 0
	if n, err := l.Expire(ctx, FlowTable, t0.Add(2*time.Hour)); err != nil || n != 0 {
		t.Errorf("Expire again = %d, %v; want 0", n, err)
	}
	if _, err := os.Stat(begun.List[0].Path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the grace period: %v; want the file gone", err)
	}
	if got := all(t, l); len(got) != 3 || got[0].RecordNo != 2 {
		t.Errorf("%d rows are left", len(got))
	}
}
