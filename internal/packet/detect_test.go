package packet

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	"ndpi-synscan.pcap":           {"port_scan"},
	"ndpi-dns-tunnel-iodine.pcap": {"dns_tunnel"},
	"ndpi-dns_exfiltration.pcap":  {"dns_tunnel"},
	"zeek-ssh-sshguess.pcap":      {"brute_force"},
}

func TestDetectionsOnRealCaptures(t *testing.T) {
	for _, file := range corpus(t, "*") {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(guilty[name], alerts(t, Default(), file)); diff != "" {
				t.Errorf("alerts (-want +got):\n%s", diff)
			}
		})
	}
}
