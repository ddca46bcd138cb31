package app

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/orielhq/oriel/internal/prom"
	"github.com/orielhq/oriel/internal/query"
)

const (
	maxDashboard  = 8 << 20 // bytes of a file
	maxPanelDepth = 4       // rows hold panels, and nothing deeper is known
)

// dashboardFile is what is checked of a dashboard in Grafana's JSON.
type dashboardFile struct {
	Title      string           `json:"title"`
	Panels     []dashboardPanel `json:"panels"`
	Templating struct {
		List []struct {
			Name string `json:"name"`
		} `json:"list"`
	} `json:"templating"`
}

type dashboardPanel struct {
	Title      string           `json:"title"`
	Type       string           `json:"type"`
	Datasource dashboardSource  `json:"datasource"`
	Panels     []dashboardPanel `json:"panels"`
	Targets    []struct {
		RefID      string          `json:"refId"`
		Expr       string          `json:"expr"`
		RawSQL     string          `json:"rawSql"`
		Datasource dashboardSource `json:"datasource"`
	} `json:"targets"`
}

// dashboardSource is a data source by type; old dashboards have its name instead.
type dashboardSource struct{ Type string }

// UnmarshalJSON takes the name of old dashboards too, which tells no type.
func (s *dashboardSource) UnmarshalJSON(b []byte) error {
	var object struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(b, &object) == nil {
		s.Type = object.Type
	}
	return nil
}

// checkDashboards checks files, and the *.json of directories. It returns how
// many queries are good and what is wrong with the others.
func checkDashboards(paths []string) (files, queries int, err error) {
	var all []error
	for _, path := range paths {
		names := []string{path}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			if names, err = filepath.Glob(filepath.Join(path, "*.json")); err != nil || len(names) == 0 {
				all = append(all, fmt.Errorf("%q: no dashboards (*.json)", path))
			}
		}
		for _, name := range names {
			n, err := checkDashboard(name)
			if err != nil {
				all = append(all, err)
			}
			files, queries = files+1, queries+n
		}
	}
	return files, queries, errors.Join(all...)
}

func checkDashboard(file string) (queries int, err error) {
	info, err := os.Stat(file)
	if err != nil {
		return 0, fmt.Errorf("read dashboard: %w", err)
	}
	if info.Size() > maxDashboard {
		return 0, fmt.Errorf("read dashboard: %w", &fs.PathError{Op: "read", Path: file, Err: fmt.Errorf("more than %d bytes", maxDashboard)})
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("read dashboard: %w", err)
	}
	var exported struct {
		Dashboard *dashboardFile `json:"dashboard"` // as Grafana's API gives it
	}
	d := dashboardFile{}
	if err := json.Unmarshal(raw, &exported); err == nil && exported.Dashboard != nil {
		d = *exported.Dashboard
	} else if err := json.Unmarshal(raw, &d); err != nil {
		return 0, fmt.Errorf("dashboard %q: %w", file, err)
	}
	if len(d.Panels) == 0 {
		return 0, fmt.Errorf("dashboard %q: no panels", file)
	}
	c := dashboardCheck{file: file, variables: map[string]bool{}}
	for _, v := range d.Templating.List {
		c.variables[v.Name] = true
	}
	c.panels(d.Panels, 0)
	return c.queries, errors.Join(c.errs...)
}

type dashboardCheck struct {
	file      string
	variables map[string]bool
	queries   int
	errs      []error
}

func (c *dashboardCheck) panels(panels []dashboardPanel, depth int) {
	for _, p := range panels {
		for _, t := range p.Targets {
			kind := cmp.Or(t.Datasource.Type, p.Datasource.Type)
			var err error
			switch {
			case t.RawSQL != "" && kind == "oriel-sql-datasource":
				err = c.sql(t.RawSQL)
			case t.Expr != "" && (kind == "prometheus" || kind == ""):
				err = c.promql(t.Expr)
			default:
				continue // empty, or another data source's
			}
			if err != nil {
				c.errs = append(c.errs, fmt.Errorf("dashboard %q: panel %q: query %s: %w", c.file, p.Title, t.RefID, err))
				continue
			}
			c.queries++
		}
		if depth < maxPanelDepth {
			c.panels(p.Panels, depth+1)
		}
	}
}

func (c *dashboardCheck) sql(text string) error {
	now := time.Now()
	variables := map[string][]string{}
	for name := range c.variables {
		variables[name] = []string{"x"}
	}
	_, err := query.Expand(text, &query.Scope{
		Range: query.Range{From: now.Add(-time.Hour), To: now}, Interval: time.Minute, Source: query.Default().Source,
		TimeColumn: query.FlowTimes()[0].Name, Variables: variables, Dialect: query.DuckDB{},
	})
	return err
}

func (c *dashboardCheck) promql(expr string) error {
	var unknown error
	expr = dashboardVariable.ReplaceAllStringFunc(expr, func(ref string) string {
		m := dashboardVariable.FindStringSubmatch(ref)
		name := m[1] + m[2] + m[3]
		switch {
		case strings.HasSuffix(name, "_ms"), strings.HasSuffix(name, "_s"):
			return "60"
		case strings.HasPrefix(name, "__"):
			return "1m"
		case !c.variables[name] && unknown == nil:
			unknown = fmt.Errorf("there is no variable %q", name)
		}
		return "1m" // good in a string, as a number of a duration, and as a duration
	})
	if unknown != nil {
		return unknown
	}
	return prom.CheckQuery(expr)
}

var dashboardVariable = regexp.MustCompile(`\$\{([a-zA-Z_]\w*)(?::[^}]*)?\}|\$([a-zA-Z_]\w*)|\[\[([a-zA-Z_]\w*)(?::\w+)?\]\]`)
