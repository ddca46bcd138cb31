package prom

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	amconfig "github.com/prometheus/alertmanager/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/promql/parser"
)

// Settings is what the configuration file says about the engine.
type Settings struct {
	// File is the configuration file's name, for errors; relative paths start in its folder.
	File string
	// Source is that file's text, to show the lines that an error names.
	Source []byte
	// Prometheus and Alertmanager are configurations as those programs read
	// them. A section of a larger file comes with blank lines before it, so that
	// line numbers in errors are the file's. Empty means defaults.
	Prometheus, Alertmanager []byte
	// Instance is the instance label of our own jobs.
	Instance string
	Jobs     []Job
	// RuleNames are the built-in rule files to load.
	RuleNames []string
	// QueryURL, if set, is where queries are sent instead of the embedded
	// engine: the base URL of a Mimir, Thanos or VictoriaMetrics.
	QueryURL string
}

// Plan is a configuration that has been read and checked as far as that is
// possible without starting anything.
type Plan struct {
	settings     Settings
	prometheus   *config.Config
	alertmanager *amconfig.Config
	queryURL     *url.URL
}

// defaultAlertmanager receives alerts and tells nobody: they are seen in the API and the console.
const defaultAlertmanager = "route: {receiver: none, group_by: [alertname]}\nreceivers: [{name: none}]\n"

// NewPlan reads and checks the settings, the rule files included.
func NewPlan(s Settings, builtin fs.FS, log *slog.Logger) (*Plan, error) {
	p := &Plan{settings: s}
	var err error
	if p.prometheus, err = config.Load(string(s.Prometheus), log); err != nil {
		return nil, explain(s, "prometheus", err)
	}
	dir := filepath.Dir(s.File)
	p.prometheus.SetDirectory(dir)
	if p.prometheus.StorageConfig.ExemplarsConfig == nil {
		p.prometheus.StorageConfig.ExemplarsConfig = &config.DefaultExemplarsConfig // nil would panic in the storage
	}
	if err := p.addOwnJobs(); err != nil {
		return nil, fmt.Errorf("%s: prometheus: %w", s.File, err)
	}
	p.prometheus.AlertingConfig.AlertmanagerConfigs = append(p.prometheus.AlertingConfig.AlertmanagerConfigs, ownAlertmanager())

	am := s.Alertmanager
	if len(strings.TrimSpace(string(am))) == 0 {
		am = []byte(defaultAlertmanager)
	}
	if p.alertmanager, err = amconfig.Load(string(am)); err != nil {
		return nil, explain(s, "alertmanager", err)
	}
	setDirectory(p.alertmanager, dir)
	if s.QueryURL != "" {
		if p.queryURL, err = url.Parse(s.QueryURL); err != nil || p.queryURL.Host == "" {
			return nil, fmt.Errorf("%s: prometheus.query_url: %q is not a URL", s.File, s.QueryURL)
		}
	}
	return p, p.checkRules(builtin, log)
}

// addOwnJobs adds the scrapes of our own collectors to the user's.
func (p *Plan) addOwnJobs() error {
	users, err := p.prometheus.GetScrapeConfigs()
	if err != nil {
		return err
	}
	for _, job := range p.settings.Jobs {
		for _, u := range users {
			if u.JobName == job.Name {
				return fmt.Errorf("scrape_configs: job_name %q is that of Oriel's own collector: take another", job.Name)
			}
		}
		c, err := job.scrapeConfig(p.settings.Instance, p.prometheus.GlobalConfig)
		if err != nil {
			return err
		}
		p.prometheus.ScrapeConfigs = append(p.prometheus.ScrapeConfigs, c)
	}
	return nil
}

// checkRules parses every rule file, so that a bad one is found before anything changes.
func (p *Plan) checkRules(builtin fs.FS, log *slog.Logger) error {
	files, err := p.ruleFiles()
	if err != nil {
		return fmt.Errorf("%s: prometheus: %w", p.settings.File, err)
	}
	loader := &ruleLoader{builtin: builtin, parser: parser.NewParser(parser.Options{}), log: log}
	for _, file := range files {
		if _, errs := loader.Load(file, false, model.UTF8Validation); errs != nil {
			return fmt.Errorf("rule file %q: %w", file, errors.Join(errs...))
		}
	}
	return nil
}

var lineInError = regexp.MustCompile(`\bline (\d+)`)

// explain adds the lines of the file that an error of Prometheus' YAML library names.
func explain(s Settings, section string, err error) error {
	found := lineInError.FindStringSubmatch(err.Error())
	if found == nil {
		return fmt.Errorf("%s: %s: %w", s.File, section, err)
	}
	line, _ := strconv.Atoi(found[1]) // digits only
	lines := strings.Split(string(s.Source), "\n")
	var shown strings.Builder
	for n := max(1, line-2); n <= min(line+1, len(lines)); n++ {
		mark := ' '
		if n == line {
			mark = '>'
		}
		fmt.Fprintf(&shown, "\n%c %3d | %s", mark, n, lines[n-1])
	}
	return fmt.Errorf("%s: %s: %w%s", s.File, section, err, shown.String())
}
