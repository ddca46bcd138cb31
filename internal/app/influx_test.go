package app

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/orielhq/oriel/internal/influx"
	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/wireguard"
)

var noLog = slog.New(slog.DiscardHandler)

func mustParse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := parseConfig("x.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const influxYAML = "influx: {outputs: [{name: a, url: 'http://127.0.0.1:8086', bucket: b}]}\nwirerest: {}\n"

// TestReadersOfWireGuardAreBuiltAnewWithIt: they read the devices that section
// wireguard names, so they change when it does, and only then.
func TestReadersOfWireGuardAreBuiltAnewWithIt(t *testing.T) {
	first, err := mustParse(t, "wireguard: {}\n"+influxYAML).build(nil, noLog)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]string{
		"wireguard: {}\n" + influxYAML:                                                     nil,
		"wireguard: {max_peers: 7}\n" + influxYAML:                                         {"wireguard", "wirerest", "influx"},
		"wireguard: {}\n" + influxYAML + "instance: x\n":                                   nil,
		"wireguard: {}\nwirerest: {clients: 'off'}\n" + strings.Split(influxYAML, "\n")[0]: {"wirerest"},
	} {
		next, err := mustParse(t, text).build(first, noLog)
		if err != nil {
			t.Fatal(err)
		}
		var fresh []string
		for _, f := range without(next, first) {
			fresh = append(fresh, f.name)
		}
		if diff := cmp.Diff(want, fresh, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: built anew (-want +got):\n%s", text, diff)
		}
	}
}

func TestSectionsWithoutWireGuard(t *testing.T) {
	if _, err := mustParse(t, influxYAML).build(nil, noLog); err == nil || !strings.Contains(err.Error(), "nothing to") {
		t.Errorf("build = %v; want an error: nothing to push or compute", err)
	}
	for text, want := range map[string]string{
		"influx:\n": "influx.outputs: 0 of them",
		"influx:\n  outputs:\n  - {name: a, version: 1, url: 'http://h'}\n": "[3:5] influx.outputs[0]: database is missing",
		"wirerest:\n  url: ftp://h\n":                                       "[2:8] wirerest.url: want http://",
	} {
		if _, err := parseConfig("x.yml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseConfig(%q) = %v; want %s", text, err, want)
		}
	}
}

// TestDevicesBecomeTelegrafs reads a device through the section wireguard and
// compares what is pushed of it with what the device said.
func TestDevicesBecomeTelegrafs(t *testing.T) {
	dir := t.TempDir()
	proctest.NewUAPI(t, dir, "wg0", proctest.Peers(2))
	c := mustParse(t, "wireguard: {socket_dir: "+dir+"}\n"+influxYAML)
	features, err := c.build(nil, noLog)
	if err != nil {
		t.Fatal(err)
	}
	devices, _ := part[*wireguard.Collector](&builder{features: features})
	got, err := influxDevices(devices)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	prefix := netip.MustParsePrefix
	want := []influx.Device{{Name: "wg0", Type: "userspace", ListenPort: 51820, Peers: []influx.Peer{
		{
			PublicKey: proctest.PeerKey(0), Endpoint: netip.MustParseAddrPort("192.0.0.0:51820"), AllowedIPs: []netip.Prefix{prefix("10.0.0.0/32"), prefix("fd00::/128")},
			LastHandshake: time.Unix(1_763_700_000, 5), TransmitBytes: 92, ReceiveBytes: 180, Keepalive: 25 * time.Second, ProtocolVersion: 1,
		},
		{
			PublicKey: proctest.PeerKey(1), Endpoint: netip.MustParseAddrPort("192.0.0.1:51820"), AllowedIPs: []netip.Prefix{prefix("10.0.0.1/32"), prefix("fd00::1/128")},
			LastHandshake: time.Unix(1_763_700_001, 5), TransmitBytes: 1092, ReceiveBytes: 2180, Keepalive: 25 * time.Second, ProtocolVersion: 1,
		},
	}}}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
	if d := influxDevice(&wireguard.Device{Name: "wg1", Kernel: true}); d.Type != "linux_kernel" {
		t.Errorf("type = %q; want linux_kernel", d.Type)
	}
}
