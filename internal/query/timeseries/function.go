package timeseries

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/orielhq/oriel/internal/query/lex"
)

// call rewrites one function with its arguments.
func (r *rewriter) call(t lex.Token, args [][]lex.Token) (string, error) {
	name := strings.ToUpper(t.Text)
	if op, ok := strings.CutPrefix(name, "TS_EXP_"); ok {
		return r.expression(t, op, args)
	}
	if op, ok := strings.CutPrefix(name, "TS_ANCHOR_"); ok {
		return r.anchor(t, op, args)
	}
	f, args, err := r.find(t, name, args)
	if err != nil {
		return "", err
	}
	if f.sql == "" {
		if why := Refused[name]; why != "" {
			return "", lex.At(r.text, t.Pos, "%s is not supported: %s", name, why)
		}
		return "", lex.At(r.text, t.Pos, "%s is not supported", name)
	}
	if len(args) != len(f.args) {
		return "", lex.At(r.text, t.Pos, "%s: %d arguments, want %d", name, len(args), len(f.args))
	}
	r.count++
	id := strconv.Itoa(r.count)
	pairs := []string{"#", id}
	for i, text := range f.given {
		pairs = append(pairs, "?"+strconv.Itoa(i+1), text)
	}
	for i, k := range f.args {
		text, err := r.argument(t, k, id, args[i])
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

// find finds a function as SQL and the arguments that go into it: artifacts
// that change the SQL itself are none any longer.
func (r *rewriter) find(t lex.Token, name string, args [][]lex.Token) (function, [][]lex.Token, error) {
	if f, rest, ok, err := r.gap(t, name, args); ok {
		return f, rest, err
	}
	f, ok := functions[name]
	if !ok {
		f, ok = more()[name]
	}
	switch {
	case name == "TS_SEGMENT_BY_TIME":
		return r.byTime(t, args)
	case name == "TS_ZSCORE" && len(args) == 1:
		f.args, f.sql = f.args[:1], open+"SELECT t, (v - avg(v) OVER ()) / stddev_pop(v) OVER () AS v FROM "+body+shut
	case name == "TS_COMBINE_DUPLICATE_TIMETICKS" && len(args) == 2:
		combine, err := r.combiner(t, args[1])
		return function{args: []kind{plain}, sql: open + "SELECT t, ?1 AS v FROM " + body + " GROUP BY t" + shut, given: []string{combine}}, args[:1], err
	case name == "TS_FORECAST" && len(args) == 3:
		f, err := r.forecast(t, args[1])
		return f, [][]lex.Token{args[0], args[2]}, err
	case name == "TS_DETECT_ANOMALIES" && len(args) == 3:
		f, err := r.anomalies(t, args[1])
		return f, [][]lex.Token{args[0], args[2]}, err
	case name == "TS_MATCH" && len(args) == 3:
		return r.match(t, args)
	case strings.HasPrefix(name, "TIME_SERIES"):
		return r.create(t, name, args)
	case name == "TS_WITH_TRS" && len(args) == 2:
		return r.withReference(t, args)
	case strings.HasPrefix(name, "TS_VECTOR"):
		return r.vector(t, name, args)
	case !ok:
		if short, seg := strings.CutPrefix(name, "TS_SEG_"); seg && aggregates[short] != "" {
			f = function{args: []kind{plain}, sql: "list_transform($1, lambda e: {'t': e.t, 'v': list_aggregate(list_transform(e.s, lambda o: o.v), '" + aggregates[short] + "')})"}
		} else if seg && segmentPairs[short] != "" {
			f = function{args: []kind{plain, plain}, sql: "(SELECT coalesce(list({'t': a#.t, 'v': " + segmentPairs[short] + "} ORDER BY a#.t), []) FROM (SELECT unnest($1) AS a#) JOIN (SELECT unnest($2) AS b#) ON a#.t = b#.t)"}
		} else if a := aggregates[strings.TrimPrefix(name, "TS_")]; a != "" {
			f = function{args: []kind{plain}, sql: "list_aggregate(list_transform($1, lambda o: o.v), '" + a + "')"}
		}
	}
	return f, args, nil
}

func (r *rewriter) byTime(t lex.Token, args [][]lex.Token) (function, [][]lex.Token, error) {
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
			return function{}, nil, lex.At(r.text, t.Pos, "TS_SEGMENT_BY_TIME: the windows begin at first or epoch, not %q", strings.TrimSpace(lex.Text(args[3])))
		}
		args = args[:3]
	}
	return function{args: []kind{plain, span, span}, sql: fmt.Sprintf(windows, first)}, args, nil
}

func (r *rewriter) argument(t lex.Token, k kind, id string, arg []lex.Token) (string, error) {
	switch k {
	case span:
		return r.millis(t, arg)
	case check, mapped:
		before := r.value
		if r.value = "e.v"; k == mapped {
			r.value = "o" + id + ".v"
		}
		defer func() { r.value = before }()
	}
	return r.tokens(lex.Trim(arg))
}

// artifact is the name of a call as an argument.
func artifact(arg []lex.Token) string {
	arg = lex.Trim(arg)
	if len(arg) == 0 {
		return ""
	}
	return strings.ToUpper(arg[0].Text)
}

// given are the arguments of an artifact, rewritten.
func (r *rewriter) given(arg []lex.Token) ([]string, error) {
	arg = lex.Trim(arg)
	open := lex.Next(arg, 1)
	if open >= len(arg) || !arg[open].Is("(") || lex.Close(arg, open) != len(arg)-1 {
		return nil, nil
	}
	var texts []string
	for _, a := range lex.Split(arg[open+1 : len(arg)-1]) {
		if a = lex.Trim(a); len(a) == 0 {
			continue
		}
		text, err := r.tokens(a)
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// numbers are texts as a list of numbers.
func numbers(texts []string) string {
	list := make([]string, len(texts))
	for i, s := range texts {
		list[i] = "CAST(" + s + " AS DOUBLE)"
	}
	return "CAST([" + strings.Join(list, ", ") + "] AS DOUBLE[])"
}

// combiners make one value of several at one tick. IBM's pages use AVERAGE and list AVG.
var combiners = map[string]string{
	"TS_COMBINER_ADD": "sum(v)", "TS_COMBINER_MUL": "product(v)", "TS_COMBINER_MIN": "min(v)", "TS_COMBINER_MAX": "max(v)",
	"TS_COMBINER_AVG": "avg(v)", "TS_COMBINER_AVERAGE": "avg(v)", "TS_COMBINER_FIRST": "first(v)", "TS_COMBINER_LAST": "last(v)",
}

func (r *rewriter) combiner(t lex.Token, arg []lex.Token) (string, error) {
	name := artifact(arg)
	if name == "TS_COMBINER_CONCATENATE" {
		given, err := r.given(arg)
		if err != nil || len(given) > 1 {
			return "", lex.At(r.text, t.Pos, "TS_COMBINER_CONCATENATE: want what stands between two values")
		}
		return "string_agg(CAST(v AS VARCHAR), " + strings.Join(append(given, "''")[:1], "") + ")", nil
	}
	sql, ok := combiners[name]
	if !ok {
		return "", lex.At(r.text, t.Pos, "%s: %s is not supported", strings.ToUpper(t.Text), name)
	}
	return sql, nil
}
