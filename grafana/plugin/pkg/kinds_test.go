//go:build demo

package main

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"
)

// TestAnswersThroughGrafanasProtocol asks a running server (ORIEL_URL) for what
// is hard to carry: odd types, odd orders, and queries that are wrong. All of
// them stand in one request: each has its own answer.
func TestAnswersThroughGrafanasProtocol(t *testing.T) {
	url := os.Getenv("ORIEL_URL")
	if url == "" {
		t.Fatal("ORIEL_URL is not set: make e2e sets it")
	}
	g := startPlugin(t)
	now := time.Now()
	for _, tt := range []struct {
		name, query string
		want        string // the rows, as Go prints them
		wrong       string // a part of the error
	}{
		{name: "HUGEINT is a number", query: `{"rawSql":"SELECT sum(i) AS n FROM range(3) t(i)"}`, want: "[3]"},
		{name: "HUGEINT beyond 64 bits", query: `{"rawSql":"SELECT 170141183460469231731687303715884105727::HUGEINT AS n"}`, want: "[1.7014118346046923e+38]"},
		{name: "DECIMAL", query: `{"rawSql":"SELECT 12.345::DECIMAL(10,3) AS n"}`, want: "[12.345]"},
		{name: "LIST", query: `{"rawSql":"SELECT [1, 2] AS l"}`, want: "[[1,2]]"},
		{name: "STRUCT", query: `{"rawSql":"SELECT {'a': 1, 'b': 'x'} AS s"}`, want: `[{"a":1,"b":"x"}]`},
		{name: "NULL", query: `{"rawSql":"SELECT NULL::INTEGER AS n, NULL::VARCHAR AS s, NULL::TIMESTAMP AS t"}`, want: "[<nil> <nil> <nil>]"},
		{name: "NaN and infinity", query: `{"rawSql":"SELECT 'nan'::DOUBLE AS n, '-inf'::DOUBLE AS i"}`, want: "[NaN -Inf]"},
		{name: "a name twice", query: `{"rawSql":"SELECT 1 AS x, 2 AS x"}`, want: "[1 2]"},
		{name: "times out of order", query: `{"rawSql":"SELECT TIMESTAMP '2026-01-01' + INTERVAL 1 HOUR * (2 - i) AS time, i::DOUBLE AS v FROM range(3) t(i)","format":"time_series"}`, want: "[0 2][1 1][2 0]"},
		{name: "an empty answer", query: `{"rawSql":"SELECT 1 AS x WHERE false"}`, want: ""},
		{name: "no result wanted", query: `{"rawSql":"SELECT 1 AS x","returnResult":false}`, want: "no frame"},
		{name: "several values of a variable", query: `{"rawSql":"SELECT count(DISTINCT action) AS n FROM flows WHERE action IN (${a})","variables":{"a":["accepted","rejected","it's"]}}`, want: "[2]"},
		{name: "a variable as IBM's users wrote it", query: `{"queryText":"SELECT count(DISTINCT action) AS n FROM $__source WHERE action = \"${a}\"","format":"table","variables":{"a":"rejected"}}`, want: "[1]"},
		{name: "ad hoc filters", query: `{"rawSql":"SELECT DISTINCT action FROM $__source","filters":[{"key":"action","operator":"=","value":"rejected"}]}`, want: "[rejected]"},
		{name: "a chain by one reference", query: `{"rawSql":"SELECT n + 1 AS m FROM $__source_prev(X)","prev":{"X":"SELECT max(i) AS n FROM range(5) t(i)"}}`, want: "[5]"},
		{name: "an error with its place", query: `{"rawSql":"SELECT 1,\n  nosuch FROM flows"}`, wrong: "line 2, column 3"},
		{name: "an unknown macro", query: `{"rawSql":"SELECT $__nosuch(1)"}`, wrong: "$__nosuch"},
		{name: "a chain to nowhere", query: `{"rawSql":"SELECT * FROM $__source_prev(Q)"}`, wrong: "Q"},
		{name: "more than it may be", query: `{"rawSql":"SELECT i FROM range(5) t(i)","maxRows":2}`, want: "[0][1]"},
		{name: "not only a query", query: `{"rawSql":"DROP TABLE flows"}`, wrong: ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ask(t, g, url, map[string]string{"A": tt.query, "Z": `{"rawSql":"SELECT 1 AS one"}`}, now.Add(-time.Hour), now)
			if z := got["Z"]; z.GetError() != "" || len(z.GetFrames()) != 1 {
				t.Errorf("the query beside it: %v", z)
			}
			a := got["A"]
			if tt.want == "" && a.GetError() != "" {
				if !strings.Contains(a.GetError(), tt.wrong) || a.GetErrorSource() != "downstream" {
					t.Errorf("error %q; want %q", a.GetError(), tt.wrong)
				}
				return
			}
			frames, err := data.UnmarshalArrowFrames(a.GetFrames())
			if err != nil || a.GetError() != "" {
				t.Fatalf("%v, %q", err, a.GetError())
			}
			if text := rowsOf(frames); text != tt.want || tt.wrong != "" {
				t.Errorf("rows %s; want %s %s", text, tt.want, tt.wrong)
			}
		})
	}
}

func rowsOf(frames data.Frames) string {
	if len(frames) == 0 {
		return "no frame"
	}
	var b strings.Builder
	var first time.Time
	for i := range frames[0].Rows() {
		var row []any
		for _, f := range frames[0].Fields {
			v, ok := f.ConcreteAt(i)
			switch x := v.(type) {
			case time.Time: // in hours from the first
				if i == 0 {
					first = x
				}
				v = int(x.Sub(first) / time.Hour)
			case float64:
				if x == math.Trunc(x) && math.Abs(x) < 1e15 {
					v = int64(x)
				}
			}
			if !ok {
				v = nil
			}
			row = append(row, v)
		}
		fmt.Fprint(&b, row)
	}
	return b.String()
}
