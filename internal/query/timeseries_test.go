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
		{"SELECT abs(round(TS_SBD(TIME_SERIES(t, v), TIME_SERIES(t, w)), 12)) FROM (VALUES (1, 0.0, 3.0), (2, 3.0, 4.0), (3, 4.0, 0.0)) x(t, v, w)", `[[0]]`},
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

// TestTimeSeriesBeyondSQL is about functions that are Go behind their SQL. What they
// answer is compared with numpy, scipy and statsmodels in the package calc; here
// are small ones, worked out by hand, that show that the SQL gives them the right lists.
func TestTimeSeriesBeyondSQL(t *testing.T) {
	s, _, _ := service(t, nil)
	const (
		two = `(SELECT TIME_SERIES(t, v) AS a, TIME_SERIES(t + 1, v * 2) AS b FROM (VALUES (1, 1.0), (2, 5.0), (4, 2.0), (5, 6.0)) x(t, v))`
		// The first of each pair is a's: ticks 1 2 4 5, the other b's: ticks 2 3 5 6.
		words  = `(SELECT TIME_SERIES_S(t, w) AS s FROM (VALUES (1, 'a'), (2, 'x'), (3, 'b'), (4, 'b'), (5, 'c')) x(t, w))`
		season = `(SELECT TIME_SERIES(i * 1000, 100 + 2 * i + [5, -1, -7, 3][i % 4 + 1]) AS ts FROM range(40) r(i))`
	)
	exploded := func(expr, from string) string {
		return "SELECT epoch_ms(tt) AS t, v FROM (SELECT TS_EXPLODE(" + expr + ") AS (tt, v) FROM " + from + ") ORDER BY 1"
	}
	for _, tt := range []struct{ sql, want string }{
		{"SELECT TS_DTW(a, b), TS_DL(a, a), TS_DL(a, b) FROM " + two, `[[14,0,4]]`},
		{"SELECT TS_DL(TIME_SERIES_S(t, v), TIME_SERIES_S(t, w)) FROM (VALUES (1, 'c', 'a'), (2, 'a', 'b'), (3, NULL, 'c')) x(t, v, w) WHERE v IS NOT NULL OR true", `[[3]]`},
		{"SELECT TS_FFT(TIME_SERIES(t, v), 'forward'), TS_FFT(TIME_SERIES(t, v), 'i') FROM (VALUES (1, 1.0), (2, 3.0)) x(t, v)", `[["[4,0,-2,0]","[2,0,-1,0]"]]`},
		{"SELECT list_transform(TS_GRANGER(a, b, 1), lambda x: round(x, 4)) FROM (SELECT TIME_SERIES(t, v) AS a, TIME_SERIES(t, w) AS b FROM (SELECT unnest(range(1, 21)) AS t, " +
			"unnest([1,3,2,5,4,7,6,9,8,12,10,11,15,13,14,18,16,20,17,19]) AS v, unnest([2,1,4,2,6,5,8,6,10,8,13,11,12,16,13,15,19,17,21,18]) AS w))", `[["[977.962,0,0.9963]"]]`},
		// Segments of 2: a's are (1 5) (2 6), b's the same doubled, a tick later.
		{exploded("TS_SEG_DTW(TS_SEGMENT(a, 2, 2), TS_SEGMENT(TS_MAP(a, TS_EXP_ADD(TS_EXP_ID(), 1)), 2, 2))", two), `[[1,2],[4,2]]`},
		{exploded("TS_SEG_CORRELATION(TS_SEGMENT(a, 2, 2), TS_SEGMENT(TS_MAP(a, TS_EXP_MULTIPLY(TS_EXP_ID(), -3)), 2, 2))", two), `[[1,-1],[4,-1]]`},
		{exploded("TS_SEG_MANHATTAN_DISTANCE(TS_SEGMENT(a, 2, 2), TS_SEGMENT(TS_MAP(a, TS_EXP_MULTIPLY(TS_EXP_ID(), 2)), 2, 2))", two), `[[1,6],[4,8]]`},
		{exploded("TS_SEG_DL(TS_SEGMENT(a, 2, 2), TS_SEGMENT(a, 2, 2))", two), `[[1,0],[4,0]]`},
		{"SELECT v FROM (SELECT TS_DA_EXPLODE(TS_SEG_FFT(TS_SEGMENT(a, 2, 2), 'f')) AS (tt, v) FROM " + two + ")", `[["[6,0,-4,0]"],["[8,0,-4,0]"]]`},
		{"SELECT v FROM (SELECT TS_EXPLODE(TS_SEG_AUTO_CORRELATION(TS_SEGMENT(a, 2, 2))) AS (tt, v) FROM " + two + ")", `[["[1,-0.5]"],["[1,-0.5]"]]`},
		// Aligned series, as two columns.
		{"SELECT TS_COUNT(x), TS_COUNT(y), TS_SUM(x), TS_SUM(y) FROM (SELECT TS_INNER_ALIGN(a, b) AS (x, y) FROM " + two + ")", `[[2,2,11,6]]`},
		{"SELECT TS_COUNT(x), TS_COUNT(y), TS_SUM(x), TS_SUM(y) FROM (SELECT TS_LEFT_ALIGN(a, b, TS_INTERPOLATOR_PREV(-1.0)) AS (x, y) FROM " + two + ")", `[[4,4,14,15]]`},
		{"SELECT TS_SUM(\"left\"), TS_SUM(\"right\") FROM (SELECT TS_FULL_ALIGN(a, b, TS_INTERPOLATOR_FILL(0.0)) FROM " + two + ")", `[[14,28]]`},
		{"SELECT TS_SUM(x), TS_SUM(y) FROM (SELECT TS_RIGHT_ALIGN(a, b, TS_INTERPOLATOR_NEXT(0.0)) AS (x, y) FROM " + two + ")", `[[13,28]]`},
		{"SELECT v FROM (SELECT TS_DA_EXPLODE(TS_VECTORN(a, a, b)) AS (tt, v) FROM " + two + ")", `[["[5,5,2]"],["[6,6,4]"]]`},
		{"SELECT v FROM (SELECT TS_DA_EXPLODE(TS_INNER_JOIN(TS_INNER_JOIN(a, a), TS_INNER_JOIN(a, b))) AS (tt, v) FROM " + two + ")", `[["[5,5,5,2]"],["[6,6,6,4]"]]`},
		{"SELECT epoch_ms(tick), i, TS_COUNT(part) FROM (SELECT TS_FLATTEN(TS_SEGMENT_BY_SILENCE(a, 1)) AS (tick, i, part) FROM " + two + ")", `[[1,0,2],[4,1,2]]`},
		{exploded("TS_SEG_COUNT(TS_SEGMENT_BY_SMOOTHED_SILENCE(ts, 0.5, 2, 100))", "(SELECT TIME_SERIES(t, 1.0) AS ts FROM (VALUES (0), (1), (2), (7), (12), (17)) x(t))"), `[[0,3],[7,3]]`},
		// A spline through (0,1) (10,3) (30,2) (40,8), the line nearest to them; 20 has no observation.
		{exploded("TS_SLICE(TS_RESAMPLE(ts, 20, TS_INTERPOLATOR_LINEAR(-1.0, 2, 2)), 20, 40)", "(SELECT TIME_SERIES(t, v) AS ts FROM (VALUES (0, 1.0), (10, 3.0), (30, 2.0), (40, 8.0)) x(t, v))"), `[[20,3.5],[40,8]]`},
		{exploded("TS_RESAMPLE(ts, 5, TS_INTERPOLATOR_SPLINE(-1.0, 1, 1))", "(SELECT TIME_SERIES(t, v) AS ts FROM (VALUES (0, 1.0), (10, 3.0), (15, 0.0)) x(t, v))"), `[[0,1],[5,2],[10,3],[15,0]]`},
		{exploded("TS_MAP(TS_FILLNA(ts, TS_INTERPOLATOR_SPLINE(-1.0, 1, 2)), round(TS_EXP_ID(), 9))", "(SELECT TIME_SERIES(t, v) AS ts FROM (VALUES (0, 1.0), (5, NULL), (10, 3.0), (12, 'nan'::DOUBLE), (15, 0.0)) x(t, v))"), `[[0,1],[5,3],[10,3],[12,-1],[15,0]]`},
		// Texts.
		{exploded("TS_REMOVE_CONSECUTIVE_DUPLICATES(s)", words), `[[1,"a"],[2,"x"],[3,"b"],[5,"c"]]`},
		{exploded("TS_FILTER(s, TS_EXP_OR(TS_EXP_STARTS_WITH(TS_EXP_ID(), 'x'), TS_EXP_MATCH(TS_EXP_CONCAT(TS_EXP_ID(), '1'), 'c[0-9]')))", words), `[[2,"x"],[5,"c"]]`},
		{exploded("TS_MAP(s, TS_EXP_MATCH_CASE(array(TS_EXP_IF_THEN(TS_EXP_EQUALS(TS_EXP_ID(), 'a'), 'first'), TS_EXP_IF_THEN(TS_EXP_CONTAINS(TS_EXP_ID(), 'x'), 'odd')), TS_EXP_ID()))", words), `[[1,"first"],[2,"odd"],[3,"b"],[4,"b"],[5,"c"]]`},
		{exploded("TS_MAP(s, TS_EXP_LENGTH(TS_EXP_ID()))", words), `[[1,1],[2,1],[3,1],[4,1],[5,1]]`},
		{exploded("TS_RESAMPLE(TS_FILTER(s, TS_ANCHOR_NOT(TS_ANCHOR_EQ('b'))), 2, TS_INTERPOLATOR_PREV('none'))", words), `[[0,"none"],[2,"x"],[4,"x"]]`},
		{exploded("TS_COMBINE_DUPLICATE_TIMETICKS(TIME_SERIES_S(t, w), TS_COMBINER_CONCATENATE('#'))", "(VALUES (1, 'a'), (1, 'a'), (2, '$1')) x(t, w)"), `[[1,"a#a"],[2,"$1"]]`},
		{"SELECT v FROM (SELECT TS_SA_EXPLODE(TS_INNER_JOIN(s, TS_FILTER(s, TS_ANCHOR_CONTAINED_IN('abc')))) AS (tt, v) FROM " + words + ") LIMIT 1", `[["[\"a\",\"a\"]"]]`},
		{exploded("TS_DROPNA(TIME_SERIES_DA(t, v))", "(VALUES (1, [1.0, NULL]), (2, [2.0, 3.0])) x(t, v)") + " LIMIT 0", `[]`},
		{"SELECT TS_COUNT(TS_DROPNA(TIME_SERIES_DA(t, v))), TS_COUNT(TS_DROPNA(TIME_SERIES_SA(t, v))) FROM (VALUES (1, [1.0, NULL]), (2, [2.0, 3.0])) x(t, v)", `[[1,1]]`},
		{exploded("TS_MATCH(s, TS_MATCHER_SUBSEQ_PS(0.6), array('a', 'b', 'c'))", words), `[[1,"a"],[3,"b"],[5,"c"]]`},
		{"SELECT TS_MATCH(s, TS_MATCHER_SUBSEQ_PS(0.7), ['a', 'b', 'c']) IS NULL, TS_COUNT(TS_MATCH(s, TS_MATCHER_SEQ(), ['a', 'x', 'b', 'b', 'c'])), TS_COUNT(TS_MATCH(s, TS_MATCHER_SUBSEQ_MS(0.8), list_value('x', 'c'))) FROM " + words, `[[true,5,4]]`},
		{"SELECT ts FROM (SELECT TS_COUNT(ts) AS ts FROM (SELECT 1 AS t, 'x' AS v) USING TIME_SERIES_FORMAT(timetick=\"t\", value=\"v\") IN ts)", `[[1]]`},
		// A time reference: minutes since noon.
		{exploded("TIME_SERIES_WITH_TRS(t, 1.0, TS_TRS('PT1M', '1970-01-01T12:00:00Z'))", "(VALUES (0), (2)) x(t)"), `[[43200000,1],[43320000,1]]`},
		{exploded("TS_WITH_TRS(TIME_SERIES(t, 1.0), TS_TRS_DEFAULT_STARTTIME('PT1M'))", "(VALUES (2)) x(t)"), `[[120000,1]]`},
		{exploded("TS_WITH_TRS(TIME_SERIES(t, 1.0), TS_TRS_DEFAULT())", "(VALUES (61001)) x(t)"), `[[61001,1]]`},
		{exploded("TS_MAP(TS_INNER_JOIN(a, a), TS_EXP_ADD(TS_EXP_ID_INDEX(0), TS_EXP_ID_INDEX(1)))", two), `[[1,2],[2,10],[4,4],[5,12]]`},
		{exploded("ts", `(SELECT ts FROM (SELECT TIMESTAMP '1970-01-01 12:01:30' AS t, 1.0 AS v) USING TIME_SERIES_FORMAT(timetick="t", value="v", granularity="PT1M", starttime="1970-01-01T12:00:00Z") IN ts)`), `[[43260000,1]]`},
		// Models: what repeats goes on.
		{exploded("TS_FORECAST(ts, TS_FORECAST_HWS(4, 2), 3)", season) + "", `[[40000,185],[41000,181],[42000,177]]`},
		{"SELECT round(v) FROM (SELECT TS_EXPLODE(TS_FORECAST(ts, TS_FORECAST_AUTO(10), 2)) AS (tt, v) FROM " + season + ")", `[[185],[181]]`},
		{"SELECT abs(v - 100) < 1 FROM (SELECT TS_EXPLODE(TS_FORECAST(ts, TS_FORECAST_ARMA(10), 1)) AS (tt, v) FROM (SELECT TIME_SERIES(i, 100 + sin(i * 7.7)) AS ts FROM range(200) r(i)))", `[[true]]`},
		{"SELECT TS_COUNT(TS_FORECAST(ts, TS_FORECAST_ARIMA(10), 5)), TS_COUNT(TS_FORECAST(ts, TS_FORECAST_BATS(10, true), 5)), TS_COUNT(TS_FORECAST(ts, TS_FORECAST_ARIMA(100), 5)) FROM " + season, `[[5,5,0]]`},
		{exploded("TS_DETECT_ANOMALIES(ts, TS_FORECAST_HWS(4, 2), 0.99)", "(SELECT TIME_SERIES(i * 1000, 100 + 2 * i + [5, -1, -7, 3][i % 4 + 1] + CASE i WHEN 30 THEN 50 ELSE 0 END) AS ts FROM range(80) r(i))") + " LIMIT 1", `[[30000,203]]`},
	} {
		if got := rows(t, s, request(query.Query{SQL: tt.sql})); got != tt.want {
			t.Errorf("%s =\n  %s; want\n  %s", tt.sql, got, tt.want)
		}
	}
}

func TestUnsupportedFunctionsAreNamed(t *testing.T) {
	s, _, _ := service(t, nil)
	for expr, want := range map[string]string{
		"TS_FIND(ts, 1)":                                "TS_FIND is not supported",
		"TS_VECTOR11(ts, ts)":                           "TS_VECTOR11 is not supported",
		"TS_VECTOR3(ts, ts)":                            "TS_VECTOR3: 2 arguments",
		"TS_EXP_FLY(1)":                                 "TS_EXP_FLY is not supported",
		"TS_ANCHOR_GT(1)":                               "TS_ANCHOR_GT stands only inside",
		"TS_FORECAST(ts, TS_FORECAST_PROPHET(), 3)":     "TS_FORECAST: TS_FORECAST_PROPHET is not supported",
		"TS_FORECAST(ts, TS_FORECAST_HWS(1, 2), 3)":     "1 observations in a season",
		"TS_MATCH(ts, TS_MATCHER_SUBLIST(), ['a'])":     "TS_MATCH: matcher TS_MATCHER_SUBLIST",
		"TS_FFT(ts, 'sideways')":                        "want forward or inverse",
		"TS_RESAMPLE(ts, 1, TS_INTERPOLATOR_SPLINE(0))": "want TS_INTERPOLATOR_SPLINE(filler, before, after)",
		"TS_WITH_TRS(ts, 5)":                            "TS_WITH_TRS: 5: want TS_TRS(",
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
