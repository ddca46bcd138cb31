// Package lex cuts SQL into tokens, far enough to know what is text, name or
// comment. It knows the dialects of DuckDB and Trino and the habits of Spark
// SQL that IBM's plug-in brought along: `quoted` names, $__macros and ${variables}.
package lex

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind says what a token is.
type Kind uint8

// The kinds of tokens.
const (
	Space   Kind = iota
	Comment      // -- to the end of the line, or /* nested */
	String       // 'text', E'text' or $tag$text$tag$
	Quoted       // "name" or `name`
	Name         // a word: keyword, name of a column or function
	Number
	Macro    // $__name
	Variable // ${name}, ${name:format}, [[name]] or $name
	Other    // one character: an operator or punctuation
)

// Token is a piece of the text. The texts of all tokens, joined, are the text.
type Token struct {
	Kind Kind
	Text string
	Pos  int // bytes before it
}

// Is tells whether the token is the word (in any case) or the character.
func (t Token) Is(word string) bool {
	return (t.Kind == Name || t.Kind == Other) && strings.EqualFold(t.Text, word)
}

// Blank tells whether the token is space or comment.
func (t Token) Blank() bool { return t.Kind == Space || t.Kind == Comment }

// Unquote returns the name that a Name or Quoted token stands for.
func (t Token) Unquote() string {
	if t.Kind != Quoted || len(t.Text) < 2 {
		return t.Text
	}
	q := t.Text[:1]
	return strings.ReplaceAll(t.Text[1:len(t.Text)-1], q+q, q)
}

// Error is a fault at a place of the text.
type Error struct {
	Line, Column int // from 1; the column counts characters
	Msg          string
}

func (e *Error) Error() string { return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Msg) }

// At makes an error at byte pos of the text.
func At(text string, pos int, format string, args ...any) error {
	pos = max(0, min(pos, len(text)))
	before := text[:pos]
	line := strings.Count(before, "\n") + 1
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	return &Error{Line: line, Column: column, Msg: fmt.Sprintf(format, args...)}
}

// maxDepth bounds brackets in brackets: both engines' parsers give up at some
// thousands, and nobody writes so many.
const maxDepth = 5000

// Tokens cuts the text. A string, name or comment that does not end is an error,
// and so are brackets nested too deeply.
func Tokens(text string) ([]Token, error) {
	if i := strings.IndexByte(text, 0); i >= 0 {
		return nil, At(text, i, "a zero byte")
	}
	if !utf8.ValidString(text) {
		return nil, At(text, firstInvalid(text), "not UTF-8")
	}
	var tokens []Token
	depth := 0
	for pos := 0; pos < len(text); {
		kind, n, fault := next(text[pos:])
		if kind == Other {
			switch text[pos] {
			case '(', '[', '{':
				if depth++; depth > maxDepth {
					fault = "brackets nested more than " + strconv.Itoa(maxDepth) + " deep"
				}
			case ')', ']', '}':
				depth--
			}
		}
		if fault != "" {
			return nil, At(text, pos, "%s", fault)
		}
		tokens = append(tokens, Token{kind, text[pos : pos+n], pos})
		pos += n
	}
	return tokens, nil
}

func firstInvalid(s string) int {
	for i, r := range s {
		if _, n := utf8.DecodeRuneInString(s[i:]); r == utf8.RuneError && n == 1 {
			return i
		}
	}
	return len(s)
}

// next returns the kind and length of the token that s begins with.
func next(s string) (kind Kind, n int, fault string) {
	c := s[0]
	switch {
	case isSpace(c):
		return Space, span(s, isSpace), ""
	case strings.HasPrefix(s, "--"):
		if end := strings.IndexAny(s, "\r\n"); end >= 0 {
			return Comment, end, ""
		}
		return Comment, len(s), ""
	case strings.HasPrefix(s, "/*"):
		return block(s)
	case c == '\'':
		return quoted(s, 0, false)
	case (c == 'e' || c == 'E') && len(s) > 1 && s[1] == '\'':
		return quoted(s, 1, true)
	case c == '"' || c == '`':
		return quoted(s, 0, false)
	case c == '$':
		return dollar(s)
	case strings.HasPrefix(s, "[["):
		// Not a search for the end: many beginnings without one would cost the square of their number.
		n := 2 + span(s[2:], func(c byte) bool { return isWord(c) && c < utf8.RuneSelf || c == '.' || c == ':' })
		if n > 2 && isWord(s[2]) && strings.HasPrefix(s[n:], "]]") {
			return Variable, n + 2, ""
		}
		return Other, 1, ""
	case isDigit(c) || c == '.' && len(s) > 1 && isDigit(s[1]):
		return Number, number(s), ""
	case isWord(c):
		return Name, span(s, isWord), ""
	}
	return Other, 1, ""
}

const wordAndFormat = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:"

func quoted(s string, skip int, escapes bool) (kind Kind, n int, fault string) {
	q := s[skip]
	for i := skip + 1; i < len(s); i++ {
		switch {
		case escapes && s[i] == '\\':
			i++
		case s[i] == q && i+1 < len(s) && s[i+1] == q:
			i++
		case s[i] == q && q == '\'':
			return String, i + 1, ""
		case s[i] == q:
			return Quoted, i + 1, ""
		}
	}
	if q == '\'' {
		return 0, 0, "a string that does not end"
	}
	return 0, 0, "a quoted name that does not end"
}

// block is a comment with comments inside.
func block(s string) (kind Kind, n int, fault string) {
	depth := 0
	for i := 0; i+1 < len(s); i++ {
		switch s[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
			if depth == 0 {
				return Comment, i + 1, ""
			}
		}
	}
	return 0, 0, "a comment that does not end"
}

// dollar is what begins with one: a macro, a variable, a string in dollar
// quotes, or a parameter ($1), which is a character and a number.
func dollar(s string) (kind Kind, n int, fault string) {
	word := span(s[1:], isWord)
	switch {
	case strings.HasPrefix(s, "${"):
		end := strings.IndexByte(s, '}')
		if end < 0 || end == 2 || strings.Trim(s[2:end], wordAndFormat) != "" {
			return 0, 0, "${ without a name and }"
		}
		return Variable, end + 1, ""
	case strings.HasPrefix(s, "$__") && word > 2:
		return Macro, 1 + word, ""
	case 1+word < len(s) && s[1+word] == '$' && (word == 0 || !isDigit(s[1])):
		tag := s[:2+word]
		if end := strings.Index(s[len(tag):], tag); end >= 0 {
			return String, end + 2*len(tag), ""
		}
		return 0, 0, "a string in dollar quotes that does not end"
	case word > 0 && !isDigit(s[1]):
		return Variable, 1 + word, ""
	}
	return Other, 1, ""
}

func number(s string) int {
	n := span(s, func(c byte) bool { return isDigit(c) || c == '.' || c == '_' || c|32 >= 'a' && c|32 <= 'z' })
	if n < len(s) && n > 1 && (s[n] == '-' || s[n] == '+') && s[n-1]|32 == 'e' && strings.Trim(s[:n-1], "0123456789._") == "" {
		n += 1 + span(s[n+1:], isDigit)
	}
	return n
}

func span(s string, in func(byte) bool) int {
	for i := range len(s) {
		if !in(s[i]) {
			return i
		}
	}
	return len(s)
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isWord takes all characters beyond ASCII as letters, as both engines do.
func isWord(c byte) bool {
	return c == '_' || isDigit(c) || c|32 >= 'a' && c|32 <= 'z' || c >= utf8.RuneSelf
}
