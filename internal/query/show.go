package query

import (
	"slices"
	"strconv"
	"strings"

	"github.com/orielhq/oriel/internal/query/lex"
)

// shown is the SQL that SHOW TABLES stands for, which an engine does not know
// of a lake's tables; ok is false for anything else.
func shown(sql string, tables map[string]Table) (list string, ok bool) {
	sql = strings.TrimSpace(sql)
	if len(sql) > 100 || len(sql) < 4 || !strings.EqualFold(sql[:4], "SHOW") { // nearly every query
		return "", false
	}
	tokens, err := lex.Tokens(sql)
	if err != nil {
		return "", false
	}
	var words []string
	for _, t := range tokens {
		if !t.Blank() && !t.Is(";") {
			words = append(words, strings.ToUpper(t.Text))
		}
		if len(words) > 3 {
			return "", false
		}
	}
	if !slices.Equal(words, []string{"SHOW", "TABLES"}) && !slices.Equal(words, []string{"SHOW", "ALL", "TABLES"}) {
		return "", false
	}
	rows := make([]string, 0, len(tables))
	for _, t := range tables {
		kind, at := "table", "NULL"
		if t.View != "" {
			kind = "view"
		}
		if len(t.Times) > 0 {
			at = quoteString(t.Times[0].Name)
		}
		rows = append(rows, "("+quoteString(t.Name)+", '"+kind+"', "+strconv.Itoa(len(t.Columns))+", "+at+")")
	}
	if len(rows) == 0 {
		return "SELECT 'none' AS name WHERE false", true
	}
	slices.Sort(rows)
	return "SELECT * FROM (VALUES " + strings.Join(rows, ", ") + ") AS tables(name, kind, columns, time_column) ORDER BY name", true
}
