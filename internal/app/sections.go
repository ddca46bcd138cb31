package app

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// sections are the parts of the file that go to other programs' parsers as text.
type sections struct {
	prometheus   []byte
	alertmanager []byte
	queryURL     string          // prometheus.query_url, which is ours
	present      map[string]bool // the sections that the file names
}

// findSections cuts `prometheus` and `alertmanager` out of the file. Everything
// else becomes empty lines, so that an error's line number is the file's. data
// has been decoded before and is valid.
func findSections(data []byte) (sections, error) {
	s := sections{present: map[string]bool{}}
	file, err := parser.ParseBytes(data, 0)
	if err != nil || len(file.Docs) == 0 {
		return s, err
	}
	entries := entriesOf(file.Docs[0].Body)
	lines := bytes.SplitAfter(data, []byte("\n"))
	for i, entry := range entries {
		name := entry.Key.GetToken().Value
		s.present[name] = true
		if name != "prometheus" && name != "alertmanager" {
			continue
		}
		end := len(lines)
		if i+1 < len(entries) {
			end = entries[i+1].Key.GetToken().Position.Line - 1
		}
		text, err := cut(lines, entry, end)
		if err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
		if name == "alertmanager" {
			s.alertmanager = text
			continue
		}
		s.prometheus = s.takeQueryURL(text, entry.Value)
	}
	return s, nil
}

// cut returns the lines of a section's value, with empty lines before.
func cut(lines [][]byte, entry *ast.MappingValueNode, end int) ([]byte, error) {
	if _, empty := entry.Value.(*ast.NullNode); empty {
		return nil, nil
	}
	start := entry.Key.GetToken().Position.Line
	if entry.Value.GetToken().Position.Line == start {
		// {a: 1} on the key's own line, or an alias, which would point outside of the text.
		m, ok := entry.Value.(*ast.MappingNode)
		if !ok || !m.IsFlowStyle {
			return nil, fmt.Errorf("line %d: must be a mapping of its own, not an anchor or alias", start)
		}
		return []byte(strings.Repeat("\n", start-1) + m.String() + "\n"), nil
	}
	return append(bytes.Repeat([]byte("\n"), start), bytes.Join(lines[start:end], nil)...), nil
}

// takeQueryURL removes the one key that is not Prometheus' own.
func (s *sections) takeQueryURL(text []byte, value ast.Node) []byte {
	if m, ok := value.(*ast.MappingNode); ok && m.IsFlowStyle {
		return text // on one line there is nothing to take out: Prometheus will refuse the key
	}
	for _, entry := range entriesOf(value) {
		key := entry.Key.GetToken()
		if key.Value != "query_url" {
			continue
		}
		s.queryURL = entry.Value.GetToken().Value
		lines := bytes.SplitAfter(text, []byte("\n"))
		lines[key.Position.Line-1] = []byte("\n")
		return bytes.Join(lines, nil)
	}
	return text
}

// entriesOf returns the keys and values of a mapping.
func entriesOf(node ast.Node) []*ast.MappingValueNode {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}
