// Package console serves the web pages of Oriel, built of web/ and embedded
// here, and what only they ask for: the dashboards, several PromQL queries in
// one request, and the configuration with its secrets hidden.
package console

import (
	"encoding/json"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"

	"github.com/orielhq/oriel/internal/conf"
)

// Config is the section console.
type Config struct {
	// Dashboards is a folder with dashboards in Grafana's JSON, shown beside those
	// that come with the program; one with the uid of such a one takes its place.
	Dashboards string `yaml:"dashboards"`
}

// Default has no folder.
func Default() Config { return Config{} }

// Validate checks that the folder is there.
func (c Config) Validate() error {
	if c.Dashboards == "" {
		return nil
	}
	if info, err := os.Stat(c.Dashboards); err != nil {
		return conf.Field("dashboards", "%w", err)
	} else if !info.IsDir() {
		return conf.Field("dashboards", "%q is not a folder", c.Dashboards)
	}
	return nil
}

// Needs is what the console shows.
type Needs struct {
	// Shipped holds the dashboards of the program, *.json in the folder dashboards.
	Shipped fs.FS
	// Engine answers Prometheus' API below /api/v1/.
	Engine http.Handler
	// Status is what the page "status" shows of the program.
	Status func() Status
	// Settings is the configuration in force. Secrets in it must print hidden already.
	Settings func() (file string, sections map[string]any)
}

// Status is what the program says of itself.
type Status struct {
	Version   string   `json:"version"`
	Revision  string   `json:"revision"`
	GoVersion string   `json:"go_version"`
	Engine    string   `json:"engine_version"`
	Instance  string   `json:"instance"`
	DataDir   string   `json:"data_dir"`
	Ready     bool     `json:"ready"`
	Features  []string `json:"features"`   // names of the sections in force
	IntervalS float64  `json:"interval_s"` // between two collections, in seconds
}

// Console is an http.Handler of / and /api/console/.
type Console struct {
	needs  Needs
	log    *slog.Logger
	folder atomic.Pointer[string]
	mux    *http.ServeMux
	pages  *pages
}

// New returns a console without a user's folder; Use names one.
func New(needs Needs, log *slog.Logger) *Console {
	c := &Console{needs: needs, log: log, mux: http.NewServeMux(), pages: newPages(dist())}
	c.mux.HandleFunc("GET /api/console/dashboards", c.serveDashboards)
	c.mux.HandleFunc("GET /api/console/dashboards/{uid}", c.serveDashboard)
	c.mux.HandleFunc("POST /api/console/query", c.serveQuery)
	c.mux.HandleFunc("GET /api/console/config", c.serveConfig)
	c.mux.HandleFunc("GET /api/console/status", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, needs.Status()) })
	c.mux.HandleFunc("/api/console/", func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusNotFound, "no such path") })
	c.mux.Handle("/", c.pages)
	c.Use(Default())
	return c
}

// Use makes cfg the configuration, also while requests are under way.
func (c *Console) Use(cfg Config) { c.folder.Store(&cfg.Dashboards) }

// Built tells whether the pages are part of this program.
func (c *Console) Built() bool { return c.pages.built() }

// ServeHTTP answers / and everything below that nobody else answers.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.mux.ServeHTTP(w, r) }

// Guard adds to every answer what keeps other sites' pages from reading or
// framing it, and browsers from guessing what it is.
func Guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("X-Frame-Options", "DENY")
		head.Set("Cross-Origin-Resource-Policy", "same-origin")
		head.Set("Referrer-Policy", "same-origin")
		h.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may have gone
}

func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]string{"error": message})
}
