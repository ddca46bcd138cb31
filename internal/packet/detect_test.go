package packet

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
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
