package filter

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/net/bpf"

	"github.com/orielhq/oriel/internal/proctest"
)

var expressions = []string{
	"", "tcp", "udp", "icmp", "icmp6", "arp", "ip", "ip6", "sctp", "esp", "not ip", "ip proto 6", "ip6 proto 17", "proto 17", "ether proto 0x88cc", "ether proto \\ip",
	"port 53", "tcp port 80", "udp dst port 53", "src port 443", "tcp port http or https", "tcp port 80 or 443", "portrange 20-25", "udp portrange 5000-6000", "not port 22 and not arp",
	"host 192.168.1.104", "src host 141.142.220.118", "dst net 192.168.0.0/16", "net 10", "net 172.16.0.0/12", "net 192.168.0.0 mask 255.255.0.0", "src net 10.0.0.0/8 and dst port 80",
	"src or dst host 192.168.1.1", "src and dst net 10.0.0.0/8", "net 10 and not (tcp port 22 or udp port 53)", "ip6 host fe80::1", "net fe80::/10", "ip6 net 2001::/16",
	"broadcast", "multicast", "ip multicast", "ip6 multicast", "ether multicast", "ether broadcast", "less 100", "greater 1000", "len > 200 and len <= 500", "len & 1 = 1",
	"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "tcp[13] = 2", "tcp[tcpflags] == tcp-syn", "ip[0] & 0xf != 5", "icmp[icmptype] == icmp-echo", "icmp6[0] == 135", "udp[4:2] > 100",
	"tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420", "(ip[2:2] - ((ip[0] & 0xf) << 2)) > 500", "ip[6:2] & 0x1fff != 0", "ip[8] < 64", "ether[0] & 1 = 0 and ip[16] >= 224",
	"vlan", "vlan 100", "vlan and ip", "vlan and tcp port 80", "mpls", "tcp or vlan and udp", "tcp and (port 25 or port 587) and not host 10.0.0.1", "not (tcp or udp)",
	"ip[9] == 6 || ip[9] == 17 && ip[8] > 100", "dst port 53 or dst port 80 or dst port 443", "ether host 00:1b:77:63:25:5c", "1 == 1", "len * 2 > 400", "tcp src port 21 and tcp[20:1] = 0x35",
	"port domain", "udp and !(port 53)", "igmp", "ah", "pim", "rarp", "ip and not tcp and not udp and not icmp", "dst 192.168.1.1", "src net 192.168.1", "pppoes",
}

// TestTcpdumpAgrees: each expression keeps as many packets of each capture as tcpdump does.
func TestTcpdumpAgrees(t *testing.T) {
	tcpdump := proctest.External(t, "tcpdump")
	dir := os.Getenv("ORIEL_CORPUS")
	if dir == "" {
		dir = "../../../../shared/data"
	}
	files, _ := filepath.Glob(filepath.Join(dir, "pcap", "*"))
	if len(files) == 0 {
		proctest.Without(t, "no captures (ORIEL_CORPUS)")
	}
	compared := 0
	everything := os.Getenv("CI") == "true"
	for n, name := range files {
		link, packets := read(t, name)
		if packets == nil {
			continue
		}
		for m, text := range expressions {
			if !everything && (n+m)%4 != 0 {
				continue // a quarter of the pairs tells most of it
			}
			prog, err := Compile(text, Options{Link: link})
			if err != nil {
				if link == 1 {
					t.Errorf("%s: %v", filepath.Base(name), err)
				}
				continue
			}
			kept := 0
			for _, p := range packets {
				if prog.Match(p.data, p.wire) {
					kept++
				}
			}
			out, err := exec.CommandContext(t.Context(), tcpdump, "-n", "--count", "-r", name, text).Output()
			if err != nil {
				continue // not of this link type, or the file is cut
			}
			want, err := strconv.Atoi(strings.Fields(string(out))[0])
			if err != nil {
				t.Fatalf("tcpdump says %q", out)
			}
			compared++
			if kept != want {
				t.Errorf("%s: %q keeps %d of %d; tcpdump keeps %d", filepath.Base(name), text, kept, len(packets), want)
			}
		}
	}
	t.Logf("%d comparisons", compared)
	if compared < 900 {
		t.Errorf("only %d comparisons", compared)
	}
}

type captured struct {
	data []byte
	wire int
}

// same checks a program's verdict against that of x/net's machine.
func same(t *testing.T, prog *Program, packet []byte) {
	t.Helper()
	vm, err := bpf.NewVM(prog.Instructions)
	if err != nil {
		t.Fatal(err)
	}
	n, err := vm.Run(packet)
	if got, want := prog.Match(packet, len(packet)), err == nil && n > 0; got != want && err == nil {
		t.Errorf("Match = %v; x/net has %v", got, want)
	}
}

func read(t *testing.T, name string) (link uint16, packets []captured) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	if err != nil {
		return 0, nil
	}
	for {
		b, info, err := r.ReadPacketData()
		if err != nil {
			return uint16(r.LinkType()), packets
		}
		packets = append(packets, captured{b, info.Length})
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		"port": "ends too early", "port 99999": "is not a port", "host example.org": "is not an address", "net 10.0.0.1/8": "bits beyond", "tcp and": "ends too early",
		"(tcp": "missing )", "tcp)": "unexpected", "foo bar": "is not an address", "ip[0": "missing ]", "ip[0:3] = 1": "a size is", "len / 0 = 1": "division by zero",
		"tcp; rm": "unexpected", "arp port 80": "has no ports", "ether": "ether wants", "net 10.0.0.0 mask 255.0.255.0": "holes", "portrange 1": "wants FROM-TO",
		strings.Repeat("(", 100) + "tcp": "too deep", strings.Repeat("not ", 100) + "tcp": "too deep", strings.Repeat("tcp or ", 2000) + "tcp": "longer than",
	} {
		if _, err := Compile(text, Options{Link: 1}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Compile(%.40q) = %v; want %q", text, err, want)
		}
	}
	if _, err := Compile("tcp", Options{Link: 105}); err == nil {
		t.Error("802.11 compiles; want an error")
	}
}

func TestLongExpressionJumpsFar(t *testing.T) {
	var parts []string
	for i := range 60 {
		parts = append(parts, "port "+strconv.Itoa(1000+i))
	}
	text := strings.Join(parts, " or ")
	prog, err := Compile(text, Options{Link: 1})
	if err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, 60)
	frame[12], frame[14], frame[23] = 8, 0x45, 17
	for _, c := range []struct {
		port int
		keep bool
	}{{1000, true}, {1059, true}, {1060, false}} {
		frame[34], frame[35] = byte(c.port>>8), byte(c.port)
		if got := prog.Match(frame, 60); got != c.keep {
			t.Errorf("port %d: %v", c.port, got)
		}
	}
}

func TestLiveProgramAsksKernelForVLAN(t *testing.T) {
	prog, err := Compile("vlan 7 and tcp", Options{Link: 1, Live: true})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, i := range prog.Instructions {
		if l, ok := i.(bpf.LoadExtension); ok && l.Num == bpf.ExtVLANTag {
			found = true
		}
	}
	if !found {
		t.Errorf("%v", prog.Instructions)
	}
}

func FuzzCompile(f *testing.F) {
	for _, e := range expressions {
		f.Add(e, []byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x08\x00\x45"))
	}
	f.Fuzz(func(t *testing.T, text string, packet []byte) {
		prog, err := Compile(text, Options{Link: 1})
		if err != nil {
			return
		}
		if len(prog.Instructions) > maxInstructions {
			t.Fatalf("%d instructions", len(prog.Instructions))
		}
		_, opposite := Compile("not ("+text+")", Options{Link: 1})
		same(t, prog, packet)
		if strings.TrimSpace(text) != "" && opposite != nil && len(text) < maxText-8 && !strings.Contains(opposite.Error(), "too") {
			t.Fatalf("%q compiles, its opposite does not: %v", text, opposite)
		}
	})
}
