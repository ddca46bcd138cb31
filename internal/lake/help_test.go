package lake

import (
	"bytes"
	"testing"

	"github.com/klauspost/compress/gzip"
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
