package probe

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/tunnel/relay"
)

var quiet = slog.New(slog.DiscardHandler)

// seedMetrics is the original's list: name, type, labels beyond the common ones.
const seedMetrics = `
vc_ct_max_connections int
vc_ct_connected_clients int
vc_ct_run_status int status
vc_ct_enabled_status int
vc_ct_anonymous_status int
vc_tls_cert_expiry int
vc_tls_version_info float
vc_probe_success int
vc_probe_duration_seconds float
vc_echo_duration_seconds float phase
vc_connection_error_counter int error_type
vc_tls_handshake_duration float error_type,discovery_error_code,discovery_error_description,outgoing_host,outgoing_port
ct_instance_port_status int
ct_instance_api_type int
ct_instance_service_enabled int
ct_instance_service_latency_ms int
ct_instance_accepting_connections int
ct_instance_certificate_validity int
ct_instance_clients_connected_total int
`

func TestCatalogHasTheSeedsMetrics(t *testing.T) {
	var got strings.Builder
	names := map[string]bool{}
	for _, m := range Catalog() {
		if names[m.Name] {
			t.Errorf("%s is there twice", m.Name)
		}
		names[m.Name] = true
		if m.Seed == "" {
			continue
		}
		want := "monitoring"
		if strings.HasPrefix(m.Name, "ct_") {
			want = "usage"
		}
		if m.Common != want || m.Counter {
			t.Errorf("%s: common labels %q, counter %v; want %q and a gauge", m.Name, m.Common, m.Counter, want)
		}
		fmt.Fprintln(&got, strings.TrimSpace(m.Name+" "+strings.TrimPrefix(m.Seed, "gauge ")+" "+strings.Join(m.Extra, ",")))
	}
	if diff := cmp.Diff(strings.TrimPrefix(seedMetrics, "\n"), got.String()); diff != "" {
		t.Errorf("the seed's metrics (-want +got):\n%s", diff)
	}
	for _, m := range Catalog() {
		if m.Seed != "" && (!names[m.Twin] || !strings.HasPrefix(m.Twin, "oriel_tunnel_")) {
			t.Errorf("%s: its twin %q is not in the catalogue", m.Name, m.Twin)
		}
	}
}

func TestMappingTables(t *testing.T) {
	for api, want := range map[string]string{
		"none": "0 None", "plain": "0 None", "international": "1 International", "excrypt": "2 Excrypt", "json": "3 JSON", "json_raw": "3 JSON",
	} {
		if n, name := apiType(api); fmt.Sprint(n, " ", name) != want {
			t.Errorf("apiType(%q) = %d %s; want %s", api, n, name, want)
		}
	}
	for left, want := range map[time.Duration]int{
		90 * day: 1, 90*day - 1: 2, 60 * day: 2, 60*day - 1: 3, 30 * day: 3, 30*day - 1: 4, 7 * day: 4, 7*day - 1: 5, 0: 5, -1: 6, -100 * day: 6,
	} {
		if got := validity(left); got != want {
			t.Errorf("validity(%s) = %d; want %d", left, got, want)
		}
	}
	for left, want := range map[time.Duration]float64{0: 0, 1: 0, day - 1: 0, day: 1, -1: -1, -day: -1, -day - 1: -2, 400*day + 1: 400} {
		if got := daysLeft(left); got != want {
			t.Errorf("daysLeft(%s) = %v; want %v", left, got, want)
		}
	}
	for version, want := range map[uint16]float64{tls.VersionTLS10: 1, tls.VersionTLS11: 1.1, tls.VersionTLS12: 1.2, tls.VersionTLS13: 1.3, 0: 0, 0x0300: 0} {
		if got := versionNumber(version); got != want {
			t.Errorf("versionNumber(%x) = %v; want %v", version, got, want)
		}
	}
	for _, tt := range []struct {
		s    Service
		want string
	}{
		{Service{API: "excrypt"}, "none"},
		{Service{API: "international"}, "len2/4"},
		{Service{API: "international", Header: "AB", ASCIILength: true}, "len4ascii/2"},
	} {
		if got := tt.s.portHeader(); got != tt.want {
			t.Errorf("portHeader(%+v) = %q; want %q", tt.s, got, tt.want)
		}
	}
}

// goldenConfig has a good tunnel, one that fails in each of several ways, one that is off and one that nobody has probed.
func goldenConfig() Config {
	c := Default()
	one := func(id, name, company, api string) TargetConfig {
		return TargetConfig{
			ID: id, Name: name, Company: company, Region: "us", Host: name + ".example.org", Port: 1102,
			GuardianHost: "guardian-" + id, Service: DefaultService(), Enabled: true,
		}.with(api)
	}
	c.Targets = []TargetConfig{
		one("1001", "payments", "Acme", "excrypt"), one("1002", "cards", "Acme", "international"), one("2001", "vault", "Zeta \"Bank\"", "json"),
		one("2002", "old", "Zeta \"Bank\"", "none"), one("2003", "off", "Zeta \"Bank\"", "plain"), one("2004", "new", "Zeta \"Bank\"", "plain"),
	}
	c.Targets[1].MaxConnections, c.Targets[4].Enabled = 10, false
	return c
}

func (t TargetConfig) with(api string) TargetConfig {
	t.API = api
	return t
}

// goldenProber is a Prober that has probed its targets.
func goldenProber(t *testing.T) *Prober {
	t.Helper()
	states := func() []relay.Status {
		return []relay.Status{{Name: "payments", Role: "gateway", Status: "active", Connections: 7, Max: 100}, {Name: "vault", Role: "gateway", Status: "inactive", Max: 50}}
	}
	p, err := New(goldenConfig(), states, quiet)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	chain := func(left time.Duration) []*x509.Certificate {
		return []*x509.Certificate{{NotBefore: now.Add(-30 * day), NotAfter: now.Add(left), Subject: pkix.Name{CommonName: "server"}}}
	}
	ms := time.Millisecond
	all := map[string]time.Duration{StepResolve: ms, StepConnect: 2 * ms, StepTLS: 9 * ms, phaseProcessing: 4 * ms, phaseTransfer: ms / 2}
	yes, no := true, false
	p.targets[0].keep(&seen{Result: &Result{
		Address: netip.MustParseAddrPort("192.0.2.7:1102"), Phases: all, Handshake: 9 * ms, Took: 17 * ms,
		Version: tls.VersionTLS13, Cipher: tls.TLS_AES_128_GCM_SHA256, Chain: chain(60 * day),
	}, at: now, host: "192.0.2.7", port: "1102", own: own{leaf: chain(20 * day)[0]}, anonymous: &no, lastGood: now})
	p.targets[1].keep(&seen{Result: (&Result{
		Began: now, Address: netip.MustParseAddrPort("192.0.2.8:1102"), Phases: map[string]time.Duration{StepResolve: ms, StepConnect: ms, StepTLS: 9 * ms},
		Handshake: 9 * ms, Version: tls.VersionTLS12, Cipher: tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, Chain: chain(-day / 2),
	}).fail(StepTLS, x509.CertificateInvalidError{Reason: x509.Expired}), at: now, host: "192.0.2.8", port: "1102", anonymous: &yes, lastGood: now.Add(-time.Hour)})
	p.targets[2].keep(&seen{Result: (&Result{Began: now}).fail(StepResolve, errNoAddress), at: now})
	p.targets[3].keep(&seen{Result: (&Result{
		Began: now, Address: netip.MustParseAddrPort("[2001:db8::1]:1102"), Phases: map[string]time.Duration{StepResolve: ms, StepConnect: ms},
		Handshake: 10 * time.Second,
	}).fail(StepTLS, os.ErrDeadlineExceeded), at: now, host: "2001:db8::1", port: "1102"})
	return p
}

func (t *target) keep(s *seen) {
	if s.Step != StepEcho {
		s.handshakeType = s.ErrorType
	}
	t.last.Store(s)
	t.probes.Add(1)
	t.note(quiet, s.Result)
}

func TestMetricsAreGolden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a fixed time
		p := goldenProber(t)
		var page bytes.Buffer
		if err := collector.NewSet(quiet, map[string]collector.Collector{"probes": p}).WriteText(t.Context(), &page); err != nil {
			t.Fatal(err)
		}
		text := regexp.MustCompile(`(?m)^.*oriel_collector_.*\n`).ReplaceAll(page.Bytes(), nil)
		proctest.Golden(t, "testdata/metrics.prom", text)
		// The seed's own names, to the letter: see docs/guides/tunnels-probes.md.
		proctest.Lint(t, text, "ct_instance_clients_connected_total", "ct_instance_service_latency_ms", "vc_connection_error_counter")
		holdsToCatalog(t, text)
	})
}

// holdsToCatalog: every series has exactly the labels that the catalogue says, every metric has one, and none is there twice.
func holdsToCatalog(t *testing.T, text []byte) {
	t.Helper()
	want, found, seen := map[string][]string{}, map[string]bool{}, map[string]bool{}
	for _, m := range Catalog() {
		want[m.Name] = slices.Sorted(slices.Values(append(append([]string{}, CommonLabels[m.Common]...), m.Extra...)))
	}
	name := regexp.MustCompile(`[{,](\w+)="`)
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		series := line[:strings.LastIndexByte(line, ' ')]
		if seen[series] {
			t.Errorf("%s is there twice", series)
		}
		seen[series] = true
		metric, _, _ := strings.Cut(series, "{")
		var got []string
		for _, m := range name.FindAllStringSubmatch(series, -1) {
			got = append(got, m[1])
		}
		slices.Sort(got)
		if !slices.Equal(got, want[metric]) {
			t.Errorf("%s: labels %v; the catalogue says %v", series, got, want[metric])
		}
		found[metric] = true
	}
	for name := range want {
		if !found[name] {
			t.Errorf("the golden page has no series of %s", name)
		}
	}
}

// TestOneSeriesAtATime: a changed label must not leave a ghost behind.
func TestOneSeriesAtATime(t *testing.T) {
	p := goldenProber(t)
	count := func(name string) (n int) {
		for _, m := range Catalog() {
			if m.Name == name {
				for range m.each(p.views(time.Now())[:1]) {
					n++
				}
			}
		}
		return n
	}
	for _, change := range []*seen{
		{Result: (&Result{}).fail(StepConnect, io.EOF), host: "192.0.2.9", port: "1102"},
		{Result: (&Result{}).fail(StepResolve, errNoAddress)},
		{Result: &Result{Version: tls.VersionTLS12, Handshake: time.Millisecond}, host: "192.0.2.9", port: "1102"},
	} {
		p.targets[0].keep(change)
		for _, name := range []string{"vc_tls_handshake_duration", "vc_ct_run_status"} {
			if n := count(name); n != 1 {
				t.Errorf("%s has %d series after %v; want 1", name, n, change.Err)
			}
		}
	}
}

func TestErrorTypesAreClosed(t *testing.T) {
	for _, step := range []string{StepFiles, StepResolve, StepConnect, StepTLS, StepAcceptance, StepEcho} {
		for _, err := range []error{
			io.EOF, io.ErrUnexpectedEOF, os.ErrDeadlineExceeded, errors.New("secret token"), errNoAddress, errRevoked, &gatewayError{"limit"}, &gatewayError{"refused"},
			&gatewayError{"nonsense"},
			x509.HostnameError{Certificate: &x509.Certificate{}},
			x509.UnknownAuthorityError{},
			tls.RecordHeaderError{},
		} {
			if name := errorType(step, err); errorIndex(name) < 0 {
				t.Errorf("errorType(%s, %v) = %q, which is not in the list", step, err, name)
			}
		}
	}
}
