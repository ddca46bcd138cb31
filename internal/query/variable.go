package query

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/orielhq/oriel/internal/query/lex"
)

// inText finds variables in a string. $name counts only if there is such a variable.
var inText = regexp.MustCompile(`\$\{([A-Za-z0-9_.]+)(?::([a-z:]+))?\}|\[\[([A-Za-z0-9_.]+)(?::([a-z:]+))?\]\]|\$([A-Za-z_][A-Za-z0-9_]*)`)

// value returns the values of a variable and its format.
func (s *Scope) value(ref string) (values []string, format string, err error) {
	name := strings.Trim(ref, "${}[]")
	name, format, _ = strings.Cut(name, ":")
	switch name {
	case "__from", "__to":
		at := s.Range.From
		if name == "__to" {
			at = s.Range.To
		}
		switch format {
		case "", "date:ms":
			return []string{strconv.FormatInt(at.UnixMilli(), 10)}, "raw", nil
		case "date:seconds":
			return []string{strconv.FormatInt(at.Unix(), 10)}, "raw", nil
		case "date", "date:iso":
			return []string{at.UTC().Format("2006-01-02T15:04:05.000Z")}, "", nil
		}
		return nil, "", fmt.Errorf("variable %s: format %q is not known", name, format)
	case "__interval":
		return []string{short(s.Interval)}, format, nil
	case "__interval_ms":
		return []string{strconv.FormatInt(s.Interval.Milliseconds(), 10)}, "raw", nil
	}
	values, ok := s.Variables[name]
	if !ok {
		return nil, "", fmt.Errorf("unknown variable %q", name)
	}
	return values, format, nil
}

// short writes a duration as Grafana does: 10m.
func short(d time.Duration) string {
	for _, u := range []struct {
		d    time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d >= u.d && d%u.d == 0 {
			return strconv.FormatInt(int64(d/u.d), 10) + u.name
		}
	}
	return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
}

// literal is a variable where an expression stands: a number as it is, text
// in quotes, several values separated by commas.
func (s *Scope) literal(ref string) (string, error) {
	values, format, err := s.value(ref)
	if err != nil {
		return "", err
	}
	var out []string
	for _, v := range values {
		_, notNumber := strconv.ParseFloat(v, 64)
		switch format {
		case "raw", "csv", "text":
			out = append(out, v)
		case "", quoting[0], quoting[1], quoting[2]:
			if format == "" && notNumber == nil && strings.Trim(v, "0123456789.+-eE") == "" {
				out = append(out, v)
			} else {
				out = append(out, quoteString(v))
			}
		default: // one text of all values
			text, err := together(ref, format, values)
			return quoteString(text), err
		}
	}
	if len(out) == 0 {
		return "NULL", nil
	}
	return strings.Join(out, ", "), nil
}

// quoting are the formats that make a text in quotes of each value.
var quoting = [...]string{"singlequote", "sqlstring", "doublequote"}

// together is the values of a variable as one text, by the formats of Grafana's that make one.
func together(ref, format string, values []string) (string, error) {
	switch format {
	case "raw", "csv":
		return strings.Join(values, ","), nil
	case "text":
		return strings.Join(values, " + "), nil
	case "pipe":
		return strings.Join(values, "|"), nil
	case "regex":
		quoted := make([]string, len(values))
		for i, v := range values {
			quoted[i] = regexp.QuoteMeta(v)
		}
		if len(quoted) == 1 {
			return quoted[0], nil
		}
		return "(" + strings.Join(quoted, "|") + ")", nil
	case "json":
		text, err := json.Marshal(values)
		return string(text), err
	}
	return "", fmt.Errorf("variable %s: format %q is not known; there are: csv, json, pipe, raw, regex, singlequote, sqlstring, text", ref, format)
}

// inString puts variables into a string, or into a name in double quotes,
// which then becomes a string: IBM's plug-in sent its queries to Spark, where
// "x" is one.
func (s *Scope) inString(t lex.Token) (string, error) {
	if t.Kind == lex.String && !strings.HasPrefix(t.Text, "'") {
		return t.Text, nil // E'' and $$ are as they stand
	}
	body := t.Text[1 : len(t.Text)-1]
	if t.Text[0] != '`' && !strings.Contains(body, "$") && !strings.Contains(body, "[[") {
		return t.Text, nil // nearly every one
	}
	found := false
	var fault error
	out := inText.ReplaceAllStringFunc(body, func(ref string) string {
		if strings.HasPrefix(ref, "$") && !strings.HasPrefix(ref, "${") {
			if _, ok := s.Variables[ref[1:]]; !ok {
				return ref
			}
		}
		values, format, err := s.value(ref)
		if err == nil && format != "" && format != "raw" && !slices.Contains(quoting[:], format) || format == "raw" && len(values) > 1 {
			var text string
			text, err = together(ref, format, values)
			values = []string{text}
		}
		switch {
		case err != nil:
			fault = err
			return ref
		case len(values) != 1 && ref == body:
			quoted := make([]string, len(values))
			for i, v := range values {
				quoted[i] = strings.ReplaceAll(v, "'", "''")
			}
			found = true
			return strings.Join(quoted, "', '")
		case len(values) != 1:
			fault = fmt.Errorf("variable %s has %d values, inside a text only one can stand", ref, len(values))
			return ref
		}
		found = true
		return strings.ReplaceAll(values[0], "'", "''")
	})
	switch {
	case fault != nil:
		return "", fault
	case found:
		return "'" + out + "'", nil
	case t.Text[0] == '`':
		return quoteName(t.Unquote()), nil
	}
	return t.Text, nil
}
