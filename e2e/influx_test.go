package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/orielhq/oriel/internal/proctest"
)

// The real servers. Debian's package influxdb is 1.6.7, and its program influxd.
// Version 1.8.10 has the write API of version 2; it is had by
//
//	go install github.com/influxdata/influxdb/cmd/influxd@v1.8.10
//
// and is looked for under the name influxd-1.8. No server of version 3 runs
// here: a strict stand-in for it is in internal/influx.

const influxPassword = "not-in-any-log"

// influxd is an InfluxDB server that can be stopped and started again.
type influxd struct {
	*process
	program, config, url string
}

// newInfluxd runs the program on free ports, with the one user oriel.
func newInfluxd(t *testing.T, program string) *influxd {
	t.Helper()
	dir := t.TempDir()
	addr := freeAddress(t)
	d := &influxd{program: proctest.External(t, program), url: "http://" + addr}
	d.config = write(t, filepath.Join(dir, "influxd.conf"), fmt.Sprintf("reporting-disabled = true\nbind-address = %q\n[meta]\ndir = %q\n"+
		"[data]\ndir = %q\nwal-dir = %q\nquery-log-enabled = false\n[http]\nbind-address = %q\nlog-enabled = false\nauth-enabled = true\n"+
		"max-body-size = 20000\n[monitor]\nstore-enabled = false\n",
		freeAddress(t), filepath.Join(dir, "meta"), filepath.Join(dir, "data"), filepath.Join(dir, "wal"), addr))
	d.start(t)
	d.query(t, "", "CREATE USER oriel WITH PASSWORD '"+influxPassword+"' WITH ALL PRIVILEGES")
	return d
}

// freeAddress is free now; influxd cannot take port 0 and say which it got.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func (d *influxd) start(t *testing.T) {
	t.Helper()
	d.process = spawn(t, d.program, "run", "-config", d.config)
	proctest.Eventually(t, time.Minute, func() (bool, string) {
		code, body := get(t, d.url+"/ping")
		return code == http.StatusNoContent, fmt.Sprint(code, body)
	})
}

// ask sends InfluxQL and returns the rows of its one answer.
func (d *influxd) ask(t *testing.T, db, q string) (rows []influxRows, problem string) {
	t.Helper()
	who := url.Values{"u": {"oriel"}, "p": {influxPassword}}
	resp, err := http.PostForm(d.url+"/query?"+who.Encode(), url.Values{"q": {q}, "db": {db}, "epoch": {"ns"}})
	if err != nil {
		return nil, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Results []struct {
			Series []influxRows `json:"series"`
			Error  string       `json:"error"`
		} `json:"results"`
		Error string `json:"error"`
	}
	dec := json.NewDecoder(resp.Body)
	dec.UseNumber()
	switch err := dec.Decode(&answer); {
	case err != nil:
		return nil, err.Error()
	case answer.Error != "" || len(answer.Results) != 1:
		return nil, answer.Error
	}
	return answer.Results[0].Series, answer.Results[0].Error
}

type influxRows struct {
	Name    string            `json:"name"`
	Tags    map[string]string `json:"tags"`
	Columns []string          `json:"columns"`
	Values  [][]any           `json:"values"`
}

func (d *influxd) query(t *testing.T, db, q string) []influxRows {
	t.Helper()
	rows, problem := d.ask(t, db, q)
	if problem != "" {
		t.Fatalf("%s: %s", q, problem)
	}
	return rows
}

// count returns the number that a query gives, 0 without an answer.
func (d *influxd) count(t *testing.T, db, q string) int {
	t.Helper()
	rows, problem := d.ask(t, db, q)
	if problem != "" || len(rows) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(fmt.Sprint(rows[0].Values[0][1]))
	return n
}

// types returns the server's own idea of the types of a measurement's fields.
func (d *influxd) types(t *testing.T, db, measurement string) map[string]string {
	t.Helper()
	types := map[string]string{}
	for _, r := range d.query(t, db, "SHOW FIELD KEYS FROM "+measurement) {
		for _, v := range r.Values {
			types[fmt.Sprint(v[0])] = fmt.Sprint(v[1])
		}
	}
	return types
}

// influxConfig is a configuration that pushes a device of n peers each second.
func influxConfig(t *testing.T, n int, outputs string) (file string) {
	t.Helper()
	dir := t.TempDir()
	proctest.NewUAPI(t, dir, "wg0", proctest.Peers(n))
	return write(t, filepath.Join(dir, "oriel.yml"), fmt.Sprintf("wireguard: {socket_dir: %q}\ninflux:\n  interval: 1s\n  host: gw1\n  metrics: true\n"+
		"  batch_size: 5000\n  buffer_dir: %q\n  outputs:\n%s", dir, filepath.Join(dir, "buffer"), outputs))
}

// metric returns a figure of the pusher.
func metric(t *testing.T, base, series string) string {
	t.Helper()
	_, page := get(t, base+"/metrics/influx")
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (.*)$`).FindStringSubmatch(page)
	if m == nil {
		return ""
	}
	return m[1]
}

// TestInfluxDBHoldsWhatTelegrafWrites compares with Telegraf's inputs field by
// field: names, types and values as the servers themselves tell them.
func TestInfluxDBHoldsWhatTelegrafWrites(t *testing.T) {
	t.Parallel()
	const peers = 2000
	v1, v2 := newInfluxd(t, "influxd"), newInfluxd(t, "influxd-1.8")
	v2.query(t, "", "CREATE DATABASE telegraf") // version 2's API makes none
	base, oriel := serve(t, "serve", "--config.file", influxConfig(t, peers, fmt.Sprintf(
		"  - {name: v1, version: 1, url: %q, database: telegraf, username: oriel, password: %s}\n"+
			"  - {name: v2, version: 2, url: %q, organization: any, bucket: telegraf/autogen, token: 'oriel:%s'}\n",
		v1.url, influxPassword, v2.url, influxPassword)))
	for _, d := range []*influxd{v1, v2} {
		proctest.Eventually(t, time.Minute, func() (bool, string) {
			n := d.count(t, "telegraf", "SELECT count(rx_bytes) FROM wireguard_peer")
			return n >= 2*peers, fmt.Sprintf("%s: %d points of peers", d.program, n)
		})
		checkPoints(t, d)
	}
	for _, out := range []string{"v1", "v2"} {
		if v := metric(t, base, `oriel_influx_requests_total{output="`+out+`",result="too_large"}`); v == "0" || v == "" {
			t.Errorf("output %s: %q answers that a batch is too large; the servers take 20 kB", out, v)
		}
		for _, why := range []string{"rejected", "too_large", "buffer_full", "buffer_error", "corrupt"} {
			if v := metric(t, base, `oriel_influx_dropped_lines_total{output="`+out+`",reason="`+why+`"}`); v != "0" {
				t.Errorf("output %s: %s lines were dropped: %s", out, v, why)
			}
		}
	}
	if strings.Contains(oriel.log(), influxPassword) {
		t.Error("the log has the password")
	}
}

// checkPoints compares one peer of proctest.Peers, and the device.
func checkPoints(t *testing.T, d *influxd) {
	t.Helper()
	if diff := cmp.Diff(map[string]string{"firewall_mark": "integer", "listen_port": "integer", "peers": "integer"}, d.types(t, "telegraf", "wireguard_device")); diff != "" {
		t.Errorf("%s: fields of wireguard_device (-want +got):\n%s", d.program, diff)
	}
	if diff := cmp.Diff(map[string]string{
		"allowed_ips": "integer", "allowed_peer_cidr": "string", "endpoint": "string", "last_handshake_time_ns": "integer",
		"persistent_keepalive_interval_ns": "integer", "protocol_version": "integer", "rx_bytes": "integer", "tx_bytes": "integer",
	}, d.types(t, "telegraf", "wireguard_peer")); diff != "" {
		t.Errorf("%s: fields of wireguard_peer (-want +got):\n%s", d.program, diff)
	}
	row := func(q string) map[string]string {
		rows := d.query(t, "telegraf", q)
		if len(rows) != 1 || len(rows[0].Values) != 1 {
			t.Fatalf("%s: %s: %+v; want one row", d.program, q, rows)
		}
		got := map[string]string{}
		for i, c := range rows[0].Columns {
			if c != "time" && rows[0].Values[0][i] != nil {
				got[c] = fmt.Sprint(rows[0].Values[0][i])
			}
		}
		return got
	}
	if diff := cmp.Diff(map[string]string{
		"host": "gw1", "name": "wg0", "type": "userspace", "listen_port": "51820", "firewall_mark": "0", "peers": "2000",
	}, row("SELECT * FROM wireguard_device LIMIT 1")); diff != "" {
		t.Errorf("%s: device (-want +got):\n%s", d.program, diff)
	}
	key := proctest.PeerKeyText(7)
	if diff := cmp.Diff(map[string]string{
		"host": "gw1", "device": "wg0", "public_key": key, "allowed_ips": "2", "allowed_peer_cidr": "10.0.0.7/32,fd00::7/128",
		"endpoint": "192.0.0.7:51820", "last_handshake_time_ns": "1763700007000000005", "persistent_keepalive_interval_ns": "25000000000",
		"protocol_version": "1", "rx_bytes": "14180", "tx_bytes": "7092",
	}, row("SELECT * FROM wireguard_peer WHERE public_key='"+key+"' LIMIT 1")); diff != "" {
		t.Errorf("%s: peer (-want +got):\n%s", d.program, diff)
	}
	// The metrics, as Telegraf's input prometheus writes them with metric_version 2.
	if got := row("SELECT wireguard_peer_receive_bytes_total FROM prometheus WHERE public_key='" + key + "' AND device='wg0' LIMIT 1"); got["wireguard_peer_receive_bytes_total"] != "14180" {
		t.Errorf("%s: metric = %v; want 14180", d.program, got)
	}
}

// TestInfluxDBOutageAndKill: the server is away, the program is killed with
// SIGKILL meanwhile, and afterwards everything that it had taken arrives.
func TestInfluxDBOutageAndKill(t *testing.T) {
	t.Parallel()
	d := newInfluxd(t, "influxd")
	config := influxConfig(t, 20, fmt.Sprintf("  - {name: v1, version: 1, url: %q, database: telegraf, username: oriel, password: %s}\n", d.url, influxPassword))
	command(t, "sed", "-i", "s/metrics: true/metrics: false/", config)
	const points = "SELECT count(rx_bytes) FROM wireguard_peer"
	base, oriel := serve(t, "serve", "--config.file", config)
	// What a server takes that is stopping it may refuse in words: it counts as waiting, and comes again.
	var before int
	proctest.Eventually(t, time.Minute, func() (bool, string) {
		before = d.count(t, "telegraf", points)
		return before >= 20, fmt.Sprint(before)
	})
	d.stop(t)
	var buffered int
	proctest.Eventually(t, time.Minute, func() (bool, string) {
		buffered, _ = strconv.Atoi(metric(t, base, `oriel_influx_buffer_lines{output="v1"}`))
		return buffered >= 5*21, fmt.Sprint(buffered, " lines wait")
	})
	_ = oriel.cmd.Process.Kill()
	<-oriel.done
	d.start(t)
	base, _ = serve(t, "serve", "--config.file", config)
	proctest.Eventually(t, time.Minute, func() (bool, string) {
		v := metric(t, base, `oriel_influx_buffer_lines{output="v1"}`)
		return v == "0", v + " lines wait"
	})
	if got, want := d.count(t, "telegraf", points)-before, buffered/21*20; got < want {
		t.Errorf("%d points of peers came after the kill; want at least the %d that waited", got, want)
	}
}

// TestInfluxDBSchemaConflict: a field that somebody wrote with another type
// before costs its lines (in the same shard: the server compares no further);
// the others of the batch are stored.
func TestInfluxDBSchemaConflict(t *testing.T) {
	t.Parallel()
	d := newInfluxd(t, "influxd")
	d.query(t, "", "CREATE DATABASE telegraf")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url+"/write?db=telegraf", bytes.NewReader([]byte("wireguard_device peers=1.5\n")))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("oriel", influxPassword)
	resp, err := http.DefaultClient.Do(r)
	if err != nil || resp.StatusCode != http.StatusNoContent {
		t.Fatalf("write: %v, %v", resp, err)
	}
	_ = resp.Body.Close()
	base, _ := serve(t, "serve", "--config.file", influxConfig(t, 9, fmt.Sprintf(
		"  - {name: v1, version: 1, url: %q, database: telegraf, username: oriel, password: %s}\n", d.url, influxPassword)))
	proctest.Eventually(t, time.Minute, func() (bool, string) {
		n := d.count(t, "telegraf", "SELECT count(rx_bytes) FROM wireguard_peer")
		v := metric(t, base, `oriel_influx_dropped_lines_total{output="v1",reason="rejected"}`)
		return n >= 9 && v != "0" && v != "", fmt.Sprintf("%d points of peers, %s lines rejected", n, v)
	})
}
