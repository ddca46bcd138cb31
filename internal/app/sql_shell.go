package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/orielhq/oriel/internal/query/lex"
)

// sqlShortcut makes SQL of what psql and DuckDB's shell have short forms for.
func sqlShortcut(text string) (string, error) {
	word, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	if word == "" || word[0] != '\\' && word[0] != '.' {
		return text, nil
	}
	name := strings.Trim(strings.TrimSpace(strings.TrimSuffix(rest, ";")), `"`)
	switch strings.TrimRight(word, "+;") {
	case `\d`, `\dt`, `\dv`, ".tables", ".schema", ".columns":
		if name == "" {
			return "SHOW TABLES", nil
		}
		return `SELECT column_name AS name, column_type AS type FROM (DESCRIBE "` + strings.ReplaceAll(name, `"`, `""`) + `")`, nil
	}
	return "", fmt.Errorf(`%s is not known: there are \d and \d NAME`, word)
}

const sqlShellHelp = `A query ends with ;
\d          the tables
\d NAME     the columns of one
\range 6h   ask for the last six hours
\var a=b    what ${a} stands for; \var a= forgets it
\o FORMAT   print as table, vertical, csv, json, plot or sql
\x          a line for each value, and back
\q          leave
`

// sqlShell asks a person for queries, one after the other.
type sqlShell struct {
	flags  *sqlFlags
	in     *os.File
	out    io.Writer
	screen promqlScreen
}

func (s *sqlShell) run(ctx context.Context) error {
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{s.in, s.out}, "")
	_, _ = fmt.Fprintln(s.out, `\? helps, \q leaves.`)
	var text string
	for {
		if t.SetPrompt("sql> "); text != "" {
			t.SetPrompt("...> ")
		}
		line, err := s.read(t)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("sql: %w", err)
		}
		if text += line + "\n"; strings.TrimSpace(text) == "" {
			text = ""
			continue
		}
		if meta := strings.TrimSpace(text); meta[0] != '\\' && meta[0] != '.' {
			if !complete(text) {
				continue
			}
		} else if done, leave := s.set(meta); leave {
			return nil
		} else if done {
			text = ""
			continue
		}
		if err := s.flags.run(ctx, text, s.out, s.out, s.screen); err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // who interrupts it knows
			}
			_, _ = fmt.Fprintln(s.out, err)
		}
		text = ""
	}
}

// read reads a line. Only then the terminal is raw: a query can be interrupted.
func (s *sqlShell) read(t *term.Terminal) (string, error) {
	fd := int(s.in.Fd())
	was, err := term.MakeRaw(fd)
	if err != nil {
		return "", err
	}
	if width, height, err := term.GetSize(fd); err == nil && width > 0 {
		_ = t.SetSize(width, height)
	}
	line, err := t.ReadLine()
	if errors.Is(err, term.ErrPasteIndicator) {
		err = nil
	}
	return line, errors.Join(err, term.Restore(fd, was))
}

// complete tells whether the text is a whole query: there is a semicolon at its end.
func complete(text string) bool {
	tokens, err := lex.Tokens(text)
	if err != nil {
		return false
	}
	last := lex.Prev(tokens, len(tokens))
	return last >= 0 && tokens[last].Is(";")
}

// set obeys a line that is about the shell itself.
func (s *sqlShell) set(line string) (done, leave bool) {
	word, rest, _ := strings.Cut(strings.TrimSuffix(line, ";"), " ")
	rest = strings.TrimSpace(rest)
	switch word {
	case `\q`, ".quit", ".exit":
		return true, true
	case `\?`, `\h`, ".help":
		_, _ = io.WriteString(s.out, sqlShellHelp)
	case `\x`:
		if s.flags.output == "vertical" {
			s.flags.output = "table"
		} else {
			s.flags.output = "vertical"
		}
	case `\o`, ".mode":
		s.flags.output = rest
	case `\range`:
		s.flags.window, s.flags.from, s.flags.to = rest, "", ""
	case `\var`, `\set`:
		name, _, ok := strings.Cut(rest, "=")
		if !ok {
			_, _ = fmt.Fprintln(s.out, `want \var name=value`)
			return true, false
		}
		s.flags.variables = slices.DeleteFunc(s.flags.variables, func(v string) bool { return strings.HasPrefix(v, name+"=") })
		if rest != name+"=" {
			s.flags.variables = append(s.flags.variables, rest)
		}
	default:
		return false, false
	}
	return true, false
}
