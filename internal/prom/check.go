package prom

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// CheckRules parses a rule file and returns how many rules it has.
func CheckRules(file string, log *slog.Logger) (n int, err error) {
	groups, errs := rulefmt.ParseFile(file, false, model.UTF8Validation, parser.NewParser(parser.Options{}), log)
	if errs != nil {
		return 0, fmt.Errorf("rule file %q: %w", file, errors.Join(errs...))
	}
	for _, g := range groups.Groups {
		n += len(g.Rules)
	}
	return n, nil
}

// CheckQuery parses an expression.
func CheckQuery(expr string) error {
	_, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	return err
}
