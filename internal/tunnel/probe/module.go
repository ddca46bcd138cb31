package probe

import (
	"math"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/orielhq/oriel/internal/conf"
)

// Module is how /probe speaks to a target, in blackbox_exporter's sense.
type Module struct {
	Timeout   conf.Duration `yaml:"timeout"`   // of all steps together
	Anonymous bool          `yaml:"anonymous"` // also connect without certificate
	Service   `yaml:",inline"`
}

// UnmarshalYAML starts from the defaults.
func (m *Module) UnmarshalYAML(unmarshal func(any) error) error {
	type plain Module
	*m = newModule()
	return unmarshal((*plain)(m))
}

func newModule() Module {
	m := Module{Timeout: conf.Duration(10 * time.Second), Service: DefaultService()}
	m.Confirm = false // it is for foreign servers, most of the time
	return m
}

// standardModules are always there; the configuration may replace them.
func standardModules() map[string]Module {
	modules := map[string]Module{}
	for _, api := range []string{apiNone, "plain", "international", "excrypt", "json", "json_raw"} {
		m := newModule()
		m.API = api
		modules["tls_"+api] = m
		m.Transport = "tcp"
		modules["tcp_"+api] = m
	}
	modules["tls_connect"], modules["tcp_connect"] = modules["tls_none"], modules["tcp_none"]
	delete(modules, "tls_none")
	delete(modules, "tcp_none")
	return modules
}

var moduleForm = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

func (m Module) validate(path string) error {
	switch {
	case !moduleForm.MatchString(path[len("modules.") : len(path)-1]):
		return conf.Field("modules", "a module's name has letters, digits, dots, dashes and underscores only")
	case m.Timeout.Std() < 10*time.Millisecond || m.Timeout.Std() > 5*time.Minute:
		return conf.Field(path+"timeout", "want 10ms to 5m")
	}
	return m.Service.validate(path)
}

const (
	// scrapeMargin is what is left of a scrape's time for sending the page (blackbox_exporter's --timeout-offset).
	scrapeMargin = 500 * time.Millisecond
	// maxScrape bounds a request without the header.
	maxScrape = 2 * time.Minute
)

// timeout is the module's, or the scraper's if that is shorter.
func timeout(r *http.Request, module time.Duration) time.Duration {
	limit := maxScrape
	if seconds, err := strconv.ParseFloat(r.Header.Get("X-Prometheus-Scrape-Timeout-Seconds"), 64); err == nil && seconds > 0 && !math.IsInf(seconds, 0) {
		limit = min(limit, time.Duration(min(seconds, maxScrape.Seconds())*float64(time.Second)))
	}
	if limit > scrapeMargin {
		limit -= scrapeMargin
	}
	if module > 0 && module < limit {
		return module
	}
	return limit
}
