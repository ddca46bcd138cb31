package packet

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orielhq/oriel/internal/packet/dhcp"
	"github.com/orielhq/oriel/internal/proctest"
)

// TestFieldsAsTshark compares not how many messages there are but what is in them.
func TestFieldsAsTshark(t *testing.T) {
	tshark := proctest.External(t, "tshark")
	number := func(s string) int64 { n, _ := strconv.ParseInt(s, 0, 64); return n }
	for _, tt := range []struct {
		name   string
		file   func(t *testing.T) string
		filter string
		fields []string
		row    func(f []string) string // of a packet; empty: it does not count
		ours   func(records map[string][]Record) []string
	}{
		{
			"modbus", captured("ndpi-modbus.pcap"), "modbus",
			[]string{"tcp.dstport", "mbtcp.trans_id", "mbtcp.unit_id", "modbus.func_code", "modbus.reference_num", "modbus.word_cnt", "modbus.exception_code"},
			func(f []string) string {
				if f[0] != "502" {
					return "answer " + f[1] + " " + f[2] + " " + f[3]
				}
				address, quantity := int64(-1), int64(0)
				if f[4] != "" {
					address, quantity = number(f[4]), number(f[5])
				}
				return fmt.Sprintf("%s %s %s at %d of %d", f[1], f[2], f[3], address, quantity)
			},
			func(records map[string][]Record) (list []string) {
				for _, r := range records["modbus"] {
					m := r.(*Modbus)
					if m.Asked {
						list = append(list, fmt.Sprintf("%d %d %d at %d of %d", m.TransactionID, m.Unit, m.Function, m.Address, m.Quantity))
					}
					if m.Answered {
						list = append(list, fmt.Sprintf("answer %d %d %d", m.TransactionID, m.Unit, m.Function))
					}
				}
				return list
			},
		},
		{
			"ntp", captured("zeek-ntp-ntp.pcap"), "ntp.flags.mode == 4",
			[]string{"ip.src", "ntp.flags.li", "ntp.flags.vn", "ntp.stratum", "ntp.ppoll", "ntp.precision", "ntp.rootdelay", "ntp.rootdispersion"},
			func(f []string) string {
				return fmt.Sprintf("%s leap %s version %s stratum %s poll %s precision %d delay %d dispersion %d", f[0], f[1], f[2], f[3], f[4], int8(number(f[5])), number(f[6]), number(f[7]))
			},
			func(records map[string][]Record) (list []string) {
				short := func(nanos int64) int64 { return (nanos*65536 + 5e8) / 1e9 }
				for _, r := range records["ntp"] {
					if n := r.(*NTP); n.Answered {
						list = append(list, fmt.Sprintf("%s leap %d version %d stratum %d poll %d precision %d delay %d dispersion %d", n.RespAddr, n.Leap, n.Version, n.Stratum,
							bits.Len64(uint64(n.PollSeconds))-1, n.PrecisionLog2, short(n.RootDelayNanos), short(n.RootDispersionNanos)))
					}
				}
				return list
			},
		},
		{
			"dhcp", captured("zeek-dhcp-dhcp.pcap"), "dhcp",
			[]string{"dhcp.id", "dhcp.hw.mac_addr", "dhcp.option.dhcp", "dhcp.option.hostname", "dhcp.ip.your", "dhcp.option.requested_ip_address", "dhcp.option.ip_address_lease_time"},
			func(f []string) string {
				m := dhcp.Message{Version: 4, Type: uint8(number(f[2]))}
				return fmt.Sprintf("%d %s %s %s %s %s %d", number(f[0]), f[1], m.TypeName(), f[3], unset(f[4]), unset(f[5]), number(f[6]))
			},
			func(records map[string][]Record) (list []string) {
				for _, r := range records["dhcp"] {
					d := r.(*DHCP)
					list = append(list, fmt.Sprintf("%d %s %s %s %s %s %d", d.TransactionID, d.MAC, d.Type, d.HostName, unset(d.AssignedAddr), unset(d.RequestedAddr), d.LeaseSeconds))
				}
				return list
			},
		},
		{
			"icmp", captured("zeek-icmp-icmp-ping.pcap"), "icmp",
			[]string{"ip.src", "ip.dst", "icmp.type", "icmp.code"},
			func(f []string) string { return strings.Join(f, " ") }, icmpRows,
		},
		{
			"icmp of errors", made(quoted), "icmp",
			[]string{"ip.src", "ip.dst", "icmp.type", "icmp.code", "udp.dstport", "icmp.mtu"},
			func(f []string) string {
				outer, about, _ := strings.Cut(f[0], ",")
				to, aboutTo, _ := strings.Cut(f[1], ",")
				return fmt.Sprintf("%s %s %s %s about %s %s:%s mtu %d", outer, to, f[2], f[3], about, aboutTo, f[4], number(f[5]))
			},
			func(records map[string][]Record) (list []string) {
				for _, r := range records["icmp"] {
					i := r.(*ICMP)
					list = append(list, fmt.Sprintf("%s %s %d %d about %s %s:%d mtu %d", i.OrigAddr, i.RespAddr, i.Type, i.Code, i.AboutOrigAddr, i.AboutRespAddr, i.AboutRespPort, i.MTU))
				}
				return list
			},
		},
		{
			"sip", captured("zeek-sip-wireshark.pcap"), "sip.Method",
			[]string{"sip.Method", "sip.Call-ID", "sip.CSeq.seq", "sip.User-Agent"},
			func(f []string) string { return strings.Join(f, " | ") },
			func(records map[string][]Record) (list []string) {
				for _, r := range records["sip"] {
					s := r.(*SIP)
					for range 1 + s.Repeated {
						if s.Method != "" && s.URI != "" {
							list = append(list, fmt.Sprintf("%s | %s | %d | %s", s.Method, s.CallID, s.Sequence, s.UserAgent))
						}
					}
				}
				return list
			},
		},
		{
			"enip", captured("ndpi-ethernetIP.pcap"), "enip && tcp.dstport == 44818",
			[]string{"enip.command", "enip.session"},
			nil, nil,
		},
		{
			"stun", made(stunFrames), "stun",
			[]string{"stun.type.class", "stun.att.ipv4", "stun.att.port", "stun.att.software"},
			func(f []string) string {
				if number(f[0]) == 0 {
					return "asked"
				}
				return fmt.Sprintf("answered %s:%s %s", f[1], f[2], f[3])
			},
			func(records map[string][]Record) (list []string) {
				for _, r := range records["stun"] {
					s := r.(*STUN)
					list = append(list, "asked", fmt.Sprintf("answered %s %s", s.MappedAddr, s.Software))
				}
				return list
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := tt.file(t)
			args := []string{"-n", "-r", file, "-Y", tt.filter, "-T", "fields"}
			for _, f := range tt.fields {
				args = append(args, "-e", f)
			}
			out, err := exec.CommandContext(t.Context(), tshark, args...).Output()
			if err != nil {
				t.Fatal(err)
			}
			_, records := watchAll(t, Default(), file)
			row, ours := tt.row, tt.ours
			var want []string
			for line := range strings.Lines(string(out)) {
				f := strings.Split(strings.TrimRight(line, "\n"), "\t")
				if row == nil { // several messages to a packet
					sessions := strings.Split(f[1], ",")
					for i, c := range strings.Split(f[0], ",") {
						want = append(want, fmt.Sprintf("%d %d", number(c), number(sessions[i])))
					}
					continue
				}
				if s := row(f); s != "" {
					want = append(want, s)
				}
			}
			if ours == nil {
				ours = func(records map[string][]Record) (list []string) {
					for _, r := range records["enip"] {
						if e := r.(*ENIP); e.Asked {
							list = append(list, fmt.Sprintf("%d %d", e.command, e.Session))
						}
					}
					return list
				}
			}
			got := ours(records)
			slices.Sort(want)
			slices.Sort(got)
			if len(want) == 0 {
				t.Fatal("tshark sees nothing")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("fields (-tshark +ours):\n%s", diff)
			}
		})
	}
}

func unset(addr string) string {
	if addr == "0.0.0.0" {
		return ""
	}
	return addr
}

// icmpRows are the messages of records that count, one by one.
func icmpRows(records map[string][]Record) (list []string) {
	for _, r := range records["icmp"] {
		i := r.(*ICMP)
		for range i.Count {
			list = append(list, fmt.Sprintf("%s %s %d %d", i.OrigAddr, i.RespAddr, i.Type, i.Code))
		}
		for range i.Answered {
			list = append(list, fmt.Sprintf("%s %s 0 0", i.RespAddr, i.OrigAddr))
		}
	}
	return list
}

func captured(name string) func(t *testing.T) string {
	return func(t *testing.T) string { return corpus(t, name)[0] }
}

// made writes frames into a capture, for what the corpus does not have.
func made(frames func(t testing.TB) [][]byte) func(t *testing.T) string {
	return func(t *testing.T) string {
		file := filepath.Join(t.TempDir(), "made.pcap")
		if err := os.WriteFile(file, pcap(binary.LittleEndian, 0xa1b2c3d4, 4, 1, frames(t)...), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
}

// quoted are errors of ICMP about a packet of UDP.
func quoted(t testing.TB) [][]byte {
	about := udpFrame("192.0.2.1:5000", "198.51.100.9:53", []byte("question"))[14:]
	return [][]byte{
		icmpFrame("192.0.2.7", "192.0.2.1", append(unhex(t, "0303 0000 0000 0000"), about...)),
		icmpFrame("192.0.2.8", "192.0.2.1", append(unhex(t, "0b00 0000 0000 0000"), about...)),
		icmpFrame("192.0.2.9", "192.0.2.1", append(unhex(t, "0304 0000 0000 0578"), about...)),
	}
}

// stunFrames are the request and the answer of RFC 5769, 2.1 and 2.2.
func stunFrames(t testing.TB) [][]byte {
	asked := "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff80290008932ff9b151263b36" +
		"000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
	answered := "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
	return [][]byte{
		udpFrame("192.0.2.1:50000", "192.0.2.5:3478", unhex(t, asked)), udpFrame("192.0.2.5:3478", "192.0.2.1:50000", unhex(t, answered)),
	}
}
