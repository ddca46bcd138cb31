package query

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/orielhq/oriel/internal/query/lex"
)

// node is one query of a request, expanded.
type node struct {
	*Query
	exp       *Expansion
	whole     string   // its SQL with that of all it reads
	err       error    // of this query or of one it reads
	after     []string // the queries it reads, directly
	consumers int      // how many needed queries read it
	needed    bool
}

// link sorts the queries of a request so that each comes after those it reads,
// and marks those that must run: visible ones and what they read.
func link(nodes map[string]*node) []*node {
	var order []*node
	state := map[string]int{} // 1: on the path, 2: done
	var visit func(ref string, path []string) error
	visit = func(ref string, path []string) error {
		n := nodes[ref]
		if state[ref] == 2 {
			return n.err
		}
		state[ref] = 1
		if n.err == nil {
			for _, prev := range n.exp.Prev {
				switch {
				case nodes[prev] == nil:
					n.err = lex.At(n.exp.user, n.exp.prevAt[prev], "$__source_prev(%s): this request has no query %s", prev, prev)
				case state[prev] == 1:
					n.err = lex.At(n.exp.user, n.exp.prevAt[prev], "$__source_prev(%s): the queries %s read each other in a circle", prev, strings.Join(append(path, ref, prev), ", "))
				default:
					if err := visit(prev, append(path, ref)); err != nil {
						n.err = fmt.Errorf("query %s: %w", prev, err)
					}
				}
			}
			n.after = n.exp.Prev
		}
		state[ref] = 2
		order = append(order, n)
		return n.err
	}
	refs := make([]string, 0, len(nodes))
	for ref := range nodes {
		refs = append(refs, ref)
	}
	slices.Sort(refs)
	for _, ref := range refs {
		if state[ref] == 0 {
			_ = visit(ref, nil) // it stands in the node
		}
	}
	for _, n := range slices.Backward(order) {
		n.needed = n.needed || !n.Hide
		if !n.needed || n.err != nil {
			continue
		}
		for _, prev := range n.after {
			nodes[prev].needed = true
			nodes[prev].consumers++
		}
	}
	return order
}

// oneWriter refuses a query that would write what one before it in the order
// writes, and those that read it: which rows stayed would be chance.
func oneWriter(order []*node, nodes map[string]*node) {
	writers := map[string]string{}
	for _, n := range order {
		if !n.needed || n.err != nil {
			continue
		}
		for _, prev := range n.after {
			if err := nodes[prev].err; err != nil {
				n.err = fmt.Errorf("query %s: %w", prev, err)
			}
		}
		if d := n.exp.Dest; n.err == nil && d != nil && d.Suffix != "" {
			name := d.Suffix + "." + d.Format
			if other, taken := writers[name]; taken {
				n.err = lex.At(n.exp.user, n.exp.destAt, "$__dest: query %s writes %q already", other, name)
			}
			writers[name] = n.RefID
		}
	}
}

// shared tells whether a query's rows are kept in a file, as more than one reader wants them.
func (n *node) shared() bool {
	readers := n.consumers
	if !n.Hide && n.consumers > 0 {
		readers++
	}
	return n.consumers > 0 && (readers > 1 || n.exp.Dest != nil)
}

// inline returns the SQL of a query with those that it reads as common table
// expressions in front; except is those that come from elsewhere. All queries
// below stand in one list, so that one read twice runs once.
func inline(n *node, nodes map[string]*node, except func(*node) bool) (string, error) {
	var list []string
	seen := map[string]bool{}
	var add func(n *node)
	add = func(n *node) {
		for _, ref := range n.after {
			prev := nodes[ref]
			if seen[ref] || except(prev) {
				continue
			}
			seen[ref] = true
			add(prev)
			list = append(list, quoteName(prevName(ref))+" AS (\n"+prev.exp.SQL+"\n)")
		}
	}
	add(n)
	if len(list) == 0 {
		return n.exp.SQL, nil
	}
	sql, err := withFirst(strings.Join(list, ",\n"), n.exp.SQL)
	if err == nil && len(sql) > maxExpanded {
		err = errors.New("the chain of queries is too large")
	}
	return sql, err
}

// withFirst puts common table expressions before those a query has itself.
func withFirst(list, sql string) (string, error) {
	tokens, err := lex.Tokens(sql)
	if err != nil {
		return "", err
	}
	i := lex.Next(tokens, 0)
	switch {
	case i == len(tokens):
		return "", errors.New("the query is empty")
	case tokens[i].Is("WITH"):
		if r := lex.Next(tokens, i+1); r < len(tokens) && tokens[r].Is("RECURSIVE") {
			return "WITH RECURSIVE " + list + ",\n" + lex.Text(tokens[r+1:]), nil
		}
		return "WITH " + list + ",\n" + lex.Text(tokens[i+1:]), nil
	case slices.ContainsFunc([]string{"(", "DESCRIBE", "DESC", "SUMMARIZE"}, tokens[i].Is): // WITH cannot stand before them
		return "WITH " + list + "\nSELECT * FROM (\n" + sql + "\n)", nil
	}
	return "WITH " + list + "\n" + sql, nil
}
