package packet

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orielhq/oriel/internal/proctest"
)

// links are the link types of tcpdump.org/linktypes.html with a header in front
// of an IPv4 packet each; some have several forms.
var links = []struct {
	name   string
	link   uint16
	header []byte
}{
	{"ethernet", linkEthernet, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0}},
	{"ethernet, VLAN in VLAN", linkEthernet, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0}},
	{"ethernet, VN-Tag", linkEthernet, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x89, 0x26, 0, 1, 0, 2, 8, 0}},
	{"ethernet, MPLS", linkEthernet, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0x47, 0, 1, 0x21, 64}},
	{"ethernet, PPPoE", linkEthernet, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0x64, 0x11, 0, 0, 1, 0, 34, 0, 0x21}},
	{"ethernet, SNAP", linkEthernet, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0, 40, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0}},
	{"null", linkNull, []byte{2, 0, 0, 0}},
	{"loop", linkLoop, []byte{0, 0, 0, 2}},
	{"raw", linkRaw, nil},
	{"raw, BSD's number", linkRawOld, nil},
	{"raw, OpenBSD's number", linkRawOld2, nil},
	{"ipv4", linkIPv4, nil},
	{"ppp", linkPPP, []byte{0xff, 3, 0, 0x21}},
	{"ppp, short", linkPPP, []byte{0, 0x21}},
	{"ppp in HDLC frames", linkPPPHDLC, []byte{0xff, 3, 0, 0x21}},
	{"pppoe", linkPPPoE, []byte{0x11, 0, 0, 1, 0, 34, 0, 0x21}},
	{"cisco HDLC", linkCHDLC, []byte{0x0f, 0, 8, 0}},
	{"linux cooked", linkSLL, []byte{0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0}},
	{"linux cooked, 2", linkSLL2, []byte{8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0}},
	{"netfilter's log", linkNFLOG, []byte{2, 0, 0, 0, 8, 0, 1, 0, 8, 0, 1, 0, 36, 0, 9, 0}},
}

// TestEveryLinkTypeIsRead: the packet behind each link type's header is found, as tshark finds it.
func TestEveryLinkTypeIsRead(t *testing.T) {
	dir := t.TempDir()
	var files []string
	var want strings.Builder
	for i, tt := range links {
		ip := []byte{0x45, 0, 0, 32, 0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0x9c, 0x40, 0x30, byte(i), 0, 12, 0, 0, 'a', 'b', 'c', 'd'}
		b := append(append([]byte(nil), tt.header...), ip...)
		file := filepath.Join(dir, fmt.Sprintf("%02d.pcap", i))
		capture := pcap(binary.LittleEndian, 0xa1b2c3d4, 4, uint32(tt.link), b)
		binary.LittleEndian.PutUint32(capture[24+12:], uint32(len(b))) // none of it is missing
		if err := os.WriteFile(file, capture, 0o600); err != nil {
			t.Fatal(err)
		}
		if tt.link != linkRawOld2 { // Wireshark takes its number for another one
			files = append(files, file)
			fmt.Fprintf(&want, "192.0.2.1\t40000\t192.0.2.2\t%d\n", 0x3000+i)
		}
		t.Run(tt.name, func(t *testing.T) {
			_, w, list := run(t, Default(), file)
			for why, n := range w.dec.failed {
				if n > 0 {
					t.Errorf("%s %d times", failureNames[why], n)
				}
			}
			if len(list) != 1 {
				t.Fatalf("%d connections; want 1", len(list))
			}
			c := list[0]
			got := fmt.Sprintf("%s %d %s %d", c.OrigAddr, c.OrigPort, c.RespAddr, c.RespPort)
			if want := fmt.Sprint("192.0.2.1 40000 192.0.2.2 ", 0x3000+i); got != want {
				t.Errorf("%s; want %s", got, want)
			}
		})
	}
	tshark, mergecap := proctest.External(t, "tshark"), proctest.External(t, "mergecap")
	all := filepath.Join(dir, "all.pcapng")
	if out, err := exec.CommandContext(t.Context(), mergecap, append([]string{"-a", "-w", all}, files...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), tshark, "-n", "-r", all, "-T", "fields", "-e", "ip.src", "-e", "udp.srcport", "-e", "ip.dst", "-e", "udp.dstport").Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(out)); diff != "" {
		t.Errorf("tshark sees something else (-want +tshark):\n%s", diff)
	}
	_, w, list := run(t, Default(), all) // one file with all link types
	if len(list) != len(files) || w.packets != uint64(len(files)) {
		t.Errorf("%d packets, %d connections in one file of all link types; want %d", w.packets, len(list), len(files))
	}
}

// TestUnknownLinkTypeIsCounted: it costs its packets, not the run.
func TestUnknownLinkTypeIsCounted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.pcap")
	if err := os.WriteFile(file, pcap(binary.LittleEndian, 0xa1b2c3d4, 4, 9999, []byte{1, 2, 3}, []byte{4}), 0o600); err != nil {
		t.Fatal(err)
	}
	_, w, _ := run(t, Default(), file)
	if w.packets != 2 || w.dec.failed[failLink] != 2 {
		t.Errorf("%d packets, %d of unknown link types; want 2 and 2", w.packets, w.dec.failed[failLink])
	}
}
