//go:build cgo

package app

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	demopackets "github.com/orielhq/oriel/internal/demo/packets"
	"github.com/orielhq/oriel/internal/query"
	"github.com/orielhq/oriel/internal/wireguard"
)

// guideSQL is the first SQL of a guide's section.
func guideSQL(t *testing.T, page, heading string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs/guides", page))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n## "+heading+"\n")
	rest, _, _ = strings.Cut(rest, "\n## ")
	m := regexp.MustCompile("(?s)```sql\n(.*?)```").FindStringSubmatch(rest)
	if m == nil {
		t.Fatalf("%s: no SQL below %q", page, heading)
	}
	return m[1]
}

// TestPacketRecordsJoinCurrentPeers with the guide's own query: records of a capture that
// the capture command has read, and the peers of this moment, against the same sums made here.
func TestPacketRecordsJoinCurrentPeers(t *testing.T) {
	ask := guideSQL(t, "sql.md", "Packets, and who is behind them")
	dir := t.TempDir()
	start := time.Date(2026, 8, 20, 1, 0, 0, 0, time.UTC)
	file := filepath.Join(dir, "office.pcapng")
	if err := demopackets.Write(t.Context(), demopackets.Config{Seed: 1, Start: start}, file); err != nil {
		t.Fatal(err)
	}
	where := (&Config{dataDir: dir}).lakeConfig()
	var out, errs bytes.Buffer
	if code := Main(t.Context(), []string{"capture", file, "--out", where.Dir}, &out, &errs); code != 0 {
		t.Fatalf("capture = %d: %s", code, errs.String())
	}
	var peers []wireguard.PeerRow
	names := map[string]string{}
	for i := range 6 { // some of the office's clients
		addr := fmt.Sprintf("10.20.0.%d", 20+i)
		names[addr] = fmt.Sprintf("laptop-%d", i)
		peers = append(peers, wireguard.PeerRow{Time: start, Device: "wg0", PublicKey: fmt.Sprint(i), Name: names[addr], AllowedIPs: []string{"fd00::1/128", addr + "/32"}, Up: true})
	}
	f, err := newSQLFeature(query.Default(), where, []currentTable{current("wireguard_peers", func() []wireguard.PeerRow { return peers })}, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	go func() { _ = f.Run(t.Context()) }()
	srv := httptest.NewServer(f)
	defer srv.Close()
	rows := func(sql string) [][]string {
		t.Helper()
		text, errs, code := sqlRun(t, "--url", srv.URL, "-o", "csv", "--from", "2026-08-20T01:00:00Z", "--to", "2026-08-20T02:00:00Z", sql)
		list, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if code != 0 || err != nil || len(list) == 0 {
			t.Fatalf("%s = %d, %v: %s", sql, code, err, errs)
		}
		return list[1:]
	}
	type sum struct{ connections, bytes int }
	sums := map[string]*sum{}
	for _, r := range rows("SELECT orig_addr, service, orig_bytes + resp_bytes FROM connection WHERE ended") {
		if names[r[0]] == "" {
			continue
		}
		key := names[r[0]] + "," + r[1]
		if sums[key] == nil {
			sums[key] = &sum{}
		}
		n, err := strconv.Atoi(r[2])
		if err != nil {
			t.Fatal(err)
		}
		sums[key].connections++
		sums[key].bytes += n
	}
	if len(sums) < 5 {
		t.Fatalf("the capture has %d kinds of connections of the peers", len(sums))
	}
	var want, got []string
	for key, s := range sums {
		want = append(want, fmt.Sprintf("%s,%d,%d", key, s.connections, s.bytes))
	}
	for _, r := range rows(ask) {
		got = append(got, strings.Join(r, ","))
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("connections of peers (-counted here +query):\n%s", diff)
	}
	peers = peers[:1] // of this moment
	for _, r := range rows(ask) {
		if r[0] != "laptop-0" {
			t.Errorf("%v: a peer that is there no longer", r)
		}
	}
}
