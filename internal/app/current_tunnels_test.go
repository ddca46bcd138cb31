//go:build cgo

package app

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/orielhq/oriel/internal/query"
	"github.com/orielhq/oriel/internal/tunnel/probe"
)

// TestTunnelsAreATable: probed tunnels can be asked for in SQL; what is not known is null.
func TestTunnelsAreATable(t *testing.T) {
	dir := sqlLake(t)
	cfg := probe.Default()
	for _, id := range []string{"1001", "1002"} {
		cfg.Targets = append(cfg.Targets, probe.TargetConfig{
			ID: id, Name: "hsm-" + id, Company: `Acme "Bank"`, Host: "hsm.example.org", Port: 1102, Enabled: id == "1001", Service: probe.DefaultService(), MaxConnections: 5,
		})
	}
	p, err := probe.New(cfg, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	f, err := newSQLFeature(query.Default(), (&Config{dataDir: dir}).lakeConfig(), currentTables(&builder{features: []*feature{{part: p}}}), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	go func() { _ = f.Run(t.Context()) }()
	srv := httptest.NewServer(http.Handler(f))
	defer srv.Close()
	const sql = "SELECT tunnel_id, company, state, up, error, connections_limit AS n, not_after, tls_seconds FROM tunnels ORDER BY 1"
	const want = "tunnel_id,company,state,up,error,n,not_after,tls_seconds\n1001,\"Acme \"\"Bank\"\"\",waiting,,,5,,\n1002,\"Acme \"\"Bank\"\"\",disabled,,,5,,\n"
	if out, errs, code := sqlRun(t, "--url", srv.URL, "-o", "csv", sql); code != 0 || out != want {
		t.Errorf("%s = %d, %q, %s; want %q", sql, code, out, errs, want)
	}
}
