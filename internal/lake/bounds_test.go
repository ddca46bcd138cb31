package lake

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orielhq/oriel/internal/flow"
)

// TestFilesWithoutARowWithinABoundAreLeftOut: a flow is filed under its own
// start, and its connection began earlier, or nobody knows when.
func TestFilesWithoutARowWithinABoundAreLeftOut(t *testing.T) {
	ctx := context.Background()
	l := newLake(t)
	w := NewWriter(l, "flows", startOf)
	hour := t0.Truncate(time.Hour)
	connected := func(at time.Time, no int32, began time.Time) flow.Record {
		r := record(at, no)
		r.ConnectionStartTime = 0
		if !began.IsZero() {
			r.ConnectionStartTime = flow.At(began)
		}
		return r
	}
	if err := w.Write(ctx, []flow.Record{
		connected(hour, 1, hour.Add(-10*time.Minute)),
		connected(hour.Add(time.Minute), 2, time.Time{}),
		connected(hour.Add(time.Hour), 3, hour.Add(30*time.Minute)),
		connected(hour.Add(61*time.Minute), 4, hour.Add(61*time.Minute)),
		connected(hour.Add(2*time.Hour), 5, hour.Add(2*time.Hour)),
		connected(hour.Add(3*time.Hour), 6, time.Time{}),
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(ctx); err != nil {
		t.Fatal(err)
	}
	for range 2 { // from the footers, and from memory
		for _, tt := range []struct {
			name   string
			bounds []Bound
			want   []int32
		}{
			{"none", nil, []int32{1, 2, 3, 4, 5, 6}},
			{"a column that is not there", []Bound{{Column: "nosuch", From: hour}}, []int32{1, 2, 3, 4, 5, 6}},
			{"first hour", []Bound{{Column: "connection_start_time", From: hour, To: hour.Add(59 * time.Minute)}}, []int32{3, 4}},
			{"its ends count", []Bound{{Column: "connection_start_time", From: hour.Add(-time.Hour), To: hour.Add(-10 * time.Minute)}}, []int32{1, 2}},
			{"open end", []Bound{{Column: "connection_start_time", From: hour.Add(61 * time.Minute)}}, []int32{3, 4, 5}},
			{"open start", []Bound{{Column: "connection_start_time", To: hour.Add(time.Hour)}}, []int32{1, 2, 3, 4}},
			{"two bounds", []Bound{{Column: "connection_start_time", To: hour.Add(time.Hour)}, {Column: "start_time", From: hour.Add(time.Hour)}}, []int32{3, 4}},
			{"never", []Bound{{Column: "connection_start_time", From: hour.Add(24 * time.Hour)}}, nil},
		} {
			files, err := l.Files(ctx, "flows", time.Time{}, time.Time{}, tt.bounds...)
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
	}
	if n := len(l.extents.files); n != 4 {
		t.Errorf("the times of %d files are kept, want 4", n)
	}
}

// TestTimesAreRoundedOutwards: a bound must not lose a row to its unit.
func TestTimesAreRoundedOutwards(t *testing.T) {
	for _, tt := range []struct {
		unit      int64
		value     byte
		low, high int64
	}{{1000, 7, 7, 7}, {1_000_000, 7, 7000, 7000}, {1, 7, -1, 1}} {
		b := []byte{tt.value, 0, 0, 0, 0, 0, 0, 0}
		if low, high := micros(b, tt.unit, false), micros(b, tt.unit, true); low != tt.low || high != tt.high {
			t.Errorf("%d of %d ns: %d to %d; want %d to %d", tt.value, tt.unit, low, high, tt.low, tt.high)
		}
	}
}
