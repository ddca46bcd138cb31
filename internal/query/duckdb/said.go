package duckdb

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/orielhq/oriel/internal/query"
)

// said makes an error of what DuckDB says. It may end in "LINE 3: ..." and a
// caret below, which become a place in the statement.
func said(msg, statement string) *query.EngineError {
	e := &query.EngineError{Msg: strings.TrimSpace(msg), Offset: -1}
	for _, prefix := range []string{"Parser Error: ", "Binder Error: ", "Catalog Error: "} {
		e.Msg = strings.TrimPrefix(e.Msg, prefix)
	}
	if strings.HasPrefix(e.Msg, "Out of Memory") { // what follows is advice for another's settings
		e.Msg, _, _ = strings.Cut(e.Msg, "\n")
		return e
	}
	at := strings.LastIndex(e.Msg, "\nLINE ")
	if at < 0 {
		return e
	}
	shown := strings.SplitN(e.Msg[at+1:], "\n", 3)
	head, text, ok := strings.Cut(shown[0], ": ")
	line, err := strconv.Atoi(strings.TrimPrefix(head, "LINE "))
	if len(shown) < 2 || !ok || err != nil || line < 1 || strings.TrimSpace(shown[1]) != "^" {
		return e
	}
	e.Msg = strings.TrimSpace(e.Msg[:at])
	lines := strings.SplitAfter(statement, "\n")
	if line > len(lines) {
		return e
	}
	// A long line is shown in part, between dots.
	caret := utf8.RuneCountInString(shown[1]) - 1 - utf8.RuneCountInString(head) - 2
	part := []rune(text)
	if caret < 0 || caret > len(part) {
		return e
	}
	before, part2 := string(part[:caret]), string(part[caret:])
	whole := strings.TrimSuffix(lines[line-1], "\n")
	from := 0
	if cut := strings.TrimPrefix(before, "..."); cut != before && !strings.HasPrefix(whole, "...") {
		if from = strings.Index(whole, cut+strings.TrimSuffix(part2, "...")); from < 0 {
			return e
		}
		before = cut
	}
	e.Offset = from + len(before)
	for _, l := range lines[:line-1] {
		e.Offset += len(l)
	}
	return e
}
