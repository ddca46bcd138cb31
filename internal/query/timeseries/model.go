package timeseries

import (
	"slices"
	"strings"

	"github.com/orielhq/oriel/internal/query/lex"
)

// steps is f#: a series' line, mean, last tick and the time between two observations.
const steps = "(WITH l# AS " + body + ", f# AS (SELECT coalesce(list(v ORDER BY t), []) AS vs, regr_slope(v, t) AS a, regr_intercept(v, t) AS b, avg(v) AS m, max(t) AS e, " +
	"CAST((max(t) - min(t)) / greatest(count(*) - 1, 1) AS BIGINT) AS d FROM l#) "

// fitted are the models that have no short SQL.
var fitted = []string{"HWS", "ARMA", "ARIMA", "BATS", "AUTO"}

// model tells a model's name and what it is given, as SQL.
func (r *rewriter) model(t lex.Token, arg []lex.Token) (name, given string, err error) {
	name, ok := strings.CutPrefix(artifact(arg), "TS_FORECAST_")
	if ok && name != "LINEAR" && name != "AVERAGE" {
		ok = false
		for _, f := range fitted {
			ok = ok || f == name
		}
	}
	if !ok {
		return "", "", lex.At(r.text, t.Pos, "%s: %s is not supported", strings.ToUpper(t.Text), artifact(arg))
	}
	texts, err := r.given(arg)
	return name, numbers(texts), err
}

// forecast is TS_FORECAST(series, model, n), with the model in it.
func (r *rewriter) forecast(t lex.Token, arg []lex.Token) (function, error) {
	name, given, err := r.model(t, arg)
	if err != nil {
		return function{}, err
	}
	value := map[string]string{"LINEAR": "a * (e + i * d) + b", "AVERAGE": "m"}[name]
	if value == "" {
		return function{args: []kind{plain, plain}, sql: steps + "SELECT list_transform(oriel_forecast(vs, ['" + name + "'], ?1, [CAST($2 AS DOUBLE)]), lambda y, i: {'t': e + i * d, 'v': y}) FROM f#)", given: []string{given}}, nil
	}
	return function{args: []kind{plain, plain}, sql: steps + "SELECT coalesce(list({'t': e + i * d, 'v': " + value + "} ORDER BY i), []) FROM f#, range(1, CAST($2 AS BIGINT) + 1) r(i))"}, nil
}

// anomalies is TS_DETECT_ANOMALIES(series, model, confidence), with the model in
// it: a value is an anomaly if it is further from what the model says of it than
// the confidence allows for a normal distribution.
func (r *rewriter) anomalies(t lex.Token, arg []lex.Token) (function, error) {
	name, given, err := r.model(t, arg)
	if err != nil {
		return function{}, err
	}
	expected := map[string]string{"AVERAGE": "avg(v) OVER ()", "LINEAR": "regr_slope(v, t) OVER () * t + regr_intercept(v, t) OVER ()"}[name]
	from := "SELECT t, v, " + expected + " AS m FROM " + body
	if expected == "" {
		from = "SELECT unnest(ts) AS t, unnest(vs) AS v, nullif(unnest(oriel_fitted(vs, ['" + name + "'], ?1)), CAST('nan' AS DOUBLE)) AS m FROM " +
			"(SELECT list(t ORDER BY t) AS ts, coalesce(list(v ORDER BY t), []) AS vs FROM " + body + ")"
	}
	return function{args: []kind{plain, plain}, sql: open + "SELECT t, v FROM (SELECT t, v, v - m AS d, stddev_pop(v - m) OVER () AS sd FROM (" + from + ")) WHERE abs(d) > sd * sqrt(-2 * ln(1 - ($2)))" + shut, given: []string{given}}, nil
}

// matchers compare the whole series, a part without gaps, or one with gaps (SUBSEQ
// in order, SUBSET in any), by the ratio of pattern, match and sequence.
var matchers = []string{"SEQ", "SUBLIST", "SUBSEQ_PS", "SUBSEQ_PM", "SUBSEQ_MS", "SUBSET_PS", "SUBSET_PM", "SUBSET_MS"}

// match is TS_MATCH(series, matcher, pattern).
func (r *rewriter) match(t lex.Token, args [][]lex.Token) (function, [][]lex.Token, error) {
	name, ok := strings.CutPrefix(artifact(args[1]), "TS_MATCHER_")
	ok = ok && slices.Contains(matchers, name)
	given, err := r.given(args[1])
	if err != nil {
		return function{}, nil, err
	}
	if want := min(len(name), 4) - 3; !ok || name != "SEQ" && len(given) != want {
		return function{}, nil, lex.At(r.text, t.Pos, "TS_MATCH: matcher %s: want TS_MATCHER_SEQ(), or SUBLIST, SUBSEQ_PS, PM, MS, SUBSET_PS, PM or MS with a threshold", artifact(args[1]))
	}
	pattern, ready := "$2", numbers(given)
	if list := elements(args[2]); list != nil { // Spark's array(...) too
		var texts []string
		for _, e := range list {
			text, err := r.tokens(lex.Trim(e))
			if err != nil {
				return function{}, nil, err
			}
			texts = append(texts, text)
		}
		pattern, given, args = "?2", []string{ready, "[" + strings.Join(texts, ", ") + "]"}, args[:1]
	} else {
		given, args = []string{ready}, [][]lex.Token{args[0], args[2]}
	}
	f := function{args: []kind{plain, plain}[:len(args)], sql: "(SELECT CASE WHEN len(i) > 0 THEN list_transform(i, lambda k: x[CAST(k AS BIGINT)]) END FROM (SELECT x, oriel_match(" + texts("x") + ", p, ['" + name + "'], ?1) AS i " +
		"FROM (SELECT $1 AS x, CAST(" + pattern + " AS VARCHAR[]) AS p)))", given: given}
	return f, args, nil
}

// segmentPairs are functions of two series for two segments at the same tick.
var segmentPairs = map[string]string{
	"CORRELATION":        "oriel_correlation(" + ticks("a#.s") + ", " + values("a#.s") + ", " + ticks("b#.s") + ", " + values("b#.s") + ")[1]",
	"MANHATTAN_DISTANCE": "oriel_manhattan(" + ticks("a#.s") + ", " + values("a#.s") + ", " + ticks("b#.s") + ", " + values("b#.s") + ")[1]",
	"SBD":                "oriel_sbd(" + values("a#.s") + ", " + values("b#.s") + ")[1]",
	"DTW":                "oriel_dtw(" + values("a#.s") + ", " + values("b#.s") + ")[1]",
	"DL":                 "oriel_dl(" + texts("a#.s") + ", " + texts("b#.s") + ")[1]",
	"CROSS_CORRELATION":  "oriel_cross(" + values("a#.s") + ", " + values("b#.s") + ")",
}
