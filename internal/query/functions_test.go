//go:build cgo

package query_test

import (
	"testing"

	"github.com/orielhq/oriel/internal/query"
)

// TestFunctionsOneByOne runs what no example of a page shows. The values are worked
// out by hand or with a calculator; kurtosis and skewness are those of a sample, as
// in scipy with bias=False.
func TestFunctionsOneByOne(t *testing.T) {
	s, _, _ := service(t, nil)
	const (
		q     = `(SELECT TIME_SERIES(t, v) AS ts FROM (VALUES (1, 0.5), (2, 6.0), (3, 2.0)) x(t, v))`
		long  = `(SELECT TIME_SERIES(t, v) AS ts FROM (VALUES (1, 1.0), (2, 2.0), (3, 2.0), (4, 9.0), (5, 3.0)) x(t, v))`
		texts = `(SELECT TIME_SERIES_S(t, v) AS ts FROM (VALUES (1, 'ab'), (2, 'bc'), (3, 'c')) x(t, v))`
	)
	list := func(expr, from string) string {
		return "SELECT list_transform(" + expr + ", lambda o: o.v) FROM " + from
	}
	mapped := func(expr string) string { return list("TS_MAP(ts, round("+expr+", 4))", q) }
	kept := func(expr string) string { return list("TS_FILTER(ts, "+expr+")", q) }
	for _, tt := range []struct{ sql, want string }{
		// Expressions.
		{mapped("TS_EXP_ABS(TS_EXP_SUBTRACT(TS_EXP_ID(), 2))"), `[["[1.5,4,0]"]]`},
		{mapped("TS_EXP_SUB(TS_EXP_ID(), 2)"), `[["[-1.5,4,0]"]]`},
		{mapped("TS_EXP_DIVIDE(TS_EXP_ID(), 2)"), `[["[0.25,3,1]"]]`},
		{mapped("TS_EXP_DIV(TS_EXP_ID(), 2)"), `[["[0.25,3,1]"]]`},
		{mapped("TS_EXP_MOD(TS_EXP_ID(), 4)"), `[["[0.5,2,2]"]]`},
		{mapped("TS_EXP_POW(TS_EXP_ID(), 2)"), `[["[0.25,36,4]"]]`},
		{mapped("TS_EXP_SQRT(TS_EXP_ID())"), `[["[0.7071,2.4495,1.4142]"]]`},
		{mapped("TS_EXP_EXP(TS_EXP_ID())"), `[["[1.6487,403.4288,7.3891]"]]`},
		{mapped("TS_EXP_LOG(TS_EXP_ID())"), `[["[-0.6931,1.7918,0.6931]"]]`},
		{mapped("TS_EXP_LOG10(TS_EXP_ID())"), `[["[-0.301,0.7782,0.301]"]]`},
		{mapped("TS_EXP_SIN(TS_EXP_ID())"), `[["[0.4794,-0.2794,0.9093]"]]`},
		{mapped("TS_EXP_COS(TS_EXP_ID())"), `[["[0.8776,0.9602,-0.4161]"]]`},
		{mapped("TS_EXP_TAN(TS_EXP_ID())"), `[["[0.5463,-0.291,-2.185]"]]`},
		{mapped("TS_EXP_ASIN(TS_EXP_DIVIDE(TS_EXP_ID(), 10))"), `[["[0.05,0.6435,0.2014]"]]`},
		{mapped("TS_EXP_ACOS(TS_EXP_DIVIDE(TS_EXP_ID(), 10))"), `[["[1.5208,0.9273,1.3694]"]]`},
		{mapped("TS_EXP_ATAN(TS_EXP_ID())"), `[["[0.4636,1.4056,1.1071]"]]`},
		{mapped("TS_EXP_ATAN2(TS_EXP_ID(), 2)"), `[["[0.245,1.249,0.7854]"]]`},
		{mapped("TS_EXP_SINH(TS_EXP_ID())"), `[["[0.5211,201.7132,3.6269]"]]`},
		{mapped("TS_EXP_COSH(TS_EXP_ID())"), `[["[1.1276,201.7156,3.7622]"]]`},
		{mapped("TS_EXP_TANH(TS_EXP_ID())"), `[["[0.4621,1,0.964]"]]`},
		{mapped("TS_EXP_IF_THEN_ELSE(TS_EXP_LT(TS_EXP_ID(), 2), 1, 0)"), `[["[1,0,0]"]]`},
		{kept("TS_EXP_LTE(TS_EXP_ID(), 2)"), `[["[0.5,2]"]]`},
		{kept("TS_EXP_AND(TS_EXP_GTE(TS_EXP_ID(), 2), TS_EXP_NOT(TS_EXP_EQUALS(TS_EXP_ID(), 6)))"), `[["[2]"]]`},
		{kept("TS_EXP_DIVISIBLE_BY(TS_EXP_ID(), 3)"), `[["[6]"]]`},
		{list("TS_MAP(ts, TS_EXP_ID_TO_STRING())", q), `[["[\"0.5\",\"6.0\",\"2.0\"]"]]`},
		{list("TS_FILTER(ts, TS_EXP_ENDS_WITH(TS_EXP_ID(), 'c'))", texts), `[["[\"bc\",\"c\"]"]]`},
		// Anchors.
		{kept("TS_ANCHOR_AND(TS_ANCHOR_GTE(2), TS_ANCHOR_LT(6))"), `[["[2]"]]`},
		{kept("TS_ANCHOR_OR(TS_ANCHOR_LTE(0.5), TS_ANCHOR_DIVISIBLE_BY(6))"), `[["[0.5,6]"]]`},
		{list("TS_FILTER(ts, TS_ANCHOR_CONTAINS('b'))", texts), `[["[\"ab\",\"bc\"]"]]`},
		{list("TS_FILTER(ts, TS_ANCHOR_STARTS_WITH('a'))", texts), `[["[\"ab\"]"]]`},
		{list("TS_FILTER(ts, TS_ANCHOR_ENDS_WITH('c'))", texts), `[["[\"bc\",\"c\"]"]]`},
		{list("TS_INDEX(TS_FILTER(TS_INNER_JOIN(ts, TS_MAP(ts, 1.0)), TS_ANCHOR_INDEX(TS_ANCHOR_GT(1), 0)), 0)", q), `[["[6,2]"]]`},
		// Reducers, of a series and of its segments.
		{"SELECT TS_MIN(ts), round(TS_SD(ts), 4), round(TS_SKEWNESS(ts), 4), round(TS_KURTOSIS(ts), 4) FROM " + long, `[[1,2.8705,1.9694,4.0692]]`},
		{list("TS_SEG_MIN(TS_SEGMENT(ts, 3, 1))", long), `[["[1,2,2]"]]`},
		{list("TS_SEG_SD(TS_SEGMENT(ts, 2, 2))", long), `[["[0.5,3.5]"]]`},
		{"SELECT list_transform(TS_SEG_SKEWNESS(TS_SEGMENT(ts, 5, 1)), lambda o: round(o.v, 4)), list_transform(TS_SEG_KURTOSIS(TS_SEGMENT(ts, 5, 1)), lambda o: round(o.v, 4)) FROM " + long, `[["[1.9694]","[4.0692]"]]`},
		{"SELECT d.count, d.first, d.last, d.min, d.max, d.mean, d.quantiles FROM (SELECT TS_DESCRIBE(ts) AS d FROM " + long + ")", `[[5,1,5,1,9,3.4,"[2,2,3]"]]`},
		{"SELECT list_transform(TS_AUTO_CORRELATION(ts), lambda v: round(v, 4)) FROM " + q, `[["[1,-0.6203,0.1203]"]]`},
		{"SELECT TS_MANHATTAN_DISTANCE(ts, TS_MAP(ts, 2.0)) FROM " + q, `[[5.5]]`},
		{"SELECT list_transform(TS_SEG_SBD(TS_SEGMENT(ts, 3, 1), TS_SEGMENT(ts, 3, 1)), lambda o: abs(round(o.v, 9))) FROM " + q, `[["[0]"]]`},
		{"SELECT list_transform(TS_SEG_CROSS_CORRELATION(TS_SEGMENT(ts, 3, 1), TS_SEGMENT(ts, 3, 1))[1].v, lambda v: round(v, 4)) FROM " + q, `[["[0.1203,-0.6203,1,-0.6203,0.1203]"]]`},
		{"SELECT TS_AVG(TS_MWGN(TS_MAP(ts, 0.0), 5)), TS_COUNT(TS_MWGN(ts, 5)) FROM " + q, `[[0,3]]`},
		// Series of texts and arrays.
		{"SELECT epoch_ms(a), b FROM (SELECT TS_S_EXPLODE(ts) AS (a, b) FROM " + texts + ") LIMIT 1", `[[1,"ab"]]`},
		{"SELECT epoch_ms(a), b FROM (SELECT TS_EXPLODE(TIME_SERIES_S_WITH_TRS(1, 'x', TS_TRS_DEFAULT_STARTTIME('PT1S'))) AS (a, b))", `[[1000,"x"]]`},
		{"SELECT epoch_ms(a), b FROM (SELECT TS_EXPLODE(TIME_SERIES_DA_WITH_TRS(1, [2.0, 3.0], TS_TRS_DEFAULT_STARTTIME('PT1S'))) AS (a, b))", `[[1000,"[2,3]"]]`},
		{"SELECT epoch_ms(a), b FROM (SELECT TS_EXPLODE(TIME_SERIES_SA_WITH_TRS(1, ['x'], TS_TRS_DEFAULT())) AS (a, b))", `[[1,"[\"x\"]"]]`},
		// TS_VECTOR2 to TS_VECTOR10.
		{"SELECT TS_VECTOR2(ts, ts)[1].v, len(TS_VECTOR3(ts, ts, ts)[1].v), len(TS_VECTOR4(ts, ts, ts, ts)[1].v), len(TS_VECTOR5(ts, ts, ts, ts, ts)[1].v), len(TS_VECTOR6(ts, ts, ts, ts, ts, ts)[1].v) FROM " + q, `[["[0.5,0.5]",3,4,5,6]]`},
		{"SELECT len(TS_VECTOR7(ts, ts, ts, ts, ts, ts, ts)[1].v), len(TS_VECTOR8(ts, ts, ts, ts, ts, ts, ts, ts)[1].v), len(TS_VECTOR9(ts, ts, ts, ts, ts, ts, ts, ts, ts)[1].v), len(TS_VECTOR10(ts, ts, ts, ts, ts, ts, ts, ts, ts, ts)[1].v) FROM " + q, `[[7,8,9,10]]`},
	} {
		if got := rows(t, s, request(query.Query{SQL: tt.sql})); got != tt.want {
			t.Errorf("%s =\n  %s; want\n  %s", tt.sql, got, tt.want)
		}
	}
}
