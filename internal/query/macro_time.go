package query

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/orielhq/oriel/internal/query/lex"
)

// timeMacro expands the macros about a time column.
func (x *expander) timeMacro(name string, args [][]lex.Token) (string, error) {
	texts := make([]string, len(args))
	for i, a := range args {
		if name == "$__timegroup" && i > 0 {
			continue // an interval and a word, not SQL
		}
		var err error
		if texts[i], err = x.expand(a); err != nil {
			return "", err
		}
	}
	switch name {
	case "$__timefilter":
		return x.timeFilter(texts)
	case "$__timefiltercolumn":
		kind, err := timeKindOf(texts[1:])
		return x.Dialect.Filter(operand(texts[0]), kind, x.Range), err
	case "$__unixepochfilter":
		return x.Dialect.Filter(operand(texts[0]), TimeKind{Name: "epoch_s"}, x.Range), nil
	case "$__timefrom", "$__timeto":
		at, op := x.Range.From, ">="
		if name == "$__timeto" {
			at, op = x.Range.To, "<="
		}
		if len(texts) == 0 {
			return x.Dialect.Timestamp(at), nil
		}
		return x.Dialect.Compare(operand(texts[0]), op, TimeKind{Name: "timestamp"}, at), nil
	}
	return x.timeGroup(texts[0], args)
}

// timeFilter understands $__timeFilter, (type), (column), (column, type) and (string, format).
func (x *expander) timeFilter(args []string) (string, error) {
	column := x.TimeColumn
	if len(args) > 0 {
		if _, isType := parseTimeKind(args[0]); !isType {
			column, args = operand(args[0]), args[1:]
		} else {
			column = quoteName(column)
		}
	} else {
		column = quoteName(column)
	}
	if column == "" || column == `""` {
		return "", fmt.Errorf("no time column is set: name one, as in $__timeFilterColumn(start_time)")
	}
	kind, err := timeKindOf(args)
	return x.Dialect.Filter(column, kind, x.Range), err
}

// timeKindOf reads the arguments type and format.
func timeKindOf(args []string) (TimeKind, error) {
	if len(args) == 0 {
		return TimeKind{Name: "timestamp"}, nil
	}
	kind, ok := parseTimeKind(strings.Trim(args[0], `'"`))
	switch {
	case !ok:
		return kind, fmt.Errorf("type %q: want timestamp, timestamptz, date, string, long, epoch_s, epoch_ms, epoch_us or epoch_ns", args[0])
	case len(args) == 1:
		return kind, nil
	case len(args) > 2 || kind.Name != "string" || !strings.HasPrefix(args[1], "'"):
		return kind, fmt.Errorf("only type string takes a format, in single quotes")
	}
	kind.Format = strings.ReplaceAll(strings.Trim(args[1], "'"), "''", "'")
	return kind, nil
}

var plainColumn = regexp.MustCompile(`^("([^"]|"")*"|[A-Za-z_]\w*)(\.("([^"]|"")*"|[A-Za-z_]\w*))*$`)

// operand puts an expression in brackets unless it is a column's name.
func operand(text string) string {
	if text == "" || plainColumn.MatchString(text) {
		return text
	}
	return "(" + text + ")"
}

func (x *expander) timeGroup(column string, args [][]lex.Token) (string, error) {
	every, err := x.interval(args[1])
	if err != nil {
		return "", err
	}
	if len(args) == 3 {
		fill := Fill{Interval: every}
		switch word := strings.ToLower(strings.Trim(lex.Text(args[2]), `'"`)); word {
		case "null", "previous":
			fill.Mode = word
		default:
			fill.Mode = "value"
			if fill.Value, err = strconv.ParseFloat(word, 64); err != nil {
				return "", fmt.Errorf("fill %q: want NULL, previous or a number", word)
			}
		}
		if x.out.Fill != nil && *x.out.Fill != fill {
			return "", fmt.Errorf("two fills that differ in one query")
		}
		x.out.Fill = &fill
	}
	return x.Dialect.Group(operand(column), every), nil
}

// interval reads the second argument of $__timeGroup.
func (x *expander) interval(arg []lex.Token) (Interval, error) {
	if len(arg) == 1 && strings.EqualFold(arg[0].Text, "$__interval") {
		return Interval{Every: x.Interval}, nil
	}
	if len(arg) > 1 && arg[0].Is("INTERVAL") {
		arg = lex.Trim(arg[1:])
	}
	var text strings.Builder
	for _, t := range arg {
		switch t.Kind {
		case lex.Variable: // it may be the number only, as in ${n}m
			values, _, err := x.value(t.Text)
			if err != nil || len(values) != 1 {
				return Interval{}, fmt.Errorf("interval %s: %w", t.Text, cmp.Or(err, errors.New("want one value")))
			}
			t.Text = values[0]
		case lex.String, lex.Quoted:
			var err error
			if t.Text, err = x.inString(t); err != nil {
				return Interval{}, err
			}
		}
		text.WriteString(t.Text)
	}
	return ParseInterval(strings.ReplaceAll(text.String(), "'", ""))
}
