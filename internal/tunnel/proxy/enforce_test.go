package proxy

import (
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

func TestEnforce(t *testing.T) {
	acme := Tenant{"company_name", `acme "1"`}
	for _, tt := range []struct{ query, want string }{
		{`up`, `up{company_name="acme \"1\""}`},
		{`sum(rate(a[5m])) / b`, `sum(rate(a{company_name="acme \"1\""}[5m])) / b{company_name="acme \"1\""}`},
		{`max_over_time(a[1h:1m] offset 1d)`, `max_over_time(a{company_name="acme \"1\""}[1h:1m] offset 1d)`},
		{`{company_name=~"acme.*",x="1"}`, `{company_name="acme \"1\"",company_name=~"acme.*",x="1"}`},
		{`up{company_name="acme \"1\""} + b`, `up{company_name="acme \"1\""} + b{company_name="acme \"1\""}`},
		{`1 + 1`, `1 + 1`},
	} {
		if got, err := acme.Enforce(tt.query); err != nil || got != tt.want {
			t.Errorf("Enforce(%q) = %q, %v; want %q", tt.query, got, err, tt.want)
		}
	}
	for _, query := range []string{`up{company_name="other"}`, `up{company_name!="acme \"1\""}`, `a or b{company_name=~"o.*"}`, `absent(up{company_name=""})`} {
		if got, err := acme.Enforce(query); !errors.Is(err, ErrContradiction) {
			t.Errorf("Enforce(%q) = %q, %v; want a contradiction", query, got, err)
		}
	}
	for _, query := range []string{``, `up{`, strings.Repeat("a+", maxQuery) + "a"} {
		if _, err := acme.Enforce(query); err == nil {
			t.Errorf("Enforce(%.20q): no error", query)
		}
	}
}

// FuzzEnforce: either an error, or every selector of what would be sent carries the tenant.
func FuzzEnforce(f *testing.F) {
	for _, seed := range []string{
		`up`, `{__name__=~".+"}`, `a{b="c"}[5m:1m] @ end()`, `{"quoted.name", x="1"}`, `label_replace(a,"company_name","x","","")`,
		`a * on (company_name) group_left (b) c`, `count({company_name=~".*"})`, `up{company_name="o"}`, `-(a unless b)`, `"text"`,
	} {
		f.Add(seed, `acme "1"\`)
	}
	f.Fuzz(func(t *testing.T, query, value string) {
		tenant := Tenant{"company_name", value}
		got, err := tenant.Enforce(query)
		if err != nil {
			return
		}
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(got)
		if err != nil {
			t.Fatalf("%q became %q: %v", query, got, err)
		}
		for _, selector := range parser.ExtractSelectors(expr) {
			found := false
			for _, m := range selector {
				found = found || m.Type == labels.MatchEqual && m.Name == tenant.Label && m.Value == value
			}
			if !found {
				t.Errorf("%q became %q: a selector has no tenant", query, got)
			}
		}
	})
}
