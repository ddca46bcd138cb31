package plugin

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
)

// maxResource bounds what the editor is told.
const maxResource = 8 << 20

// resources are what the editor may ask for, and how.
var resources = map[string]string{"tables": http.MethodGet, "columns": http.MethodGet, "complete": http.MethodPost}

// CallResource passes the editor's questions on: tables, columns and completion.
func (d *Datasource) CallResource(ctx context.Context, req *backend.CallResourceRequest, sender backend.CallResourceResponseSender) error {
	path := strings.Trim(req.Path, "/")
	method, ok := resources[path]
	switch {
	case !ok:
		return send(sender, http.StatusNotFound, "there are: tables, columns, complete")
	case req.Method != method:
		return send(sender, http.StatusMethodNotAllowed, "the method must be "+method)
	}
	target := d.url(path)
	if asked, err := url.Parse(req.URL); err == nil && path == "columns" {
		target.RawQuery = url.Values{"table": {asked.Query().Get("table")}}.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(req.Body))
	if err != nil {
		return send(sender, http.StatusBadRequest, err.Error())
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := d.client.Do(r)
	if err != nil {
		return send(sender, http.StatusBadGateway, explain(err).Error())
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResource))
	if err != nil {
		return send(sender, http.StatusBadGateway, err.Error())
	}
	if resp.Header.Get("Content-Type") != "application/json" {
		resp.Body = io.NopCloser(bytes.NewReader(body))
		return send(sender, http.StatusBadGateway, notAnAnswer(resp).Error())
	}
	return sender.Send(&backend.CallResourceResponse{
		Status: resp.StatusCode, Body: body, Headers: map[string][]string{"Content-Type": {"application/json"}},
	})
}

func send(sender backend.CallResourceResponseSender, status int, text string) error {
	return sender.Send(&backend.CallResourceResponse{
		Status: status, Body: jsonError(text), Headers: map[string][]string{"Content-Type": {"application/json"}},
	})
}
