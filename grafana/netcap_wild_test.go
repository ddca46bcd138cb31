package grafana

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"

	"github.com/orielhq/oriel/internal/collector"
	demopackets "github.com/orielhq/oriel/internal/demo/packets"
	"github.com/orielhq/oriel/internal/packet"
)

// TestNetcapDashboardInTheWild: every expression of netcap's own dashboard (its
// variables filled in) returns data from the page of `oriel export packets`, as
// that is after one, two and three replays of real HTTP, TLS and DNS.
func TestNetcapDashboardInTheWild(t *testing.T) {
	dir := t.TempDir()
	office, v6 := filepath.Join(dir, "office.pcap"), filepath.Join(dir, "v6.pcap")
	if err := demopackets.Write(t.Context(), demopackets.Config{Seed: 1, Start: time.Now()}, office); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(v6, captureV6(), 0o600); err != nil {
		t.Fatal(err)
	}
	var pages [3]string
	for i := range pages {
		pages[i] = replayed(t, slices.Repeat([]string{office, v6}, i+1))
	}
	suite, err := promqltest.NewLazyLoader(samples(pages), promqltest.LazyLoaderOpts{})
	if err != nil {
		t.Fatal(err)
	}
	defer suite.Close()
	now := time.Unix(0, 0).UTC().Add(30 * time.Second)
	suite.WithSamplesTill(now, func(e error) { err = e })
	if err != nil {
		t.Fatal(err)
	}
	// In this traffic these tell things apart.
	several := []string{
		"sum(nc_ipv4) by(SrcIP)", "sum(nc_ipv6) by(SrcIP)", "sum(nc_tcp) by(DstPort)", "sum(nc_tcp) by(SYN)", "sum(nc_udp) by(SrcPort)",
		"sum(nc_dns) by(Questions)", "sum(nc_http) by(StatusCode)", "sum(nc_tlsclienthello) by(SrcPort)",
	}
	exprs := wild(t)["netcap"]
	if len(exprs) != 71 {
		t.Errorf("%d expressions; netcap's dashboard has 71", len(exprs))
	}
	for _, expr := range exprs {
		filled := strings.NewReplacer("$instance", ".*", "$queryInterval", "1m").Replace(expr)
		q, err := suite.QueryEngine().NewInstantQuery(t.Context(), suite.Queryable(), nil, filled, now)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		res := q.Exec(t.Context())
		v, ok := res.Value.(promql.Vector)
		if res.Err != nil || !ok || len(v) == 0 {
			t.Errorf("%s: %d series, %v; want some", expr, len(v), res.Err)
		}
		if strings.HasPrefix(expr, "rate(") && !strings.Contains(expr, "entropy_sum") && !slices.ContainsFunc(v, func(s promql.Sample) bool { return s.F > 0 }) {
			t.Errorf("%s: nothing grows: %v", expr, v)
		}
		if slices.Contains(several, expr) && len(v) < 2 {
			t.Errorf("%s: one series: %v", expr, v)
		}
		q.Close()
	}
}

// replayed is the exporter's page when the files are read, with the defaults of its command.
func replayed(t *testing.T, files []string) string {
	t.Helper()
	cfg := packet.Default()
	cfg.Files, cfg.NetcapSeries = files, 50
	log := slog.New(slog.DiscardHandler)
	m, err := packet.New(cfg, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	collector.NewSet(log, map[string]collector.Collector{"packets": m}).ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	return rec.Body.String()
}

// samples are the pages as a job netcap has scraped them, 15 s after each other.
func samples(pages [3]string) string {
	line := regexp.MustCompile(`^(\w+)(?:\{(.*)\})? (\S+)$`)
	values := map[string][3]string{`up{job="netcap",instance="a:7777"}`: {"1", "1", "1"}}
	for i, page := range pages {
		for text := range strings.Lines(page) {
			m := line.FindStringSubmatch(strings.TrimSpace(text))
			if m == nil {
				continue // a comment
			}
			labels := `job="netcap",instance="a:7777"`
			if m[2] != "" {
				labels += "," + m[2]
			}
			name := m[1] + "{" + labels + "}"
			v := values[name]
			v[i] = m[3]
			values[name] = v
		}
	}
	var b strings.Builder
	b.WriteString("load 15s\n")
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&b, "  %s", name)
		for _, v := range values[name] {
			if v == "" {
				v = "_"
			}
			b.WriteString(" " + v)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// captureV6 is a capture (raw IP) of a few questions over IPv6.
func captureV6() []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xa1b2c3d4)
	b = le.AppendUint16(le.AppendUint16(b, 2), 4)
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint32(le.AppendUint32(b, 65535), 101)
	for i := range byte(3) {
		question := append([]byte{0, i, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 7}, "example\x03org\x00\x00\x1c\x00\x01"...)
		p := []byte{0x60, 0, 0, 0, 0, byte(8 + len(question)), 17, 64}
		p = append(p, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1+i, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 53)
		p = append(p, 0x9c, 0x40+i, 0, 53, 0, byte(8+len(question)), 0, 0)
		p = append(p, question...)
		b = le.AppendUint32(le.AppendUint32(b, 1700000000), uint32(i))
		b = le.AppendUint32(le.AppendUint32(b, uint32(len(p))), uint32(len(p)))
		b = append(b, p...)
	}
	return b
}
