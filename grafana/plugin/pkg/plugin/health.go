package plugin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
)

// CheckHealth asks for the tables and says what is wrong if that does not work.
func (d *Datasource) CheckHealth(ctx context.Context, _ *backend.CheckHealthRequest) (*backend.CheckHealthResult, error) {
	text, err := d.health(ctx)
	if err != nil {
		return &backend.CheckHealthResult{Status: backend.HealthStatusError, Message: err.Error()}, nil //nolint:nilerr // that is how health is told
	}
	return &backend.CheckHealthResult{Status: backend.HealthStatusOk, Message: text}, nil
}

func (d *Datasource) health(ctx context.Context) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url("tables").String(), http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := d.client.Do(r)
	if err != nil {
		return "", explain(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return "", notAnAnswer(resp)
	}
	var v struct {
		Tables []struct {
			Name   string `json:"name"`
			Source bool   `json:"source"`
		} `json:"tables"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 8<<20)).Decode(&v); err != nil || v.Tables == nil {
		return "", errors.New("what answers there is not Oriel")
	}
	source := d.settings.Source
	found := source == ""
	for _, t := range v.Tables {
		if source == "" && t.Source {
			source = t.Name
		}
		found = found || t.Name == source
	}
	if !found {
		return "", fmt.Errorf("the server has no table %q, which the settings name as the source", source)
	}
	// SQL itself must run too: a server without an engine has tables.
	g := &group{formats: map[string]string{"A": formatTable}}
	g.Queries = []query{{RefID: "A", SQL: "SELECT 1 AS one"}}
	s := newFrames(g, map[string]backend.DataResponse{})
	if err := d.askHealth(ctx, g, s); err != nil {
		return "", err
	}
	return fmt.Sprintf("Oriel answers: %d tables, $__source is %s", len(v.Tables), source), nil
}

func (d *Datasource) askHealth(ctx context.Context, g *group, s *frames) error {
	if err := d.ask(ctx, g, s); err != nil {
		return err
	}
	if err := s.done["A"].Error; err != nil {
		return fmt.Errorf("SQL does not run: %w", err)
	}
	return nil
}

// explain says in the operator's words why a server could not be asked.
func explain(err error) error {
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var remote *net.OpError
	var record tls.RecordHeaderError
	var u *url.Error
	cause := err
	if errors.As(err, &u) {
		cause = u.Err
	}
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded), u != nil && u.Timeout():
		return fmt.Errorf("the server did not answer in time: %w", context.DeadlineExceeded)
	case errors.As(err, &dns):
		return fmt.Errorf("no address is known for host %q", dns.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("nobody listens at this address and port: connection refused")
	case errors.As(err, &unknown):
		return errors.New("the server's certificate is signed by somebody unknown: give the CA certificate in the settings")
	case errors.As(err, &hostname):
		return fmt.Errorf("the server's certificate is of another name: %w", hostname)
	case errors.As(err, &invalid):
		return fmt.Errorf("the server's certificate is not valid: %w", invalid)
	case errors.As(err, &remote) && remote.Op == "remote error": // an alert of TLS
		return fmt.Errorf("the server refuses the TLS connection (%w): does it want a client certificate?", remote.Err)
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return errors.New("the server does not speak TLS at this port: use http://")
	}
	return fmt.Errorf("ask the server: %w", cause)
}
