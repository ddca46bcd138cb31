package packet

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/proctest"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// corpus returns the real captures.
func corpus(t testing.TB, pattern string) []string {
	t.Helper()
	dir := os.Getenv("ORIEL_CORPUS")
	if dir == "" {
		dir = "../../../shared/data"
	}
	files, _ := filepath.Glob(filepath.Join(dir, "pcap", pattern))
	if len(files) == 0 {
		proctest.Without(t, "no captures in "+dir+" (ORIEL_CORPUS)")
	}
	return files
}

// run reads the files and returns the worker and its records.
func run(t testing.TB, cfg Config, files ...string) (*Monitor, *worker, []*Connection) {
	t.Helper()
	cfg.Files = files
	var records []*Connection
	m, err := New(cfg, func(r Record) error {
		if c, ok := r.(*Connection); ok {
			records = append(records, c)
		}
		return nil
	}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m, m.workers[0], records
}

// pcap makes a capture of the frames, one millisecond apart.
func pcap(order binary.ByteOrder, magic uint32, minor uint16, link uint32, frames ...[]byte) []byte {
	var b bytes.Buffer
	put := func(v any) { _ = binary.Write(&b, order, v) }
	put(magic)
	put(uint16(2))
	put(minor)
	put([3]uint32{0, 0, 65535})
	put(link)
	for i, f := range frames {
		a, z := uint32(len(f)), uint32(len(f)+7)
		if minor < 3 {
			a, z = z, a
		}
		put([4]uint32{1000, uint32(i+1) * 1000, a, z})
		if magic == 0xa1b2cd34 {
			put([2]uint32{})
		}
		b.Write(f)
	}
	return b.Bytes()
}

func tcpFrame(fromClient bool, seq, ack uint32, flags byte, payload string) []byte {
	b := make([]byte, 54, 54+len(payload))
	b[12] = 8
	ip := b[14:]
	ip[0], ip[8], ip[9] = 0x45, 64, protoTCP
	binary.BigEndian.PutUint16(ip[2:], uint16(40+len(payload)))
	copy(ip[12:], []byte{192, 0, 2, 1, 192, 0, 2, 2})
	binary.BigEndian.PutUint16(ip[20:], 40000)
	binary.BigEndian.PutUint16(ip[22:], 443)
	if !fromClient {
		copy(ip[12:], []byte{192, 0, 2, 2, 192, 0, 2, 1})
		binary.BigEndian.PutUint16(ip[20:], 443)
		binary.BigEndian.PutUint16(ip[22:], 40000)
	}
	binary.BigEndian.PutUint32(ip[24:], seq)
	binary.BigEndian.PutUint32(ip[28:], ack)
	ip[32], ip[33], ip[34] = 0x50, flags, 0xff
	return append(b, payload...)
}

func session() [][]byte {
	return [][]byte{
		tcpFrame(true, 100, 0, flagSYN, ""), tcpFrame(false, 500, 101, flagSYN|flagACK, ""), tcpFrame(true, 101, 501, flagACK, ""),
		tcpFrame(true, 101, 501, flagACK, "hello"), tcpFrame(true, 101, 501, flagACK, "hello"), // again
		tcpFrame(false, 506, 106, flagACK, "later"), tcpFrame(false, 501, 106, flagACK, "first"),
		tcpFrame(true, 106, 511, flagACK|flagFIN, ""), tcpFrame(false, 511, 107, flagACK|flagFIN, ""), tcpFrame(true, 107, 512, flagACK, ""),
	}
}

func TestConnectionTellsQualityOfTCP(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.pcap")
	if err := os.WriteFile(file, pcap(binary.LittleEndian, 0xa1b2c3d4, 4, 1, session()...), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, records := run(t, Default(), file)
	if len(records) != 1 {
		t.Fatalf("%d records; want 1", len(records))
	}
	r := records[0]
	if r.State != "SF" || r.OrigRetransmitted != 1 || r.RespOutOfOrder != 1 || r.RespRetransmitted != 0 ||
		r.HandshakeNanos != 2e6 || r.OrigPackets != 6 || r.RespPackets != 4 || r.OrigPort != 40000 || r.History != "ShADdFfa" && r.History != "ShADdFf" {
		t.Errorf("record = %+v", r)
	}
}

func TestReaderKnowsEveryMagic(t *testing.T) {
	frames := session()
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, magic := range []uint32{0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34} {
			for _, minor := range []uint16{1, 4} {
				raw := pcap(order, magic, minor, 1, frames...)
				var gz, zs bytes.Buffer
				g := gzip.NewWriter(&gz)
				_, _ = g.Write(raw)
				_ = g.Close()
				z, _ := zstd.NewWriter(&zs)
				_, _ = z.Write(raw)
				_ = z.Close()
				for _, in := range [][]byte{raw, gz.Bytes(), zs.Bytes()} {
					r, err := newReader(bytes.NewReader(in))
					if err != nil {
						t.Fatal(err)
					}
					n := 0
					var f frame
					for err = r.next(&f); err == nil; err = r.next(&f) {
						if !bytes.Equal(f.data, frames[n]) || f.wire != len(f.data)+7 {
							t.Errorf("%x %v 2.%d: frame %d differs", magic, order, minor, n)
						}
						n++
					}
					r.close()
					if !errors.Is(err, io.EOF) || n != len(frames) {
						t.Errorf("%x %v 2.%d: %d frames, %v; want %d", magic, order, minor, n, err, len(frames))
					}
				}
			}
		}
	}
}

func TestRetransmissionsOfRealCapture(t *testing.T) {
	_, w, _ := run(t, Default(), corpus(t, "zeek-tcp-retransmit-fast009.pcap")...)
	if w.table.retransmitted != 3 {
		t.Errorf("%d retransmissions; want 3", w.table.retransmitted)
	}
}

func TestCommunityIDsOfZeek(t *testing.T) {
	for file, want := range map[string]string{
		"zeek-communityid-tcp.pcap": "1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
		"zeek-communityid-udp.pcap": "1:d/FP5EW3wiY1vCndhwleRRKHowQ=",
	} {
		_, _, records := run(t, Default(), corpus(t, file)...)
		if len(records) == 0 || records[0].CommunityID != want {
			t.Errorf("%s: %d records, %+v; want Community ID %s", file, len(records), records, want)
		}
	}
}

func TestSteadyFlowAllocatesNothing(t *testing.T) {
	w := newWorker(Default(), "file", 64<<20, nil, quiet())
	frames := session()
	f := frame{link: linkEthernet}
	n := 0
	step := func() {
		n++
		f.data = frames[3+n%3]
		f.wire, f.time = len(f.data), int64(n)*1e6
		w.take(&f)
	}
	step()
	if allocs := testing.AllocsPerRun(10000, step); allocs != 0 {
		t.Errorf("%v allocations per packet; want 0", allocs)
	}
}

func TestFloodStaysWithinBudget(t *testing.T) {
	w := newWorker(Default(), "file", minBudget, nil, quiet())
	f := frame{link: linkEthernet, data: session()[0], wire: 54}
	for i := range 200_000 {
		binary.BigEndian.PutUint32(f.data[26:], uint32(i))
		w.take(&f)
	}
	if w.table.index.n != w.table.limit || int64(w.table.limit)*connCost > minBudget/2 || w.table.evicted != uint64(200_000-w.table.limit) {
		t.Errorf("%d connections, limit %d, %d evicted", w.table.index.n, w.table.limit, w.table.evicted)
	}
}

func TestActiveTimeoutReportsWhatGoesOn(t *testing.T) {
	var got []*Connection
	w := newWorker(Default(), "file", minBudget, func(r Record) error { got = append(got, r.(*Connection)); return nil }, quiet())
	f := frame{link: linkEthernet, data: session()[3], wire: 59}
	for i := range 7 {
		f.time = int64(i) * int64(20*time.Second)
		w.take(&f)
	}
	w.finish()
	if len(got) != 3 || got[0].Ended || got[1].Ended || !got[2].Ended || got[0].UID != got[2].UID {
		t.Errorf("records %+v; want two of 1 connection under way and its end", got)
	}
}

func page(t *testing.T, m *Monitor) []byte {
	t.Helper()
	set := collector.NewSet(quiet(), map[string]collector.Collector{"packets": m})
	rec := httptest.NewRecorder()
	set.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	body := regexp.MustCompile(`(?m)^(nc_uptime|oriel_collector_duration_seconds\S*) .*$`).ReplaceAll(rec.Body.Bytes(), []byte("$1 1"))
	return body
}

func TestMetricsPage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.pcap")
	short := session()[0][:20]
	if err := os.WriteFile(file, pcap(binary.LittleEndian, 0xa1b2c3d4, 4, 1, append(append(session(), talkFrames(t)...), short)...), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.TopTalkers = 2
	cfg.Files = []string{file}
	cfg.Records.Kinds = []string{"connection", "dns", "tls"}
	m, _ := recording(t, cfg)
	m.workers[0].device = &device{closed: true} // as if it were an interface
	got := page(t, m)
	proctest.Golden(t, "testdata/metrics.prom", got)
	proctest.Lint(t, got, "nc_numpackets", "nc_uptime")
}

func TestEveryCaptureIsReadWithoutPanic(t *testing.T) {
	m, w, _ := run(t, Default(), corpus(t, "*")...)
	if w.dec.failed[failPanic] != 0 || w.packets == 0 {
		t.Errorf("%d packets, %d panics", w.packets, w.dec.failed[failPanic])
	}
	if n := bytes.Count(page(t, m), []byte("\n")); n > 700 {
		t.Errorf("the page has %d lines; want few, whatever is captured", n)
	}
}

func TestCancelEndsRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m, err := New(Default(), nil, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Run(ctx); err != nil {
		t.Errorf("Run = %v; want nil", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, b := range session() {
		f.Add(uint16(1), b)
	}
	f.Add(uint16(linkNFLOG), []byte{0, 0, 0, 0, 8, 0, 9, 0, 0x45, 0, 0, 20})
	f.Fuzz(func(t *testing.T, link uint16, b []byte) {
		var d decoder
		var p packet
		d.decode(&frame{link: link, data: b, wire: len(b)}, &p)
		if len(p.payload) > maxDatagram && len(p.payload) > len(b) {
			t.Errorf("payload of %d bytes out of %d", len(p.payload), len(b))
		}
		w := newWorker(Default(), "file", minBudget, nil, quiet())
		for range 3 {
			w.take(&frame{link: link, data: b, wire: len(b)})
		}
		if w.dec.failed[failPanic] != 0 || w.table.index.n > 1 {
			t.Errorf("%d panics, %d connections of one packet", w.dec.failed[failPanic], w.table.index.n)
		}
	})
}

func FuzzReader(f *testing.F) {
	f.Add(pcap(binary.LittleEndian, 0xa1b2c3d4, 4, 1, session()...))
	f.Add(pcap(binary.BigEndian, 0xa1b23c4d, 1, 113, session()...))
	f.Add([]byte("\x0a\x0d\x0d\x0a\x1c\x00\x00\x00\x4d\x3c\x2b\x1a\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x1c\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := newReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		defer r.close()
		var fr frame
		for range 1000 {
			if r.next(&fr) != nil {
				return
			}
			if len(fr.data) > maxFrame || fr.wire < len(fr.data) {
				t.Fatalf("frame of %d bytes, %d on the wire", len(fr.data), fr.wire)
			}
		}
	})
}

func BenchmarkTake(b *testing.B) {
	w := newWorker(Default(), "file", 64<<20, nil, quiet())
	frames := session()
	f := frame{link: linkEthernet}
	n := 0
	for b.Loop() {
		n++
		f.data = frames[3+n%3]
		f.wire, f.time = len(f.data), int64(n)
		w.take(&f)
	}
}
