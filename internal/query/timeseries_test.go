//go:build cgo

package query_test

import (
	"strings"
	"testing"

	"github.com/orielhq/oriel/internal/query"
)

// values is a relation with the series k: t in ms, v.
const values = `(SELECT * FROM (VALUES ('a', 1, 1.0), ('a', 2, 5.0), ('a', 6, 2.0), ('b', 3, 7.0)) x(k, t, v)) USING TIME_SERIES_FORMAT(KEY="k", timetick="t", value="v") IN ts`

// gaps has holes: NaN at 2 and 3.
const gaps = `(SELECT * FROM (VALUES (1, 1.0), (2, 'nan'::DOUBLE), (3, 'nan'::DOUBLE), (5, 5.0)) x(t, v)) USING TIME_SERIES_FORMAT(timetick="t", value="v") IN ts`

func TestTimeSeriesDialect(t *testing.T) {
	s, _, _ := service(t, nil)
	explode := func(expr string) string {
		return "WITH t AS (SELECT k, ts FROM " + values + ") SELECT k, epoch_ms(tt) AS t, v FROM (SELECT k, TS_EXPLODE(" + expr + ") AS (tt, v) FROM t) ORDER BY 1, 2"
	}
	const two = `SELECT list({'t': t, 'v': v} ORDER BY t) FILTER (WHERE k = 'l') AS l, list({'t': t, 'v': v} ORDER BY t) FILTER (WHERE k = 'r') AS r
		FROM (VALUES ('l', 1, 1.0::DOUBLE), ('l', 2, 2.0), ('l', 4, 4.0), ('r', 2, 20.0), ('r', 3, 30.0), ('r', 5, 50.0)) x(k, t, v)`
	pair := func(expr string) string {
		return "WITH t AS (" + two + ") SELECT epoch_ms(tt) AS t, v FROM (SELECT TS_EXPLODE(" + expr + ") AS (tt, v) FROM t) ORDER BY 1"
	}
	const markers = `(SELECT * FROM (VALUES (1, 1.0), (2, 5.0), (3, 2.0), (4, 3.0), (5, 5.0), (6, 9.0)) x(t, v)) USING TIME_SERIES_FORMAT(timetick="t", value="v") IN ts`
	marked := func(expr string) string {
		return "WITH t AS (SELECT ts FROM " + markers + ") SELECT epoch_ms(tt) AS t, v FROM (SELECT TS_EXPLODE(TS_SEG_COUNT(" + expr + ")) AS (tt, v) FROM t) ORDER BY 1"
	}
	for _, tt := range []struct{ sql, want string }{
		{explode("ts"), `[["a",1,1],["a",2,5],["a",6,2],["b",3,7]]`},
		// The library's own example: ticks 1, 2, 6 with window 3 and step 1.
		{explode("TS_SEG_COUNT(TS_SEGMENT_BY_TIME(ts, 3, 1, first))"), `[["a",1,2],["a",2,1],["a",3,0],["a",4,1],["b",3,1]]`},
		{explode("TS_SEG_COUNT(TS_SEGMENT_BY_TIME(ts, 4, 4))"), `[["a",0,2],["a",4,1],["b",0,1]]`},
		{explode("TS_SEG_AVG(TS_SEGMENT_BY_TIME(ts, 2, 2, first))"), `[["a",1,3],["a",3,null],["a",5,2],["b",3,7]]`},
		{explode("TS_SEG_SUM(TS_SEGMENT(ts, 2, 1))"), `[["a",1,6],["a",2,7]]`},
		{explode("TS_SEG_MAX(TS_SEGMENT_BY_SILENCE(ts, 3))"), `[["a",1,5],["a",6,2],["b",3,7]]`},
		{explode("TS_SEG_COUNT(TS_SEGMENT_BY_ANCHOR(ts, TS_EXP_GT(TS_EXP_ID(), 4.0), 1, 3))"), `[["a",2,2],["b",3,1]]`},
		{explode("TS_DIFF(ts)"), `[["a",2,4],["a",6,-3]]`},
		{explode("TS_PEAK(ts)"), `[["a",2,5]]`},
		{explode("TS_TROUGH(ts)"), `[]`},
		{explode("TS_ZSCORE(ts, 1, 2)"), `[["a",1,0],["a",2,2],["a",6,0.5],["b",3,3]]`},
		{explode("TS_FILTER(ts, TS_EXP_GT(TS_EXP_ID(), 1.5))"), `[["a",2,5],["a",6,2],["b",3,7]]`},
		{explode("TS_MAP(ts, TS_EXP_ADD(TS_EXP_MUL(TS_EXP_ID(), 2), 1))"), `[["a",1,3],["a",2,11],["a",6,5],["b",3,15]]`},
		{explode("TS_SLICE(ts, 2, 5)"), `[["a",2,5],["b",3,7]]`},
		{explode("TS_RESAMPLE(ts, 2, TS_INTERPOLATOR_PREV(0.0))"), `[["a",0,0],["a",2,5],["a",4,5],["a",6,2],["b",2,0]]`},
		{explode("TS_RESAMPLE(ts, 2, TS_INTERPOLATOR_NEXT(0.0))"), `[["a",0,1],["a",2,5],["a",4,2],["a",6,2],["b",2,7]]`},
		{explode("TS_RESAMPLE(ts, 2, TS_INTERPOLATOR_NEAREST(0.0))"), `[["a",0,1],["a",2,5],["a",4,5],["a",6,2],["b",2,7]]`},
		{explode("TS_RESAMPLE(ts, 2, TS_INTERPOLATOR_LINEAR(0.0, 1, 1))"), `[["a",0,0],["a",2,5],["a",4,3.5],["a",6,2],["b",2,0]]`},
		{explode("TS_FORECAST(TS_MAP(ts, 2.0), TS_FORECAST_AVERAGE(), 1)"), `[["a",8,2],["b",3,2]]`},
		{"WITH t AS (SELECT ts FROM " + gaps + ") SELECT TS_EXPLODE(TS_FILLNA(ts, TS_INTERPOLATOR_LINEAR(0.0,1,1))) AS (tt, v) FROM t ORDER BY 1", `[["1970-01-01T00:00:00.001Z",1],["1970-01-01T00:00:00.002Z",2],["1970-01-01T00:00:00.003Z",3],["1970-01-01T00:00:00.005Z",5]]`},
		{"SELECT TS_EXPLODE(TS_INDEX(TS_INNER_JOIN(ts, TS_MAP(TS_SLICE(ts, 2, 2), 9.0)), 1)) AS (tt, v) FROM " + values + " WHERE k = 'a'", `[["1970-01-01T00:00:00.002Z",9]]`},
		{"WITH t AS (SELECT ts FROM " + gaps + ") SELECT TS_COUNT(TS_DROPNA(ts)) FROM t", `[[2]]`},
		{"WITH t AS (SELECT k, ts FROM " + values + ") SELECT k, TS_COUNT(ts), TS_AVG(ts), TS_MAX(ts) FROM t WHERE k = 'b'", `[["b",1,7,7]]`},
		{"WITH t AS (SELECT k, ts FROM " + values + ") SELECT TS_CORRELATION(a.ts, TS_MAP(a.ts, TS_EXP_MUL(TS_EXP_ID(), 3))) FROM t a WHERE k = 'a'", `[[1]]`},
		{"SELECT TS_AVG(TIME_SERIES(t, v)) FROM (VALUES (1, 2.0), (2, 4.0)) x(t, v)", `[[3]]`},
		{"SELECT epoch_ms(TIMESTAMP '1970-01-01 00:00:01'), TS_TIMESTAMP('1970-01-01T00:00:01Z')", `[[1000,1000]]`},
		// Averages of equal ticks: IBM's page prints 9.8 for (9.1 + 9.3 + 9.8) / 3.
		{"SELECT round(TS_MAX(TS_COMBINE_DUPLICATE_TIMETICKS(TIME_SERIES(t, v), TS_COMBINER_AVG())), 6) FROM (VALUES (1, 9.1), (1, 9.3), (1, 9.8)) x(t, v)", `[[9.4]]`},
		// Joins: every tick of the left, of both, of only one.
		{pair("TS_INDEX(TS_LEFT_JOIN(l, r, TS_INTERPOLATOR_PREV(-1.0)), 1)"), `[[1,-1],[2,20],[4,30]]`},
		{pair("TS_INDEX(TS_LEFT_JOIN(l, r), 1)"), `[[1,null],[2,20],[4,null]]`},
		{pair("TS_INDEX(TS_RIGHT_JOIN(l, r, TS_INTERPOLATOR_NEXT(-1.0)), 0)"), `[[2,2],[3,4],[5,-1]]`},
		{pair("TS_INDEX(TS_FULL_JOIN(l, r, TS_INTERPOLATOR_NEAREST(0.0)), 0)"), `[[1,1],[2,2],[3,2],[4,4],[5,4]]`},
		{pair("TS_INDEX(TS_FULL_JOIN(l, r, TS_INTERPOLATOR_LINEAR(0.0, 1, 1)), 1)"), `[[1,0],[2,20],[3,30],[4,40],[5,50]]`},
		{pair("TS_INDEX(TS_LEFT_OUTER_JOIN(l, r, TS_INTERPOLATOR_PREV(-1.0)), 1)"), `[[1,-1],[4,30]]`},
		{pair("TS_INDEX(TS_RIGHT_OUTER_JOIN(l, r, TS_INTERPOLATOR_PREV(-1.0)), 0)"), `[[3,2],[5,4]]`},
		// Segments between markers: 5 is one.
		{marked("TS_SEGMENT_BY_MARKER(ts, TS_EXP_EQUALS(TS_EXP_ID(), 5.0), true, false, false)"), `[[1,1],[2,3],[5,2]]`},
		{marked("TS_SEGMENT_BY_MARKER(ts, TS_EXP_EQUALS(TS_EXP_ID(), 5.0), false, true, false)"), `[[1,2],[3,3],[6,1]]`},
		{marked("TS_SEGMENT_BY_MARKER(ts, TS_EXP_EQUALS(TS_EXP_ID(), 5.0), true, true, true)"), `[[2,4]]`},
		{marked("TS_SEGMENT_BY_DUAL_MARKER(ts, TS_EXP_EQUALS(TS_EXP_ID(), 5.0), TS_EXP_EQUALS(TS_EXP_ID(), 9.0), true, true, true, true)"), `[[2,5]]`},
		{marked("TS_SEGMENT_BY_DUAL_MARKER(ts, TS_EXP_EQUALS(TS_EXP_ID(), 5.0), TS_EXP_EQUALS(TS_EXP_ID(), 9.0), true, false, false, true)"), `[[5,1]]`},
		{marked("TS_SEGMENT_BY_DUAL_MARKER(ts, TS_EXP_EQUALS(TS_EXP_ID(), 1.0), TS_EXP_EQUALS(TS_EXP_ID(), 5.0), true, true, true, false)"), `[[1,5]]`},
		{marked("TS_SEGMENT_BY_DUAL_MARKER(ts, TS_EXP_EQUALS(TS_EXP_ID(), 1.0), TS_EXP_EQUALS(TS_EXP_ID(), 5.0), true, true, true, true)"), `[[1,2]]`},
		{"WITH t AS (SELECT ts FROM " + markers + ") SELECT TS_COUNT_ANCHOR(ts, TS_EXP_EQUALS(TS_EXP_ID(), 5.0)) FROM t", `[[2]]`},
		// numpy.correlate of the z-scores, and k-Shape's distance: nothing for the same shape shifted.
		{"SELECT list_transform(TS_CROSS_CORRELATION(TIME_SERIES(t, v), TIME_SERIES(t, v)), lambda x: round(x, 4)) FROM (VALUES (1, 1.0), (2, 2.0), (3, 4.0)) x(t, v)", `[["[-0.4762,-0.0238,1,-0.0238,-0.4762]"]]`},
		{"SELECT TS_SBD(TIME_SERIES(t, v), TIME_SERIES(t, w)) FROM (VALUES (1, 0.0, 3.0), (2, 3.0, 4.0), (3, 4.0, 0.0)) x(t, v, w)", `[[0]]`},
		{"SELECT abs(TS_AVG(TS_AWGN(ts, 10.0, 1.0)) - 10) < 0.2, abs(TS_SD(TS_AWGN(ts, 0.0, 2.0)) - 2) < 0.2 FROM (SELECT TIME_SERIES(t, 0.0) AS ts FROM range(10000) x(t))", `[[true,true]]`},
		// A line with one value off it; the mean alone would call the ends anomalies.
		{"SELECT TS_EXPLODE(TS_DETECT_ANOMALIES(ts, TS_FORECAST_LINEAR(), 0.99)) AS (tt, v) FROM (SELECT TIME_SERIES(t, CASE t WHEN 50 THEN 90.0 ELSE CAST(t AS DOUBLE) END) AS ts FROM range(100) x(t))", `[["1970-01-01T00:00:00.05Z",90]]`},
		// Panel 3 of the flow-log dashboard, in IBM's dialect.
		{`WITH t AS (SELECT action, ts FROM $__source USING TIME_SERIES_FORMAT(key="action", timetick="start_time", value="bytes_from_initiator") IN ts)
			SELECT TS_EXPLODE(TS_SEG_COUNT(TS_SEGMENT_BY_TIME(ts, hour, hour))) AS (tt, count), action FROM t ORDER BY action, tt LIMIT 2`, `[["2026-08-20T00:00:00Z",40,"accepted"],["2026-08-20T01:00:00Z",40,"accepted"]]`},
	} {
		if got := rows(t, s, request(query.Query{SQL: tt.sql})); got != tt.want {
			t.Errorf("%s =\n  %s; want\n  %s", tt.sql, got, tt.want)
		}
	}
}

func TestUnsupportedFunctionsAreNamed(t *testing.T) {
	s, _, _ := service(t, nil)
	for expr, want := range map[string]string{
		"TS_LEFT_ALIGN(ts, ts, TS_INTERPOLATOR_PREV(0))": "TS_LEFT_ALIGN is not supported",
		"TS_DTW(ts, ts)": "TS_DTW is not supported",
		"TS_FORECAST(ts, TS_FORECAST_ARIMA(), 3)":       "TS_FORECAST: TS_FORECAST_ARIMA is not supported",
		"TS_RESAMPLE(ts, 1, TS_INTERPOLATOR_SPLINE(0))": "TS_INTERPOLATOR_SPLINE is not supported",
		"TS_SEGMENT_BY_TIME(ts, 1 parsec, 1)":           `interval "1 parsec"`,
		"TS_DIFF()":                                     "TS_DIFF: 0 arguments, want 1",
		"TS_EXP_ID()":                                   "TS_EXP_ID stands only inside",
	} {
		_, results := post(t, s, request(query.Query{SQL: "SELECT " + expr + " FROM " + values}))
		e, _ := results[0]["error"].(map[string]any)
		if text, _ := e["message"].(string); !strings.Contains(text, want) {
			t.Errorf("%s: %q; want %q", expr, text, want)
		}
	}
}
