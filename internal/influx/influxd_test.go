package influx

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/proctest"
)

// The real servers. Debian's package influxdb is 1.6.7 and is called influxd.
// Version 1.8.10, which has version 2's write API, is had by
//
//	go install github.com/influxdata/influxdb/cmd/influxd@v1.8.10
//
// and is looked for under the name influxd-1.8.

// influxd is a running server.
type influxd struct {
	url    string
	dir    string
	config string
	cmd    *exec.Cmd
}

// startInfluxd runs the program on free ports, with a user if auth says so.
func startInfluxd(t *testing.T, program string, auth bool) *influxd {
	t.Helper()
	path := proctest.External(t, program)
	dir := t.TempDir()
	d := &influxd{dir: dir, config: filepath.Join(dir, "influxd.conf")}
	addr := freeAddress(t)
	d.url = "http://" + addr
	text := fmt.Sprintf("reporting-disabled = true\nbind-address = %q\n[meta]\ndir = %q\n[data]\ndir = %q\nwal-dir = %q\nquery-log-enabled = false\n"+
		"[http]\nbind-address = %q\nlog-enabled = false\nauth-enabled = %t\nmax-body-size = 20000\n[monitor]\nstore-enabled = false\n",
		freeAddress(t), filepath.Join(dir, "meta"), filepath.Join(dir, "data"), filepath.Join(dir, "wal"), addr, auth)
	if err := os.WriteFile(d.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d.start(t, path)
	t.Cleanup(func() { d.stop() })
	if auth {
		d.query(t, "", fmt.Sprintf("CREATE USER oriel WITH PASSWORD '%s' WITH ALL PRIVILEGES", testToken))
	}
	return d
}

// freeAddress is free now; influxd cannot take port 0 and tell which it got.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func (d *influxd) start(t *testing.T, path string) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	d.cmd = exec.Command(path, "run", "-config", d.config)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	proctest.Eventually(t, time.Minute, func() (bool, string) {
		resp, err := http.Get(d.url + "/ping")
		if err != nil {
			return false, err.Error()
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusNoContent, resp.Status
	})
}

func (d *influxd) stop() {
	if d.cmd.ProcessState == nil {
		_ = d.cmd.Process.Signal(syscall.SIGTERM)
		_ = d.cmd.Wait()
	}
}

// result is a row set of InfluxQL.
type result struct {
	Name    string            `json:"name"`
	Tags    map[string]string `json:"tags"`
	Columns []string          `json:"columns"`
	Values  [][]any           `json:"values"`
}

func (d *influxd) query(t *testing.T, db, q string) []result {
	t.Helper()
	form := url.Values{"q": {q}, "db": {db}, "epoch": {"ns"}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url+"/query", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("oriel", testToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	var answer struct {
		Results []struct {
			Series []result `json:"series"`
			Error  string   `json:"error"`
		} `json:"results"`
		Error string `json:"error"`
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&answer); err != nil || answer.Error != "" || len(answer.Results) == 0 || answer.Results[0].Error != "" {
		t.Fatalf("query %q: %v: %s", q, err, body)
	}
	return answer.Results[0].Series
}

// fields returns the server's own idea of the types of a measurement's fields.
func (d *influxd) fields(t *testing.T, db, measurement string) map[string]string {
	t.Helper()
	types := map[string]string{}
	for _, r := range d.query(t, db, "SHOW FIELD KEYS FROM "+measurement) {
		for _, v := range r.Values {
			types[fmt.Sprint(v[0])] = fmt.Sprint(v[1])
		}
	}
	return types
}

// TestRealInfluxDB1 compares what Debian's server holds with what Telegraf
// writes, field by field: names, types, values, tags.
func TestRealInfluxDB1(t *testing.T) {
	d := startInfluxd(t, "influxd", true)
	o := DefaultOutput()
	o.Name, o.URL, o.Version, o.Database, o.Username, o.Password = "real", d.url, 1, `db "x`, "oriel", testToken
	checkReal(t, d, o, o.Database)
}

// TestRealInfluxDB2API writes through version 2's API of 1.8.10.
func TestRealInfluxDB2API(t *testing.T) {
	d := startInfluxd(t, "influxd-1.8", true)
	d.query(t, "", `CREATE DATABASE telegraf`)
	o := DefaultOutput()
	o.Name, o.URL, o.Organization, o.Bucket, o.Token = "real", d.url, "any", "telegraf/autogen", conf.Secret("oriel:"+testToken)
	checkReal(t, d, o, "telegraf")
}

func checkReal(t *testing.T, d *influxd, o Output, db string) {
	t.Helper()
	device := testDevice()
	// What is larger, compressed, than the 20 kB of max-body-size arrives in pieces.
	for i := range 3000 {
		device.Peers = append(device.Peers, Peer{PublicKey: proctest.PeerKey(1000 + i), AllowedIPs: manyIPs(100), ProtocolVersion: 1})
	}
	cfg := config(t, o)
	cfg.BatchSize = 2500
	cfg.Metrics = true
	p := once(t, cfg, Sources{Devices: func(context.Context) ([]Device, error) { return []Device{device}, nil }, Metrics: gatherer{}}, quiet)
	drained(t, p)
	if v := value(t, p, `oriel_influx_written_lines_total{output="real"}`); v != "3011" {
		t.Errorf("%s lines written; want 3011\n%s", v, page(t, p))
	}
	if v := value(t, p, `oriel_influx_requests_total{output="real",result="too_large"}`); v == "0" {
		t.Errorf("the server, which takes 20 kB, was never given more")
	}
	if diff := cmp.Diff(map[string]string{"firewall_mark": "integer", "listen_port": "integer", "peers": "integer"}, d.fields(t, db, "wireguard_device")); diff != "" {
		t.Errorf("fields of wireguard_device (-want +got):\n%s", diff)
	}
	want := map[string]string{
		"allowed_ips": "integer", "allowed_peer_cidr": "string", "endpoint": "string", "last_handshake_time_ns": "integer",
		"persistent_keepalive_interval_ns": "integer", "protocol_version": "integer", "rx_bytes": "integer", "tx_bytes": "integer",
	}
	if diff := cmp.Diff(want, d.fields(t, db, "wireguard_peer")); diff != "" {
		t.Errorf("fields of wireguard_peer (-want +got):\n%s", diff)
	}
	rows := d.query(t, db, `SELECT * FROM wireguard_peer WHERE public_key='AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE='`)
	if len(rows) != 1 || len(rows[0].Values) != 1 {
		t.Fatalf("rows of a peer: %+v; want one", rows)
	}
	got := map[string]string{}
	for i, c := range rows[0].Columns {
		got[c] = fmt.Sprint(rows[0].Values[0][i])
	}
	wantRow := map[string]string{
		"time": strconv.FormatInt(time.Unix(1763700000, 0).UnixNano(), 10), "host": "h", "device": "wg0", "public_key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=",
		"allowed_ips": "2", "allowed_peer_cidr": "10.0.0.1/32,fd00::1/128", "endpoint": "192.0.2.1:1234",
		"last_handshake_time_ns": "1763700000000000005", "persistent_keepalive_interval_ns": "25000000000", "protocol_version": "1",
		"rx_bytes": "40", "tx_bytes": "9223372036854775807",
	}
	if diff := cmp.Diff(wantRow, got); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
	if n := d.query(t, db, `SELECT count(rx_bytes) FROM wireguard_peer`); fmt.Sprint(n[0].Values[0][1]) != "3002" {
		t.Errorf("count = %v; want 3002", n[0].Values)
	}
	if n := d.query(t, db, `SELECT count(up) FROM prometheus WHERE job='a=b, "c"'`); len(n) != 1 || fmt.Sprint(n[0].Values[0][1]) != "1" {
		t.Errorf("prometheus metric with an odd label: %v", n)
	}
}

// TestRealInfluxDBOutage stops the server and starts it again: nothing is missing.
func TestRealInfluxDBOutage(t *testing.T) {
	d := startInfluxd(t, "influxd", false)
	o := DefaultOutput()
	o.Name, o.URL, o.Version, o.Database = "real", d.url, 1, "telegraf"
	source, reads := devices(3)
	cfg := config(t, o)
	p := newTest(t, cfg, Sources{Devices: source}, quiet)
	stop := start(t, p)
	proctest.Eventually(t, 20*time.Second, func() (bool, string) {
		v := value(t, p, `oriel_influx_written_lines_total{output="real"}`)
		return v != "0", v
	})
	d.stop()
	down := reads.Load()
	proctest.Eventually(t, 20*time.Second, func() (bool, string) { return reads.Load() > down+5, "reads" })
	stop()
	d.start(t, d.cmd.Path)
	cfg.Interval = conf.Duration(time.Hour)
	p = newTest(t, cfg, Sources{Devices: source}, quiet)
	start(t, p)
	drained(t, p)
	want := strconv.FormatInt(3*reads.Load(), 10)
	if n := d.query(t, "telegraf", `SELECT count(rx_bytes) FROM wireguard_peer`); fmt.Sprint(n[0].Values[0][1]) != want {
		t.Errorf("count = %v; want %s", n[0].Values, want)
	}
}

// TestRealInfluxDBSchemaConflict: a field that somebody wrote with another type
// before (in the same shard: the server compares no further) costs its lines;
// the others of the batch are stored.
func TestRealInfluxDBSchemaConflict(t *testing.T) {
	d := startInfluxd(t, "influxd", false)
	d.query(t, "", "CREATE DATABASE telegraf")
	resp, err := http.Post(d.url+"/write?db=telegraf", "text/plain", strings.NewReader("wireguard_device peers=1.5 1763700000000000000\n"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	o := DefaultOutput()
	o.Name, o.URL, o.Version, o.Database = "real", d.url, 1, "telegraf"
	source, _ := devices(9)
	p := once(t, config(t, o), Sources{Devices: source}, quiet)
	drained(t, p)
	if v := value(t, p, `oriel_influx_written_lines_total{output="real"}`); v != "9" {
		t.Errorf("%s lines written; want 9", v)
	}
	if v := value(t, p, `oriel_influx_dropped_lines_total{output="real",reason="rejected"}`); v != "1" {
		t.Errorf("%s lines dropped; want 1", v)
	}
}
