package app

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/wireguard"
)

func TestWireGuardTableIsPrintedOnce(t *testing.T) {
	dir := t.TempDir()
	proctest.NewUAPI(t, dir, "wg0", proctest.Peers(3))
	run := func(args ...string) (string, string, int) {
		var out, errs bytes.Buffer
		code := Main(t.Context(), append([]string{"wireguard", "--socket-dir", dir}, args...), &out, &errs)
		return out.String(), errs.String(), code
	}
	out, errs, code := run("wg0", "--sort", "rx")
	if code != 0 || strings.Count(out, "\n") != 4 || !strings.Contains(out, proctest.PeerKeyText(2)) || strings.Contains(out, "\x1b") {
		t.Errorf("exit %d, %s\n%s", code, errs, out)
	}
	out, _, _ = run("wg0", "--json")
	var rows []wireguard.PeerRow
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 3 || rows[0].Device != "wg0" {
		t.Errorf("%v, %d rows:\n%s", err, len(rows), out)
	}
	if out, errs, code := run("--json", "wg9"); code != 1 || strings.TrimSpace(out) != "[]" || !strings.Contains(errs, `device "wg9": no such device`) {
		t.Errorf("exit %d, %s\n%s", code, errs, out)
	}
	for _, bad := range [][]string{{"--sort", "size"}, {"--color", "blue"}, {"--interval", "1ms"}, {"--probe", "["}, {"["}} {
		if _, errs, code := run(bad...); code != 2 {
			t.Errorf("%q: exit %d, %s; want 2", bad, code, errs)
		}
	}
}

func TestPagesOfOtherExporters(t *testing.T) {
	dir := t.TempDir()
	proctest.NewUAPI(t, dir, "wg0", proctest.Peers(3))
	cfg := wireguard.Default()
	cfg.SocketDir, cfg.Interfaces = dir, []string{"wg0"}
	log := slog.New(slog.DiscardHandler)
	c, err := wireguard.New(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	compatMux(log, mux, "/metrics", "wireguard", http.NotFoundHandler(), c)
	a := &application{log: log}
	compat := compatibles([]*feature{newFeature("wireguard", nil, made{}, c)})
	a.compat.Store(&compat)
	mux.HandleFunc("/metrics/wireguard", func(w http.ResponseWriter, r *http.Request) { a.serveCompat(w, r, r.URL.Query().Get("compat")) })
	for _, tt := range []struct {
		path, want string
		code       int
	}{
		{"/metrics?compat=wg-easy", `wireguard_configured_peers{interface="wg0"} 3`, 200},
		{"/metrics/wg-easy", `wireguard_configured_peers{interface="wg0"} 3`, 200},
		{"/metrics/wireguard?compat=kbknapp", `wireguard_peers_total{interface="wg0"} 3`, 200},
		{"/metrics?compat=zabbix", "there are: kbknapp, netdata, telegraf, wg-easy, wg-portal", 404},
		{"/metrics/wireguard?compat=x", "no such profile", 404},
	} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, tt.path, nil))
		if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s: %d, %s; want %d, %s", tt.path, w.Code, w.Body, tt.code, tt.want)
		}
	}
}
