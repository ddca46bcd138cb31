// Package plugin is the back-end of Oriel's data source for Grafana: it asks a
// server's /api/sql and turns the Arrow streams that come back into data frames.
package plugin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/backend/httpclient"
	"github.com/grafana/grafana-plugin-sdk-go/backend/instancemgmt"
	"github.com/grafana/grafana-plugin-sdk-go/backend/log"
)

// ID is the plug-in's, as in plugin.json.
const ID = "oriel-sql-datasource"

// Datasource is one data source as somebody has set it up. Its methods may be
// called concurrently.
type Datasource struct {
	settings settings
	base     *url.URL
	client   *http.Client
	log      log.Logger
}

var (
	_ backend.QueryDataHandler        = (*Datasource)(nil)
	_ backend.QueryChunkedDataHandler = (*Datasource)(nil)
	_ backend.CheckHealthHandler      = (*Datasource)(nil)
	_ backend.CallResourceHandler     = (*Datasource)(nil)
	_ instancemgmt.InstanceDisposer   = (*Datasource)(nil)
)

// New returns the data source of settings as Grafana keeps them. It asks nobody yet.
func New(ctx context.Context, s backend.DataSourceInstanceSettings) (instancemgmt.Instance, error) {
	own, err := parseSettings(s.JSONData)
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	base, err := url.Parse(s.URL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, backend.DownstreamErrorf("settings: URL %q: want http://HOST:PORT or https://HOST:PORT", s.URL)
	}
	options, err := s.HTTPClientOptions(ctx)
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	if token := s.DecryptedSecureJSONData["bearerToken"]; token != "" {
		options.Header = options.Header.Clone()
		if options.Header == nil {
			options.Header = http.Header{}
		}
		options.Header.Set("Authorization", "Bearer "+token)
	}
	// Who asks Grafana may be passed on, if the settings say so.
	options.ForwardHTTPHeaders = own.ForwardIdentity
	// A query may take as long as its own limit says; the server ends it then.
	options.Timeouts.Timeout = own.timeout()
	// A redirect could carry credentials to another server.
	client, err := httpclient.New(options)
	if err != nil {
		return nil, backend.DownstreamErrorf("settings: %w", err)
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Datasource{settings: own, base: base, client: client, log: backend.NewLoggerWith("datasource", s.UID)}, nil
}

// Dispose lets go of idle connections; Grafana calls it when the settings change.
func (d *Datasource) Dispose() { d.client.CloseIdleConnections() }

// url is the address of a path below the server's own.
func (d *Datasource) url(path string) *url.URL { return d.base.JoinPath("api/sql", path) }
