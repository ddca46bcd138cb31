package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/orielhq/oriel/internal/proctest"
)

// TestTelegrafWritesTheSame lets Telegraf itself and Oriel read one device and
// write to one InfluxDB, each to a database of its own, and compares all that is
// in there: series with their tags, fields, types and values; then Telegraf's
// own page for Prometheus with ours for its users. Telegraf is had by
//
//	go install -tags custom,inputs.wireguard,outputs.influxdb,outputs.prometheus_client github.com/influxdata/telegraf/cmd/telegraf@v1.39.0
func TestTelegrafWritesTheSame(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		proctest.Without(t, "Telegraf looks for devices in /var/run/wireguard only, which takes root")
	}
	telegraf := proctest.External(t, "telegraf")
	d := newInfluxd(t, "influxd-1.8")
	for _, db := range []string{"telegraf", "oriel"} {
		d.query(t, "", "CREATE DATABASE "+db)
	}
	const sockets = "/var/run/wireguard"
	if err := os.MkdirAll(sockets, 0o700); err != nil {
		t.Fatal(err)
	}
	device := fmt.Sprintf("tg%d", os.Getpid())
	proctest.NewUAPI(t, sockets, device, func(w io.Writer) {
		proctest.Peers(50)(lineSwap{w, "errno=0\n", fmt.Sprintf("public_key=%064x\nprotocol_version=1\nrx_bytes=0\ntx_bytes=148\n"+
			"persistent_keepalive_interval=0\nlast_handshake_time_sec=0\nlast_handshake_time_nsec=0\nerrno=0\n", 7)})
	})
	dir, page := t.TempDir(), freeAddress(t)
	agent := write(t, filepath.Join(dir, "telegraf.conf"), fmt.Sprintf(`
[agent]
  interval = "1s"
  flush_interval = "1s"
  hostname = "gw1"
[[inputs.wireguard]]
  devices = [%q]
[[outputs.influxdb]]
  urls = [%q]
  database = "telegraf"
  skip_database_creation = true
  username = "oriel"
  password = %q
[[outputs.prometheus_client]]
  listen = %q
`, device, d.url, influxPassword, page))
	config := write(t, filepath.Join(dir, "oriel.yml"), fmt.Sprintf("wireguard: {interfaces: [%s]}\ninflux:\n  interval: 1s\n  host: gw1\n  buffer_dir: %q\n"+
		"  outputs: [{name: v1, version: 1, url: %q, database: oriel, username: oriel, password: %s}]\n", device, filepath.Join(dir, "buffer"), d.url, influxPassword))
	spawn(t, telegraf, "--config", agent)
	base, _ := serve(t, "serve", "--config.file", config)
	for _, db := range []string{"telegraf", "oriel"} {
		proctest.Eventually(t, time.Minute, func() (bool, string) {
			n := d.count(t, db, "SELECT count(rx_bytes) FROM wireguard_peer")
			return n >= 3*51, fmt.Sprintf("%d points in %s", n, db)
		})
	}
	for _, q := range []string{
		"SHOW MEASUREMENTS", "SHOW SERIES", "SHOW TAG KEYS", "SHOW FIELD KEYS",
		"SELECT last(*) FROM wireguard_device GROUP BY *",
	} {
		if diff := cmp.Diff(d.all(t, "telegraf", q), d.all(t, "oriel", q)); diff != "" {
			t.Errorf("%s (-telegraf +oriel):\n%s", q, diff)
		}
	}
	peers := "SELECT last(*) FROM wireguard_peer GROUP BY *"
	theirs, ours := d.all(t, "telegraf", peers), d.all(t, "oriel", peers)
	if len(ours) != 51 {
		t.Errorf("%d series of peers; want 51", len(ours))
	}
	// The one difference: who never shook hands has no time of it. Telegraf
	// writes the year 1 in nanoseconds, which does not fit and so is 1754.
	const zero = "last_last_handshake_time_ns=-6795364578871345152"
	if !strings.Contains(strings.Join(theirs, "\n"), zero) || strings.Contains(strings.Join(ours, "\n"), zero) {
		t.Errorf("the handshake that never was:\n%s\n%s", theirs, ours)
	}
	for i := range theirs {
		theirs[i] = strings.Replace(theirs[i], zero, "last_last_handshake_time_ns=", 1)
	}
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("peers (-telegraf +oriel):\n%s", diff)
	}

	_, theirPage := get(t, "http://"+page+"/metrics")
	_, ourPage := get(t, base+"/metrics/wireguard?compat=telegraf")
	theirs = slices.DeleteFunc(wireguardLines(theirPage), func(line string) bool { return strings.Contains(line, " -6.795364578871345e+18") })
	if diff := cmp.Diff(theirs, wireguardLines(ourPage)); diff != "" || len(theirs) < 50*6 {
		t.Errorf("pages (-telegraf +oriel):\n%s", diff)
	}
}

// wireguardLines are the lines of a page about WireGuard, their labels sorted,
// without the tag host, which Prometheus has as instance.
func wireguardLines(page string) []string {
	var lines []string
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		name, rest, ok := strings.Cut(line, "{")
		switch {
		case !strings.Contains(line, "wireguard_") || strings.Contains(line, "oriel_"):
		case !ok || strings.HasPrefix(line, "#"):
			lines = append(lines, line)
		default:
			text, value, _ := strings.Cut(rest, "} ")
			labels := slices.DeleteFunc(strings.SplitAfter(text+",", `",`), func(l string) bool { return l == "" || strings.HasPrefix(l, "host=") })
			slices.Sort(labels)
			number, _ := strconv.ParseFloat(value, 64)
			lines = append(lines, fmt.Sprint(name, labels, " ", number))
		}
	}
	slices.Sort(lines)
	return lines
}

// all returns the rows of an answer as sorted texts, without their times.
func (d *influxd) all(t *testing.T, db, q string) []string {
	t.Helper()
	var rows []string
	for _, s := range d.query(t, db, q) {
		tags, _ := json.Marshal(s.Tags)
		for _, values := range s.Values {
			row := []string{s.Name, string(tags)}
			for i, v := range values {
				switch {
				case s.Columns[i] == "time":
				case v == nil:
					row = append(row, s.Columns[i]+"=")
				default:
					row = append(row, fmt.Sprintf("%s=%v", s.Columns[i], v))
				}
			}
			rows = append(rows, strings.Join(row, " "))
		}
	}
	slices.Sort(rows)
	return rows
}

// lineSwap writes another text in the place of one that comes in one piece at the end.
type lineSwap struct {
	io.Writer
	old, now string
}

// Write swaps.
func (l lineSwap) Write(b []byte) (int, error) {
	_, err := io.WriteString(l.Writer, strings.Replace(string(b), l.old, l.now, 1))
	return len(b), err
}
