// Package duckdb runs SQL in an embedded DuckDB that can read the files it is
// given and nothing else. It is the only package that needs a C compiler;
// without one it has only Open, which says so.
package duckdb

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/query"
)

// Config bounds the engine.
type Config struct {
	MemoryLimit conf.ByteSize
	Threads     int // 0: one for each processor
	// TempDir takes what does not fit into memory, up to SpillLimit.
	TempDir    string
	SpillLimit conf.ByteSize
	// Dirs are the folders whose files may be read (and, by Export, written).
	Dirs []string
}

// tableFunctions are those that a query may call: they read nothing from outside.
var tableFunctions = []string{"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree", "test_all_types"}

// forbidden are functions that tell about the machine, change the engine, or run text as SQL.
var forbidden = []string{
	"getenv", "current_setting", "getvariable", "write_log", "parse_duckdb_log_message", "nextval", "currval", "setseed", "set_config",
	"json_serialize_plan", "json_execute_serialized_sql", "txid_current", "current_connection_id", "current_query", "current_query_id", "current_transaction_id",
}

// volatile are functions whose value is another at each run.
var volatile = []string{
	"now", "current_timestamp", "get_current_timestamp", "transaction_timestamp", "today", "current_date", "current_time", "get_current_time",
	"current_localtime", "current_localtimestamp", "random", "rand", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "age",
}

// inspector walks over a parsed query as DuckDB serializes it.
type inspector struct {
	shape *query.Shape
	depth int
}

const maxDepth = 2000

// statement takes what json_serialize_sql made of a query.
func (in *inspector) statement(tree map[string]any) error {
	if failed, _ := tree["error"].(bool); failed {
		msg, _ := tree["error_message"].(string)
		if strings.HasPrefix(msg, "Only SELECT") {
			return fmt.Errorf("only SELECT is allowed here")
		}
		at := -1
		if text, _ := tree["position"].(string); text != "" {
			at, _ = strconv.Atoi(text)
		}
		e := said(msg, "")
		e.Offset = at
		return e
	}
	list, _ := tree["statements"].([]any)
	if len(list) != 1 {
		return fmt.Errorf("%d statements in one query, want one", len(list))
	}
	return in.walk(list[0], scope{})
}

// refused is an error about a node, with its place if DuckDB tells it.
func refused(node map[string]any, format string, args ...any) error {
	e := &query.EngineError{Msg: fmt.Sprintf(format, args...), Offset: -1}
	if at, ok := node["query_location"].(float64); ok && at < 1<<53 { // above is DuckDB's word for none
		e.Offset = int(at)
	}
	return e
}

// scope is what the walk knows from above a node.
type scope struct {
	ctes   []string                          // the names of common table expressions
	bounds map[string]map[string]query.Range // of relations of the SELECT around ("" for any), then by column
}

func (in *inspector) walk(v any, s scope) error {
	if in.depth++; in.depth > maxDepth {
		return fmt.Errorf("the query is nested too deeply")
	}
	defer func() { in.depth-- }()
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if err := in.walk(e, s); err != nil {
				return err
			}
		}
	case map[string]any:
		return in.object(v, s)
	}
	return nil
}

func (in *inspector) object(m map[string]any, s scope) error {
	kind, _ := m["type"].(string)
	switch kind {
	case "SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE":
		s.bounds = nil
	case "SUBQUERY":
		s.bounds = nil
	}
	// The names of common table expressions hold below, wherever they stand.
	if with, ok := m["cte_map"].(map[string]any); ok {
		entries, _ := with["map"].([]any)
		s.ctes = slices.Clone(s.ctes)
		for _, e := range entries {
			entry, _ := e.(map[string]any)
			name, _ := entry["key"].(string)
			body, _ := entry["value"].(map[string]any)
			if isRecursive(body) {
				s.ctes = append(s.ctes, strings.ToLower(name))
			}
			if err := in.walk(entry["value"], scope{ctes: s.ctes}); err != nil {
				return err
			}
			s.ctes = append(s.ctes, strings.ToLower(name))
		}
	}
	switch kind {
	case "SELECT_NODE":
		s.bounds = bounds(m["where_clause"])
		if err := in.walk(m["from_table"], s); err != nil {
			return err
		}
		s.bounds = nil
	case "BASE_TABLE":
		return in.table(m, s)
	case "TABLE_FUNCTION":
		f, _ := m["function"].(map[string]any)
		name, _ := f["function_name"].(string)
		if !slices.Contains(tableFunctions, strings.ToLower(name)) {
			return refused(m, "function %s is not allowed here: a query reads tables only", name)
		}
	case "JOIN":
		return in.join(m, s)
	case "SHOW_REF":
		if show, _ := m["show_type"].(string); show != "DESCRIBE" && show != "SUMMARY" {
			return refused(m, "SHOW is not allowed here")
		}
		if name, _ := m["table_name"].(string); name != "" {
			return in.table(m, s)
		}
	case "FUNCTION", "WINDOW_AGGREGATE":
		name, _ := m["function_name"].(string)
		name = strings.ToLower(name)
		if slices.Contains(forbidden, name) || strings.HasPrefix(name, "duckdb_") || strings.HasPrefix(name, "pragma_") || strings.HasPrefix(name, "read_") {
			return refused(m, "function %s is not allowed here", name)
		}
		in.shape.Volatile = in.shape.Volatile || slices.Contains(volatile, name)
	case "COLUMN_REF":
		if names, _ := m["column_names"].([]any); len(names) == 1 {
			name, _ := names[0].(string)
			in.shape.Volatile = in.shape.Volatile || slices.Contains(volatile, strings.ToLower(name)) && strings.HasPrefix(strings.ToLower(name), "current_")
		}
	}
	if m["sample"] != nil {
		in.shape.Volatile = true
	}
	for key, child := range m {
		if key == "cte_map" || kind == "SELECT_NODE" && key == "from_table" {
			continue
		}
		if err := in.walk(child, s); err != nil {
			return err
		}
	}
	return nil
}

// join walks both sides. A WHERE comes after the join and no NULL passes it, so
// a bound on a side's column holds for that side also in an outer join. It does
// not where a row's absence lets another one in (the right side of ASOF), where
// rows are paired by their number, or where the right side's columns cannot be
// named any longer. An unqualified column is the left side's if USING merges it.
func (in *inspector) join(m map[string]any, s scope) error {
	ref, _ := m["ref_type"].(string)
	kind, _ := m["join_type"].(string)
	using, _ := m["using_columns"].([]any)
	left, right := s, s
	switch {
	case ref == "POSITIONAL":
		left.bounds, right.bounds = nil, nil
	case ref == "ASOF", kind == "SEMI", kind == "ANTI", kind == "MARK", kind == "SINGLE", kind == "RIGHT_SEMI", kind == "RIGHT_ANTI":
		right.bounds = nil
	case ref == "NATURAL", len(using) > 0:
		left.bounds, right.bounds = qualified(s.bounds), qualified(s.bounds)
	}
	if err := in.walk(m["left"], left); err != nil {
		return err
	}
	if err := in.walk(m["right"], right); err != nil {
		return err
	}
	s.bounds = nil
	for _, key := range []string{"condition", "duplicate_eliminated_columns"} {
		if err := in.walk(m[key], s); err != nil {
			return err
		}
	}
	return nil
}

func qualified(all map[string]map[string]query.Range) map[string]map[string]query.Range {
	some := map[string]map[string]query.Range{}
	for relation, columns := range all {
		if relation != "" {
			some[relation] = columns
		}
	}
	return some
}

func isRecursive(body map[string]any) bool {
	q, _ := body["query"].(map[string]any)
	node, _ := q["node"].(map[string]any)
	kind, _ := node["type"].(string)
	return kind == "RECURSIVE_CTE_NODE"
}

// table notes a table that the query names.
func (in *inspector) table(m map[string]any, s scope) error {
	name, _ := m["table_name"].(string)
	schema, _ := m["schema_name"].(string)
	catalog, _ := m["catalog_name"].(string)
	if schema != "" || catalog != "" {
		return refused(m, "table %s.%s: tables have no schema here", strings.TrimPrefix(catalog+"."+schema, "."), name)
	}
	if slices.Contains(s.ctes, strings.ToLower(name)) {
		return nil
	}
	ref := query.Reference{Table: name, Bounds: map[string]query.Range{}}
	alias, _ := m["alias"].(string)
	if alias == "" {
		alias = name
	}
	for _, relation := range []string{"", alias} {
		maps.Copy(ref.Bounds, s.bounds[strings.ToLower(relation)])
	}
	in.shape.Tables = append(in.shape.Tables, ref)
	return nil
}
