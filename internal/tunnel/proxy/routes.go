package proxy

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// request is what a client asks, understood.
type request struct {
	*http.Request
	ctx     context.Context //nolint:containedctx // of this request alone
	company *company
	tenant  Tenant
	form    url.Values // of the URL and of the body
	packed  []byte     // the body of a remote read, and a byte more if it is too long
	label   string     // of /api/v1/label/NAME/values
	gzip    bool       // the client takes it
}

// endpoint is a path that clients may ask for. The path of Prometheus is built
// from it, never from what the client sent.
type endpoint struct {
	name string
	post bool // the client may also post
	// ask makes the request to Prometheus.
	ask func(*Proxy, *request) (*question, error)
	// answer writes what came of it; nil passes it on as it is.
	answer func(*Proxy, *request, *http.Response, *reply) error
	// own answers without Prometheus' answer being passed on.
	own func(*Proxy, *request, *reply) error
}

// endpoints by path. What is not here does not exist: admin, targets, config, flags, tsdb and write among it.
var endpoints = map[string]*endpoint{
	"/api/v1/query":            {name: "query", post: true, ask: (*Proxy).askQuery},
	"/api/v1/query_range":      {name: "query_range", post: true, ask: (*Proxy).askRange},
	"/api/v1/query_exemplars":  {name: "query_exemplars", post: true, ask: (*Proxy).askExemplars},
	"/api/v1/format_query":     {name: "format_query", post: true, ask: (*Proxy).askFormat},
	"/api/v1/parse_query":      {name: "parse_query", post: true, ask: (*Proxy).askParse},
	"/api/v1/series":           {name: "series", post: true, ask: (*Proxy).askSeries},
	"/api/v1/labels":           {name: "labels", post: true, ask: (*Proxy).askLabels},
	"/api/v1/rules":            {name: "rules", ask: (*Proxy).askRules, answer: (*Proxy).answerRules},
	"/api/v1/alerts":           {name: "alerts", ask: (*Proxy).askAlerts, answer: (*Proxy).answerAlerts},
	"/api/v1/metadata":         {name: "metadata", own: (*Proxy).metadata},
	"/api/v1/status/buildinfo": {name: "buildinfo", own: (*Proxy).buildInfo},
	"/api/v1/read":             {name: "read", post: true, ask: (*Proxy).askRead},
	"/federate":                {name: "federate", ask: (*Proxy).askFederate, answer: (*Proxy).answerFederate},
	"/metrics":                 {name: "metrics", ask: (*Proxy).askMetrics, answer: (*Proxy).answerMetrics},
}

var labelValues = &endpoint{name: "label_values", ask: (*Proxy).askLabelValues}

// names of all endpoints: the values of a label. none are requests for what there is not.
func endpointNames() []string {
	names := []string{labelValues.name, "none"}
	for _, e := range endpoints {
		names = append(names, e.name)
	}
	return names
}

// plainPath is all that a path may hold: there is nothing to unescape, and nowhere to climb.
var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+/?$`)

// route finds the endpoint of a path. code is 0, 400 or 404.
func route(u *url.URL) (e *endpoint, label string, code int) {
	path := u.EscapedPath()
	if path == "/" {
		return nil, "", http.StatusNotFound
	}
	if !plainPath.MatchString(path) || path != u.Path {
		return nil, "", http.StatusBadRequest
	}
	if e = endpoints[path]; e != nil {
		return e, "", 0
	}
	if rest, ok := strings.CutPrefix(path, "/api/v1/label/"); ok {
		if name, ok := strings.CutSuffix(rest, "/values"); ok && labelForm.MatchString(name) {
			return labelValues, name, 0
		}
	}
	return nil, "", http.StatusNotFound
}
