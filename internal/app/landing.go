package app

import (
	"html/template"
	"net/http"
)

// landingPage is what an exporter shows at /.
var landingPage = template.Must(template.New("landing").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Oriel</title></head>
<body><h1>Oriel</h1>
<ul>
{{range .}}<li><a href="{{.Path}}">{{.Path}}</a> {{.What}}</li>
{{end}}</ul></body></html>
`))

type link struct{ Path, What string }

func writePage(w http.ResponseWriter, links []link) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	_ = landingPage.Execute(w, links) // only a client that went away can fail it
}
