package packet

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/packet/detect"
)

// alerts returns the rules that files gave rise to, each once, sorted.
func alerts(t *testing.T, cfg Config, files ...string) []string {
	t.Helper()
	_, records := watchAll(t, cfg, files...)
	var list []string
	for _, r := range records["alert"] {
		a := r.(*Alert)
		t.Logf("%s: %s %s:%d %s:%d %d %s", filepath.Base(files[0]), a.Rule, a.OrigAddr, a.OrigPort, a.RespAddr, a.RespPort, a.Count, a.Detail)
		list = append(list, a.Rule)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// guilty are the captures of the corpus that somebody does something in, and what.
var guilty = map[string][]string{
	"ndpi-synscan.pcap":               {"port_scan"},
	"ndpi-dns-tunnel-iodine.pcap":     {"dns_tunnel"},
	"ndpi-dns_exfiltration.pcap":      {"dns_tunnel"},
	"zeek-ssh-sshguess.pcap":          {"brute_force"},
	"ndpi-http_auth.pcap":             {"clear_text_credentials"},
	"zeek-tls-tls1.2.pcap":            {"weak_tls"},                           // RC4, and a certificate signed with SHA-1
	"zeek-smtp.pcap":                  {"clear_text_credentials", "weak_tls"}, // RC4
	"ndpi-smtp-starttls.pcap":         {"weak_tls"},                           // TLS 1.0
	"zeek-ftp-bruteforce.pcap":        {"brute_force", "clear_text_credentials"},
	"ndpi-imap.pcap":                  {"clear_text_credentials"},
	"ndpi-pop3.pcap":                  {"clear_text_credentials"},
	"ndpi-telnet.pcap":                {"clear_text_credentials"},
	"ndpi-fuzz-2006-09-29-28586.pcap": {"clear_text_credentials"}, // Basic to a gateway for WAP
}

func TestDetectionsOnRealCaptures(t *testing.T) {
	for _, file := range corpus(t, "*") {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := alerts(t, Default(), file)
			if diff := cmp.Diff(guilty[name], got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("alerts (-want +got):\n%s", diff)
			}
		})
	}
}

// fresh are the captures in which something is new when a second is enough to learn.
var fresh = map[string][]string{
	"ndpi-dns-tunnel-iodine.pcap":     {"new_device"},
	"ndpi-fuzz-2006-09-29-28586.pcap": {"new_service"},
	"zeek-linux_dlt_sll2.pcap":        {"new_device"},
	"zeek-linuxsll-arp.pcap":          {"new_device"},
	"zeek-mixed-vlan-mpls.pcap":       {"new_service"},
	"zeek-raw_packets.pcap":           {"new_device"},
	"zeek-smtp.pcap":                  {"new_service"},
	"zeek-tunnels-gre-sample.pcap":    {"new_service"},
	"zeek-wikipedia.pcap":             {"new_device"},
}

// TestSensitiveDetectionsOnRealCaptures: with the lowest thresholds, too, only
// what is there is found. Scans of hosts, beacons and moved addresses are in no
// capture of the corpus: real programs make them in e2e's TestDetectionsLive.
func TestSensitiveDetectionsOnRealCaptures(t *testing.T) {
	cfg := Default()
	cfg.Detections.Learn, cfg.Detections.Hosts, cfg.Detections.Beats = conf.Duration(time.Second), 5, 5
	for _, file := range corpus(t, "*") {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := slices.Concat(guilty[name], fresh[name])
			slices.Sort(want)
			if diff := cmp.Diff(want, alerts(t, cfg, file), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("alerts (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEveryRuleHasRealTraffic: no rule is without a capture that gives rise to it, but those that e2e sees live.
func TestEveryRuleHasRealTraffic(t *testing.T) {
	live := []string{"host_scan", "beacon", "moved_address"}
	for r := range detect.Rules {
		found := slices.Contains(live, r.String())
		for _, rules := range []map[string][]string{guilty, fresh} {
			for _, list := range rules {
				found = found || slices.Contains(list, r.String())
			}
		}
		if !found {
			t.Errorf("%s is tested on no real traffic", r)
		}
	}
}
