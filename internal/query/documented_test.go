//go:build cgo

package query_test

import (
	"testing"

	"github.com/orielhq/oriel/internal/query"
)

// The series of IBM's pages about the time-series functions, by the names that they have there.
const (
	letters = `(SELECT TIME_SERIES_S(t, v) AS ts1a FROM (VALUES (1, 'a'), (3, 'b'), (5, 'c'), (5, 'd'), (5, 'e'), (7, 'f'), (9, 'g')) x(t, v))`
	equal   = `(SELECT TIME_SERIES(t, v) AS ts1b FROM (VALUES (1, 7.0), (3, 8.5), (5, 9.1), (5, 9.3), (5, 9.8), (7, 10.7), (9, 12.2)) x(t, v))`
	odd     = `(SELECT TIME_SERIES(t, v) AS ts FROM (VALUES (1, 1.0), (3, 2.0), (5, 3.0), (7, 4.0), (9, 5.0)) x(t, v))`
	holes   = `(SELECT TIME_SERIES(t, v) AS ts5 FROM (VALUES (1, 'nan'::DOUBLE), (3, 2.0), (5, 'nan'::DOUBLE), (7, 6.0), (8, 7.1)) x(t, v))`
	sampled = `(SELECT TIME_SERIES(t, v) AS ts6 FROM (VALUES (1, 'nan'::DOUBLE), (3, 2.0), (5, 3.5), (7, 6.0), (8, 7.1)) x(t, v))`
	words   = `(SELECT TIME_SERIES_S(t, v) AS ts4 FROM (VALUES (0, 'a'), (1, 'b'), (3, 'c'), (7, 'd'), (8, 'e')) x(t, v))`
	columns = `(SELECT TIME_SERIES(t, v) AS col7 FROM (VALUES (1, 1.2), (3, 2.2), (5, 3.6), (7, 4.4), (9, 5.4)) x(t, v)) AS table1, ` +
		`(SELECT TIME_SERIES(t, v) AS col8 FROM (VALUES (1, 2.0), (2, 2.8), (4, 3.4), (6, 'nan'::DOUBLE), (9, 8.0)) x(t, v)) AS table2`
)

// TestDocumentedExamples runs the examples of IBM's pages, with the results printed there.
func TestDocumentedExamples(t *testing.T) {
	s, _, _ := service(t, nil)
	exploded := func(expr, from string) string {
		return "SELECT epoch_ms(tt) AS t, v FROM (SELECT TS_EXPLODE(" + expr + ") AS (tt, v) FROM " + from + ") ORDER BY 1"
	}
	aligned := func(expr string) string {
		part := func(of string) string {
			return "list_transform(" + of + ", lambda o: [CAST(o.t AS DOUBLE), o.v])"
		}
		return "SELECT " + part("a") + ", " + part("b") + " FROM (SELECT " + expr + " AS (a, b) FROM " + columns + ")"
	}
	for _, tt := range []struct{ sql, want string }{
		// Converting table data to a time series. Of equal ticks the order is not said.
		{"SELECT TS_COUNT(ts1a) FROM " + letters, `[[7]]`},
		// Combining observations that have identical timeticks.
		{exploded("TS_COMBINE_DUPLICATE_TIMETICKS(ts1a, TS_COMBINER_CONCATENATE('_'))", letters), `[[1,"a"],[3,"b"],[5,"c_d_e"],[7,"f"],[9,"g"]]`},
		// The page prints 9.8 at 5, which is not the average of 9.1, 9.3 and 9.8.
		{exploded("TS_MAP(TS_COMBINE_DUPLICATE_TIMETICKS(ts1b, TS_COMBINER_AVERAGE()), round(TS_EXP_ID(), 9))", equal), `[[1,7],[3,8.5],[5,9.4],[7,10.7],[9,12.2]]`},
		{exploded("TS_COMBINE_DUPLICATE_TIMETICKS(ts1b, TS_COMBINER_MAX())", equal), `[[1,7],[3,8.5],[5,9.8],[7,10.7],[9,12.2]]`},
		{exploded("TS_COMBINE_DUPLICATE_TIMETICKS(ts1b, TS_COMBINER_MIN())", equal), `[[1,7],[3,8.5],[5,9.1],[7,10.7],[9,12.2]]`},
		{exploded("TS_SLICE(TS_COMBINE_DUPLICATE_TIMETICKS(ts1b, TS_COMBINER_ADD()), 5, 5)", equal), `[[5,28.2]]`},
		{exploded("TS_MAP(TS_SLICE(TS_COMBINE_DUPLICATE_TIMETICKS(ts1b, TS_COMBINER_MUL()), 5, 5), round(TS_EXP_ID(), 6))", equal), `[[5,829.374]]`},
		{exploded("TS_SLICE(TS_COMBINE_DUPLICATE_TIMETICKS(ts1b, TS_COMBINER_FIRST()), 3, 3)", equal), `[[3,8.5]]`},
		{exploded("TS_SLICE(TS_COMBINE_DUPLICATE_TIMETICKS(ts1b, TS_COMBINER_LAST()), 7, 7)", equal), `[[7,10.7]]`},
		// Segmentation.
		{"SELECT epoch_ms(tick), list_transform(part, lambda o: o.v) FROM (SELECT TS_FLATTEN(TS_SEGMENT(ts, 2, 1)) AS (tick, i, part) FROM " + odd + ")", `[[1,"[1,2]"],[3,"[2,3]"],[5,"[3,4]"],[7,"[4,5]"]]`},
		{exploded("TS_SEG_AVG(TS_SEGMENT(ts, 2, 1))", odd), `[[1,1.5],[3,2.5],[5,3.5],[7,4.5]]`},
		// [1..7] in segments of 3 with a step of 2 are [1,2,3], [3,4,5], [5,6,7].
		{"SELECT list_transform(part, lambda o: o.v) FROM (SELECT TS_FLATTEN(TS_SEGMENT(ts, 3, 2)) AS (tick, i, part) FROM (SELECT TIME_SERIES(i, i) AS ts FROM range(1, 8) r(i)))", `[["[1,2,3]"],["[3,4,5]"],["[5,6,7]"]]`},
		// Anchors: 0,0 is the observation alone, 5,-3 what lies 5 to 3 before it.
		{exploded("TS_SEG_COUNT(TS_SEGMENT_BY_ANCHOR(ts, TS_EXP_EQUALS(TS_EXP_ID(), 4.0), 0, 0))", odd), `[[7,1]]`},
		{exploded("TS_SEG_SUM(TS_SEGMENT_BY_ANCHOR(ts, TS_EXP_EQUALS(TS_EXP_ID(), 4.0), 5, 3))", odd), `[[7,14]]`},
		{exploded("TS_SEG_SUM(TS_SEGMENT_BY_ANCHOR(ts, TS_EXP_EQUALS(TS_EXP_ID(), 4.0), 5, -3))", odd), `[[7,2]]`},
		// Time reference system: ticks of a day since 1990.
		{
			"SELECT tt, v FROM (SELECT TS_EXPLODE(TS_WITH_TRS(ts, TS_TRS('PT24H', '1990-01-01T00:00:00'))) AS (tt, v) FROM " + odd + ") ORDER BY 1",
			`[["1990-01-02T00:00:00Z",1],["1990-01-04T00:00:00Z",2],["1990-01-06T00:00:00Z",3],["1990-01-08T00:00:00Z",4],["1990-01-10T00:00:00Z",5]]`,
		},
		// The reference of one that has one already is changed: each tick is in one of the new ones.
		{exploded("TS_WITH_TRS(TIME_SERIES_WITH_TRS(t, 1.0, TS_TRS('PT1S', '1970-01-01T00:00:00')), TS_TRS('PT1M', '1970-01-01T00:00:00'))", "(VALUES (61), (125)) x(t)"), `[[60000,1],[120000,1]]`},
		{exploded("TS_WITH_TRS(ts, TS_TRS_DEFAULT_STARTTIME('PT1M'))", `(SELECT 61 AS t, 1.0 AS v) USING TIME_SERIES_FORMAT(timetick="t", value="v", granularity="PT1S") IN ts`), `[[60000,1]]`},
		// Cleaning.
		{exploded("TS_FILLNA(ts5, TS_INTERPOLATOR_PREV(-1.0))", holes), `[[1,-1],[3,2],[5,2],[7,6],[8,7.1]]`},
		// Resampling. (What is no number there is none here.)
		{exploded("TS_RESAMPLE(ts6, 1, TS_INTERPOLATOR_PREV(-1.0))", sampled), `[[1,"NaN"],[2,"NaN"],[3,2],[4,2],[5,3.5],[6,3.5],[7,6],[8,7.1]]`},
		{exploded("TS_RESAMPLE(ts6, 2, TS_INTERPOLATOR_PREV(-1.0))", sampled), `[[0,-1],[2,"NaN"],[4,2],[6,3.5],[8,7.1]]`},
		{exploded("TS_RESAMPLE(ts6, 3, TS_INTERPOLATOR_PREV(-1.0))", sampled), `[[0,-1],[3,2],[6,3.5]]`},
		// Temporal joins.
		{exploded("TS_INNER_JOIN(table1.col7, table2.col8)", columns), `[[1,"[1.2,2]"],[9,"[5.4,8]"]]`},
		{exploded("TS_LEFT_JOIN(table1.col7, table2.col8, TS_INTERPOLATOR_PREV(-1.0))", columns), `[[1,"[1.2,2]"],[3,"[2.2,2.8]"],[5,"[3.6,3.4]"],[7,"[4.4,\"NaN\"]"],[9,"[5.4,8]"]]`},
		{exploded("TS_LEFT_OUTER_JOIN(table1.col7, table2.col8, TS_INTERPOLATOR_PREV(-1.0))", columns), `[[3,"[2.2,2.8]"],[5,"[3.6,3.4]"],[7,"[4.4,\"NaN\"]"]]`},
		{exploded("TS_FULL_JOIN(table1.col7, table2.col8, TS_INTERPOLATOR_NEAREST(-1.0))", columns), `[[1,"[1.2,2]"],[2,"[1.2,2.8]"],[3,"[2.2,2.8]"],[4,"[2.2,3.4]"],[5,"[3.6,3.4]"],[6,"[3.6,\"NaN\"]"],[7,"[4.4,\"NaN\"]"],[9,"[5.4,8]"]]`},
		// Temporal aligns.
		{aligned("TS_INNER_ALIGN(table1.col7, table2.col8)"), `[["[[1,1.2],[9,5.4]]","[[1,2],[9,8]]"]]`},
		{aligned("TS_LEFT_ALIGN(table1.col7, table2.col8, TS_INTERPOLATOR_PREV(-1.0))"), `[["[[1,1.2],[3,2.2],[5,3.6],[7,4.4],[9,5.4]]","[[1,2],[3,2.8],[5,3.4],[7,\"NaN\"],[9,8]]"]]`},
		{aligned("TS_LEFT_OUTER_ALIGN(table1.col7, table2.col8, TS_INTERPOLATOR_PREV(-1.0))"), `[["[[3,2.2],[5,3.6],[7,4.4]]","[[3,2.8],[5,3.4],[7,\"NaN\"]]"]]`},
		{aligned("TS_FULL_ALIGN(table1.col7, table2.col8, TS_INTERPOLATOR_NEAREST(-1.0))"), `[["[[1,1.2],[2,1.2],[3,2.2],[4,2.2],[5,3.6],[6,3.6],[7,4.4],[9,5.4]]","[[1,2],[2,2.8],[3,2.8],[4,3.4],[5,3.4],[6,\"NaN\"],[7,\"NaN\"],[9,8]]"]]`},
		{aligned("TS_RIGHT_OUTER_ALIGN(table1.col7, table2.col8, TS_INTERPOLATOR_PREV(-1.0))"), `[["[[2,1.2],[4,2.2],[6,3.6]]","[[2,2.8],[4,3.4],[6,\"NaN\"]]"]]`},
		// String matching.
		{exploded("TS_MATCH(ts4, TS_MATCHER_SEQ(), ARRAY('a','b','c','d','e'))", words), `[[0,"a"],[1,"b"],[3,"c"],[7,"d"],[8,"e"]]`},
		{"SELECT TS_MATCH(ts4, TS_MATCHER_SEQ(), ARRAY('a','b','c')) IS NULL FROM " + words, `[[true]]`},
		{exploded("TS_MATCH(ts4, TS_MATCHER_SUBLIST(0.6), ARRAY('b','c','d'))", words), `[[1,"b"],[3,"c"],[7,"d"]]`},
		{"SELECT TS_MATCH(ts4, TS_MATCHER_SUBLIST(0.61), ARRAY('b','c','d')) IS NULL FROM " + words, `[[true]]`},
		{exploded("TS_MATCH(ts4, TS_MATCHER_SUBSEQ_PS(0.6), ARRAY('a','b','d'))", words), `[[0,"a"],[1,"b"],[7,"d"]]`},
		{exploded("TS_MATCH(ts4, TS_MATCHER_SUBSEQ_PM(0.75), ARRAY('a','b','d'))", words), `[[0,"a"],[1,"b"],[7,"d"]]`},
		{exploded("TS_MATCH(ts4, TS_MATCHER_SUBSEQ_MS(0.8), ARRAY('a','b','d'))", words), `[[0,"a"],[1,"b"],[3,"c"],[7,"d"]]`},
		{exploded("TS_MATCH(ts4, TS_MATCHER_SUBSET_PS(0.6), ARRAY('b','a','d'))", words), `[[0,"a"],[1,"b"],[7,"d"]]`},
		{exploded("TS_MATCH(ts4, TS_MATCHER_SUBSET_PM(0.75), ARRAY('b','a','d'))", words), `[[0,"a"],[1,"b"],[7,"d"]]`},
		{exploded("TS_MATCH(ts4, TS_MATCHER_SUBSET_MS(0.8), ARRAY('b','a','d'))", words), `[[0,"a"],[1,"b"],[3,"c"],[7,"d"]]`},
		{"SELECT TS_MATCH(ts4, TS_MATCHER_SUBSET_MS(0.81), ARRAY('b','a','d')) IS NULL, TS_MATCH(ts4, TS_MATCHER_SUBSET_PS(0), ARRAY('b','a','z')) IS NULL FROM " + words, `[[true,true]]`},
	} {
		if got := rows(t, s, request(query.Query{SQL: tt.sql})); got != tt.want {
			t.Errorf("%s =\n  %s; want\n  %s", tt.sql, got, tt.want)
		}
	}
}
