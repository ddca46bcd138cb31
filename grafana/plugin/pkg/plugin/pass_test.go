package plugin

import (
	"math"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"
	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"
)

// TestGrafanaReadsWhatTheSDKWouldHaveWritten: the Arrow that is passed on makes
// the same frames as values do, in every format, with and without NULLs.
func TestGrafanaReadsWhatTheSDKWouldHaveWritten(t *testing.T) {
	labels := arrow.NewMetadata([]string{"labels"}, []string{`{"action":"rejected"}`})
	at := rangeFrom.UnixNano()
	f := newFakeServer(t, map[string]result{
		"A": {
			fields: []arrow.Field{
				{Name: "time", Type: nanoUTC, Nullable: true},
				{Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
				{Name: "x", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
				{Name: "x", Type: arrow.BinaryTypes.String, Nullable: true},
				{Name: "ok", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
			},
			rows: [][]any{{at, int64(1), 1.5, "a", true}, {at - 5, int64(math.MaxInt64), math.Inf(1), "", false}, {nil, nil, nil, nil, nil}, {at, int64(2), 2.5, "ü\x00", nil}},
			tail: tail{Truncated: true},
		},
		"B": {
			fields: []arrow.Field{{Name: "time", Type: nanoUTC, Nullable: true}, {Name: "n", Type: arrow.PrimitiveTypes.Float64, Nullable: true, Metadata: labels}},
			rows:   [][]any{{at, 1.0}, {at + 1, 2.0}, {at + 2, nil}},
		},
		"C": {
			fields: []arrow.Field{{Name: "time", Type: nanoUTC}, {Name: "action", Type: arrow.BinaryTypes.String}, {Name: "n", Type: arrow.PrimitiveTypes.Float64}},
			rows:   [][]any{{at, "a", 1.0}, {at, "b", 1.0}, {at + 1, "a", 1.0}},
		},
		"D": {fields: []arrow.Field{{Name: "time", Type: nanoUTC}, {Name: "line", Type: arrow.BinaryTypes.String}}},
		"E": {tail: tail{Error: &fault{Message: "no"}}},
		"F": {fields: []arrow.Field{}},
	})
	queries := []string{`{"rawSql":"SELECT 1"}`, `{"rawSql":"SELECT 1","format":"time_series"}`, `{"rawSql":"SELECT 1","format":"long"}`, `{"rawSql":"SELECT 1","format":"logs"}`, `{"rawSql":"SELECT 1"}`, `{"rawSql":"SELECT 1","returnResult":false}`}
	server, req := asGrafana(t, f.URL, queries...)
	resp, err := server.QueryData(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	var asked []backend.DataQuery
	for i, text := range queries {
		asked = append(asked, dataQuery(string(rune('A'+i)), text))
	}
	want := ask(t, newDatasource(t, f.URL, `{"maxRows":1000000}`, nil), asked...)
	for ref, w := range want {
		got := resp.Responses[ref]
		if (w.Error != nil) != (got.Error != "") || len(w.Frames) != len(got.Frames) {
			t.Errorf("%s: error %q, %d frames; want %v, %d", ref, got.Error, len(got.Frames), w.Error, len(w.Frames))
			continue
		}
		frames, err := data.UnmarshalArrowFrames(got.Frames)
		if err != nil {
			t.Errorf("%s: %v", ref, err)
			continue
		}
		// As the SDK would have sent them.
		sent, err := w.Frames.MarshalArrow()
		if err != nil {
			t.Fatal(err)
		}
		wanted, err := data.UnmarshalArrowFrames(sent)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wanted, frames, data.FrameTestCompareOptions()...); diff != "" {
			t.Errorf("%s (-want +got):\n%s", ref, diff)
		}
	}
}
