// Package proxy keeps the tenants of one Prometheus apart. So far it has the
// part that rewrites queries; it serves nothing yet.
package proxy

import (
	"errors"
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// maxQuery bounds the text of one query, in bytes.
const maxQuery = 64 << 10

// ErrContradiction is wrapped by the error of a query that asks for another tenant's series.
var ErrContradiction = errors.New("the query asks for series of another tenant")

// Tenant is a label and the one value of it that a client may see.
type Tenant struct{ Label, Value string }

// Enforce returns the query with the tenant's matcher in every selector, as
// parsed and printed. A selector that excludes the tenant is refused, not replaced.
func (t Tenant) Enforce(query string) (string, error) {
	if t.Label == "" || t.Value == "" {
		return "", errors.New("enforce tenant: label or value is empty")
	}
	if len(query) > maxQuery {
		return "", fmt.Errorf("query of %d bytes: want at most %d", len(query), maxQuery)
	}
	p := parser.NewParser(parser.Options{})
	expr, err := p.ParseExpr(query)
	if err != nil {
		return "", fmt.Errorf("parse query: %w", err)
	}
	own, err := labels.NewMatcher(labels.MatchEqual, t.Label, t.Value)
	if err != nil {
		return "", err
	}
	err = parser.Walk(visitor(func(s *parser.VectorSelector) error {
		for _, m := range s.LabelMatchers {
			if m.Name == t.Label && !m.Matches(t.Value) {
				return fmt.Errorf("%w: %s", ErrContradiction, m)
			}
		}
		s.LabelMatchers = append(slices.Clone(s.LabelMatchers), own)
		return nil
	}), expr, nil)
	if err != nil {
		return "", err
	}
	// What is sent is what counts: the printed text is read again and looked over.
	printed := expr.String()
	again, err := p.ParseExpr(printed)
	if err != nil {
		return "", fmt.Errorf("parse rewritten query: %w", err)
	}
	return printed, t.check(again)
}

// check returns an error unless every selector has the tenant's matcher.
func (t Tenant) check(expr parser.Expr) error {
	return parser.Walk(visitor(func(s *parser.VectorSelector) error {
		for _, m := range s.LabelMatchers {
			if m.Type == labels.MatchEqual && m.Name == t.Label && m.Value == t.Value {
				return nil
			}
		}
		return fmt.Errorf("a selector of the rewritten query has no %s", t.Label)
	}), expr, nil)
}

// visitor calls a function on every selector and ends at its first error.
type visitor func(*parser.VectorSelector) error

// Visit is called by parser.Walk.
func (v visitor) Visit(node parser.Node, _ []parser.Node) (parser.Visitor, error) {
	if s, ok := node.(*parser.VectorSelector); ok {
		return v, v(s)
	}
	return v, nil
}
