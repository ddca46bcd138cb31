//go:build cgo

package query_test

import (
	"strings"
	"testing"

	"github.com/orielhq/oriel/internal/query"
)

func TestFiltersHoldForTheSource(t *testing.T) {
	s, _, _ := service(t, nil)
	count := func(filters ...query.Filter) string {
		t.Helper()
		req := request(query.Query{RefID: "A", SQL: "SELECT count(*) AS n FROM $__source AS s WHERE $__timeFilterColumn(start_time)"})
		req.Filters = filters
		return rows(t, s, req)
	}
	all := count()
	for _, tt := range []struct {
		name  string
		sql   string
		given []query.Filter
	}{
		{"equal", "action = 'rejected'", []query.Filter{{Key: "action", Operator: "=", Value: "rejected"}}},
		{"two", "action = 'rejected' AND target_ip <> '192.168.0.1'", []query.Filter{{Key: "action", Operator: "=", Value: "rejected"}, {Key: "target_ip", Operator: "!=", Value: "192.168.0.1"}}},
		{"number", "target_port >= 443", []query.Filter{{Key: "target_port", Operator: ">=", Value: "443"}}},
		{"pattern", "initiator_ip LIKE '%.3'", []query.Filter{{Key: "initiator_ip", Operator: "=~", Value: `10\..*\.3`}}},
		{"no pattern", "initiator_ip NOT LIKE '%.3'", []query.Filter{{Key: "initiator_ip", Operator: "!~", Value: `.*\.3`}}},
		{"one of", "initiator_ip IN ('10.0.0.1', '10.0.0.2')", []query.Filter{{Key: "initiator_ip", Operator: "=|", Values: []string{"10.0.0.1", "10.0.0.2"}}}},
		{"none of", "initiator_ip NOT IN ('10.0.0.1', '10.0.0.2')", []query.Filter{{Key: "initiator_ip", Operator: "!=|", Values: []string{"10.0.0.1", "10.0.0.2"}}}},
		{"quotes", "false", []query.Filter{{Key: "action", Operator: "=", Value: "' OR true --"}}},
	} {
		want := rows(t, s, request(query.Query{RefID: "A", SQL: "SELECT count(*) AS n FROM $__source AS s WHERE $__timeFilterColumn(start_time) AND " + tt.sql}))
		if got := count(tt.given...); got != want || got == all && tt.name != "number" {
			t.Errorf("%s: %s; want %s (all %s)", tt.name, got, want, all)
		}
	}
	for text, f := range map[string]query.Filter{
		`no column "nosuch"`:       {Key: "nosuch", Operator: "=", Value: "x"},
		`operator "OR 1=1" is not`: {Key: "action", Operator: "OR 1=1", Value: "x"},
		"error parsing regexp":     {Key: "action", Operator: "=~", Value: "("},
	} {
		req := request(query.Query{RefID: "A", SQL: "SELECT 1"})
		req.Filters = []query.Filter{f}
		if _, done, err := s.Do(t.Context(), req); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: error %v; want one with %q", f, err, text)
		} else if done != nil {
			done()
		}
	}
}

func TestSourceAndDestinationOfARequest(t *testing.T) {
	s, l, _ := service(t, nil)
	req := request(query.Query{RefID: "A", SQL: "SELECT count(*) AS n FROM $__source INTO $__dest(csv, total)"})
	req.Source, req.Dest = "flows", "grafana/team"
	if got := rows(t, s, req); got != "[[240]]" {
		t.Errorf("rows %s", got)
	}
	if _, ok := l.copies["grafana/team/total.csv"]; !ok {
		t.Errorf("written: %v", l.copies)
	}
	for _, bad := range []query.Request{{Source: "nosuch"}, {Dest: "../x"}, {Dest: "/x"}, {Dest: "a/../../b"}} {
		req := request(query.Query{RefID: "A", SQL: "SELECT 1"})
		req.Source, req.Dest = bad.Source, bad.Dest
		if _, _, err := s.Do(t.Context(), req); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}
