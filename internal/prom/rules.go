package prom

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
)

// builtinPrefix marks rule files that are in the program.
const builtinPrefix = "builtin:"

// newRules returns the rule manager, with Prometheus' own defaults.
func newRules(ctx context.Context, e *Engine, p parser.Parser) *rules.Manager {
	return rules.NewManager(&rules.ManagerOptions{
		NameValidationScheme: model.UTF8Validation,
		Appendable:           e.fanout,
		Queryable:            e.db,
		QueryFunc:            rules.EngineQueryFunc(e.query, e.fanout),
		NotifyFunc:           rules.SendAlerts(e.notifier, e.external.String()),
		Context:              ctx,
		ExternalURL:          e.external,
		Registerer:           e.registry,
		Logger:               e.log,
		OutageTolerance:      time.Hour,
		ForGracePeriod:       10 * time.Minute,
		ResendDelay:          time.Minute,
		MaxConcurrentEvals:   4,
		GroupLoader:          &ruleLoader{builtin: e.cfg.Rules, parser: p, log: e.log},
		// A group that a reload brings must find its pending alerts again.
		RestoreNewRuleGroups: true,
		DefaultRuleQueryOffset: func() time.Duration {
			return time.Duration(e.current.Load().prometheus.GlobalConfig.RuleQueryOffset)
		},
		Parser: p,
	})
}

// ruleLoader reads rule files, our own ones from the program itself.
type ruleLoader struct {
	builtin fs.FS
	parser  parser.Parser
	log     *slog.Logger
}

// Load reads one file.
func (l *ruleLoader) Load(name string, ignoreUnknown bool, scheme model.ValidationScheme) (*rulefmt.RuleGroups, []error) {
	builtin, ok := strings.CutPrefix(name, builtinPrefix)
	if !ok {
		return rulefmt.ParseFile(name, ignoreUnknown, scheme, l.parser, l.log)
	}
	data, err := fs.ReadFile(l.builtin, builtin)
	if err != nil {
		return nil, []error{fmt.Errorf("read built-in rules: %w", err)}
	}
	return rulefmt.Parse(data, ignoreUnknown, scheme, l.parser, l.log)
}

// Parse parses one expression.
func (l *ruleLoader) Parse(query string) (parser.Expr, error) { return l.parser.ParseExpr(query) }

// ruleFiles returns the rule files of a plan: the built-in ones and those on disk that the user's patterns match.
func (p *Plan) ruleFiles() ([]string, error) {
	var files []string
	for _, name := range p.settings.RuleNames {
		files = append(files, builtinPrefix+name)
	}
	for _, pattern := range p.prometheus.RuleFiles {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("rule_files %q: %w", pattern, err)
		}
		files = append(files, found...)
	}
	return files, nil
}
