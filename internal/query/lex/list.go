package lex

import "strings"

// Next returns the index of the first token from i on that is neither space nor comment, or len(tokens).
func Next(tokens []Token, i int) int {
	for i < len(tokens) && tokens[i].Blank() {
		i++
	}
	return i
}

// Prev returns the index of the last token before i that is neither space nor comment, or -1.
func Prev(tokens []Token, i int) int {
	for i--; i >= 0 && tokens[i].Blank(); i-- {
	}
	return i
}

// Close returns the index of the bracket that closes the one at open, or -1.
func Close(tokens []Token, open int) int {
	depth := 0
	for i := open; i < len(tokens); i++ {
		if tokens[i].Kind != Other {
			continue
		}
		switch tokens[i].Text {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// Split cuts tokens at the commas outside of brackets.
func Split(tokens []Token) [][]Token {
	if Next(tokens, 0) == len(tokens) {
		return nil
	}
	var parts [][]Token
	depth, from := 0, 0
	for i, t := range tokens {
		if t.Kind != Other {
			continue
		}
		switch t.Text {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			depth--
		case ",":
			if depth == 0 {
				parts = append(parts, tokens[from:i])
				from = i + 1
			}
		}
	}
	return append(parts, tokens[from:])
}

// Text joins tokens.
func Text(tokens []Token) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(t.Text)
	}
	return b.String()
}

// Trim takes blank tokens from both ends.
func Trim(tokens []Token) []Token {
	from := Next(tokens, 0)
	return tokens[from : max(from-1, Prev(tokens, len(tokens)))+1]
}
