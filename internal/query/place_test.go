//go:build cgo

package query_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/orielhq/oriel/internal/query"
)

// TestEngineErrorsPointIntoTheUsersText: what DuckDB says about the text that
// macros became is shown where the user wrote it.
func TestEngineErrorsPointIntoTheUsersText(t *testing.T) {
	s, _, _ := service(t, nil)
	wide := strings.Repeat("1 + ", 200)
	for _, tt := range []struct {
		queries []query.Query
		mark    string // the text that the error is at
	}{
		{[]query.Query{{SQL: "SELECT 1\nFROM $__source\nWHERE $__timeFilterColumn(start_time, timestamp) AND nix = 1"}}, "nix"},
		{[]query.Query{{SQL: "SELECT /* $__source */ count(*)\nFROM $__source\nWHERE $__timeFilter ORDERED BY 1"}}, "ORDERED"},
		{[]query.Query{{SQL: "SELECT $__timeGroup(start_time, 1h), 'é', nix FROM flows"}}, "nix"},
		{[]query.Query{{SQL: "SELECT " + wide + "nix + " + wide + "1 FROM $__source"}}, "nix"},
		{[]query.Query{{SQL: "WITH x AS (SELECT 1 AS a)\nSELECT a, nix FROM x, $__source_prev(A)"}, {RefID: "B", Hide: true, SQL: "SELECT 1"}}, "nix"},
		{[]query.Query{{SQL: "SELECT * FROM $__source_prev(B)"}, {RefID: "B", Hide: true, SQL: "SELECT start_time,\n nix FROM $__source WHERE $__timeFilter"}}, "nix"},
	} {
		for i := range tt.queries {
			if tt.queries[i].RefID == "" {
				tt.queries[i].RefID = "A"
			}
			tt.queries[i].SQL = strings.ReplaceAll(tt.queries[i].SQL, "$__source_prev(A)", "$__source_prev(B)")
		}
		_, results := post(t, s, request(tt.queries...))
		e, _ := results[0]["error"].(map[string]any)
		found := false
		for _, q := range tt.queries {
			if at := strings.Index(q.SQL, tt.mark); at >= 0 {
				before := q.SQL[:at]
				line, column := strings.Count(before, "\n")+1, len([]rune(before[strings.LastIndexByte(before, '\n')+1:]))+1
				found = fmt.Sprint(e["line"], e["column"]) == fmt.Sprint(line, column)
				if !found {
					t.Errorf("%q: line %v, column %v; want %d, %d (%v)", q.SQL, e["line"], e["column"], line, column, e["message"])
				}
			}
		}
		if text := fmt.Sprint(e["message"]); strings.Contains(text, "LINE ") {
			t.Errorf("%q: DuckDB's own place is left: %s", tt.queries[0].SQL, text)
		}
	}
}

// TestTenMegabytesOfSQL: a text as large as is taken at all, of any kind, ends soon and with a clear word.
func TestTenMegabytesOfSQL(t *testing.T) {
	s, _, _ := service(t, func(c *query.Config) { c.MaxQuery = 16 << 20 })
	const size = 10 << 20
	for name, sql := range map[string]string{
		// The larger ones are those whose size reaches the engine.
		"one string":     "SELECT '" + strings.Repeat("x", size) + "' AS x",
		"a comment":      "SELECT 1 /* " + strings.Repeat("$__source ", size/10) + "*/",
		"macros":         "SELECT 1 FROM " + strings.Repeat("$__source, ", size/110) + "$__source",
		"open brackets":  "SELECT " + strings.Repeat("(", size),
		"nested queries": strings.Repeat("SELECT * FROM (", size/150),
		"many values":    "SELECT * FROM (VALUES " + strings.Repeat("(1),", size/400) + "(1))",
		"macro brackets": strings.Repeat("$__timeFilterColumn(", size/200),
		"variables":      strings.Repeat("${a}", size/40),
		"lists":          "SELECT " + strings.Repeat("[[a", size/3),
		"deep macros":    strings.Repeat("$__timeFilterColumn(", 4000) + strings.Repeat("a ", size/20) + strings.Repeat(")", 4000),
		"a long series":  "SELECT TS_COUNT(a), " + strings.Repeat("a.", size/200) + "a",
	} {
		t.Run(name, func(t *testing.T) {
			_, results := post(t, s, request(query.Query{SQL: sql}))
			if e, _ := results[0]["error"].(map[string]any); e != nil {
				if text := fmt.Sprint(e["message"]); len(text) > 2000 {
					t.Errorf("an error of %d bytes: %.100s", len(text), text)
				} else {
					t.Log(text)
				}
			}
		})
	}
	small, _, _ := service(t, nil)
	if _, _, err := small.Do(t.Context(), request(query.Query{RefID: "A", SQL: "SELECT '" + strings.Repeat("x", size) + "'"})); err == nil || !strings.Contains(err.Error(), "are read") {
		t.Errorf("ten megabytes with the limit of the defaults: %v", err)
	}
}
