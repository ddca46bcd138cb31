package filter

import (
	"errors"
	"fmt"
	"strings"
)

// lex cuts an expression into words and signs.
func lex(text string) ([]string, error) {
	var out []string
	brackets := 0
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case isWord(c) || c == '\\' || (c == ':' && brackets == 0 && strings.HasPrefix(text[i:], "::")):
			start := i
			for i < len(text) && inWord(text, start, i, brackets > 0) {
				i++
			}
			out = append(out, text[start:i])
		default:
			n := 1
			if i+1 < len(text) {
				switch text[i : i+2] {
				case "&&", "||", "==", "!=", "<=", ">=", "<<", ">>":
					n = 2
				}
			}
			if !strings.ContainsRune("()[]!=<>+-*/&|^:%", rune(c)) {
				return nil, fmt.Errorf("unexpected %q", c)
			}
			switch c {
			case '[':
				brackets++
			case ']':
				brackets--
			}
			out = append(out, text[i:i+n])
			i += n
		}
		if len(out) > maxText/2 {
			return nil, errors.New("too long")
		}
	}
	return out, nil
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

// inWord tells whether the byte at i belongs to the word that begins at start.
// A colon does in an address, a hyphen in a name.
func inWord(text string, start, i int, brackets bool) bool {
	c := text[i]
	switch {
	case isWord(c) || c == '.' || c == '\\' && i == start:
		return true
	case c == ':':
		return !brackets && strings.Trim(text[start:i], "0123456789abcdefABCDEF:.") == ""
	case c == '-':
		first := text[start]
		return (first >= 'a' && first <= 'z' || first == '\\') && i+1 < len(text) && isWord(text[i+1])
	}
	return false
}
