package packet

import (
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/orielhq/oriel/internal/proctest"
)

// watchAll reads files and returns all records by kind.
func watchAll(t testing.TB, cfg Config, files ...string) (*Monitor, map[string][]Record) {
	t.Helper()
	cfg.Files = files
	var mu sync.Mutex
	records := map[string][]Record{}
	m, err := New(cfg, func(r Record) error {
		mu.Lock()
		defer mu.Unlock()
		records[r.Kind()] = append(records[r.Kind()], r)
		return nil
	}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m, records
}

func sum(counts ...[]uint64) (n int) {
	for _, list := range counts {
		for _, c := range list {
			n += int(c)
		}
	}
	return n
}

// ours counts messages as TestTsharkAgreesOnMessages names them.
func ours(m *Monitor, records map[string][]Record) map[string]int {
	t := &m.workers[0].talk
	got := map[string]int{
		"ntp": sum(t.ntpPackets[:]), "dhcp": sum(t.dhcp[0][:]), "dhcpv6": sum(t.dhcp[1][:]), "sip request": sum(t.sipRequests[:]),
		"sip answer": sum(t.sipStatus[:]), "stun": sum(t.stun[:]), "wireguard": sum(t.wireguard[:]), "isakmp": sum(t.ike[:2]),
		"enip": sum(t.enip[:2]),
	}
	for i := range transports {
		got["dns query"] += sum(t.dnsQueries[i][:])
		got["dns answer"] += sum(t.dnsResponses[i][:])
	}
	for _, r := range records["modbus"] {
		b := r.(*Modbus)
		got["modbus"] += btoi(b.Asked) + btoi(b.Answered)
	}
	for _, r := range records["arp"] {
		got["arp"] += int(r.(*ARP).Count)
	}
	for _, r := range records["icmp"] {
		i := r.(*ICMP)
		name := "icmp"
		if i.Version == 6 {
			name = "icmpv6"
		}
		got[name] += int(i.Count + i.Answered)
	}
	for _, r := range records["neighbour"] {
		got[r.(*Neighbour).Protocol] += int(r.(*Neighbour).Count)
	}
	pairs := map[string]bool{}
	for _, r := range records["connection"] {
		c := r.(*Connection)
		if c.Proto != "tcp" && c.Proto != "udp" {
			continue
		}
		if pair := c.Proto + c.CommunityID; !pairs[pair] {
			pairs[pair] = true
			got[c.Proto+" conversations"]++
		}
	}
	return got
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// theirs counts what tshark sees. What an error of ICMP quotes does not count.
func theirs(t *testing.T, tshark, file string) map[string]int {
	t.Helper()
	got := map[string]int{}
	out, err := exec.CommandContext(t.Context(), tshark, "-n", "-r", file, "-T", "fields",
		"-e", "frame.protocols", "-e", "dns.flags.response", "-e", "sip.Method", "-e", "sip.Status-Code", "-e", "enip.command").Output()
	if err != nil {
		t.Logf("tshark: %v", err) // it also stops at a cut packet
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimRight(line, "\n"), "\t")
		layers := strings.Split(fields[0], ":")
		if i := slices.IndexFunc(layers, func(l string) bool { return l == "icmp" || l == "icmpv6" }); i >= 0 {
			layers = layers[:i+1]
			fields[1], fields[2], fields[3] = "", "", ""
		}
		if fields[4] != "" {
			got["enip"] += 1 + strings.Count(fields[4], ",")
		}
		for i, l := range layers {
			if l == "dhcp" && i > 0 && layers[i-1] == l {
				continue // options within an option
			}
			switch l {
			case "ntp", "dhcp", "dhcpv6", "stun", "isakmp", "arp", "icmp", "icmpv6", "lldp", "cdp", "modbus":
				got[l]++
			case "wg":
				got["wireguard"]++
			}
		}
		if slices.ContainsFunc(layers, func(l string) bool { return l == "dns" || l == "mdns" || l == "llmnr" }) {
			for answer := range strings.SplitSeq(fields[1], ",") {
				switch answer {
				case "0", "False":
					got["dns query"]++
				case "1", "True":
					got["dns answer"]++
				}
			}
		}
		if fields[2] != "" {
			got["sip request"]++
		}
		if fields[3] != "" {
			got["sip answer"]++
		}
	}
	out, _ = exec.CommandContext(t.Context(), tshark, "-n", "-r", file, "-q", "-z", "conv,udp", "-z", "conv,tcp").Output()
	proto := ""
	for line := range strings.Lines(string(out)) {
		switch {
		case strings.HasPrefix(line, "TCP"):
			proto = "tcp"
		case strings.HasPrefix(line, "UDP"):
			proto = "udp"
		case strings.Contains(line, "<->"):
			got[proto+" conversations"]++
		}
	}
	return got
}

// differs lists where we and tshark do not agree, and why we are right.
var differs = map[string]struct {
	ours, theirs int
	why          string
}{
	"ndpi-vxlan.pcap udp conversations":                 {2, 11, "a packet counts for its innermost flow, and the network's number is a part of it; tshark counts VXLAN's own too"},
	"zeek-tunnels-geneve.pcap udp conversations":        {0, 2, "the same of Geneve"},
	"ndpi-fuzz-2006-09-29-28586.pcap tcp conversations": {36, 37, "the same ports twice: two connections for us too, counted once here"},
}

func TestTsharkAgreesOnMessages(t *testing.T) {
	tshark := proctest.External(t, "tshark")
	for _, file := range corpus(t, "*") {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, records := watchAll(t, Default(), file)
			got, want := ours(m, records), theirs(t, tshark, file)
			all := maps.Clone(want)
			maps.Copy(all, got)
			for what := range all {
				if d, ok := differs[name+" "+what]; ok {
					if got[what] != d.ours || want[what] != d.theirs {
						t.Errorf("%s: %d; tshark has %d; the table says %d and %d", what, got[what], want[what], d.ours, d.theirs)
					}
				} else if got[what] != want[what] {
					t.Errorf("%s: %d; tshark has %d", what, got[what], want[what])
				}
			}
		})
	}
}
