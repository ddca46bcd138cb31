package proxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// maxQuery bounds the text of one query, in bytes.
const maxQuery = 64 << 10

// ErrContradiction is wrapped by the error of a query that asks for another tenant's series.
var ErrContradiction = errors.New("the query asks for series of another tenant")

// errHidden is wrapped by the error of a query that names a label that tenants do not see.
var errHidden = errors.New("label is not shown")

// Tenant is a label and the one value of it that a client may see.
type Tenant struct{ Label, Value string }

// rules are what a query must keep to beside the tenant.
type rules struct {
	hidden   []string      // labels that it may not name
	maxRange time.Duration // of one selector or subquery; 0: any
}

// Enforce returns the query with the tenant's matcher in every selector, as
// parsed and printed. A selector that excludes the tenant is refused, not replaced.
func (t Tenant) Enforce(query string) (string, error) { return t.enforce(query, rules{}) }

func (t Tenant) enforce(query string, r rules) (string, error) {
	own, err := t.matcher()
	if err != nil {
		return "", err
	}
	if len(query) > maxQuery {
		return "", fmt.Errorf("query of %d bytes: want at most %d", len(query), maxQuery)
	}
	p := parser.NewParser(parser.Options{})
	expr, err := p.ParseExpr(query)
	if err != nil {
		return "", fmt.Errorf("parse query: %w", err)
	}
	err = parser.Walk(visitor(func(node parser.Node) error {
		if err := r.check(node); err != nil {
			return err
		}
		s, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		if err := t.allows(s.LabelMatchers); err != nil {
			return err
		}
		if !t.in(s.LabelMatchers) { // twice it would be looked up twice
			s.LabelMatchers = append(slices.Clone(s.LabelMatchers), own)
		}
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

// Selector returns a series selector (match[]) with the tenant's matcher.
func (t Tenant) Selector(selector string) (string, error) { return t.selector(selector, rules{}) }

func (t Tenant) selector(selector string, r rules) (string, error) {
	own, err := t.matcher()
	if err != nil {
		return "", err
	}
	if selector == "" {
		return "{" + own.String() + "}", nil
	}
	if len(selector) > maxQuery {
		return "", fmt.Errorf("selector of %d bytes: want at most %d", len(selector), maxQuery)
	}
	p := parser.NewParser(parser.Options{})
	matchers, err := p.ParseMetricSelector(selector)
	if err != nil {
		return "", fmt.Errorf("parse selector: %w", err)
	}
	if err := t.allows(matchers); err != nil {
		return "", err
	}
	var parts []string
	if !t.in(matchers) {
		matchers = append(matchers, own)
	}
	for _, m := range matchers {
		if slices.Contains(r.hidden, m.Name) {
			return "", fmt.Errorf("%w: %q", errHidden, m.Name)
		}
		parts = append(parts, m.String())
	}
	printed := "{" + strings.Join(parts, ",") + "}"
	again, err := p.ParseMetricSelector(printed)
	if err != nil {
		return "", fmt.Errorf("parse rewritten selector: %w", err)
	}
	if !t.in(again) {
		return "", fmt.Errorf("the rewritten selector has no %s", t.Label)
	}
	return printed, nil
}

func (t Tenant) matcher() (*labels.Matcher, error) {
	if t.Label == "" || t.Value == "" {
		return nil, errors.New("enforce tenant: label or value is empty")
	}
	return labels.NewMatcher(labels.MatchEqual, t.Label, t.Value)
}

// allows returns an error if the matchers exclude the tenant.
func (t Tenant) allows(matchers []*labels.Matcher) error {
	for _, m := range matchers {
		if m.Name == t.Label && !m.Matches(t.Value) {
			return fmt.Errorf("%w: %s", ErrContradiction, m)
		}
	}
	return nil
}

// in tells whether the tenant's matcher is among them.
func (t Tenant) in(matchers []*labels.Matcher) bool {
	return slices.ContainsFunc(matchers, func(m *labels.Matcher) bool {
		return m.Type == labels.MatchEqual && m.Name == t.Label && m.Value == t.Value
	})
}

// check returns an error unless every selector has the tenant's matcher.
func (t Tenant) check(expr parser.Expr) error {
	return parser.Walk(visitor(func(node parser.Node) error {
		if s, ok := node.(*parser.VectorSelector); ok && !t.in(s.LabelMatchers) {
			return fmt.Errorf("a selector of the rewritten query has no %s", t.Label)
		}
		return nil
	}), expr, nil)
}

// check looks at one part of a query.
func (r rules) check(node parser.Node) error {
	var span time.Duration
	var names []string
	switch n := node.(type) {
	case *parser.MatrixSelector:
		span = n.Range
	case *parser.SubqueryExpr:
		span = n.Range
	case *parser.VectorSelector:
		for _, m := range n.LabelMatchers {
			names = append(names, m.Name)
		}
	case *parser.AggregateExpr:
		names = n.Grouping
	case *parser.BinaryExpr:
		if n.VectorMatching != nil {
			names = append(slices.Clone(n.VectorMatching.MatchingLabels), n.VectorMatching.Include...)
		}
	case *parser.StringLiteral: // label_replace, label_join, sort_by_label and count_values name labels by text
		names = []string{n.Val}
	}
	if r.maxRange > 0 && span > r.maxRange {
		return fmt.Errorf("a range of %s: want at most %s", span, r.maxRange)
	}
	for _, name := range names {
		if slices.Contains(r.hidden, name) {
			return fmt.Errorf("%w: %q", errHidden, name)
		}
	}
	return nil
}

// visitor calls a function on every node and ends at its first error.
type visitor func(parser.Node) error

// Visit is called by parser.Walk.
func (v visitor) Visit(node parser.Node, _ []parser.Node) (parser.Visitor, error) {
	if node == nil {
		return v, nil
	}
	return v, v(node)
}
