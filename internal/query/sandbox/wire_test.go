package sandbox

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// values are those of each kind, and at their ends.
func values() []any {
	return []any{
		nil, true, false, int64(0), int64(math.MinInt64), int64(math.MaxInt64), 1.5, math.Inf(-1), "", "text", strings.Repeat("long", 1000), "\xff\x00",
		time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(294247, 1, 10, 4, 0, 54, 775807000, time.UTC),
	}
}

func TestValuesComeBack(t *testing.T) {
	var b []byte
	for _, v := range values() {
		var err error
		if b, err = appendValue(b, v); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range values() {
		var got any
		var err error
		if got, b, err = takeValue(b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if len(b) > 0 {
		t.Errorf("%d bytes are left", len(b))
	}
	if _, err := appendValue(nil, strings.Repeat("x", maxRow+1)); err == nil {
		t.Error("a value larger than the bound passed")
	}
}

// FuzzTakeValue: what can be read is written again as a value that is the same.
func FuzzTakeValue(f *testing.F) {
	for _, v := range values() {
		b, err := appendValue(nil, v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, rest, err := takeValue(b)
		if err != nil {
			return
		}
		if len(rest) >= len(b) {
			t.Fatal("nothing was read")
		}
		again, err := appendValue(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		w, rest, err := takeValue(again)
		if x, ok := v.(float64); err != nil || len(rest) > 0 || !cmp.Equal(v, w) && (!ok || x == x) {
			t.Fatalf("%v, then %v, %v", v, w, err)
		}
	})
}
