// Package timeseries rewrites the time-series dialect of IBM's SQL Query into
// plain SQL for DuckDB: a time series is a list of {t, v}, with t in
// milliseconds since 1970, a series of segments a list of {t, s}, and each
// function an expression over lists.
package timeseries

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/orielhq/oriel/internal/query/lex"
)

// Interval reads an interval as people write it and returns milliseconds.
type Interval func(text string) (int64, error)

// Rewrite returns sql without the dialect; other SQL it returns as it is. A
// function that is not supported is an error that names it.
func Rewrite(sql string, interval Interval) (string, error) {
	if !mentioned(sql) {
		return sql, nil
	}
	tokens, err := lex.Tokens(sql)
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(tokens, ours) {
		return sql, nil
	}
	partners := brackets(tokens)
	r := &rewriter{text: sql, interval: interval, referred: referred(tokens, partners), relations: relations(tokens, partners)}
	return r.tokens(tokens)
}

// mentioned tells whether TS_ or TIME_ is anywhere in a text: of nearly all there
// is no need to look closer.
func mentioned(sql string) bool {
	for i, c := range []byte(sql) {
		if c == '_' && (i >= 2 && strings.EqualFold(sql[i-2:i], "TS") || i >= 4 && strings.EqualFold(sql[i-4:i], "TIME")) {
			return true
		}
	}
	return false
}

// ours tells whether a word belongs to the dialect.
func ours(t lex.Token) bool {
	word := strings.ToUpper(t.Text)
	return t.Kind == lex.Name && (strings.HasPrefix(word, "TS_") || word == "TIME_SERIES" || strings.HasPrefix(word, "TIME_SERIES_"))
}

type rewriter struct {
	text     string
	interval Interval
	count    int    // of names made
	value    string // what TS_EXP_ID() stands for
	depth    int
	referred []string // columns of series that have a time reference system
	// relations are by their place in the text: what is rewritten is always a stretch of its tokens.
	relations map[int]relation
}

const (
	maxDepth = 100
	maxText  = 16 << 20 // of a rewritten part
	maxNames = 100      // of one TIME_SERIES_FORMAT
)

// tokens rewrites a part of the text.
func (r *rewriter) tokens(tokens []lex.Token) (string, error) {
	if r.depth++; r.depth > maxDepth {
		return "", lex.At(r.text, tokens[0].Pos, "nested more than %d deep", maxDepth)
	}
	defer func() { r.depth-- }()
	var b strings.Builder
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		if b.Len() > maxText {
			return "", lex.At(r.text, t.Pos, "the query grows beyond %d bytes", maxText)
		}
		if rel, ok := r.relations[t.Pos]; ok && i+rel.format < len(tokens) {
			text, last, err := r.series(tokens, i, i+rel.end, i+rel.format)
			if err != nil {
				return "", err
			}
			b.WriteString(text)
			i = last
			continue
		}
		open := lex.Next(tokens, i+1)
		if !ours(t) || open >= len(tokens) || !tokens[open].Is("(") {
			b.WriteString(t.Text)
			continue
		}
		end := lex.Close(tokens, open)
		if end < 0 {
			return "", lex.At(r.text, tokens[open].Pos, "%s: the bracket is not closed", t.Text)
		}
		text, err := r.call(t, lex.Split(tokens[open+1:end]))
		if err != nil {
			return "", err
		}
		if columns := explodes(t); columns != nil {
			if text, end, err = r.columns(t, columns, text, tokens, end); err != nil {
				return "", err
			}
		}
		b.WriteString(text)
		i = end
	}
	return b.String(), nil
}

// relation is one that USING TIME_SERIES_FORMAT follows: how many tokens after its
// first one it ends, and that word is.
type relation struct{ end, format int }

// relations finds them, by the place in the text where they begin.
func relations(tokens []lex.Token, partners []int) map[int]relation {
	found := map[int]relation{}
	for i, t := range tokens {
		if !t.Is("TIME_SERIES_FORMAT") {
			continue
		}
		using := lex.Prev(tokens, i)
		end := lex.Prev(tokens, max(using, 0))
		if end < 0 || !tokens[using].Is("USING") {
			continue
		}
		from := end
		switch {
		case partners[end] >= 0 && tokens[partners[end]].Is("("):
			from = partners[end]
		case isName(tokens[end]):
			for from > 1 && tokens[from-1].Is(".") && isName(tokens[from-2]) {
				from -= 2
			}
		default:
			continue
		}
		found[tokens[from].Pos] = relation{end - from, i - from}
	}
	return found
}

// brackets returns for each bracket the index of its other half, and -1 for
// one without, or any other token. Searching from each one would cost the
// square of their number.
func brackets(tokens []lex.Token) []int {
	partners := make([]int, len(tokens))
	var open []int
	for i, t := range tokens {
		partners[i] = -1
		if t.Kind != lex.Other {
			continue
		}
		switch t.Text {
		case "(", "[", "{":
			open = append(open, i)
		case ")", "]", "}":
			if n := len(open) - 1; n >= 0 {
				partners[i], partners[open[n]] = open[n], i
				open = open[:n]
			}
		}
	}
	return partners
}

func isName(t lex.Token) bool { return t.Kind == lex.Name || t.Kind == lex.Quoted }

// series makes the sub-select with a series for each key of a relation.
func (r *rewriter) series(tokens []lex.Token, from, to, format int) (text string, last int, err error) {
	pos := tokens[format].Pos
	open := lex.Next(tokens, format+1)
	if open >= len(tokens) || !tokens[open].Is("(") {
		return "", 0, lex.At(r.text, pos, "TIME_SERIES_FORMAT needs (timetick=..., value=...)")
	}
	if last = lex.Close(tokens, open); last < 0 {
		return "", 0, lex.At(r.text, pos, "TIME_SERIES_FORMAT: the bracket is not closed")
	}
	props := map[string]string{}
	for _, p := range lex.Split(tokens[open+1 : last]) {
		var words []lex.Token
		for _, t := range p {
			if !t.Blank() {
				words = append(words, t)
			}
		}
		if len(words) != 3 || !words[1].Is("=") {
			return "", 0, lex.At(r.text, pos, "TIME_SERIES_FORMAT: %q: want name=\"column\"", strings.TrimSpace(lex.Text(p)))
		}
		name := strings.ToLower(words[0].Text)
		switch name {
		case "timetick", "value", "key":
		case "starttime", "granularity":
			props[name] = "'" + strings.ReplaceAll(strings.Trim(words[2].Unquote(), "'"), "'", "''") + "'"
			continue
		default:
			return "", 0, lex.At(r.text, words[0].Pos, "TIME_SERIES_FORMAT: unknown property %q", words[0].Text)
		}
		column := words[2].Unquote()
		if words[2].Kind == lex.String {
			column = strings.Trim(column, "'")
		}
		props[name] = name1(column)
	}
	if props["timetick"] == "" || props["value"] == "" {
		return "", 0, lex.At(r.text, pos, "TIME_SERIES_FORMAT needs timetick and value")
	}
	names := []string{"time_series"}
	if in := lex.Next(tokens, last+1); in < len(tokens) && tokens[in].Is("IN") {
		names = nil
		for {
			n := lex.Next(tokens, in+1)
			if n >= len(tokens) || !isName(tokens[n]) {
				return "", 0, lex.At(r.text, tokens[in].Pos, "TIME_SERIES_FORMAT ... IN needs a name")
			}
			if names = append(names, tokens[n].Unquote()); len(names) > maxNames {
				return "", 0, lex.At(r.text, tokens[n].Pos, "TIME_SERIES_FORMAT ... IN: more than %d names", maxNames)
			}
			last = n
			// "IN a, b" goes on with a name and then neither a bracket nor a dot.
			in = lex.Next(tokens, n+1)
			after := lex.Next(tokens, in+2)
			if in >= len(tokens) || !tokens[in].Is(",") || after < len(tokens) && (tokens[after].Is("USING") || tokens[after].Is(".")) {
				break
			}
		}
	}
	source, err := r.tokens(tokens[from : to+1])
	if err != nil {
		return "", 0, err
	}
	since, err := r.since(tokens[format], props["granularity"], props["starttime"])
	if err != nil {
		return "", 0, err
	}
	tick := since.tick(props["timetick"])
	list := fmt.Sprintf("list({'t': %s, 'v': oriel_value(%s)} ORDER BY %s) FILTER (WHERE %s IS NOT NULL)", tick, props["value"], tick, tick)
	columns := make([]string, 0, len(names)+1)
	if props["key"] != "" {
		columns = append(columns, props["key"])
	}
	for _, n := range names {
		columns = append(columns, list+" AS "+name1(n))
	}
	text = "(SELECT " + strings.Join(columns, ", ") + " FROM " + source
	if props["key"] != "" {
		text += " GROUP BY " + props["key"]
	}
	return text + ")", last, nil
}

func name1(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// column is one that a function in a SELECT list makes: its usual name, and what
// it is of the function's SQL.
type column struct{ name, sql string }

// explodes are the columns of a function that yields rows or several columns.
func explodes(t lex.Token) []column {
	// Lists of one length, and not one of structs: so the columns have names that ORDER BY knows.
	tick := column{"timestamp", "unnest(list_transform(%s, lambda e: make_timestamp_ms(e.t)))"}
	switch name := strings.ToUpper(t.Text); {
	case name == "TS_EXPLODE" || name == "TS_S_EXPLODE" || name == "TS_DA_EXPLODE" || name == "TS_SA_EXPLODE":
		return []column{tick, {"value", "unnest(list_transform(%s, lambda e: e.v))"}}
	case name == "TS_FLATTEN":
		return []column{tick, {"index", "unnest(range(len(%s)))"}, {"series", "unnest(list_transform(%s, lambda e: e.s))"}}
	case strings.HasPrefix(name, "TS_") && strings.HasSuffix(name, "_ALIGN"):
		return []column{{"left", "list_transform(%s, lambda e: {'t': e.t, 'v': e.l})"}, {"right", "list_transform(%s, lambda e: {'t': e.t, 'v': e.r})"}}
	}
	return nil
}

// columns makes columns of a function's SQL, with their names from AS (a, b) if that follows.
func (r *rewriter) columns(t lex.Token, columns []column, sql string, tokens []lex.Token, end int) (text string, last int, err error) {
	if as := lex.Next(tokens, end+1); as < len(tokens) && tokens[as].Is("AS") {
		usual := make([]string, len(columns))
		for i, c := range columns {
			usual[i] = c.name
		}
		bad := lex.At(r.text, t.Pos, "%s has %d columns: AS (%s)", strings.ToUpper(t.Text), len(columns), strings.Join(usual, ", "))
		open := lex.Next(tokens, as+1)
		if open >= len(tokens) || !tokens[open].Is("(") || lex.Close(tokens, open) < 0 {
			return "", 0, bad
		}
		end = lex.Close(tokens, open)
		names := lex.Split(tokens[open+1 : end])
		if len(names) != len(columns) {
			return "", 0, bad
		}
		for i, n := range names {
			if n = lex.Trim(n); len(n) != 1 {
				return "", 0, bad
			}
			columns[i].name = n[0].Unquote()
		}
	}
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = strings.Replace(c.sql, "%s", sql, 1) + " AS " + name1(c.name)
	}
	return strings.Join(parts, ", "), end, nil
}

// millis reads an argument that is a duration: hour, 15minute, PT15M, or a sum in milliseconds.
func (r *rewriter) millis(f lex.Token, arg []lex.Token) (string, error) {
	arg = lex.Trim(arg)
	text := lex.Text(arg)
	if strings.Trim(text, "0123456789*+- ()") == "" && strings.TrimSpace(text) != "" {
		return "CAST((" + text + ") AS BIGINT)", nil
	}
	ms, err := r.interval(strings.Trim(text, `'"`))
	if err != nil {
		return "", lex.At(r.text, f.Pos, "%s: %s", f.Text, err)
	}
	return strconv.FormatInt(ms, 10), nil
}
