package lex

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTokensKnowTextFromNames(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want []Token
	}{
		{"a'b''$__x'c", []Token{{Name, "a", 0}, {String, "'b''$__x'", 1}, {Name, "c", 10}}},
		{`E'\'$__x'`, []Token{{String, `E'\'$__x'`, 0}}},
		{`"a""b"`, []Token{{Quoted, `"a""b"`, 0}}},
		{"`a`", []Token{{Quoted, "`a`", 0}}},
		{"-- $__x\n1", []Token{{Comment, "-- $__x", 0}, {Space, "\n", 7}, {Number, "1", 8}}},
		{"/* /* */ $__x */", []Token{{Comment, "/* /* */ $__x */", 0}}},
		{"$$ $__x $$", []Token{{String, "$$ $__x $$", 0}}},
		{"$t$ $$ $t$", []Token{{String, "$t$ $$ $t$", 0}}},
		{"$__source(", []Token{{Macro, "$__source", 0}, {Other, "(", 9}}},
		{"${a:raw}", []Token{{Variable, "${a:raw}", 0}}},
		{"[[a]]", []Token{{Variable, "[[a]]", 0}}},
		{"[[1,2]]", []Token{{Other, "[", 0}, {Other, "[", 1}, {Number, "1", 2}, {Other, ",", 3}, {Number, "2", 4}, {Other, "]", 5}, {Other, "]", 6}}},
		{"1e-3-2", []Token{{Number, "1e-3", 0}, {Other, "-", 4}, {Number, "2", 5}}},
		{"$1", []Token{{Other, "$", 0}, {Number, "1", 1}}},
	} {
		got, err := Tokens(tt.in)
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("Tokens(%q): %v (-want +got):\n%s", tt.in, err, diff)
		}
	}
}

func TestFaultsHaveAPlace(t *testing.T) {
	for in, want := range map[string]string{
		"é\n 'x":                    "line 2, column 2: a string that does not end",
		"é \"x":                     "line 1, column 3: a quoted name that does not end",
		"a/* /**/":                  "line 1, column 2: a comment that does not end",
		"$a$ x $b":                  "line 1, column 1: a string in dollar quotes that does not end",
		"${}":                       "line 1, column 1: ${ without a name and }",
		"a\x00":                     "line 1, column 2: a zero byte",
		"a\xff":                     "line 1, column 2: not UTF-8",
		strings.Repeat("([{", 2000): "line 1, column 5001: brackets nested more than 5000 deep",
	} {
		if _, err := Tokens(in); err == nil || err.Error() != want {
			t.Errorf("Tokens(%q) = %v; want %s", in, err, want)
		}
	}
}

// FuzzTokens: the tokens are the text, wholly and in order.
func FuzzTokens(f *testing.F) {
	for _, s := range []string{"SELECT 'a', \"b\", $$c$$ -- d\n FROM $__source /* e */ WHERE $__timeFilter() AND x = ${y:raw} AND [[z]]", "E'\\'", "1e+5", "`x`"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tokens, err := Tokens(s)
		if err != nil {
			return
		}
		if Text(tokens) != s {
			t.Errorf("Text(Tokens(%q)) = %q", s, Text(tokens))
		}
		for i, tok := range tokens {
			if tok.Text == "" || !strings.HasPrefix(s[tok.Pos:], tok.Text) {
				t.Errorf("token %d of %q = %+v", i, s, tok)
			}
		}
	})
}

// TestWorkGrowsWithTheText, and not with its square: a text of what could be the
// beginning of something is cut as fast as any other.
func TestWorkGrowsWithTheText(t *testing.T) {
	for _, piece := range []string{"[[a", "[[a ", "[[a:", "$a", "$ ", "e'' ", "1e", "/ * ", "- ", "\r", ". "} {
		text := strings.Repeat(piece, 2<<20/len(piece)) + "]]"
		done := make(chan error, 1)
		go func() {
			_, err := Tokens(text)
			done <- err
		}()
		select {
		case <-done:
		case <-time.After(30 * time.Second): // a second is enough
			t.Fatalf("%q again and again: it does not end", piece)
		}
	}
}
