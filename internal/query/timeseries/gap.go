package timeseries

import (
	"strings"

	"github.com/orielhq/oriel/internal/query/lex"
)

// ofTicks are the ticks g#(t) of two series a# and b# as one.
var ofTicks = map[string]string{
	"TS_LEFT": "SELECT DISTINCT t FROM a#", "TS_RIGHT": "SELECT DISTINCT t FROM b#", "TS_FULL": "SELECT t FROM a# UNION SELECT t FROM b#", "TS_INNER": "SELECT t FROM a# INTERSECT SELECT t FROM b#",
	// Outer is what has no partner.
	"TS_LEFT_OUTER": "SELECT t FROM a# EXCEPT SELECT t FROM b#", "TS_RIGHT_OUTER": "SELECT t FROM b# EXCEPT SELECT t FROM a#",
}

const (
	resample = "(WITH x# AS " + body + ", g# AS (SELECT unnest(generate_series((min(t) // $2) * $2, max(t), $2)) AS t FROM x#) SELECT coalesce(list({'t': t, 'v': v} ORDER BY t), []) FROM "
	fillNA   = "(WITH y# AS (SELECT t, v, oriel_missing(v) AS gone FROM " + body + "), x# AS (SELECT t, v FROM y# WHERE NOT gone), g# AS (SELECT t FROM y# WHERE gone) " +
		"SELECT coalesce(list({'t': t, 'v': v} ORDER BY t), []) FROM (SELECT t, v FROM x# UNION ALL SELECT t, v FROM "
	both = "(WITH a# AS " + body + ", b# AS (SELECT q#.t AS t, q#.v AS v FROM (SELECT unnest($2) AS q#)), g# AS ("
)

// gap makes the SQL of a function that asks series for values at ticks that they
// may not have. Its last argument, the interpolator, becomes part of it.
func (r *rewriter) gap(t lex.Token, name string, args [][]lex.Token) (f function, rest [][]lex.Token, ok bool, err error) {
	base, join := strings.CutSuffix(name, "_JOIN")
	base, align := strings.CutSuffix(base, "_ALIGN")
	ticks := ofTicks[base]
	want := 2
	switch {
	case ticks != "" && (join || align):
		if len(args) == 2 { // without one there are gaps
			args = append(args, []lex.Token{{Kind: lex.Name, Text: "TS_INTERPOLATOR_FILL"}})
		}
	case name == "TS_RESAMPLE":
	case name == "TS_FILLNA":
		want = 1
	default:
		return function{}, args, false, nil
	}
	if len(args) != want+1 {
		return function{}, nil, true, lex.At(r.text, t.Pos, "%s: %d arguments, want %d", name, len(args), want+1)
	}
	at, given, err := r.interpolator(t, args[want])
	if err != nil {
		return function{}, nil, true, err
	}
	f = function{args: []kind{plain, plain}[:want], given: given}
	switch name {
	case "TS_RESAMPLE":
		f.args, f.sql = []kind{plain, span}, resample+at("x#")+")"
	case "TS_FILLNA":
		f.sql = fillNA + at("x#") + "))"
	default:
		value := "'v': oriel_join(x#.v, y#.v)"
		if align {
			value = "'l': x#.v, 'r': y#.v"
		}
		f.sql = both + ticks + ") SELECT coalesce(list({'t': x#.t, " + value + "} ORDER BY x#.t), []) FROM " + at("a#") + " x# JOIN " + at("b#") + " y# ON x#.t = y#.t)"
	}
	return f, args[:want], true, nil
}

// near gives each row of (t, v, grid, ok) its neighbours: p, the last
// observation at its tick or before, and n, the first at its tick or after.
// Rows of the grid are none themselves. (An ASOF join would say the same, but
// in a correlated sub-query DuckDB 1.5.5 finds no partners.)
const near = "SELECT grid, {'t': t, 'v': v} AS l, last_value(o IGNORE NULLS) OVER (ORDER BY t, grid ROWS UNBOUNDED PRECEDING) AS p, " +
	"last_value(o IGNORE NULLS) OVER (ORDER BY t DESC, grid ROWS UNBOUNDED PRECEDING) AS n FROM (SELECT *, CASE WHEN NOT grid THEN {'t': t, 'v': v} END AS o FROM ("

// interpolator returns the SQL of (t, v) with a value of a series at each tick of
// g#: of the ticks that it has itself that is its own. It has ?1 for what is given.
func (r *rewriter) interpolator(t lex.Token, arg []lex.Token) (at func(series string) string, given []string, err error) {
	name := artifact(arg)
	texts, err := r.given(arg)
	if err != nil {
		return nil, nil, err
	}
	fill := "NULL"
	if len(texts) > 0 {
		fill = "oriel_value(" + texts[0] + ")"
	}
	shape := strings.ToLower(strings.TrimPrefix(name, "TS_INTERPOLATOR_"))
	if shape == "linear" && len(texts) == 3 && (strings.TrimSpace(texts[1]) != "1" || strings.TrimSpace(texts[2]) != "1") {
		shape = "line"
	}
	value := map[string]string{
		"fill":    "CASE WHEN p.t = l.t THEN p.v ELSE ?1 END",
		"prev":    "CASE WHEN p.t IS NULL THEN ?1 ELSE p.v END",
		"next":    "CASE WHEN n.t IS NULL THEN ?1 ELSE n.v END",
		"nearest": "CASE WHEN p.t IS NULL AND n.t IS NULL THEN ?1 WHEN n.t IS NULL OR l.t - p.t <= n.t - l.t THEN p.v ELSE n.v END", // of two at the same distance the one before
		"linear":  "CASE WHEN p.t = l.t THEN p.v WHEN p.t IS NULL OR n.t IS NULL THEN ?1 ELSE p.v + (n.v - p.v) * (l.t - p.t) / (n.t - p.t) END",
	}[shape]
	switch {
	case value != "":
		return func(series string) string {
			return "(SELECT l.t AS t, " + value + " AS v FROM (" + near + "SELECT t, v, false AS grid FROM " + series + " UNION ALL SELECT t, NULL, true FROM g#))) WHERE grid)"
		}, []string{fill}, nil
	case shape == "line" || shape == "spline" && len(texts) == 3:
		return func(series string) string {
			return "(SELECT unnest(gs) AS t, nullif(unnest(oriel_curve(ts, vs, CAST(gs AS DOUBLE[]), ?1, ['" + shape + "'])), CAST('nan' AS DOUBLE)) AS v FROM (SELECT " +
				"(SELECT coalesce(list(CAST(t AS DOUBLE) ORDER BY t), []) FROM " + series + ") AS ts, (SELECT coalesce(list(v ORDER BY t), []) FROM " + series + ") AS vs, " +
				"(SELECT coalesce(list(t ORDER BY t), []) FROM g#) AS gs))"
		}, []string{numbers(texts)}, nil
	case shape == "spline":
		return nil, nil, lex.At(r.text, t.Pos, "%s: want TS_INTERPOLATOR_SPLINE(filler, before, after)", strings.ToUpper(t.Text))
	}
	return nil, nil, lex.At(r.text, t.Pos, "%s: %s is not supported", strings.ToUpper(t.Text), name)
}
