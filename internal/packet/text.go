package packet

import (
	"strings"
	"unicode/utf8"
)

// maxText bounds a column of a record that holds what a stranger sent.
const maxText = 1024

// text makes a stranger's words fit for a column: valid, bounded, without control characters.
func text[T ~string | ~[]byte](s T) string {
	t := string(s[:min(len(s), maxText)])
	clean := true
	for i := range len(t) {
		if t[i] < ' ' || t[i] >= 0x7f {
			clean = false
			break
		}
	}
	if clean {
		return t
	}
	t = strings.ToValidUTF8(t, string(utf8.RuneError))
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return utf8.RuneError
		}
		return r
	}, t)
}

// join writes a list into one column.
func join(list []string) string { return text(strings.Join(list, ",")) }
