package timeseries

import "strings"

// holds tells whether the expression over values holds for (t, v).
const holds = "len(list_filter([{'t': t, 'v': v}], lambda e: $2)) > 0"

// more are functions that take several steps.
func more() map[string]function {
	const numbered = "(WITH x# AS (SELECT t, v, row_number()" + order + " AS i FROM " + body + "), "
	return map[string]function{
		"TS_COUNT_ANCHOR": {args: []kind{plain, check}, sql: "len(list_filter($1, lambda e: $2))"},

		// From each marker to the next one. The ends of the series count as markers
		// unless a segment must have both.
		"TS_SEGMENT_BY_MARKER": {args: []kind{plain, check, plain, plain, plain}, sql: numbered +
			"k# AS (SELECT i AS s, lead(i) OVER (ORDER BY i) AS e FROM (SELECT i FROM x# WHERE " + holds + " UNION ALL SELECT 0 WHERE NOT ($5))), " +
			"w# AS (SELECT s, CASE WHEN s = 0 THEN 1 WHEN ($3) THEN s ELSE s + 1 END AS low, CASE WHEN e IS NULL THEN (CASE WHEN ($5) THEN -1 ELSE 9223372036854775807 END) WHEN ($4) THEN e ELSE e - 1 END AS high FROM k#) " +
			"SELECT coalesce(list({'t': ws, 's': s} ORDER BY ws), []) FROM (SELECT min(x.t) AS ws, list({'t': x.t, 'v': x.v} ORDER BY x.t) AS s FROM w# JOIN x# x ON x.i >= low AND x.i <= high GROUP BY w#.s))"},

		// From a start to the end after it. Of several ends in a row the first one
		// ends it or the last one, of several starts the first one begins it or the last one.
		"TS_SEGMENT_BY_DUAL_MARKER": {args: []kind{plain, check, check, plain, plain, plain, plain}, sql: numbered +
			"m# AS (SELECT i, " + holds + " AS b, " + strings.ReplaceAll(holds, "$2", "$3") + " AS e FROM x#), " +
			"d# AS (SELECT i FROM (SELECT i, e, lead(e) OVER (ORDER BY i) AS next FROM m# WHERE b OR e) WHERE e AND (($7) OR next IS DISTINCT FROM true)), " +
			"k# AS (SELECT CASE WHEN ($6) THEN min(b.i) ELSE max(b.i) END AS s, f.i AS e FROM m# b JOIN (SELECT i, coalesce(lag(i) OVER (ORDER BY i), 0) AS prev FROM d#) f ON b.i > f.prev AND b.i < f.i WHERE b.b GROUP BY f.i) " +
			"SELECT coalesce(list({'t': ws, 's': s} ORDER BY ws), []) FROM (SELECT min(x.t) AS ws, list({'t': x.t, 'v': x.v} ORDER BY x.t) AS s FROM k# JOIN x# x " +
			"ON x.i >= (CASE WHEN ($4) THEN k#.s ELSE k#.s + 1 END) AND x.i <= (CASE WHEN ($5) THEN k#.e ELSE k#.e - 1 END) GROUP BY k#.e))"},

		// The observations with the number of their segment.
		"TS_SEGMENT_BY_SMOOTHED_SILENCE": {args: []kind{plain, plain, plain, span}, sql: group + "(SELECT min(t) AS ws, list({'t': t, 'v': v} ORDER BY t) AS s FROM (SELECT unnest(list_transform(x, lambda o: o.t)) AS t, unnest(" + values("x") + ") AS v, " +
			"unnest(oriel_silences(" + ticks("x") + ", [CAST($2 AS DOUBLE), CAST($3 AS DOUBLE), CAST($4 AS DOUBLE)])) AS g FROM (SELECT $1 AS x)) GROUP BY g))"},

		// Noise: normal by Box and Muller, added or multiplied.
		"TS_AWGN": {args: []kind{plain, plain, plain}, sql: "list_transform($1, lambda e: {'t': e.t, 'v': e.v + ($2) + ($3) * " + normal + "})"},
		"TS_MWGN": {args: []kind{plain, plain}, sql: "list_transform($1, lambda e: {'t': e.t, 'v': e.v * (1 + ($2) * " + normal + ")})"},
	}
}

const normal = "sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())"
