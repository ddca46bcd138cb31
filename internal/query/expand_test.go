package query

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func testScope() *Scope {
	from := time.Date(2026, 8, 20, 1, 2, 3, 4e6, time.UTC)
	return &Scope{
		Range: Range{from, from.Add(time.Hour)}, Interval: 10 * time.Minute, Source: "flow_flat", TimeColumn: "start_time", Dialect: DuckDB{},
		Variables: map[string][]string{"ip": {"10.0.0.1"}, "n": {"42"}, "many": {"a", "o'b"}, "none": {}, "t": {"flows"}},
	}
}

const (
	filterStart = `("start_time" >= TIMESTAMP '2026-08-20 01:02:03.004' AND "start_time" <= TIMESTAMP '2026-08-20 02:02:03.004')`
	filterC     = `(c >= TIMESTAMP '2026-08-20 01:02:03.004' AND c <= TIMESTAMP '2026-08-20 02:02:03.004')`
)

func TestExpand(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"FROM $__source", `FROM "flow_flat"`},
		{"FROM a JOIN $__source() ON true;", `FROM a JOIN "flow_flat" ON true`},
		{"FROM $__SOURCE", `FROM "flow_flat"`},
		{"SELECT '$__source' -- $__source\n/* $__nosuch\n */ FROM $$ $__source $$", "SELECT '$__source'  \n \n FROM $$ $__source $$"},
		{"FROM $__source_prev(A), $__source_prev( B )", `FROM "__prev_A", "__prev_B"`},
		{"WHERE $__timeFilter", "WHERE " + filterStart},
		{"WHERE $__timeFilter()", "WHERE " + filterStart},
		{"WHERE $__timeFilter(timestamp)", "WHERE " + filterStart},
		{"WHERE $__timeFilter(c)", "WHERE " + filterC},
		{"WHERE $__timeFilterColumn(c,)", "WHERE " + filterC},
		{"WHERE $__timeFilterColumn(c, timestamp)", "WHERE " + filterC},
		{"WHERE $__timeFilterColumn(a + b)", "WHERE " + strings.ReplaceAll(filterC, "c ", "(a + b) ")},
		{`WHERE $__timeFilterColumn(t."vnic-id")`, "WHERE " + strings.ReplaceAll(filterC, "c ", `t."vnic-id" `)},
		{"$__timeFilterColumn(c, string)", "(TRY_CAST(c AS TIMESTAMPTZ) >= TIMESTAMPTZ '2026-08-20 01:02:03.004Z' AND TRY_CAST(c AS TIMESTAMPTZ) <= TIMESTAMPTZ '2026-08-20 02:02:03.004Z')"},
		{"$__timeFilterColumn(c, string, '%d/%m')", "(try_strptime(c, '%d/%m') >= TIMESTAMP '2026-08-20 01:02:03.004' AND try_strptime(c, '%d/%m') <= TIMESTAMP '2026-08-20 02:02:03.004')"},
		{"$__timeFilter(string)", "(TRY_CAST(\"start_time\" AS TIMESTAMPTZ) >= TIMESTAMPTZ '2026-08-20 01:02:03.004Z' AND TRY_CAST(\"start_time\" AS TIMESTAMPTZ) <= TIMESTAMPTZ '2026-08-20 02:02:03.004Z')"},
		{"$__timeFilterColumn(c, long)", "(c >= 1787187723004 AND c <= 1787191323004)"},
		{"$__timeFilterColumn(c, epoch_ns)", "(c >= 1787187723004000000 AND c <= 1787191323004000000)"},
		{"$__timeFilterColumn(c, date)", "(c >= DATE '2026-08-20' AND c <= DATE '2026-08-20')"},
		{"$__unixEpochFilter(c)", "(c >= 1787187723.004 AND c <= 1787191323.004)"},
		{"$__timeFrom, $__timeTo()", "TIMESTAMP '2026-08-20 01:02:03.004', TIMESTAMP '2026-08-20 02:02:03.004'"},
		{"$__timeFrom(c)", "c >= TIMESTAMP '2026-08-20 01:02:03.004'"},
		{"$__timeGroup(c, '1h')", "time_bucket(INTERVAL '3600000 milliseconds', CAST(c AS TIMESTAMP), TIMESTAMP '1970-01-01')"},
		{"$__timeGroup(c, 1h)", "time_bucket(INTERVAL '3600000 milliseconds', CAST(c AS TIMESTAMP), TIMESTAMP '1970-01-01')"},
		{"$__timeGroup(c, $__interval, 0)", "time_bucket(INTERVAL '600000 milliseconds', CAST(c AS TIMESTAMP), TIMESTAMP '1970-01-01')"},
		{"$__timeGroup(c, 1M)", "time_bucket(INTERVAL '1 months', CAST(c AS TIMESTAMP), TIMESTAMP '1970-01-01')"},
		{"$__interval $__interval_ms $__from $__to", "INTERVAL '600000 milliseconds' 600000 1787187723004 1787191323004"},
		{"SELECT 1 INTO $__dest(PARQUET, a/b-1.x)", "SELECT 1 "},
		{"ip = '${ip}'", "ip = '10.0.0.1'"},
		{`ip = "${ip}" AND "x"`, `ip = '10.0.0.1' AND "x"`},
		{`ip = "$ip" AND '[[ip]]' AND '$nosuch'`, `ip = '10.0.0.1' AND '10.0.0.1' AND '$nosuch'`},
		{"ip = ${ip} AND n = $n AND ${n:sqlstring}", "ip = '10.0.0.1' AND n = 42 AND '42'"},
		{"ip IN (${many}) OR ip IN ('${many}') OR ip IN (${none})", "ip IN ('a', 'o''b') OR ip IN ('a', 'o''b') OR ip IN (NULL)"},
		{"FROM ${t:raw}", "FROM flows"},
		{"regexp_matches(ip, '^${many:regex}$') AND ${ip:regex}", "regexp_matches(ip, '^(a|o''b)$') AND '10\\.0\\.0\\.1'"},
		{"'${many:csv}' '${many:pipe}' ${many:pipe} '${many:text}' '${many:raw}'", "'a,o''b' 'a|o''b' 'a|o''b' 'a + o''b' 'a,o''b'"},
		{"${many:json} '${none:json}' IN ('${many:singlequote}')", `'["a","o''b"]' '[]' IN ('a', 'o''b')`},
		{"$__timeGroup(c, ${n}m)", "time_bucket(INTERVAL '2520000 milliseconds', CAST(c AS TIMESTAMP), TIMESTAMP '1970-01-01')"},
		{"$__timeGroup(c, '${n}m')", "time_bucket(INTERVAL '2520000 milliseconds', CAST(c AS TIMESTAMP), TIMESTAMP '1970-01-01')"},
		{"$__timeGroup(c, INTERVAL '${n} minutes')", "time_bucket(INTERVAL '2520000 milliseconds', CAST(c AS TIMESTAMP), TIMESTAMP '1970-01-01')"},
		{"${__from} ${__to:date:seconds} '${__interval}' '${__from:date}'", "1787187723004 1787191323 '10m' '2026-08-20T01:02:03.004Z'"},
		{"SELECT `vnic-id`", `SELECT "vnic-id"`},
	} {
		got, err := Expand(tt.in, testScope())
		if err != nil {
			t.Errorf("Expand(%q): %v", tt.in, err)
			continue
		}
		if strings.TrimSpace(got.SQL) != strings.TrimSpace(tt.want) {
			t.Errorf("Expand(%q) =\n  %s; want\n  %s", tt.in, got.SQL, tt.want)
		}
	}
}

func TestExpandErrorsNameMacroAndPlace(t *testing.T) {
	for in, want := range map[string]string{
		"SELECT\n  $__nosuch(1)":               "line 2, column 3: unknown macro $__nosuch",
		"$__source_prev":                       "line 1, column 1: $__source_prev needs the name of a query, as in $__source_prev(A)",
		"$__source_prev()":                     "line 1, column 1: $__source_prev needs the name of a query, as in $__source_prev(A)",
		"$__source_prev(a-b)":                  `line 1, column 1: $__source_prev: "a-b" is not the name of a query`,
		"$__timeFilterColumn(c, nosuch)":       `line 1, column 1: $__timeFilterColumn: type "nosuch": want timestamp, timestamptz, date, string, long, epoch_s, epoch_ms, epoch_us or epoch_ns`,
		"$__timeGroup(c)":                      "line 1, column 1: $__timeGroup: 1 arguments, want 2 to 3",
		"$__timeGroup(c, 1 parsec)":            `line 1, column 1: $__timeGroup: interval "1 parsec": want one as 15m, 1h, 1d or PT15M`,
		"$__timeFilterColumn(c":                "line 1, column 20: $__timeFilterColumn: the bracket is not closed",
		"x INTO $__dest(orc)":                  "line 1, column 8: $__dest: format ORC is not written here: use parquet, csv or json",
		"x INTO $__dest(csv, a, b)":            "line 1, column 8: $__dest can't have more than two arguments",
		"x INTO $__dest(csv, ../a)":            `line 1, column 8: $__dest: "../a" is not a name: want letters, digits and _ = . - /`,
		"x INTO $__source":                     "line 1, column 8: $__source after INTO: only $__dest may stand there",
		"$__dest":                              "line 1, column 1: $__dest: it stands only after INTO",
		"a = '${nosuch}'":                      `line 1, column 5: unknown variable "nosuch"`,
		"a = 'x${many}'":                       "line 1, column 5: variable ${many} has 2 values, inside a text only one can stand",
		"a = '${n:nosuch}'":                    `line 1, column 5: variable ${n:nosuch}: format "nosuch" is not known; there are: csv, json, pipe, raw, regex, singlequote, sqlstring, text`,
		"$__timeGroup(c, ${many})":             "line 1, column 1: $__timeGroup: interval ${many}: want one value",
		"  -- nothing":                         "line 1, column 1: the query is empty",
		"$__timeFilterColumn($__nosuch, long)": "line 1, column 21: unknown macro $__nosuch",
	} {
		if _, err := Expand(in, testScope()); err == nil || err.Error() != want {
			t.Errorf("Expand(%q) = %v; want %s", in, err, want)
		}
	}
	deep := strings.Repeat("$__timeFrom(", 20_000) + "a" + strings.Repeat(")", 20_000)
	for in, want := range map[string]string{deep: "brackets nested more than 5000 deep", deep[:12*21] + "a" + strings.Repeat(")", 21): "line 1, column 253: macros nested more than 20 deep"} {
		if _, err := Expand(in, testScope()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Expand(%.80q...) = %.200v; want %s", in, err, want)
		}
	}
	s := testScope()
	s.Range = Range{}
	if _, err := Expand("$__timeFilter", s); err == nil || !strings.Contains(err.Error(), "no time range") {
		t.Errorf("Expand without a range = %v", err)
	}
}

func TestExpansionNotesWhatItReadsAndWrites(t *testing.T) {
	got, err := Expand("SELECT $__timeGroup(a, 1h, previous) FROM $__source_prev(A) JOIN $__source_prev(B) JOIN $__source_prev(A) INTO $__dest(json, x)", testScope())
	if err != nil {
		t.Fatal(err)
	}
	got.SQL = ""
	want := &Expansion{Prev: []string{"A", "B"}, Dest: &Dest{"json", "x"}, Fill: &Fill{Interval: Interval{Every: time.Hour}, Mode: "previous"}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Expansion{})); diff != "" {
		t.Errorf("expansion (-want +got):\n%s", diff)
	}
}

func TestParseInterval(t *testing.T) {
	for in, want := range map[string]string{
		"15m": "15m0s", "1h": "1h0m0s", "'1d'": "24h0m0s", "2 days": "48h0m0s", "hour": "1h0m0s", "per_hour": "1h0m0s", "PT15M": "15m0s", "P1D": "24h0m0s",
		"1h30m": "1h30m0s", "1M": "1M", "1y": "12M", "2 Months": "2M", "500ms": "500ms", "3600000": "1h0m0s", "PT1H30M": "1h30m0s", "1w": "168h0m0s",
	} {
		if got, err := ParseInterval(in); err != nil || got.String() != want {
			t.Errorf("ParseInterval(%q) = %v, %v; want %s", in, got, err, want)
		}
	}
	for _, bad := range []string{"", "x", "0s", "-1h", "1M1d", "99999999999d", "P", "PT", "P1H", "PT1", "1.5h"} {
		if got, err := ParseInterval(bad); err == nil {
			t.Errorf("ParseInterval(%q) = %v; want an error", bad, got)
		}
	}
}
