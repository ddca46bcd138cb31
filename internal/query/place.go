package query

import (
	"errors"
	"slices"
	"strings"

	"github.com/orielhq/oriel/internal/query/lex"
)

// EngineError is what an engine says about a statement, without its own words
// about where.
type EngineError struct {
	Msg string
	// Offset is the byte of the statement's SQL that it is about; negative if the engine does not tell.
	Offset int
}

func (e *EngineError) Error() string { return e.Msg }

// mark says that the SQL from out on was made of the user's text from in on:
// it is that text, or what stands for it.
type mark struct {
	out, in int
	same    bool
}

func (e *Expansion) mark(out, in int, same bool) {
	if n := len(e.marks); same && n > 0 && e.marks[n-1].same && e.marks[n-1].in+out-e.marks[n-1].out == in {
		return // it goes on
	}
	e.marks = append(e.marks, mark{out, in, same})
}

// origin returns where in the user's text the byte of the SQL comes from.
func (e *Expansion) origin(out int) (in int, ok bool) {
	if e.SQL != e.made { // the time-series dialect was rewritten: nothing is where it was
		return 0, false
	}
	i, found := slices.BinarySearchFunc(e.marks, out, func(m mark, out int) int { return m.out - out })
	if !found {
		i--
	}
	if i < 0 {
		return 0, false
	}
	if m := e.marks[i]; m.same {
		return m.in + out - m.out, true
	}
	return e.marks[i].in, true
}

// place puts the position in the user's text to an engine's error about a.SQL,
// which is the query with those that it reads in front.
func (a *Answer) place(err error) error {
	e, ok := errors.AsType[*EngineError](err)
	if !ok || e.Offset < 0 || e.Offset > len(a.SQL) || a.group == nil {
		return err
	}
	for ref, n := range a.group.nodes {
		if n.exp == nil || ref == a.Query.RefID {
			continue
		}
		text := quoteName(prevName(ref)) + " AS (\n"
		begin := strings.Index(a.SQL, text+n.exp.SQL+"\n)")
		if begin < 0 {
			continue
		}
		if at := e.Offset - begin - len(text); at >= 0 && at <= len(n.exp.SQL) {
			if in, ok := n.exp.origin(at); ok {
				return lex.At(n.exp.user, in, "query %s: %s", ref, e.Msg)
			}
			return err
		}
	}
	own := a.group.nodes[a.Query.RefID].exp
	at := len(own.SQL) - (len(a.SQL) - e.Offset) // what is put in front leaves the end as it is
	if strings.HasSuffix(a.SQL, own.SQL+"\n)") { // but for a query in brackets
		at += len("\n)")
	}
	if in, ok := own.origin(at); ok && at >= 0 {
		return lex.At(own.user, in, "%s", e.Msg)
	}
	return err
}

// tableAt returns where a statement names a table first, or -1.
func tableAt(sql, table string) int {
	tokens, err := lex.Tokens(sql)
	if err != nil {
		return -1
	}
	for _, before := range [][]string{{"FROM", "JOIN", "TABLE", "DESCRIBE", "SUMMARIZE", "SHOW"}, {","}} { // of lists, what is in doubt comes last
		for i, t := range tokens {
			name := t.Unquote()
			if t.Kind == lex.String {
				name = strings.Trim(name, "'")
			}
			if name != table || t.Kind != lex.Name && t.Kind != lex.Quoted && t.Kind != lex.String {
				continue
			}
			if p := lex.Prev(tokens, i); p >= 0 && slices.ContainsFunc(before, tokens[p].Is) {
				return t.Pos
			}
		}
	}
	return -1
}
