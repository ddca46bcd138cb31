package lake

import (
	"bytes"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/orielhq/oriel/internal/flow"
)

// cutGzip packs data and cuts off the end.
func cutGzip(t *testing.T, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()[:buf.Len()-10]
}

// unique checks that no row is there twice, and with whole that none is missing.
func unique(t *testing.T, rows []flow.Record, want int64, whole bool) {
	t.Helper()
	type id struct {
		key string
		no  int32
	}
	seen := map[id]int{}
	for _, r := range rows {
		if seen[id{r.ObjectKey, r.RecordNo}]++; seen[id{r.ObjectKey, r.RecordNo}] > 1 {
			t.Fatalf("row %d of %s is there twice", r.RecordNo, r.ObjectKey)
		}
	}
	if int64(len(rows)) > want || whole && int64(len(rows)) != want {
		t.Fatalf("%d rows; written were %d", len(rows), want)
	}
}
