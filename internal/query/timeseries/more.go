package timeseries

import (
	"strings"

	"github.com/orielhq/oriel/internal/query/lex"
)

// at gives a series the value at each tick of g#, by an interpolator ($3): of
// the ticks that it has itself that is its own value.
func at(series string) string {
	return "(SELECT l.t AS t, $3 AS v FROM (" + near + "SELECT t, v, false AS grid, true AS ok FROM " + series + " UNION ALL SELECT t, NULL, true, true FROM g#))) WHERE grid)"
}

// joins are two series as one of pairs; the ticks say whose.
func joins(ticks string) function {
	return function{[]kind{plain, plain, word}, "(WITH a# AS " + body + ", b# AS (SELECT q#.t AS t, q#.v AS v FROM (SELECT unnest($2) AS q#)), g# AS (" + ticks + ") " +
		"SELECT coalesce(list({'t': x#.t, 'v': [x#.v, y#.v]} ORDER BY x#.t), []) FROM " + at("a#") + " x# JOIN " + at("b#") + " y# ON x#.t = y#.t)"}
}

// holds tells whether the expression over values holds for (t, v).
const holds = "len(list_filter([{'t': t, 'v': v}], lambda e: $2)) > 0"

// more are functions that take several steps.
func more() map[string]function {
	const numbered = "(WITH x# AS (SELECT t, v, row_number()" + order + " AS i FROM " + body + "), "
	return map[string]function{
		"TS_LEFT_JOIN":  joins("SELECT DISTINCT t FROM a#"),
		"TS_RIGHT_JOIN": joins("SELECT DISTINCT t FROM b#"),
		"TS_FULL_JOIN":  joins("SELECT t FROM a# UNION SELECT t FROM b#"),
		// Outer is what has no partner.
		"TS_LEFT_OUTER_JOIN":  joins("SELECT t FROM a# EXCEPT SELECT t FROM b#"),
		"TS_RIGHT_OUTER_JOIN": joins("SELECT t FROM b# EXCEPT SELECT t FROM a#"),

		"TS_COUNT_ANCHOR": {[]kind{plain, check}, "len(list_filter($1, lambda e: $2))"},

		// From each marker to the next one. The ends of the series count as markers
		// unless a segment must have both.
		"TS_SEGMENT_BY_MARKER": {[]kind{plain, check, plain, plain, plain}, numbered +
			"k# AS (SELECT i AS s, lead(i) OVER (ORDER BY i) AS e FROM (SELECT i FROM x# WHERE " + holds + " UNION ALL SELECT 0 WHERE NOT ($5))), " +
			"w# AS (SELECT s, CASE WHEN s = 0 THEN 1 WHEN ($3) THEN s ELSE s + 1 END AS low, CASE WHEN e IS NULL THEN (CASE WHEN ($5) THEN -1 ELSE 9223372036854775807 END) WHEN ($4) THEN e ELSE e - 1 END AS high FROM k#) " +
			"SELECT coalesce(list({'t': ws, 's': s} ORDER BY ws), []) FROM (SELECT min(x.t) AS ws, list({'t': x.t, 'v': x.v} ORDER BY x.t) AS s FROM w# JOIN x# x ON x.i >= low AND x.i <= high GROUP BY w#.s))"},

		// From a start to the end after it. Of several ends in a row the first one
		// ends it or the last one, of several starts the first one begins it or the last one.
		"TS_SEGMENT_BY_DUAL_MARKER": {[]kind{plain, check, check, plain, plain, plain, plain}, numbered +
			"m# AS (SELECT i, " + holds + " AS b, " + strings.ReplaceAll(holds, "$2", "$3") + " AS e FROM x#), " +
			"d# AS (SELECT i FROM (SELECT i, e, lead(e) OVER (ORDER BY i) AS next FROM m# WHERE b OR e) WHERE e AND (($7) OR next IS DISTINCT FROM true)), " +
			"k# AS (SELECT CASE WHEN ($6) THEN min(b.i) ELSE max(b.i) END AS s, f.i AS e FROM m# b JOIN (SELECT i, coalesce(lag(i) OVER (ORDER BY i), 0) AS prev FROM d#) f ON b.i > f.prev AND b.i < f.i WHERE b.b GROUP BY f.i) " +
			"SELECT coalesce(list({'t': ws, 's': s} ORDER BY ws), []) FROM (SELECT min(x.t) AS ws, list({'t': x.t, 'v': x.v} ORDER BY x.t) AS s FROM k# JOIN x# x " +
			"ON x.i >= (CASE WHEN ($4) THEN k#.s ELSE k#.s + 1 END) AND x.i <= (CASE WHEN ($5) THEN k#.e ELSE k#.e - 1 END) GROUP BY k#.e))"},

		// Cross correlation by position, for each shift of the second series from -(n-1) to m-1.
		"TS_CROSS_CORRELATION": {[]kind{plain, plain}, crossed + "m# AS (SELECT (SELECT avg(v) FROM a#) AS ma, (SELECT avg(v) FROM b#) AS mb, (SELECT stddev_pop(v) FROM a#) AS sa, (SELECT stddev_pop(v) FROM b#) AS sb, (SELECT count(*) FROM a#) AS n) " +
			"SELECT list(c ORDER BY l) FROM (SELECT y.i - x.i AS l, sum((x.v - ma) * (y.v - mb)) / any_value(n * sa * sb) AS c FROM a# x, b# y, m# GROUP BY l))"},
		// The shape-based distance of k-Shape: 1 less the greatest cross correlation that is normalised by both lengths.
		"TS_SBD": {[]kind{plain, plain}, crossed + "m# AS (SELECT sqrt((SELECT sum(v * v) FROM a#) * (SELECT sum(v * v) FROM b#)) AS n) " +
			"SELECT 1 - max(c) FROM (SELECT sum(x.v * y.v) / any_value(n) AS c FROM a# x, b# y, m# GROUP BY y.i - x.i))"},

		// Noise: normal by Box and Muller, added or multiplied.
		"TS_AWGN": {[]kind{plain, plain, plain}, "list_transform($1, lambda e: {'t': e.t, 'v': e.v + ($2) + ($3) * " + normal + "})"},
		"TS_MWGN": {[]kind{plain, plain}, "list_transform($1, lambda e: {'t': e.t, 'v': e.v * (1 + ($2) * " + normal + ")})"},
	}
}

const normal = "sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())"

// crossed are two series by position: a#(v, i) and b#(v, i).
const crossed = "(WITH a# AS (SELECT v, row_number()" + order + " AS i FROM " + body + "), b# AS (SELECT v, row_number()" + order + " AS i FROM (SELECT q#.t AS t, q#.v AS v FROM (SELECT unnest($2) AS q#))), "

// lookup finds a function, and for a join without an interpolator adds one that leaves gaps.
func lookup(name string, args [][]lex.Token) (function, [][]lex.Token, bool) {
	f, ok := functions[name]
	if !ok {
		f, ok = more()[name]
	}
	if ok && strings.HasSuffix(name, "_JOIN") && len(f.args) == 3 && len(args) == 2 {
		args = append(args, []lex.Token{{Kind: lex.Name, Text: "TS_INTERPOLATOR_FILL"}})
	}
	return f, args, ok
}
