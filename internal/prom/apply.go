package prom

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/discovery"
)

// Apply makes the plan the running configuration, wholly or not at all: after
// an error the plan before it is in force again.
func (e *Engine) Apply(plan *Plan) error {
	e.applying.Lock()
	defer e.applying.Unlock()
	before := e.current.Swap(plan)
	err := e.apply(plan)
	if err == nil || before == nil {
		return err
	}
	e.current.Store(before)
	if back := e.apply(before); back != nil {
		err = errors.Join(err, fmt.Errorf("return to the configuration before: %w", back))
	}
	return err
}

func (e *Engine) apply(plan *Plan) error {
	cfg := plan.prometheus
	files, err := plan.ruleFiles()
	if err != nil {
		return err
	}
	scrapes, err := cfg.GetScrapeConfigs()
	if err != nil {
		return err
	}
	scrapeSD := make(map[string]discovery.Configs, len(scrapes))
	for _, c := range scrapes {
		scrapeSD[c.JobName] = c.ServiceDiscoveryConfigs
	}
	notifySD := map[string]discovery.Configs{}
	for name, c := range cfg.AlertingConfig.AlertmanagerConfigs.ToMap() {
		notifySD[name] = c.ServiceDiscoveryConfigs
	}
	steps := []struct {
		name string
		do   func() error
	}{
		{"storage", func() error { return e.db.ApplyConfig(cfg) }},
		{"remote write and read", func() error { return e.remote.ApplyConfig(cfg) }},
		{"web", func() error { return e.web.ApplyConfig(cfg) }},
		{"scrape configs", func() error { return e.scraper.ApplyConfig(cfg) }},
		{"scrape discovery", func() error { return e.scrapeSD.ApplyConfig(scrapeSD) }},
		{"alerting", func() error { return e.notifier.ApplyConfig(cfg) }},
		{"alerting discovery", func() error { return e.notifySD.ApplyConfig(notifySD) }},
		{"alertmanager", func() error { return e.alerts.apply(plan.alertmanager) }},
		{"rules", func() error {
			return e.rules.Update(time.Duration(cfg.GlobalConfig.EvaluationInterval), files,
				cfg.GlobalConfig.ExternalLabels, e.external.String(), nil)
		}},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return fmt.Errorf("apply %s: %w", step.name, err)
		}
	}
	return nil
}
