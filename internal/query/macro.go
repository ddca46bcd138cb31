package query

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/orielhq/oriel/internal/query/lex"
)

// Scope is what macros and variables stand for in one query.
type Scope struct {
	Range      Range
	Interval   time.Duration
	Source     string // the table that $__source means
	TimeColumn string // the column that $__timeFilter means
	Variables  map[string][]string
	Dialect    Dialect
}

// Expansion is a query without macros.
type Expansion struct {
	SQL  string
	Prev []string // the queries that it reads, by $__source_prev
	Dest *Dest
	Fill *Fill

	prevAt map[string]int // where in user each of Prev stands first
	destAt int            // and where Dest does

	user  string // the text that it was made of
	made  string // SQL as the macros left it
	marks []mark
}

// Dest is what INTO $__dest asks for.
type Dest struct{ Format, Suffix string }

// Fill is the third argument of $__timeGroup: what to put where a series has no row.
type Fill struct {
	Interval Interval
	Mode     string // null, previous or value
	Value    float64
}

// prevName is the relation that $__source_prev(ref) becomes.
func prevName(ref string) string { return "__prev_" + ref }

var (
	refID      = regexp.MustCompile(`^[A-Za-z0-9_]{1,64}$`)
	destSuffix = regexp.MustCompile(`^[A-Za-z0-9_=.-]+(/[A-Za-z0-9_=.-]+)*$`)
)

const (
	maxExpanded = 16 << 20 // bounds what an expansion may grow to
	maxNested   = 21       // macros in macros, which most of them double
)

// Expand replaces macros and variables. They are found by tokens: in comments
// nothing is replaced, in strings only variables are.
func Expand(sql string, s *Scope) (*Expansion, error) {
	tokens, err := lex.Tokens(sql)
	if err != nil {
		return nil, err
	}
	x := &expander{Scope: s, text: sql, out: &Expansion{user: sql, prevAt: map[string]int{}}}
	tokens = lex.Trim(tokens)
	for len(tokens) > 0 && tokens[len(tokens)-1].Is(";") {
		tokens = lex.Trim(tokens[:len(tokens)-1])
	}
	if len(tokens) == 0 {
		return nil, lex.At(sql, 0, "the query is empty")
	}
	if x.out.SQL, err = x.expand(tokens); err != nil {
		return nil, err
	}
	x.out.made = x.out.SQL
	return x.out, nil
}

type expander struct {
	*Scope
	text  string
	out   *Expansion
	size  int
	depth int
}

func (x *expander) expand(tokens []lex.Token) (string, error) {
	if x.depth++; x.depth > maxNested {
		return "", lex.At(x.text, tokens[0].Pos, "macros nested more than %d deep", maxNested-1)
	}
	defer func() { x.depth-- }()
	var b strings.Builder
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		text := t.Text
		var err error
		switch t.Kind {
		case lex.Comment: // it could swallow what a macro puts behind it; lines stay where they are
			text = " " + strings.Repeat("\n", strings.Count(t.Text, "\n"))
		case lex.String, lex.Quoted:
			text, err = x.inString(t)
		case lex.Variable:
			text, err = x.literal(t.Text)
		case lex.Name:
			if next := lex.Next(tokens, i+1); t.Is("INTO") && next < len(tokens) && tokens[next].Kind == lex.Macro {
				if !strings.EqualFold(tokens[next].Text, "$__dest") {
					return "", lex.At(x.text, tokens[next].Pos, "%s after INTO: only $__dest may stand there", tokens[next].Text)
				}
				text = ""
				i, err = x.dest(tokens, next)
			}
		case lex.Macro:
			text, i, err = x.macro(tokens, i)
		}
		if err != nil {
			if _, placed := err.(*lex.Error); !placed { //nolint:errorlint // ours, never wrapped
				err = lex.At(x.text, t.Pos, "%s", err)
			}
			return "", err
		}
		if x.size += len(text); x.size > maxExpanded {
			return "", lex.At(x.text, t.Pos, "the query grows beyond %d bytes", maxExpanded)
		}
		if x.depth == 1 {
			x.out.mark(b.Len(), t.Pos, text == t.Text)
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// call reads the arguments of the macro at i and returns the index of its last token.
func (x *expander) call(tokens []lex.Token, i int) (args [][]lex.Token, end int, err error) {
	open := lex.Next(tokens, i+1)
	if open >= len(tokens) || !tokens[open].Is("(") {
		return nil, i, nil
	}
	end = lex.Close(tokens, open)
	if end < 0 {
		return nil, 0, lex.At(x.text, tokens[open].Pos, "%s: the bracket is not closed", tokens[i].Text)
	}
	for _, a := range lex.Split(tokens[open+1 : end]) {
		args = append(args, lex.Trim(a))
	}
	// IBM's macros wanted a comma also before an argument left out: (col,).
	for len(args) > 0 && len(args[len(args)-1]) == 0 {
		args = args[:len(args)-1]
	}
	for _, a := range args {
		if len(a) == 0 {
			return nil, 0, lex.At(x.text, tokens[i].Pos, "%s: an argument is empty", tokens[i].Text)
		}
	}
	return args, end, nil
}

// macros are the names and the least and most number of arguments.
var macros = map[string][2]int{
	"$__source": {0, 0}, "$__source_prev": {1, 1}, "$__source_test": {0, 1}, "$__dest": {0, 2},
	"$__timefilter": {0, 3}, "$__timefiltercolumn": {1, 3}, "$__timefrom": {0, 1}, "$__timeto": {0, 1},
	"$__timegroup": {2, 3}, "$__interval": {0, 0}, "$__interval_ms": {0, 0},
	"$__unixepochfilter": {1, 1}, "$__from": {0, 0}, "$__to": {0, 0},
}

// Macros lists the macros, as completion offers them.
func Macros() []string {
	return []string{
		"$__dest(parquet, name)", "$__from", "$__interval", "$__interval_ms", "$__source", "$__source_prev(A)", "$__source_test(MTS)",
		"$__timeFilter", "$__timeFilterColumn(column, timestamp)", "$__timeFrom", "$__timeGroup(column, $__interval)", "$__timeTo",
		"$__to", "$__unixEpochFilter(column)",
	}
}

// macro expands the macro at i and returns the index of its last token.
func (x *expander) macro(tokens []lex.Token, i int) (text string, end int, err error) {
	t := tokens[i]
	name := strings.ToLower(t.Text)
	count, ok := macros[name]
	if !ok {
		return "", 0, lex.At(x.text, t.Pos, "unknown macro %s", t.Text)
	}
	args, end, err := x.call(tokens, i)
	if err != nil {
		return "", 0, err
	}
	if len(args) > count[1] && end > i && count[1] == 0 {
		return "", 0, lex.At(x.text, t.Pos, "%s takes no argument", t.Text)
	}
	if len(args) < count[0] || len(args) > count[1] {
		if name == "$__source_prev" {
			return "", 0, lex.At(x.text, t.Pos, "$__source_prev needs the name of a query, as in $__source_prev(A)")
		}
		return "", 0, lex.At(x.text, t.Pos, "%s: %d arguments, want %d to %d", t.Text, len(args), count[0], count[1])
	}
	fail := func(err error) (string, int, error) { return "", 0, lex.At(x.text, t.Pos, "%s: %s", t.Text, err) }
	if x.Range.From.IsZero() && (strings.HasPrefix(name, "$__time") && name != "$__timegroup" || slices.Contains([]string{"$__from", "$__to", "$__unixepochfilter", "$__source_test"}, name)) {
		return fail(fmt.Errorf("the request has no time range"))
	}
	switch name {
	case "$__source":
		if x.Source == "" {
			return fail(fmt.Errorf("no table is configured as source"))
		}
		return quoteName(x.Source), end, nil
	case "$__source_prev":
		ref := args[0][0].Unquote()
		if len(args[0]) != 1 || !refID.MatchString(ref) {
			return fail(fmt.Errorf("%q is not the name of a query", lex.Text(args[0])))
		}
		if !slices.Contains(x.out.Prev, ref) {
			x.out.Prev = append(x.out.Prev, ref)
			x.out.prevAt[ref] = t.Pos
		}
		return quoteName(prevName(ref)), end, nil
	case "$__source_test":
		several := false
		if len(args) == 1 {
			word := strings.ToUpper(lex.Text(args[0]))
			if word != "TS" && word != "MTS" {
				return fail(fmt.Errorf("%q: want TS or MTS", lex.Text(args[0])))
			}
			several = word == "MTS"
		}
		return x.Dialect.Sample(x.Range, several), end, nil
	case "$__dest":
		return fail(fmt.Errorf("it stands only after INTO"))
	case "$__interval":
		return x.Dialect.Interval(Interval{Every: x.Interval}), end, nil
	case "$__interval_ms":
		return strconv.FormatInt(x.Interval.Milliseconds(), 10), end, nil
	case "$__from":
		return strconv.FormatInt(x.Range.From.UnixMilli(), 10), end, nil
	case "$__to":
		return strconv.FormatInt(x.Range.To.UnixMilli(), 10), end, nil
	}
	text, err = x.timeMacro(name, args)
	if _, placed := err.(*lex.Error); err != nil && !placed { //nolint:errorlint // ours, never wrapped
		return fail(err)
	}
	return text, end, err
}

// dest reads INTO $__dest[(format[, suffix])], with the macro at i, and removes it.
func (x *expander) dest(tokens []lex.Token, i int) (end int, err error) {
	pos := tokens[i].Pos
	args, end, err := x.call(tokens, i)
	if err != nil {
		return 0, err
	}
	d := Dest{Format: "csv"} // what IBM's service wrote when not told
	switch {
	case x.out.Dest != nil:
		return 0, lex.At(x.text, pos, "a second $__dest")
	case len(args) > 2:
		return 0, lex.At(x.text, pos, "$__dest can't have more than two arguments")
	case len(args) > 0:
		d.Format = strings.ToLower(strings.Trim(lex.Text(args[0]), `'"`))
	}
	switch d.Format {
	case "parquet", "csv", "json":
	case "avro", "orc":
		return 0, lex.At(x.text, pos, "$__dest: format %s is not written here: use parquet, csv or json", strings.ToUpper(d.Format))
	default:
		return 0, lex.At(x.text, pos, "$__dest: format %q: want parquet, csv or json", d.Format)
	}
	if len(args) == 2 {
		d.Suffix = strings.Trim(lex.Text(args[1]), `'"`)
		if !destSuffix.MatchString(d.Suffix) || len(d.Suffix) > 256 || slices.ContainsFunc(strings.Split(d.Suffix, "/"), func(p string) bool { return strings.Trim(p, ".") == "" }) {
			return 0, lex.At(x.text, pos, "$__dest: %q is not a name: want letters, digits and _ = . - /", d.Suffix)
		}
	}
	x.out.Dest, x.out.destAt = &d, pos
	return end, nil
}
