package timeseries

import (
	"slices"
	"strconv"
	"strings"

	"github.com/orielhq/oriel/internal/query/lex"
)

// reference is a time reference system: what one tick is long, in milliseconds,
// and when the ticks begin, as SQL.
type reference struct{ every, start string }

var unix = reference{"1", "0"}

// tick is the time of a tick as SQL: a number counts from the start; a time, or
// text that is one, becomes that of the tick that it is in.
func (s reference) tick(column string) string {
	number, when := "TRY_CAST(CAST("+column+" AS VARCHAR) AS BIGINT)", "epoch_ms(TRY_CAST(CAST("+column+" AS VARCHAR) AS TIMESTAMP))"
	if s == unix {
		return "coalesce(" + number + ", " + when + ")"
	}
	return "coalesce(" + s.start + " + " + number + " * " + s.every + ", " + s.floor(when) + ")"
}

// floor is the tick that a time in milliseconds is in.
func (s reference) floor(t string) string {
	if s == unix {
		return t
	}
	return "(" + s.start + " + ((" + t + " - " + s.start + ") // " + s.every + ") * " + s.every + ")"
}

// count is the time of the tick with a number.
func (s reference) count(n string) string {
	if s == unix {
		return n
	}
	return "(" + s.start + " + " + n + " * " + s.every + ")"
}

// withReference is TS_WITH_TRS(series, reference). A series without a reference has
// numbers as ticks, which the new one counts; of one that has one each tick
// becomes that of the new one that it is in.
func (r *rewriter) withReference(t lex.Token, args [][]lex.Token) (function, [][]lex.Token, error) {
	s, given, err := r.reference(t, args[1])
	tick := s.count("e.t")
	switch name := artifact(args[0]); {
	case strings.HasSuffix(name, "_WITH_TRS"), slices.Contains(r.referred, strings.ToLower(name)):
		tick = s.floor("e.t")
	}
	return function{args: []kind{plain}, sql: "list_transform($1, lambda e: {'t': " + tick + ", 'v': e.v})", given: given}, args[:1], err
}

// referred are the names, in lower case, of the columns that a TIME_SERIES_FORMAT
// with a granularity or a start makes.
func referred(tokens []lex.Token, partners []int) []string {
	var names []string
	for i, t := range tokens {
		open := lex.Next(tokens, i+1)
		if !t.Is("TIME_SERIES_FORMAT") || open >= len(tokens) || !tokens[open].Is("(") {
			continue
		}
		end, found := partners[open], false
		for k := open + 1; k < end; k++ {
			if partners[k] > k {
				k = partners[k]
			}
			found = found || tokens[k].Is("granularity") || tokens[k].Is("starttime")
		}
		if !found {
			continue
		}
		name := "time_series"
		if in := lex.Next(tokens, end+1); in < len(tokens) && tokens[in].Is("IN") {
			if n := lex.Next(tokens, in+1); n < len(tokens) {
				name = strings.ToLower(tokens[n].Unquote())
			}
		}
		names = append(names, name)
	}
	return names
}

// since is the reference of a granularity and a start; either may be empty.
func (r *rewriter) since(t lex.Token, every, start string) (reference, error) {
	s := unix
	if every != "" {
		ms := int64(1)
		if text := strings.ToUpper(strings.Trim(every, `'" `)); text != "PT0.001S" {
			var err error
			if ms, err = r.interval(text); err != nil || ms < 1 {
				return s, lex.At(r.text, t.Pos, "%s: granularity %s: want one as PT15M or P1D", strings.ToUpper(t.Text), every)
			}
		}
		s.every = strconv.FormatInt(ms, 10)
	}
	if start != "" {
		s.start = "epoch_ms(CAST(CAST(" + start + " AS VARCHAR) AS TIMESTAMPTZ))"
	}
	return s, nil
}

// reference reads TS_TRS(...) and its like. The start is given as ?1.
func (r *rewriter) reference(t lex.Token, arg []lex.Token) (s reference, given []string, err error) {
	texts, err := r.given(arg)
	if err != nil {
		return unix, nil, err
	}
	switch name := artifact(arg); {
	case name == "TS_TRS" && len(texts) == 2:
		if s, err = r.since(t, texts[0], texts[1]); err == nil {
			given, s.start = []string{s.start}, "?1"
		}
		return s, given, err
	case name == "TS_TRS_DEFAULT" && len(texts) == 0:
		return unix, nil, nil
	case name == "TS_TRS_DEFAULT_STARTTIME" && len(texts) == 1:
		s, err = r.since(t, texts[0], "")
		return s, nil, err
	}
	return unix, nil, lex.At(r.text, t.Pos, "%s: %s: want TS_TRS(granularity, start), TS_TRS_DEFAULT() or TS_TRS_DEFAULT_STARTTIME(granularity)", strings.ToUpper(t.Text), artifact(arg))
}

// create is TIME_SERIES(tick, value) and its like for texts and arrays.
func (r *rewriter) create(t lex.Token, name string, args [][]lex.Token) (function, [][]lex.Token, error) {
	s, given, err := unix, []string(nil), error(nil)
	short, with := strings.CutSuffix(name, "_WITH_TRS")
	typ, ok := map[string]string{"TIME_SERIES": "DOUBLE", "TIME_SERIES_S": "VARCHAR", "TIME_SERIES_DA": "DOUBLE[]", "TIME_SERIES_SA": "VARCHAR[]"}[short]
	if !ok {
		return function{}, args, nil
	}
	if with && len(args) == 3 {
		s, given, err = r.reference(t, args[2])
		args = args[:2]
	}
	return function{args: []kind{plain, plain}, sql: "list({'t': " + s.tick("$1") + ", 'v': CAST($2 AS " + typ + ")} ORDER BY $1)", given: given}, args, err
}

// vector is TS_VECTORN(series, series, ...), with up to ten, also as TS_VECTOR2 to TS_VECTOR10.
func (r *rewriter) vector(t lex.Token, name string, args [][]lex.Token) (function, [][]lex.Token, error) {
	const most = 10
	n := strings.TrimPrefix(name, "TS_VECTOR")
	want := 0 // any number
	if n != "N" {
		want, _ = strconv.Atoi(n)
	}
	switch {
	case n != "N" && (want < 2 || want > most):
		return function{}, args, nil
	case len(args) < 2 || len(args) > most || n != "N" && len(args) != want:
		return function{}, nil, lex.At(r.text, t.Pos, "%s: %d arguments, want 2 to %d series", name, len(args), most)
	}
	// The pairs are joined one by one, so that each series is there once.
	sql := "$1"
	for i, a := range args {
		text, err := r.tokens(lex.Trim(a))
		if err != nil {
			return function{}, nil, err
		}
		if i == 0 {
			sql = text
			continue
		}
		r.count++
		id := strconv.Itoa(r.count)
		sql = strings.NewReplacer("#", id, "$1", sql, "$2", text).Replace("(SELECT coalesce(list({'t': a#.t, 'v': oriel_join(a#.v, b#.v)} ORDER BY a#.t), []) FROM (SELECT unnest($1) AS a#) JOIN (SELECT unnest($2) AS b#) ON a#.t = b#.t)")
	}
	return function{sql: "?1", given: []string{sql}}, nil, nil
}
