package packet

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orielhq/oriel/internal/conf"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// udpFrame is a datagram between two addresses with ports.
func udpFrame(from, to string, payload []byte) []byte {
	src, dst := netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)
	b := make([]byte, 42, 42+len(payload))
	b[12] = 8
	ip := b[14:]
	ip[0], ip[8], ip[9] = 0x45, 64, protoUDP
	binary.BigEndian.PutUint16(ip[2:], uint16(28+len(payload)))
	s, d := src.Addr().As4(), dst.Addr().As4()
	copy(ip[12:], s[:])
	copy(ip[16:], d[:])
	binary.BigEndian.PutUint16(ip[20:], src.Port())
	binary.BigEndian.PutUint16(ip[22:], dst.Port())
	binary.BigEndian.PutUint16(ip[24:], uint16(8+len(payload)))
	return append(b, payload...)
}

func icmpFrame(from, to string, message []byte) []byte {
	b := udpFrame(from+":0", to+":0", nil)[:34]
	b[14+9] = protoICMP
	binary.BigEndian.PutUint16(b[16:], uint16(20+len(message)))
	return append(b, message...)
}

func arpFrame(t testing.TB, op byte, mac, from, to string) []byte {
	a, z := netip.MustParseAddr(from).As4(), netip.MustParseAddr(to).As4()
	return unhex(t, "ffffffffffff"+mac+"0806 0001 0800 06 04 00"+fmt.Sprintf("%02x", op)+mac+fmt.Sprintf("%x", a)+"000000000000"+fmt.Sprintf("%x", z))
}

// Messages as they are on the wire.
const (
	dnsQuestion = "1234 0100 0001 0000 0000 0000 03 577777 07 6578616d706c65 03 636f6d 00 0001 0001"
	dnsAnswer   = "1234 8183 0001 0001 0000 0000 03 777777 07 6578616d706c65 03 636f6d 00 0001 0001 c00c 0001 0001 0000003c 0004 c0000207"
	ntpAsked    = "230000000000000000000000 00000000 0000000000000000 0000000000000000 0000000000000000 83aa82d800000000"
	ntpAnswered = "240106ec000003e8000007d0 47505300 83aa7e8000000000 83aa82d800000000 83aa826d00000000 83aa826d00000000"
)

func talkFrames(t testing.TB) [][]byte {
	t.Helper()
	dhcp := make([]byte, 236)
	dhcp[0], dhcp[1], dhcp[2], dhcp[28] = 1, 1, 6, 2
	dhcp = append(dhcp, unhex(t, "63825363 350101 0c03 6e6173 3703 010306 ff")...)
	wg := make([]byte, 148)
	wg[0] = 1
	return [][]byte{
		udpFrame("192.0.2.1:5000", "192.0.2.53:53", unhex(t, dnsQuestion)), udpFrame("192.0.2.53:53", "192.0.2.1:5000", unhex(t, dnsAnswer)),
		udpFrame("192.0.2.1:5001", "192.0.2.53:53", unhex(t, dnsQuestion)), udpFrame("192.0.2.53:53", "192.0.2.1:5002", []byte{1, 2, 3}),
		udpFrame("192.0.2.1:5003", "224.0.0.252:5355", unhex(t, dnsQuestion)), udpFrame("192.0.2.9:5355", "192.0.2.1:5003", unhex(t, dnsAnswer)),
		udpFrame("192.0.2.1:5353", "224.0.0.251:5353", unhex(t, dnsQuestion)),
		udpFrame("192.0.2.1:123", "192.0.2.4:123", unhex(t, ntpAsked)), udpFrame("192.0.2.4:123", "192.0.2.1:123", unhex(t, ntpAnswered)),
		udpFrame("0.0.0.0:68", "255.255.255.255:67", dhcp),
		udpFrame("192.0.2.1:5060", "192.0.2.5:5060", []byte("OPTIONS sip:a@192.0.2.5 SIP/2.0\r\nCall-ID: 1\r\nCSeq: 7 OPTIONS\r\n\r\n")),
		udpFrame("192.0.2.5:5060", "192.0.2.1:5060", []byte("SIP/2.0 200 OK\r\nCall-ID: 1\r\nCSeq: 7 OPTIONS\r\n\r\n")),
		udpFrame("192.0.2.1:5006", "192.0.2.6:51820", wg),
		icmpFrame("192.0.2.1", "192.0.2.7", unhex(t, "0800 0000 0001 0001 61")), icmpFrame("192.0.2.7", "192.0.2.1", unhex(t, "0000 0000 0001 0001 61")),
		arpFrame(t, 1, "020000000001", "192.0.2.1", "192.0.2.7"), arpFrame(t, 1, "020000000001", "192.0.2.1", "192.0.2.7"),
	}
}

// told reads frames a millisecond apart, the first at 1000 s, and returns the records by kind.
func told(t testing.TB, cfg Config, frames ...[]byte) (*Monitor, map[string][]Record) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "a.pcap")
	if err := os.WriteFile(file, pcap(binary.LittleEndian, 0xa1b2c3d4, 4, 1, frames...), 0o600); err != nil {
		t.Fatal(err)
	}
	return watchAll(t, cfg, file)
}

func TestRecordsOfDatagrams(t *testing.T) {
	m, records := told(t, Default(), talkFrames(t)...)
	if used := m.workers[0].budget.used; used != 0 {
		t.Errorf("%d bytes are still charged", used)
	}
	var got []string
	for _, r := range records["dns"] {
		d := r.(*DNS)
		got = append(got, fmt.Sprintf("%s %s>%s %s %s %v %v %s %v %d", d.Service, d.OrigAddr, d.RespAddr, d.Query, d.QType, d.Asked, d.Answered, d.Rcode, d.Answers, d.RTTNanos))
	}
	for _, r := range records["ntp"] {
		n := r.(*NTP)
		got = append(got, fmt.Sprintf("ntp %s %v %v %d %s offset %s delay %s rtt %s", n.Mode, n.Asked, n.Answered, n.Stratum, n.Reference,
			time.Duration(n.OffsetNanos), time.Duration(n.DelayNanos), time.Duration(n.RTTNanos)))
	}
	for _, r := range records["dhcp"] {
		d := r.(*DHCP)
		got = append(got, fmt.Sprintf("dhcp %d %s %s %s %s", d.Version, d.Type, d.HostName, d.Fingerprint, d.MAC))
	}
	for _, r := range records["sip"] {
		s := r.(*SIP)
		got = append(got, fmt.Sprintf("sip %s %s %d %d", s.Method, s.URI, s.Status, s.TotalNanos))
	}
	for _, r := range records["wireguard"] {
		got = append(got, fmt.Sprintf("wireguard %d", r.(*WireGuard).Initiations))
	}
	for _, r := range records["icmp"] {
		i := r.(*ICMP)
		got = append(got, fmt.Sprintf("icmp %s %s>%s %d %d %d", i.Name, i.OrigAddr, i.RespAddr, i.Count, i.Answered, i.MeanRTTNanos))
	}
	for _, r := range records["arp"] {
		a := r.(*ARP)
		got = append(got, fmt.Sprintf("arp %s %s>%s %s %d", a.Operation, a.OrigAddr, a.RespAddr, a.SenderMAC, a.Count))
	}
	want := []string{
		"dns 192.0.2.1>192.0.2.53 www.example.com A true true NXDOMAIN [192.0.2.7] 1000000",
		"llmnr 192.0.2.1>224.0.0.252 www.example.com A true true NXDOMAIN [192.0.2.7] 1000000",
		"mdns 192.0.2.1>224.0.0.251 www.example.com A true false  [] 0",
		"dns 192.0.2.1>192.0.2.53 www.example.com A true false  [] 0",
		// The answer is 1005 s after 1970 and comes 1000.0085 s after.
		"ntp server true true 1 GPS offset 4.9915s delay 1ms rtt 1ms",
		"dhcp 4 DISCOVER nas 1,3,6 02:00:00:00:00:00",
		"sip OPTIONS sip:a@192.0.2.5 200 1000000",
		"wireguard 1",
		"icmp echo_request 192.0.2.1>192.0.2.7 1 1 1000000",
		"arp request 192.0.2.1>192.0.2.7 02:00:00:00:00:01 2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func tcpPort(frame []byte, port uint16, fromClient bool) []byte {
	at := 36
	if !fromClient {
		at = 34
	}
	binary.BigEndian.PutUint16(frame[at:], port)
	return frame
}

// stream is a session of TCP in which the sides say parts in turn; a client's part begins with >.
func tcpTalk(port uint16, parts ...string) [][]byte {
	frames := [][]byte{tcpFrame(true, 100, 0, flagSYN, ""), tcpFrame(false, 500, 101, flagSYN|flagACK, ""), tcpFrame(true, 101, 501, flagACK, "")}
	seq := map[bool]uint32{true: 101, false: 501}
	for _, part := range parts {
		client := part[0] == '>'
		frames = append(frames, tcpFrame(client, seq[client], seq[!client], flagACK, part[1:]))
		seq[client] += uint32(len(part) - 1)
	}
	for i, f := range frames {
		client := f[14+15] == 1
		frames[i] = tcpPort(f, port, client)
	}
	return frames
}

func TestDNSOverTCPInPieces(t *testing.T) {
	question, answer := string(unhex(t, "0021"+dnsQuestion)), string(unhex(t, "0031"+dnsAnswer))
	second := string([]byte{0, 0x21, 9, 9}) + question[4:]
	_, records := told(t, Default(), tcpTalk(53, ">"+question[:20], ">"+question[20:]+second[:1], ">"+second[1:], "<"+answer[:30], "<"+answer[30:])...)
	var got []string
	for _, r := range records["dns"] {
		d := r.(*DNS)
		got = append(got, fmt.Sprintf("%s %d %s %v", d.Proto, d.TransactionID, d.Query, d.Answered))
	}
	if diff := cmp.Diff([]string{"tcp 4660 www.example.com true", "tcp 2313 www.example.com false"}, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestModbusInPieces(t *testing.T) {
	read, answer := string(unhex(t, "0001 0000 0006 01 03 006b 0003")), string(unhex(t, "0001 0000 0009 01 03 06 000100020003"))
	write, refused := string(unhex(t, "0002 0000 0006 01 06 0001 ffff")), string(unhex(t, "0002 0000 0003 01 86 02"))
	m, records := told(t, Default(), tcpTalk(502, ">"+read[:9], ">"+read[9:]+write, "<"+answer+refused[:3], "<"+refused[3:])...)
	var got []string
	for _, r := range records["modbus"] {
		b := r.(*Modbus)
		got = append(got, fmt.Sprintf("%s %s %d %d %d %q %v", b.FunctionName, b.Class, b.Address, b.Quantity, b.Value, b.Exception, b.RTTNanos > 0))
	}
	want := []string{`read_holding_registers read 107 3 -1 "" true`, `write_single_register write 1 1 65535 "illegal_data_address" true`}
	if diff := cmp.Diff(want, got); diff != "" || m.workers[0].talk.modbusFails != 1 {
		t.Errorf("records, %d exceptions (-want +got):\n%s", m.workers[0].talk.modbusFails, diff)
	}
}

// TestWaitingIsBounded: questions that nobody answers are kept in a bounded number, and all are recorded.
func TestWaitingIsBounded(t *testing.T) {
	cfg := Default()
	cfg.MemoryBudget = minBudget
	var n int
	w := newWorker(cfg, "file", minBudget, func(r Record) error {
		if r.Kind() == "dns" {
			n++
		}
		return nil
	}, quiet())
	f := frame{link: linkEthernet}
	for i := range 20_000 {
		question := unhex(t, dnsQuestion)
		binary.BigEndian.PutUint16(question, uint16(i))
		port := 5355
		if i%2 == 0 {
			port = 53
		}
		f.data = udpFrame(fmt.Sprintf("192.0.2.1:%d", 1000+i%7), fmt.Sprintf("192.0.2.53:%d", port), question)
		f.wire, f.time = len(f.data), int64(i)
		w.take(&f)
	}
	if used := w.budget.used; used > 7*(maxQuestions*dnsCost+4096)+maxNeighbours*dnsCost || len(w.talk.llmnr) > maxNeighbours || len(w.talk.llmnrOrder) > 2*maxNeighbours {
		t.Errorf("%d bytes, %d and %d neighbours wait", used, len(w.talk.llmnr), len(w.talk.llmnrOrder))
	}
	w.finish()
	if n != 20_000 || w.budget.used != 0 || w.dec.failed[failPanic] != 0 {
		t.Errorf("%d records, %d bytes charged, %d panics; want 20000, 0, 0", n, w.budget.used, w.dec.failed[failPanic])
	}
}

func TestTalkersKeepTheLoudest(t *testing.T) {
	s := newTalkers(4)
	loud := netip.MustParseAddr("192.0.2.1")
	for i := range 1000 {
		s.add(loud, 100)
		s.add(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 1)
	}
	e := s.m[loud]
	for a, e := range s.m {
		if a != loud && e.count-e.over > 1 {
			t.Errorf("%s is shown with %d bytes; it sent 1", a, e.count-e.over)
		}
	}
	if len(s.m) != 4 || e == nil || e.count-e.over != 100_000 || s.total != 101_000 || s.folded == 0 {
		t.Errorf("%d counters, %+v, total %d, folded %d", len(s.m), e, s.total, s.folded)
	}
}

func TestDevicesAndServicesOfFrames(t *testing.T) {
	cfg := Default()
	cfg.Detections.Learn = conf.Duration(0)
	frames := [][]byte{
		arpFrame(t, 2, "020000000001", "192.168.0.1", "192.168.0.9"), arpFrame(t, 2, "020000000002", "192.168.0.1", "192.168.0.9"),
	}
	_, records := told(t, cfg, frames...)
	var got []string
	for _, r := range records["alert"] {
		got = append(got, r.(*Alert).Rule+": "+r.(*Alert).Detail)
	}
	want := []string{
		"new_device: first seen: 02:00:00:00:00:01 with 192.168.0.1", "new_device: first seen: 02:00:00:00:00:02 with 192.168.0.1",
		"moved_address: 192.168.0.1 moved from 02:00:00:00:00:01 to 02:00:00:00:00:02",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
}

// FuzzTalk gives every analyzer of datagrams and of machines hostile payloads.
func FuzzTalk(f *testing.F) {
	for i, frame := range talkFrames(f) {
		if len(frame) > 42 && frame[23] == protoUDP {
			f.Add(uint8(i), frame[42:])
		}
	}
	f.Add(uint8(20), unhex(f, "0001 0000 0006 01 03 006b 0003"))
	f.Add(uint8(21), unhex(f, "0021"+dnsQuestion))
	ports := []uint16{53, 5353, 5355, 123, 67, 5060, 3478, 51820, 500, 4500, 44818, 502, 9999}
	f.Fuzz(func(t *testing.T, at uint8, b []byte) {
		if len(b) > 60_000 {
			return
		}
		w := newWorker(Default(), "file", minBudget, func(Record) error { return nil }, quiet())
		port := ports[int(at)%len(ports)]
		fr := frame{link: linkEthernet}
		frames := tcpTalk(port, ">"+string(b[:len(b)/2]), ">"+string(b[len(b)/2:]), "<"+string(b))
		for range 3 {
			frames = append(frames, udpFrame(fmt.Sprintf("192.0.2.1:%d", port), fmt.Sprintf("192.0.2.2:%d", port), b),
				udpFrame(fmt.Sprintf("192.0.2.2:%d", port), fmt.Sprintf("192.0.2.1:%d", port), b), icmpFrame("192.0.2.1", "192.0.2.2", b))
		}
		for i, data := range frames {
			fr.data, fr.wire, fr.time = data, len(data), int64(i)
			w.take(&fr)
		}
		w.finish()
		if w.dec.failed[failPanic] != 0 || w.budget.used != 0 {
			t.Errorf("%d panics, %d bytes still charged", w.dec.failed[failPanic], w.budget.used)
		}
	})
}
