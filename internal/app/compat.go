package app

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/wireguard"
)

// compatible is a feature that can show its metrics as another exporter does,
// under names that cannot stand on its own page.
type compatible interface {
	Compat(profile string) (collector.Collector, bool)
}

func compatibles(features []*feature) map[string]compatible {
	found := map[string]compatible{}
	for _, f := range features {
		if c, ok := f.part.(compatible); ok {
			found[f.name] = c
		}
	}
	return found
}

// serveCompat answers /metrics/<feature>?compat=<profile>.
func (a *application) serveCompat(w http.ResponseWriter, r *http.Request, profile string) {
	name := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/metrics"), "/")
	part, ok := (*a.compat.Load())[name]
	if !ok {
		http.Error(w, fmt.Sprintf("%q has no pages of other exporters", name), http.StatusNotFound)
		return
	}
	compatPage(a.log, name, part, profile).ServeHTTP(w, r)
}

// compatPage serves one profile of a feature.
func compatPage(log *slog.Logger, name string, part compatible, profile string) http.Handler {
	c, ok := part.Compat(profile)
	if !ok {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "no such profile; there are: "+strings.Join(wireguard.Profiles(), ", "), http.StatusNotFound)
		})
	}
	return collector.NewSet(log, map[string]collector.Collector{name: c})
}

// compatMux adds to the page of an exporter, at path, those of others:
// path?compat=<profile> and path/<profile>.
func compatMux(log *slog.Logger, mux *http.ServeMux, path, name string, page http.Handler, part compatible) {
	mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		if profile := r.URL.Query().Get("compat"); profile != "" {
			page := compatPage(log, name, part, profile)
			page.ServeHTTP(w, r)
			return
		}
		page.ServeHTTP(w, r)
	})
	for _, profile := range wireguard.Profiles() {
		mux.Handle(strings.TrimSuffix(path, "/")+"/"+profile, compatPage(log, name, part, profile))
	}
}
