//go:build cgo

package app

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/lake"
	"github.com/orielhq/oriel/internal/query"
	"github.com/orielhq/oriel/internal/wireguard"
)

// TestCurrentTableIsOfNow also joins it with the lake: that is what it is for.
func TestCurrentTableIsOfNow(t *testing.T) {
	dir := sqlLake(t)
	var rows atomic.Pointer[[]wireguard.PeerRow]
	at := time.Date(2026, 8, 20, 1, 2, 3, 0, time.UTC)
	rows.Store(&[]wireguard.PeerRow{{Time: at, Device: "wg0", PublicKey: "a", Name: `it's "Ana"`, AllowedIPs: []string{"10.9.0.1/32"}, LastHandshake: &at, Up: true}})
	tables := []currentTable{current("wireguard_peers", func() []wireguard.PeerRow { return *rows.Load() })}
	f, err := newSQLFeature(query.Default(), (&Config{dataDir: dir}).lakeConfig(), tables, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	go func() { _ = f.Run(t.Context()) }()
	srv := httptest.NewServer(http.Handler(f))
	defer srv.Close()
	ask := func(sql, want string) {
		t.Helper()
		if out, errs, code := sqlRun(t, "--url", srv.URL, "-o", "csv", sql); code != 0 || out != want {
			t.Errorf("%s = %d, %q, %s; want %q", sql, code, out, errs, want)
		}
	}
	const list = "SELECT name, last_handshake, allowed_ips[1] AS ip, up FROM wireguard_peers ORDER BY 1"
	ask(list, "name,last_handshake,ip,up\n\"it's \"\"Ana\"\"\",2026-08-20T01:02:03Z,10.9.0.1/32,true\n")
	ask("SELECT count(*) AS n FROM flows f JOIN wireguard_peers p ON f.start_time < p.time + INTERVAL 1 DAY", "n\n1200\n")
	rows.Store(&[]wireguard.PeerRow{{Time: at, Name: "b"}, {Time: at, Name: "c"}})
	ask(list, "name,last_handshake,ip,up\nb,,,false\nc,,,false\n")
	rows.Store(&[]wireguard.PeerRow{})
	ask("SELECT count(*) AS n FROM wireguard_peers", "n\n0\n")
	left, err := filepath.Glob(filepath.Join(dir, "sql-tmp", "wireguard_peers*"))
	if err != nil || len(left) > 0 {
		t.Errorf("files that nobody reads: %q, %v", left, err)
	}
}

func TestEventsAreInTheLakeOnce(t *testing.T) {
	dir := t.TempDir()
	where := (&Config{dataDir: dir}).lakeConfig()
	store, err := storeIn(where, tableWireGuardEvents, func(e *wireguard.PeerEvent) time.Time { return e.Time }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	hour := time.Date(2026, 8, 20, 1, 0, 0, 0, time.UTC)
	batch := []wireguard.PeerEvent{
		{Time: hour.Add(time.Second), Event: wireguard.EventRoam, Device: "wg0", PublicKey: "a", Endpoint: "192.0.2.1:51820", PreviousEndpoint: "192.0.2.2:51820"},
		{Time: hour.Add(-time.Second), Event: wireguard.EventConnect, Device: "wg0", PublicKey: "a", AllowedIPs: []string{"10.9.0.1/32"}},
	}
	// The folder of the second hour cannot be made: a part is stored, and the batch comes again.
	block := filepath.Join(where.Dir, tableWireGuardEvents, "date=2026-08-20", "hour=01")
	if err := os.MkdirAll(filepath.Dir(block), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(block, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := store(batch); err == nil {
		t.Fatal("a store that cannot write says it has written")
	}
	if err := os.Remove(block); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := store(batch); err != nil {
			t.Fatal(err)
		}
	}
	out, errs, code := sqlRun(t, "--lake", where.Dir, "-o", "csv", "SELECT time, event, endpoint FROM wireguard_events ORDER BY time")
	want := "time,event,endpoint\n2026-08-20T00:59:59Z,connect,\n2026-08-20T01:00:01Z,roam,192.0.2.1:51820\n"
	if code != 0 || out != want {
		t.Errorf("history = %d, %q, %s; want %q", code, out, errs, want)
	}
}

func TestTablesWithoutAFile(t *testing.T) {
	columns := lake.ColumnsOf(wireguard.PeerRow{})
	if len(columns) < 10 || columns[0] != (lake.Column{Name: "time", Type: "TIMESTAMP"}) || strings.ContainsFunc(columns[1].Name, func(r rune) bool { return r < '_' }) {
		t.Errorf("columns of wireguard_peers: %v", columns)
	}
}
