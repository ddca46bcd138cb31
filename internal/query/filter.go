package query

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// maxFilters bounds the filters of a request, and the values of one.
const maxFilters = 100

// Filter is a condition on the rows of the source, beside the query's own: an
// ad hoc filter of a dashboard.
type Filter struct {
	Key string `json:"key"` // a column of the source
	// Operator is =, !=, <, >, <=, >=, =~ and !~ (a regular expression for the whole
	// value), =| and !=| (one of Values).
	Operator string   `json:"operator"`
	Value    string   `json:"value"`
	Values   []string `json:"values,omitempty"`
}

// where is the filters as one SQL condition.
func where(filters []Filter, columns []Column) (string, error) {
	if len(filters) > maxFilters {
		return "", fmt.Errorf("%d filters, at most %d are taken", len(filters), maxFilters)
	}
	known := map[string]bool{}
	for _, c := range columns {
		known[c.Name] = true
	}
	var all []string
	for _, f := range filters {
		if !known[f.Key] {
			return "", fmt.Errorf("filter: the source has no column %q", f.Key)
		}
		text, err := f.sql()
		if err != nil {
			return "", fmt.Errorf("filter on %q: %w", f.Key, err)
		}
		all = append(all, text)
	}
	return strings.Join(all, " AND "), nil
}

func (f *Filter) sql() (string, error) {
	column := quoteName(f.Key)
	switch f.Operator {
	case "=", "<", ">", "<=", ">=":
		return column + " " + f.Operator + " " + quoteString(f.Value), nil
	case "!=":
		return column + " IS DISTINCT FROM " + quoteString(f.Value), nil
	case "=~", "!~":
		if _, err := regexp.Compile(f.Value); err != nil {
			return "", err
		}
		match := "regexp_full_match(CAST(" + column + " AS VARCHAR), " + quoteString(f.Value) + ")"
		if f.Operator == "!~" {
			return "NOT coalesce(" + match + ", false)", nil
		}
		return match, nil
	case "=|", "!=|":
		values := f.Values
		if len(values) == 0 {
			values = []string{f.Value}
		}
		if len(values) > maxFilters {
			return "", fmt.Errorf("%d values, at most %d are taken", len(values), maxFilters)
		}
		quoted := make([]string, len(values))
		for i, v := range values {
			quoted[i] = quoteString(v)
		}
		in := column + " IN (" + strings.Join(quoted, ", ") + ")"
		if f.Operator == "!=|" {
			return "NOT coalesce(" + in + ", false)", nil
		}
		return in, nil
	}
	return "", fmt.Errorf("operator %q is not known", f.Operator)
}

// folder is what a request's dest may be.
var folder = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*){0,7}$`)

// setUp takes what a request says of all its queries: source, filters and destination.
func (g *group) setUp(req *Request) error {
	g.source = g.cfg.Source
	if req.Source != "" {
		if _, ok := g.tables[req.Source]; !ok {
			return fmt.Errorf("source: there is no table %q; there are: %s", req.Source, strings.Join(g.names(), ", "))
		}
		g.source = req.Source
	}
	if req.Dest != "" && !folder.MatchString(req.Dest) {
		return fmt.Errorf("dest %q: want the name of a folder", req.Dest)
	}
	g.dest = req.Dest
	if len(req.Filters) == 0 {
		return nil
	}
	t := g.tables[g.source]
	condition, err := where(req.Filters, t.Columns)
	switch {
	case err != nil:
		return err
	case t.View == "":
		return errors.New("filters: the source is a table of files; only a view can be filtered")
	}
	t.View = "SELECT * FROM (" + t.View + "\n) AS unfiltered WHERE " + condition
	g.tables[g.source], g.filter = t, condition
	return nil
}
