package timeseries

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/orielhq/oriel/internal/query/lex"
)

// kind of an argument.
type kind uint8

const (
	plain kind = iota // an expression
	span              // a duration
	word              // an artifact, like an interpolator, or a keyword
	check             // an expression over one value (TS_EXP_...)
)

// function is a function of the dialect as SQL: $1 to $9 are its arguments,
// used once each (or cheap ones), # a number that no other call has.
type function struct {
	args []kind
	sql  string
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
	"TS_EXPLODE": {[]kind{plain}, "$1"},

	"TS_COUNT": {[]kind{plain}, "len($1)"}, "TS_SEG_COUNT": {[]kind{plain}, "list_transform($1, lambda e: {'t': e.t, 'v': CAST(len(e.s) AS DOUBLE)})"},
	"TS_CORRELATION":        {[]kind{plain, plain}, pairs + "SELECT corr(a, b) FROM p#)"},
	"TS_MANHATTAN_DISTANCE": {[]kind{plain, plain}, pairs + "SELECT sum(abs(a - b)) FROM p#)"},
	"TS_AUTO_CORRELATION": {[]kind{plain}, "(WITH x# AS (SELECT v, row_number() OVER (ORDER BY t) AS i FROM " + body + "), m# AS (SELECT avg(v) AS m, var_pop(v) AS s, count(*) AS n FROM x#) " +
		"SELECT list(c ORDER BY l) FROM (SELECT b.i - a.i AS l, sum((a.v - m) * (b.v - m)) / any_value(n * s) AS c FROM x# a JOIN x# b ON b.i >= a.i, m# GROUP BY l))"},
	"TS_DESCRIBE": {[]kind{plain}, "(SELECT {'count': count(*), 'first': min(t), 'last': max(t), 'min': min(v), 'max': max(v), 'mean': avg(v), 'std': stddev_pop(v), " +
		"'quantiles': quantile_cont(v, [0.25, 0.5, 0.75])} FROM " + body + ")"},

	"TS_DIFF":                          {[]kind{plain}, open + "SELECT t, v - lag(v)" + order + " AS v FROM " + body + " QUALIFY lag(t)" + order + " IS NOT NULL" + shut},
	"TS_PEAK":                          {[]kind{plain}, open + "SELECT t, v FROM " + body + " QUALIFY v > lag(v)" + order + " AND v > lead(v)" + order + shut},
	"TS_TROUGH":                        {[]kind{plain}, open + "SELECT t, v FROM " + body + " QUALIFY v < lag(v)" + order + " AND v < lead(v)" + order + shut},
	"TS_REMOVE_CONSECUTIVE_DUPLICATES": {[]kind{plain}, open + "SELECT t, v FROM " + body + " QUALIFY lag(t)" + order + " IS NULL OR v IS DISTINCT FROM lag(v)" + order + shut},
	"TS_ZSCORE":                        {[]kind{plain, plain, plain}, open + "SELECT t, (v - ($2)) / ($3) AS v FROM " + body + shut},
	"TS_DROPNA":                        {[]kind{plain}, "list_filter($1, lambda e: e.v IS NOT NULL AND NOT isnan(e.v))"},
	"TS_SLICE":                         {[]kind{plain, plain, plain}, "list_filter($1, lambda e: e.t >= ($2) AND e.t <= ($3))"},
	"TS_FILTER":                        {[]kind{plain, check}, "list_filter($1, lambda e: $2)"},
	"TS_MAP":                           {[]kind{plain, check}, "list_transform($1, lambda e: {'t': e.t, 'v': CAST($2 AS DOUBLE)})"},
	"TS_INDEX":                         {[]kind{plain, plain}, "list_transform($1, lambda e: {'t': e.t, 'v': e.v[CAST(($2) + 1 AS INTEGER)]})"},

	"TS_SEGMENT": {[]kind{plain, plain, plain}, "(WITH x# AS (SELECT t, v, row_number()" + order + " - 1 AS i, count(*) OVER () AS c FROM " + body + ") " +
		"SELECT coalesce(list({'t': ws, 's': s} ORDER BY ws), []) FROM (SELECT a.i AS i0, any_value(a.t) AS ws, list({'t': b.t, 'v': b.v} ORDER BY b.t) AS s " +
		"FROM x# a JOIN x# b ON b.i >= a.i AND b.i < a.i + ($2) WHERE a.i % ($3) = 0 AND a.i + ($2) <= a.c GROUP BY a.i))"},
	"TS_SEGMENT_BY_SILENCE": {[]kind{plain, span}, group + "(SELECT min(t) AS ws, list({'t': t, 'v': v} ORDER BY t) AS s FROM (SELECT t, v, sum(CASE WHEN d > $2 THEN 1 ELSE 0 END)" + order +
		" AS g FROM (SELECT t, v, t - lag(t)" + order + " AS d FROM " + body + ")) GROUP BY g))"},
	"TS_SEGMENT_BY_ANCHOR": {[]kind{plain, check, span, span}, "(SELECT coalesce(list({'t': a.t, 's': list_filter(x, lambda n: n.t >= a.t - $3 AND n.t <= a.t + $4)} ORDER BY a.t), []) " +
		"FROM (SELECT x, unnest(list_filter(x, lambda e: $2)) AS a FROM (SELECT $1 AS x)))"},

	"TS_INNER_JOIN": {[]kind{plain, plain}, pairs + "SELECT coalesce(list({'t': t, 'v': [a, b]} ORDER BY t), []) FROM p#)"},

	"TS_RESAMPLE": {[]kind{plain, span, word}, "(WITH x# AS " + body + " SELECT coalesce(list({'t': l.t, 'v': $3} ORDER BY l.t), []) FROM (" + near +
		"SELECT t, v, false AS grid, true AS ok FROM x# UNION ALL SELECT unnest(generate_series((min(t) // $2) * $2, max(t), $2)), NULL, true, true FROM x#))) WHERE grid)"},
	"TS_FILLNA": {[]kind{plain, word}, "(WITH x# AS (SELECT t, v, v IS NOT NULL AND NOT isnan(v) AS ok FROM " + body + ") SELECT coalesce(list({'t': l.t, 'v': CASE WHEN l.ok THEN l.v ELSE $2 END} ORDER BY l.t), []) FROM (" + near +
		"SELECT t, v, false AS grid, ok FROM x# UNION ALL SELECT t, v, true, ok FROM x#))) WHERE grid)"},

	"TS_FORECAST": {[]kind{plain, word, plain}, "(WITH l# AS " + body + ", f# AS (SELECT regr_slope(v, t) AS a, regr_intercept(v, t) AS b, avg(v) AS m, max(t) AS e, CAST((max(t) - min(t)) / greatest(count(*) - 1, 1) AS BIGINT) AS d FROM l#) " +
		"SELECT coalesce(list({'t': e + i * d, 'v': $2} ORDER BY i), []) FROM f#, range(1, CAST($3 AS BIGINT) + 1) r(i))"},

	"TS_TIMESTAMP": {[]kind{plain}, "epoch_ms(CAST($1 AS TIMESTAMPTZ))"},
	"TIME_SERIES":  {[]kind{plain, plain}, "list({'t': coalesce(TRY_CAST(CAST($1 AS VARCHAR) AS BIGINT), epoch_ms(TRY_CAST(CAST($1 AS VARCHAR) AS TIMESTAMP))), 'v': CAST($2 AS DOUBLE)} ORDER BY $1)"},
}

// near gives each row of (t, v, grid, ok) its neighbours: p, the last
// observation at its tick or before, and n, the first at its tick or after.
// Rows of the grid are none themselves. (An ASOF join would say the same, but
// in a correlated sub-query DuckDB 1.5.5 finds no partners.)
const near = "SELECT grid, {'t': t, 'v': v, 'ok': ok} AS l, last_value(o IGNORE NULLS) OVER (ORDER BY t, grid ROWS UNBOUNDED PRECEDING) AS p, " +
	"last_value(o IGNORE NULLS) OVER (ORDER BY t DESC, grid ROWS UNBOUNDED PRECEDING) AS n FROM (SELECT *, CASE WHEN ok AND NOT grid THEN {'t': t, 'v': v} END AS o FROM ("

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

// operators are the expressions over values: %s are the arguments.
var operators = map[string]string{
	"GT": "(%s > %s)", "GTE": "(%s >= %s)", "LT": "(%s < %s)", "LTE": "(%s <= %s)", "EQUALS": "(%s = %s)", "AND": "(%s AND %s)", "OR": "(%s OR %s)", "NOT": "(NOT %s)",
	"ADD": "(%s + %s)", "SUB": "(%s - %s)", "MUL": "(%s * %s)", "DIV": "(%s / %s)", "MOD": "(%s %% %s)", "POW": "pow(%s, %s)", "ABS": "abs(%s)", "SQRT": "sqrt(%s)", "LOG": "ln(%s)",
	"EXP": "exp(%s)", "SIN": "sin(%s)", "COS": "cos(%s)", "TAN": "tan(%s)", "DIVISIBLE_BY": "(%s %% %s = 0)", "IF_THEN_ELSE": "(CASE WHEN %s THEN %s ELSE %s END)", "IF_THEN": "(CASE WHEN %s THEN %s END)",
}

// call rewrites one function with its arguments.
func (r *rewriter) call(t lex.Token, args [][]lex.Token) (string, error) {
	name := strings.ToUpper(t.Text)
	if op, ok := strings.CutPrefix(name, "TS_EXP_"); ok {
		return r.expression(t, op, args)
	}
	f, args, ok := lookup(name, args)
	switch {
	case name == "TS_SEGMENT_BY_TIME":
		// IBM begins the windows at each series' first observation. A series of its
		// own phase is of no use in a chart, so by default windows begin at
		// multiples of the step since 1970.
		first := "(t0 // $3) * $3"
		if len(args) == 4 {
			switch strings.ToLower(strings.Trim(strings.TrimSpace(lex.Text(args[3])), "'\"")) {
			case "first":
				first = "t0"
			case "epoch":
			default:
				return "", lex.At(r.text, t.Pos, "TS_SEGMENT_BY_TIME: the windows begin at first or epoch, not %q", strings.TrimSpace(lex.Text(args[3])))
			}
			args = args[:3]
		}
		f, ok = function{[]kind{plain, span, span}, fmt.Sprintf(windows, first)}, true
	case name == "TS_ZSCORE" && len(args) == 1:
		f.args, f.sql = f.args[:1], open+"SELECT t, (v - avg(v) OVER ()) / stddev_pop(v) OVER () AS v FROM "+body+shut
	case name == "TS_COMBINE_DUPLICATE_TIMETICKS" && len(args) == 2:
		combine, err := r.combiner(t, args[1])
		if err != nil {
			return "", err
		}
		f, ok, args = function{[]kind{plain}, open + "SELECT t, CAST(" + combine + " AS DOUBLE) AS v FROM " + body + " GROUP BY t" + shut}, true, args[:1]
	case name == "TS_DETECT_ANOMALIES" && len(args) == 3:
		// A value is an anomaly if it is further from its model than its confidence
		// allows for a normal distribution; models other than mean and line are refused.
		expected, ok1 := map[string]string{"TS_FORECAST_AVERAGE": "avg(v) OVER ()", "TS_FORECAST_LINEAR": "regr_slope(v, t) OVER () * t + regr_intercept(v, t) OVER ()"}[artifact(args[1])]
		if !ok1 {
			return "", lex.At(r.text, t.Pos, "TS_DETECT_ANOMALIES: model %s is not supported: use TS_FORECAST_AVERAGE() or TS_FORECAST_LINEAR()", artifact(args[1]))
		}
		f, ok, args = function{[]kind{plain, plain}, open + "SELECT t, v FROM (SELECT t, v, v - m AS d, stddev_pop(v - m) OVER () AS sd FROM (SELECT t, v, " + expected + " AS m FROM " + body + ")) WHERE abs(d) > sd * sqrt(-2 * ln(1 - ($2)))" + shut}, true, [][]lex.Token{args[0], args[2]}
	case !ok:
		if short, seg := strings.CutPrefix(name, "TS_SEG_"); seg && aggregates[short] != "" {
			f, ok = function{[]kind{plain}, "list_transform($1, lambda e: {'t': e.t, 'v': list_aggregate(list_transform(e.s, lambda o: o.v), '" + aggregates[short] + "')})"}, true
		} else if a := aggregates[strings.TrimPrefix(name, "TS_")]; a != "" {
			f, ok = function{[]kind{plain}, "list_aggregate(list_transform($1, lambda o: o.v), '" + a + "')"}, true
		}
	}
	if !ok {
		return "", lex.At(r.text, t.Pos, "%s is not supported", name)
	}
	if len(args) != len(f.args) {
		return "", lex.At(r.text, t.Pos, "%s: %d arguments, want %d", name, len(args), len(f.args))
	}
	r.count++
	pairs := []string{"#", strconv.Itoa(r.count)}
	for i, k := range f.args {
		text, err := r.argument(t, k, args[i])
		if err != nil {
			return "", err
		}
		pairs = append(pairs, "$"+strconv.Itoa(i+1), text)
	}
	text := strings.NewReplacer(pairs...).Replace(f.sql)
	if len(text) > 1<<20 {
		return "", lex.At(r.text, t.Pos, "%s: the query becomes too large", name)
	}
	return text, nil
}

func (r *rewriter) argument(t lex.Token, k kind, arg []lex.Token) (string, error) {
	switch k {
	case span:
		return r.millis(t, arg)
	case word:
		return r.artifact(t, arg)
	case check:
		before := r.value
		r.value = "e.v"
		defer func() { r.value = before }()
	}
	text, err := r.tokens(lex.Trim(arg))
	return text, err
}

// expression rewrites TS_EXP_...
func (r *rewriter) expression(t lex.Token, op string, args [][]lex.Token) (string, error) {
	if op == "ID" {
		if r.value == "" {
			return "", lex.At(r.text, t.Pos, "TS_EXP_ID stands only inside of TS_FILTER, TS_MAP and TS_SEGMENT_BY_ANCHOR")
		}
		return r.value, nil
	}
	format, ok := operators[op]
	if !ok {
		return "", lex.At(r.text, t.Pos, "TS_EXP_%s is not supported", op)
	}
	if want := strings.Count(format, "%s"); len(args) != want {
		return "", lex.At(r.text, t.Pos, "TS_EXP_%s: %d arguments, want %d", op, len(args), want)
	}
	texts := make([]any, len(args))
	for i, a := range args {
		text, err := r.tokens(lex.Trim(a))
		if err != nil {
			return "", err
		}
		texts[i] = text
	}
	return fmt.Sprintf(format, texts...), nil
}

// artifact is the name of a call as an argument.
func artifact(arg []lex.Token) string {
	arg = lex.Trim(arg)
	if len(arg) == 0 {
		return ""
	}
	return strings.ToUpper(arg[0].Text)
}

// artifact rewrites an interpolator or a model. Around it l is the tick asked
// for, p the observation before (or at) it and n the one after.
func (r *rewriter) artifact(t lex.Token, arg []lex.Token) (string, error) {
	arg = lex.Trim(arg)
	name := artifact(arg)
	fill := "NULL"
	if len(arg) > 1 && arg[1].Is("(") && lex.Close(arg, 1) == len(arg)-1 {
		if args := lex.Split(arg[2 : len(arg)-1]); len(args) > 0 {
			text, err := r.tokens(lex.Trim(args[0]))
			if err != nil {
				return "", err
			}
			fill = "CAST(" + text + " AS DOUBLE)"
		}
	}
	switch name {
	case "TS_INTERPOLATOR_FILL":
		return "CASE WHEN p.t = l.t THEN p.v ELSE " + fill + " END", nil
	case "TS_INTERPOLATOR_PREV":
		return "CASE WHEN p.t IS NULL THEN " + fill + " ELSE p.v END", nil
	case "TS_INTERPOLATOR_NEXT":
		return "CASE WHEN n.t IS NULL THEN " + fill + " ELSE n.v END", nil
	case "TS_INTERPOLATOR_NEAREST": // of two at the same distance the one before
		return "CASE WHEN p.t IS NULL AND n.t IS NULL THEN " + fill + " WHEN n.t IS NULL OR l.t - p.t <= n.t - l.t THEN p.v ELSE n.v END", nil
	case "TS_INTERPOLATOR_LINEAR":
		return "CASE WHEN p.t = l.t THEN p.v WHEN p.t IS NULL OR n.t IS NULL THEN " + fill + " ELSE p.v + (n.v - p.v) * (l.t - p.t) / (n.t - p.t) END", nil
	case "TS_FORECAST_LINEAR":
		return "a * (e + i * d) + b", nil
	case "TS_FORECAST_AVERAGE":
		return "m", nil
	}
	return "", lex.At(r.text, t.Pos, "%s: %s is not supported", strings.ToUpper(t.Text), name)
}

func (r *rewriter) combiner(t lex.Token, arg []lex.Token) (string, error) {
	name := artifact(arg)
	sql, ok := map[string]string{
		"TS_COMBINER_ADD": "sum(v)", "TS_COMBINER_MUL": "product(v)", "TS_COMBINER_MIN": "min(v)", "TS_COMBINER_MAX": "max(v)",
		"TS_COMBINER_AVG": "avg(v)", "TS_COMBINER_AVERAGE": "avg(v)", "TS_COMBINER_FIRST": "first(v)", "TS_COMBINER_LAST": "last(v)",
	}[name]
	if !ok {
		return "", lex.At(r.text, t.Pos, "%s: %s is not supported", strings.ToUpper(t.Text), name)
	}
	return sql, nil
}
