package app

import (
	"html/template"
	"net/http"
	"net/url"
)

// landingPage stands where the console will be.
var landingPage = template.Must(template.New("landing").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Oriel</title></head>
<body><h1>Oriel</h1>
<ul>
{{range .}}<li><a href="{{.Path}}">{{.Path}}</a> {{.What}}</li>
{{end}}</ul></body></html>
`))

type link struct{ Path, What string }

// landing lists what there is to see.
func (a *application) landing(w http.ResponseWriter, _ *http.Request) {
	links := []link{{"/metrics", "all collectors"}}
	if shown := a.shown.Load(); shown != nil {
		for _, name := range shown.names() {
			links = append(links, link{metricsPath(name), "one collector"})
		}
	}
	links = append(links,
		link{"/api/v1/targets", "what is scraped"}, link{"/api/v1/rules", "rules"}, link{"/api/v1/alerts", "alerts"},
		link{"/alertmanager/api/v2/alerts", "alerts as Alertmanager has them"}, link{"/-/ready", "readiness"})
	writePage(w, links)
}

func writePage(w http.ResponseWriter, links []link) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	_ = landingPage.Execute(w, links) // only a client that went away can fail it
}

// graph is where links in alerts point (Prometheus' own path). It answers with the expression's value.
func graph(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/api/v1/query?query="+url.QueryEscape(r.URL.Query().Get("g0.expr")), http.StatusFound)
}
