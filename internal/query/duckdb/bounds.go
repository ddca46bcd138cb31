package duckdb

import (
	"strings"
	"time"

	"github.com/orielhq/oriel/internal/query"
)

// bounds returns what a WHERE demands of columns of time: the comparisons with
// literals that all rows must pass. By relation ("" if the column is not
// qualified) and column, both in lower case.
//
// A bound on an unqualified column counts for each relation that has a column
// of that name: were there two, the query would be ambiguous.
func bounds(where any) map[string]map[string]query.Range {
	found := map[string]map[string]query.Range{}
	conjuncts(where, func(m map[string]any) {
		kind, _ := m["type"].(string)
		if kind == "COMPARE_BETWEEN" {
			note(found, m["input"], m["lower"], true, false)
			note(found, m["input"], m["upper"], false, true)
			return
		}
		left, right := m["left"], m["right"]
		if _, _, ok := column(left); !ok {
			left, right = right, left
			kind = map[string]string{
				"COMPARE_GREATERTHAN": "COMPARE_LESSTHAN", "COMPARE_GREATERTHANOREQUALTO": "COMPARE_LESSTHANOREQUALTO",
				"COMPARE_LESSTHAN": "COMPARE_GREATERTHAN", "COMPARE_LESSTHANOREQUALTO": "COMPARE_GREATERTHANOREQUALTO",
				"COMPARE_EQUAL": "COMPARE_EQUAL",
			}[kind]
		}
		switch kind {
		case "COMPARE_GREATERTHAN", "COMPARE_GREATERTHANOREQUALTO":
			note(found, left, right, true, false)
		case "COMPARE_LESSTHAN", "COMPARE_LESSTHANOREQUALTO":
			note(found, left, right, false, true)
		case "COMPARE_EQUAL":
			note(found, left, right, true, true)
		}
	})
	return found
}

// conjuncts calls f for each part of a chain of ANDs.
func conjuncts(v any, f func(map[string]any)) {
	m, _ := v.(map[string]any)
	if kind, _ := m["type"].(string); kind == "CONJUNCTION_AND" {
		children, _ := m["children"].([]any)
		for _, c := range children {
			conjuncts(c, f)
		}
		return
	}
	f(m)
}

func note(found map[string]map[string]query.Range, col, value any, from, to bool) {
	relation, name, ok := column(col)
	if !ok {
		return
	}
	at, ok := literal(value)
	if !ok {
		return
	}
	if found[relation] == nil {
		found[relation] = map[string]query.Range{}
	}
	r := found[relation][name]
	if from && (r.From.IsZero() || at.After(r.From)) {
		r.From = at
	}
	if to && (r.To.IsZero() || at.Before(r.To)) {
		r.To = at
	}
	found[relation][name] = r
}

// column takes a column, or its cast to a type of time.
func column(v any) (relation, name string, ok bool) {
	m, _ := v.(map[string]any)
	if kind, _ := m["type"].(string); kind == "OPERATOR_CAST" && timeType(m) != "" {
		return column(m["child"])
	} else if kind != "COLUMN_REF" {
		return "", "", false
	}
	names, _ := m["column_names"].([]any)
	if len(names) == 0 || len(names) > 2 {
		return "", "", false
	}
	name, _ = names[len(names)-1].(string)
	if len(names) == 2 {
		relation, _ = names[0].(string)
	}
	return strings.ToLower(relation), strings.ToLower(name), true
}

// timeType is the type that a cast makes, if it is one of time.
func timeType(m map[string]any) string {
	t, _ := m["cast_type"].(map[string]any)
	switch id, _ := t["id"].(string); id {
	case "TIMESTAMP", "TIMESTAMP WITH TIME ZONE":
		return id
	}
	return ""
}

// literal takes TIMESTAMP '...' and TIMESTAMPTZ '...'.
func literal(v any) (time.Time, bool) {
	m, _ := v.(map[string]any)
	if timeType(m) == "" {
		return time.Time{}, false
	}
	c, _ := m["child"].(map[string]any)
	value, _ := c["value"].(map[string]any)
	text, ok := value["value"].(string)
	if !ok {
		return time.Time{}, false
	}
	text = strings.Replace(text, "T", " ", 1)
	layouts := []string{"2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly}
	if timeType(m) != "TIMESTAMP" { // which ignores a zone
		layouts = append(layouts, "2006-01-02 15:04:05Z07:00")
	}
	for _, layout := range layouts {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}
