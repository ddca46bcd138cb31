package timeseries

// kind of an argument.
type kind uint8

const (
	plain  kind = iota // an expression
	span               // a duration
	check              // an expression over one value e.v (TS_EXP_...)
	mapped             // the same over o#.v: of a lambda's parameter DuckDB does not know the type soon enough for a macro
)

// function is a function of the dialect as SQL: $1 to $9 are its arguments,
// used once each (or cheap ones), ?1 to ?9 what is given already as SQL, # a
// number that no other call has.
type function struct {
	args  []kind
	sql   string
	given []string
}

// rows unnests a series with its position.
const (
	open  = "(SELECT coalesce(list({'t': t, 'v': v} ORDER BY t), []) FROM ("
	body  = "(SELECT o#.t AS t, o#.v AS v FROM (SELECT unnest($1) AS o#))"
	shut  = "))"
	order = " OVER (ORDER BY t)"
	group = "(SELECT coalesce(list({'t': ws, 's': coalesce(s, [])} ORDER BY ws), []) FROM "
)

var functions = map[string]function{
	"TS_EXPLODE": {args: []kind{plain}, sql: "$1"}, "TS_S_EXPLODE": {args: []kind{plain}, sql: "$1"}, "TS_DA_EXPLODE": {args: []kind{plain}, sql: "$1"}, "TS_SA_EXPLODE": {args: []kind{plain}, sql: "$1"}, "TS_FLATTEN": {args: []kind{plain}, sql: "$1"},

	"TS_COUNT": {args: []kind{plain}, sql: "len($1)"}, "TS_SEG_COUNT": {args: []kind{plain}, sql: "list_transform($1, lambda e: {'t': e.t, 'v': CAST(len(e.s) AS DOUBLE)})"},
	"TS_CORRELATION":          {args: []kind{plain, plain}, sql: pairs + "SELECT corr(a, b) FROM p#)"},
	"TS_MANHATTAN_DISTANCE":   {args: []kind{plain, plain}, sql: pairs + "SELECT sum(abs(a - b)) FROM p#)"},
	"TS_AUTO_CORRELATION":     {args: []kind{plain}, sql: "oriel_auto(" + values("$1") + ")"},
	"TS_CROSS_CORRELATION":    {args: []kind{plain, plain}, sql: "oriel_cross(" + values("$1") + ", " + values("$2") + ")"},
	"TS_SBD":                  {args: []kind{plain, plain}, sql: "oriel_sbd(" + values("$1") + ", " + values("$2") + ")[1]"},
	"TS_DTW":                  {args: []kind{plain, plain}, sql: "oriel_dtw(" + values("$1") + ", " + values("$2") + ")[1]"},
	"TS_DL":                   {args: []kind{plain, plain}, sql: "oriel_dl(" + texts("$1") + ", " + texts("$2") + ")[1]"},
	"TS_FFT":                  {args: []kind{plain, plain}, sql: "oriel_fft(" + values("$1") + ", [$2])"},
	"TS_SEG_FFT":              {args: []kind{plain, plain}, sql: "list_transform($1, lambda e: {'t': e.t, 'v': oriel_fft(" + values("e.s") + ", [$2])})"},
	"TS_SEG_AUTO_CORRELATION": {args: []kind{plain}, sql: "list_transform($1, lambda e: {'t': e.t, 'v': oriel_auto(" + values("e.s") + ")})"},
	"TS_GRANGER":              {args: []kind{plain, plain, plain}, sql: pairs + "SELECT nullif(oriel_granger(list(a ORDER BY t), list(b ORDER BY t), [CAST($3 AS DOUBLE)]), CAST([] AS DOUBLE[])) FROM p#)"},
	"TS_DESCRIBE": {args: []kind{plain}, sql: "(SELECT {'count': count(*), 'first': min(t), 'last': max(t), 'min': min(v), 'max': max(v), 'mean': avg(v), 'std': stddev_pop(v), " +
		"'quantiles': quantile_cont(v, [0.25, 0.5, 0.75])} FROM " + body + ")"},

	"TS_DIFF":                          {args: []kind{plain}, sql: open + "SELECT t, v - lag(v)" + order + " AS v FROM " + body + " QUALIFY lag(t)" + order + " IS NOT NULL" + shut},
	"TS_PEAK":                          {args: []kind{plain}, sql: open + "SELECT t, v FROM " + body + " QUALIFY v > lag(v)" + order + " AND v > lead(v)" + order + shut},
	"TS_TROUGH":                        {args: []kind{plain}, sql: open + "SELECT t, v FROM " + body + " QUALIFY v < lag(v)" + order + " AND v < lead(v)" + order + shut},
	"TS_REMOVE_CONSECUTIVE_DUPLICATES": {args: []kind{plain}, sql: open + "SELECT t, v FROM " + body + " QUALIFY lag(t)" + order + " IS NULL OR v IS DISTINCT FROM lag(v)" + order + shut},
	"TS_ZSCORE":                        {args: []kind{plain, plain, plain}, sql: open + "SELECT t, (v - ($2)) / ($3) AS v FROM " + body + shut},
	"TS_DROPNA":                        {args: []kind{plain}, sql: open + "SELECT t, v FROM " + body + " WHERE NOT oriel_missing(v)" + shut},
	"TS_SLICE":                         {args: []kind{plain, plain, plain}, sql: "list_filter($1, lambda e: e.t >= ($2) AND e.t <= ($3))"},
	"TS_FILTER":                        {args: []kind{plain, check}, sql: "list_filter($1, lambda e: $2)"},
	"TS_MAP":                           {args: []kind{plain, mapped}, sql: "(SELECT coalesce(list({'t': o#.t, 'v': oriel_value($2)} ORDER BY o#.t), []) FROM (SELECT unnest($1) AS o#))"},
	"TS_INDEX":                         {args: []kind{plain, plain}, sql: "list_transform($1, lambda e: {'t': e.t, 'v': e.v[CAST(($2) + 1 AS INTEGER)]})"},

	"TS_SEGMENT": {args: []kind{plain, plain, plain}, sql: "(WITH x# AS (SELECT t, v, row_number()" + order + " - 1 AS i, count(*) OVER () AS c FROM " + body + ") " +
		"SELECT coalesce(list({'t': ws, 's': s} ORDER BY ws), []) FROM (SELECT a.i AS i0, any_value(a.t) AS ws, list({'t': b.t, 'v': b.v} ORDER BY b.t) AS s " +
		"FROM x# a JOIN x# b ON b.i >= a.i AND b.i < a.i + ($2) WHERE a.i % ($3) = 0 AND a.i + ($2) <= a.c GROUP BY a.i))"},
	"TS_SEGMENT_BY_SILENCE": {args: []kind{plain, span}, sql: group + "(SELECT min(t) AS ws, list({'t': t, 'v': v} ORDER BY t) AS s FROM (SELECT t, v, sum(CASE WHEN d > $2 THEN 1 ELSE 0 END)" + order +
		" AS g FROM (SELECT t, v, t - lag(t)" + order + " AS d FROM " + body + ")) GROUP BY g))"},
	"TS_SEGMENT_BY_ANCHOR": {args: []kind{plain, check, span, span}, sql: "(SELECT coalesce(list({'t': a.t, 's': list_filter(x, lambda n: n.t >= a.t - $3 AND n.t <= a.t + $4)} ORDER BY a.t), []) " +
		"FROM (SELECT x, unnest(list_filter(x, lambda e: $2)) AS a FROM (SELECT $1 AS x)))"},

	"TS_TIMESTAMP": {args: []kind{plain}, sql: "epoch_ms(CAST($1 AS TIMESTAMPTZ))"},
}

// pairs joins two series by their ticks: p#(t, a, b).
const pairs = "(WITH p# AS (SELECT l.t AS t, l.v AS a, r.v AS b FROM " + body + " l JOIN (SELECT q#.t AS t, q#.v AS v FROM (SELECT unnest($2) AS q#)) r ON r.t = l.t) "

// byTime is TS_SEGMENT_BY_TIME(series, $2, $3), with the first window at %s: each
// observation goes to all windows that it is in, and a marker to each window,
// so that those without observations are there too.
const byTime = group + "(SELECT ws, list({'t': t, 'v': v} ORDER BY t) FILTER (WHERE NOT mark) AS s FROM (" +
	"SELECT x.t AS t, x.v AS v, false AS mark, unnest(generate_series(greatest(w0, w0 + CAST(ceil((x.t - $2 + 1 - w0) / $3) AS BIGINT) * $3), least(wn, w0 + ((x.t - w0) // $3) * $3), $3)) AS ws " +
	"FROM (SELECT w0, wn, unnest(xs) AS x FROM b#) UNION ALL SELECT NULL, NULL, true, unnest(generate_series(w0, wn, $3)) FROM b#) GROUP BY ws))"

const windows = "(WITH c# AS (SELECT $1 AS xs), d# AS (SELECT xs, list_min(list_transform(xs, lambda e: e.t)) AS t0, list_max(list_transform(xs, lambda e: e.t)) AS t1 FROM c#), " +
	"e# AS (SELECT xs, t1, %s AS w0 FROM d#), b# AS (SELECT xs, w0, greatest(w0, w0 + CAST(ceil((t1 - w0 - $2 + 1) / $3) AS BIGINT) * $3) AS wn FROM e#) SELECT " + byTime + ")"

// aggregates are the reducers that SQL has.
var aggregates = map[string]string{
	"AVG": "avg", "MIN": "min", "MAX": "max", "SUM": "sum", "SD": "stddev_pop", "KURTOSIS": "kurtosis", "SKEWNESS": "skewness",
}

// values, texts and ticks are lists of one part of a series.
func values(series string) string { return "list_transform(" + series + ", lambda o: o.v)" }

func texts(series string) string {
	return "list_transform(" + series + ", lambda o: CAST(o.v AS VARCHAR))"
}

func ticks(series string) string {
	return "list_transform(" + series + ", lambda o: CAST(o.t AS DOUBLE))"
}
