package netflow

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/flow"
	"github.com/orielhq/oriel/internal/proctest"
)

var (
	sent     = time.Date(2026, 8, 20, 1, 0, 30, 0, time.UTC)
	router   = netip.MustParseAddr("192.0.2.1")
	discard  = slog.New(slog.DiscardHandler)
	fiveText = []any{uint32(0x0a000001), uint32(0xc6336417), uint16(40000), uint16(443)}
)

// pack writes numbers big endian, and bytes as they are.
func pack(values ...any) []byte {
	var buf bytes.Buffer
	for _, v := range values {
		if err := binary.Write(&buf, binary.BigEndian, v); err != nil {
			panic(err)
		}
	}
	return buf.Bytes()
}

func v5() []byte {
	return pack(uint16(5), uint16(1), uint32(60_000), uint32(sent.Unix()), uint32(0), uint32(1), uint16(0), uint16(1<<14|10),
		uint32(0x0a000001), uint32(0xc6336417), uint32(0), uint16(3), uint16(4), uint32(5), uint32(700), uint32(50_000), uint32(59_000),
		uint16(40000), uint16(443), uint8(0), uint8(0x03), uint8(6), uint8(0), uint16(0), uint16(0), uint8(24), uint8(24), uint16(0))
}

// withLength puts a flow set's header before it.
func withLength(id uint16, body []byte) []byte {
	return append(pack(id, uint16(len(body)+4)), body...)
}

func template(fields ...uint16) []byte {
	body := pack(uint16(256), uint16(len(fields)/2))
	for _, f := range fields {
		body = append(body, pack(f)...)
	}
	return body
}

func v9(sets ...[]byte) []byte {
	return append(pack(uint16(9), uint16(len(sets)), uint32(60_000), uint32(sent.Unix()), uint32(1), uint32(7)), bytes.Join(sets, nil)...)
}

func ipfix(sets ...[]byte) []byte {
	body := bytes.Join(sets, nil)
	return append(pack(uint16(10), uint16(len(body)+16), uint32(sent.Unix()), uint32(1), uint32(7)), body...)
}

var (
	v9Template = withLength(0, template(8, 4, 12, 4, 7, 2, 11, 2, 4, 1, 6, 1, 1, 4, 2, 4, 22, 4, 21, 4, 89, 1, 61, 1))
	v9Data     = withLength(256, pack(append(append([]any{}, fiveText...), uint8(6), uint8(2), uint32(700), uint32(5), uint32(50_000), uint32(59_000), uint8(0x80), uint8(0))...))
)

func ipfixPacket() []byte {
	a, b := netip.MustParseAddr("2001:db8::1").As16(), netip.MustParseAddr("2001:db8::2").As16()
	fields := pack(uint16(256), uint16(9), uint16(27), uint16(16), uint16(28), uint16(16), uint16(7), uint16(2), uint16(11), uint16(2), uint16(4), uint16(1), uint16(1), uint16(8),
		uint16(0x8001), uint16(8), uint32(29305), uint16(152), uint16(8), uint16(153), uint16(8))
	data := pack(a[:], b[:], uint16(40000), uint16(53), uint8(17), uint64(70), uint64(300), uint64(sent.Add(-time.Second).UnixMilli()), uint64(sent.UnixMilli()))
	return ipfix(withLength(2, fields), withLength(256, data))
}

func sflowPacket() []byte {
	ip := pack(uint8(0x45), uint8(0), uint16(52), uint32(0), uint8(64), uint8(6), uint16(0), uint32(0x0a000001), uint32(0xc6336417), uint16(40000), uint16(443), uint32(1), uint32(1), uint8(0x50), uint8(0x12), uint16(0))
	frame := append(pack(make([]byte, 12), uint16(0x8100), uint16(5), uint16(0x0800)), ip...)
	for len(frame)%4 != 0 {
		frame = append(frame, 0)
	}
	record := pack(uint32(1), uint32(1500), uint32(4), uint32(len(frame)), frame)
	record = append(pack(uint32(1), uint32(len(record))), record...)
	sample := append(pack(uint32(1), uint32(3), uint32(1000), uint32(1000), uint32(0), uint32(3), uint32(4), uint32(1)), record...)
	return append(pack(uint32(5), uint32(1), uint32(0xc0000209), uint32(0), uint32(1), uint32(60_000), uint32(1), uint32(1), uint32(len(sample))), sample...)
}

func started(r flow.Record, t time.Time) flow.Record {
	r.SetStart(flow.At(t))
	return r
}

func TestDecode(t *testing.T) {
	common := flow.Record{
		Provider: flow.NetFlow, InitiatorIP: "10.0.0.1", TargetIP: "198.51.100.23", InitiatorPort: new(int32(40000)), TargetPort: new(int32(443)), TransportProtocol: new(int32(6)), EtherType: "IPv4",
		EndTime: flow.At(sent.Add(-time.Second)), WasInitiated: new(true), WasTerminated: new(false), TCPFlags: new(int32(2)), Observer: "192.0.2.1", RecordNo: 1,
		BytesFromInitiator: new(int64(700)), PacketsFromInitiator: new(int64(5)),
	}
	five := started(common, sent.Add(-10*time.Second))
	common.CaptureStartTime = flow.At(sent)
	five.Version, five.StreamID, five.CaptureStartTime, five.Extra = "5", "0", flow.At(sent), `{"output_interface":4,"src_mask":24,"dst_mask":24}`
	five.SourceFormat, five.InterfaceID, five.Sampled, five.WasTerminated, five.TCPFlags = "netflow_v5", "3", true, new(true), new(int32(3))
	five.BytesFromInitiator, five.PacketsFromInitiator = new(int64(7000)), new(int64(50))
	nine := started(common, sent.Add(-10*time.Second))
	nine.SourceFormat, nine.Action, nine.Direction = "netflow_v9", flow.Rejected, flow.Inbound
	nine.Version, nine.StreamID = "9", "7"
	ten := started(flow.Record{
		Provider: flow.NetFlow, SourceFormat: "ipfix", InitiatorIP: "2001:db8::1", TargetIP: "2001:db8::2", InitiatorPort: new(int32(40000)), TargetPort: new(int32(53)), TransportProtocol: new(int32(17)), EtherType: "IPv6",
		EndTime: flow.At(sent), CaptureStartTime: flow.At(sent), Version: "10", StreamID: "7", Observer: "192.0.2.1", RecordNo: 1, BytesFromInitiator: new(int64(70)), BytesFromTarget: new(int64(300)), Bidirectional: true,
	}, sent.Add(-time.Second))
	// SYN and ACK: the sender is who was called.
	sampled := started(common, sent)
	sampled.SourceFormat, sampled.InterfaceID, sampled.Sampled, sampled.Swapped, sampled.Observer = "sflow_v5", "3", true, true, "192.0.2.9"
	sampled.InitiatorIP, sampled.TargetIP, sampled.InitiatorPort, sampled.TargetPort = common.TargetIP, common.InitiatorIP, common.TargetPort, common.InitiatorPort
	sampled.BytesFromInitiator, sampled.PacketsFromInitiator, sampled.BytesFromTarget, sampled.PacketsFromTarget = nil, nil, new(int64(1_500_000)), new(int64(1000))
	sampled.EndTime, sampled.TCPFlags = flow.At(sent), new(int32(18))
	sampled.CaptureStartTime, sampled.Version, sampled.StreamID, sampled.Action, sampled.Direction, sampled.Extra = 0, "5", "0", flow.Accepted, flow.Outbound, `{"output_interface":4}`
	for _, tt := range []struct {
		protocol string
		packet   []byte
		want     flow.Record
	}{{"netflow_v5", v5(), five}, {"netflow_v9", v9(v9Template, v9Data), nine}, {"ipfix", ipfixPacket(), ten}, {"sflow_v5", sflowPacket(), sampled}} {
		protocol, rows, err := NewDecoder().Decode(tt.packet, router, tt.protocol == "sflow_v5", sent, nil)
		if err != nil || protocol != tt.protocol || len(rows) != 1 {
			t.Errorf("%s: Decode = %s, %d rows, %v", tt.protocol, protocol, len(rows), err)
			continue
		}
		if diff := cmp.Diff(tt.want, rows[0]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.protocol, diff)
		}
	}
}

// TestSamplingToldApart: what an options set says of a sampler, and of all that
// name none, holds for the counters of the flows, but not for another sender's.
func TestSamplingToldApart(t *testing.T) {
	options := withLength(1, pack(uint16(257), uint16(4), uint16(8), uint16(1), uint16(4), uint16(48), uint16(1), uint16(50), uint16(4)))
	rates := withLength(257, pack(uint32(0), uint8(3), uint32(100)))
	plain := withLength(1, pack(uint16(258), uint16(4), uint16(4), uint16(1), uint16(4), uint16(34), uint16(4)))
	plainRate := withLength(258, pack(uint32(0), uint32(10)))
	named := withLength(0, template(8, 4, 12, 4, 7, 2, 11, 2, 4, 1, 48, 1, 1, 4, 2, 4))
	flowOf := func(sampler uint8) []byte {
		return withLength(256, pack(append(append([]any{}, fiveText...), uint8(6), sampler, uint32(700), uint32(5))...))
	}
	d := NewDecoder()
	bytesOf := func(from netip.Addr, packet []byte) (n int64, sampled bool) {
		t.Helper()
		_, rows, err := d.Decode(packet, from, false, sent, nil)
		if err != nil || len(rows) != 1 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		return *rows[0].BytesFromInitiator, rows[0].Sampled
	}
	if n, sampled := bytesOf(router, v9(options, rates, named, flowOf(3))); n != 70_000 || !sampled {
		t.Errorf("sampler 3: %d bytes, sampled %v; want 70000", n, sampled)
	}
	if n, sampled := bytesOf(router, v9(named, flowOf(4))); n != 700 || sampled {
		t.Errorf("sampler 4, of which nothing is known: %d bytes, sampled %v; want 700", n, sampled)
	}
	if n, sampled := bytesOf(netip.MustParseAddr("192.0.2.2"), v9(named, flowOf(3))); n != 700 || sampled {
		t.Errorf("another router's sampler 3: %d bytes, sampled %v; want 700", n, sampled)
	}
	if n, _ := bytesOf(router, v9(plain, plainRate, v9Template, v9Data)); n != 7000 {
		t.Errorf("a flow without sampler, of a router that samples one of ten: %d bytes; want 7000", n)
	}
	long := withLength(1, pack(uint16(259), uint16(4), uint16(8), uint16(1), uint16(4), uint16(48), uint16(2), uint16(50), uint16(4)))
	for id := range 1000 {
		if _, _, err := d.Decode(v9(long, withLength(259, pack(uint32(0), uint16(id), uint32(100+id)))), router, false, sent, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(d.exporters[router].rates); n != maxSamplers {
		t.Errorf("%d rates are remembered; want %d", n, maxSamplers)
	}
}

func TestTemplatesAreEachSendersOwn(t *testing.T) {
	d := NewDecoder()
	other := netip.MustParseAddr("192.0.2.2")
	if _, rows, err := d.Decode(v9(v9Data), router, false, sent, nil); !errors.Is(err, ErrNoTemplate) || len(rows) != 0 {
		t.Errorf("data before template: %d rows, %v", len(rows), err)
	}
	if _, _, err := d.Decode(v9(v9Template), router, false, sent, nil); err != nil {
		t.Fatal(err)
	}
	if _, rows, err := d.Decode(v9(v9Data, v9Data), router, false, sent, nil); err != nil || len(rows) != 2 {
		t.Errorf("data after template: %d rows, %v", len(rows), err)
	}
	if _, _, err := d.Decode(v9(v9Data), other, false, sent, nil); !errors.Is(err, ErrNoTemplate) {
		t.Errorf("another sender's data: %v", err)
	}
}

func TestTemplatesAreBounded(t *testing.T) {
	d := NewDecoder()
	for i := range maxExporters + 50 {
		from := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		if _, _, err := d.Decode(v9(v9Template), from, false, sent, nil); err != nil {
			t.Fatal(err)
		}
	}
	if len(d.exporters) != maxExporters {
		t.Errorf("%d exporters are remembered; want %d", len(d.exporters), maxExporters)
	}
	e := d.exporter(router)
	for i := range maxTemplates + 10 {
		p := v9(withLength(0, append(pack(uint16(256+i), uint16(1)), pack(uint16(1), uint16(4))...)))
		_, _, err := d.Decode(p, router, false, sent, nil)
		if (err != nil) != (i >= maxTemplates) {
			t.Fatalf("template %d: %v", i, err)
		}
	}
	if len(e.templates) != maxTemplates {
		t.Errorf("%d templates; want %d", len(e.templates), maxTemplates)
	}
	// A template without length would make records of nothing for ever.
	for _, bad := range [][]byte{v9(withLength(0, template(1, 0)), v9Data), ipfix(withLength(2, template(1, 0)), v9Data)} {
		if _, rows, err := NewDecoder().Decode(bad, router, false, sent, nil); err == nil || len(rows) != 0 {
			t.Errorf("template of no length: %d rows, %v", len(rows), err)
		}
	}
}

// sink collects rows.
type sink struct {
	mu   sync.Mutex
	rows int
	held int
}

func (s *sink) Write(_ context.Context, rows []flow.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held += len(rows)
	return nil
}

func (s *sink) Flush(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows, s.held = s.rows+s.held, 0
	return nil
}

func TestReceive(t *testing.T) {
	s := &sink{}
	cfg := Default()
	cfg.NetFlow, cfg.SFlow = []string{"127.0.0.1:0"}, []string{"127.0.0.1:0"}
	r, err := New(cfg, s, discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := r.Open(ctx); err != nil {
		t.Fatal(err)
	}
	addrs := r.Addrs()
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	for i, packets := range [][][]byte{{v9(v9Data), v5(), v9(v9Template), v9(v9Data), ipfixPacket(), []byte("hello")}, {sflowPacket()}} {
		conn, err := net.Dial("udp", addrs[i])
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range packets {
			if _, err := conn.Write(p); err != nil {
				t.Fatal(err)
			}
		}
		_ = conn.Close()
	}
	proctest.Eventually(t, 5*time.Second, func() (bool, string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		r.mu.Lock()
		defer r.mu.Unlock()
		return s.held == 4 && r.stats["unknown"] != nil, fmt.Sprint(s.held)
	})
	set := collector.NewSet(discard, map[string]collector.Collector{"netflow": r})
	rec := httptest.NewRecorder()
	set.ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	page := regexp.MustCompile(`(oriel_collector_duration_seconds{.*}) .*`).ReplaceAll(rec.Body.Bytes(), []byte("$1 0"))
	proctest.Golden(t, "testdata/metrics.prom", page)
	proctest.Lint(t, page)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if s.rows != 4 {
		t.Errorf("%d rows were flushed at the end; want 4", s.rows)
	}
}

func TestConfigErrors(t *testing.T) {
	for want, change := range map[string]func(c *Config){
		"netflow[0]: ":     func(c *Config) { c.NetFlow = []string{"x"} },
		"sflow[1]: ":       func(c *Config) { c.SFlow = []string{":1", "y"} },
		"flush_interval: ": func(c *Config) { c.FlushInterval = 0 },
		"netflow: ":        func(c *Config) { c.SFlow = make([]string, maxListeners+1) },
	} {
		c := Default()
		change(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Validate = %v; want %q", err, want)
		}
	}
}

// FuzzDecode: a packet makes no more rows than it has bytes, all with a time and an address, whatever came before it.
func FuzzDecode(f *testing.F) {
	for _, p := range [][]byte{v5(), v9(v9Template, v9Data), ipfixPacket(), v9(withLength(1, pack(uint16(257), uint16(4), uint16(4), uint16(1), uint16(4), uint16(34), uint16(4))))} {
		f.Add(p, v9(v9Data), false)
	}
	f.Add(sflowPacket(), switched(4), true)
	f.Add(everything(), everything(), false)
	f.Fuzz(func(t *testing.T, first, second []byte, isSFlow bool) {
		d := NewDecoder()
		for _, p := range [][]byte{first, second} {
			if len(p) > maxPacket {
				return
			}
			_, rows, _ := d.Decode(p, router, isSFlow, sent, nil)
			if len(rows) > len(p) {
				t.Fatalf("%d rows of %d bytes", len(rows), len(p))
			}
			for _, r := range rows {
				if r.Year < 2000 || r.Year > 2200 || r.InitiatorIP == "" && r.TargetIP == "" || r.EndTime < r.StartTime || r.Observer == "" {
					t.Fatalf("row %+v", r)
				}
			}
		}
	})
}
