package packet

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/packet/ncap"
	"github.com/orielhq/oriel/internal/proctest"
)

// capture writes a capture of session and returns its name.
func captureFile(t testing.TB, frames ...[]byte) string {
	t.Helper()
	if frames == nil {
		frames = session()
	}
	file := filepath.Join(t.TempDir(), "a.pcap")
	if err := os.WriteFile(file, pcap(binary.LittleEndian, 0xa1b2c3d4, 4, 1, frames...), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// recording runs a configuration whose records go to files.
func recording(t testing.TB, cfg Config) (*Monitor, string) {
	t.Helper()
	if cfg.Records.Dir == "" {
		cfg.Records.Dir = filepath.Join(t.TempDir(), "out")
	}
	m, err := NewRecording(cfg, NewFileOutput(cfg.Records, "test"), quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m, cfg.Records.Dir
}

func TestJSONLinesHaveTheColumns(t *testing.T) {
	cfg := Default()
	cfg.Files = []string{captureFile(t)}
	cfg.Records.Kinds = []string{"connection", "tcp", "ethernet"}
	m, dir := recording(t, cfg)
	f, err := os.Open(filepath.Join(dir, "connection.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var got map[string]any
	if err := json.NewDecoder(f).Decode(&got); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]any{"kind": "connection", "orig_addr": "192.0.2.1", "resp_port": 443.0, "state": "SF", "ended": true, "time": "1970-01-01T00:16:40.001Z"} {
		if got[k] != want {
			t.Errorf("%s = %v; want %v", k, got[k], want)
		}
	}
	tcp, err := os.ReadFile(filepath.Join(dir, "tcp.jsonl"))
	if err != nil || strings.Count(string(tcp), "\n") != len(session()) || !strings.Contains(string(tcp), `"flags":18`) {
		t.Errorf("tcp: %v\n%s", err, tcp)
	}
	if p := m.Progress(); p.Packets != 10 || p.Records != 21 || p.Lost != 0 || p.FileBytes != p.FileBytesInTotal || p.FileBytes == 0 {
		t.Errorf("progress %+v", p)
	}
}

func TestJSONTextIsValid(t *testing.T) {
	for _, s := range []string{"plain", "a\"b\\c", "\x00\n\x7f", "\xff\xfe", "日本"} {
		var got string
		if err := json.Unmarshal(appendJSONText(nil, s), &got); err != nil || got != strings.ToValidUTF8(s, "�") && !strings.Contains(s, "\xff") {
			t.Errorf("%q: %q, %v", s, got, err)
		}
	}
}

// TestAuditRecordsGoRound: what is written as netcap's records is read as such, to the same labels.
func TestAuditRecordsGoRound(t *testing.T) {
	cfg := Default()
	cfg.Files = []string{captureFile(t)}
	cfg.Records.Format = FormatNcap
	for _, r := range Samples() {
		if _, ok := r.(ncapRecord); ok {
			cfg.Records.Kinds = append(cfg.Records.Kinds, r.Kind())
		}
	}
	_, dir := recording(t, cfg)
	b, err := os.ReadFile(filepath.Join(dir, "TCP.ncap.gz"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := ncap.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if r.Header.Type != ncap.TypeTCP || r.Header.Source != "test" || time.Since(r.Header.Created) > time.Minute {
		t.Errorf("header %+v", r.Header)
	}

	cfg = Default()
	cfg.NetcapSeries = 100
	direct, _, _ := run(t, cfg, captureFile(t))
	read, _, _ := run(t, cfg, dir)
	pick := func(m *Monitor) string {
		var lines []string
		for line := range strings.Lines(string(page(t, m))) {
			if strings.HasPrefix(line, "nc_") && !strings.HasPrefix(line, "nc_num") && !strings.HasPrefix(line, "nc_protocols") && !strings.HasPrefix(line, "nc_up") {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "")
	}
	if diff := cmp.Diff(pick(direct), pick(read)); diff != "" {
		t.Errorf("counters of packets and of their audit records differ (-packets +records):\n%s", diff)
	}
	if got := string(page(t, read)); !strings.Contains(got, `oriel_packets_audit_records_total{type="TCP"} 10`) {
		t.Errorf("no audit records counted:\n%s", got)
	}
}

// TestNetcapSeriesAreCapped: whatever comes, a counter has no more series than it may, and the rest is counted.
func TestNetcapSeriesAreCapped(t *testing.T) {
	var frames [][]byte
	for i := range 100 {
		f := tcpFrame(true, 1, 0, flagSYN, "")
		binary.BigEndian.PutUint16(f[34:], uint16(1000+i))
		frames = append(frames, f)
	}
	cfg := Default()
	cfg.NetcapSeries = 10
	m, _, _ := run(t, cfg, captureFile(t, frames...))
	got := string(page(t, m))
	if n := strings.Count(got, "\nnc_tcp{"); n != 11 {
		t.Errorf("%d series of nc_tcp; want 10 and the one of the others", n)
	}
	if !strings.Contains(got, `oriel_series_folded_total{metric="nc_tcp"} 90`) || !strings.Contains(got, `SrcPort="other",URG="other",Urgent="other"} 90`) {
		t.Errorf("what is beyond the cap is not counted:\n%s", got)
	}
}

func TestNetcapPage(t *testing.T) {
	cfg := Default()
	cfg.NetcapSeries, cfg.NetcapEntropy = 3, true
	cfg.Files = []string{captureFile(t)}
	cfg.Records.Kinds = []string{"connection"}
	m, dir := recording(t, cfg)
	cfg.Files = append(cfg.Files, filepath.Join(dir, "connection.jsonl")) // no capture, counted
	got := page(t, m)
	proctest.Golden(t, "testdata/netcap.prom", got)
}

func TestFilesRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultRecords()
		cfg.Dir, cfg.RotateInterval = t.TempDir(), conf.Duration(time.Minute)
		cfg.RotateSize = 1 << 16
		o := NewFileOutput(cfg, "")
		write := func(n int) {
			t.Helper()
			batch := make([]Record, n)
			for i := range batch {
				batch[i] = &Connection{}
			}
			if _, err := o.Write(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			if _, err := o.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		write(1)
		write(1) // the same file
		time.Sleep(2 * time.Minute)
		write(300) // by age; more than 64 KiB
		write(1)   // by size
		if _, err := o.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		names, _ := filepath.Glob(filepath.Join(cfg.Dir, "connection-*.jsonl"))
		var rows []int
		for _, name := range names {
			b, _ := os.ReadFile(name)
			rows = append(rows, bytes.Count(b, []byte("\n")))
		}
		if diff := cmp.Diff([]int{2, 300, 1}, rows); diff != "" {
			t.Errorf("rows of files %q (-want +got):\n%s", names, diff)
		}
	})
}

// TestFullDiskCostsRecordsOnly: while nothing can be written records are lost and counted, then it goes on.
func TestFullDiskCostsRecordsOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	cfg := DefaultRecords()
	cfg.Dir, cfg.Format = dir, FormatNcap
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file where the folder should be
		t.Fatal(err)
	}
	r := newRecorder(cfg, NewFileOutput(cfg, ""), true, quiet())
	put := func(n int) {
		for range n {
			_ = r.record(&Connection{})
		}
		r.drain(t.Context(), nil)
		r.finished(r.out.Flush(t.Context()))
	}
	put(3)
	if r.lost != 3 || r.errs == 0 || !r.failing {
		t.Errorf("lost %d, errors %d; want 3 lost", r.lost, r.errs)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	put(2)
	if r.lost != 3 || r.failing {
		t.Errorf("lost %d, failing %v after the disk is back", r.lost, r.failing)
	}
	if _, err := r.out.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, "Connection.ncap.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	in, err := ncap.NewReader(f)
	for err == nil {
		if _, err = in.Next(); err == nil {
			n++
		}
	}
	if !errors.Is(err, io.EOF) || n != 2 {
		t.Errorf("%d records, %v; want 2", n, err)
	}
}

// TestPartOfBlockIsTakenBack: a write that fails half-way leaves a file that can be read.
func TestPartOfBlockIsTakenBack(t *testing.T) {
	name := filepath.Join(t.TempDir(), "connection.jsonl")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("{}\n{\"half"); err != nil {
		t.Fatal(err)
	}
	readOnly, err := os.Open(name) // WriteAt fails, as on a disk that is full
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	o := NewFileOutput(Records{Dir: filepath.Dir(name), Format: FormatJSON}, "")
	f := &recordFile{name: "connection", ext: ".jsonl", file: readOnly, size: 3, begun: time.Now(), block: []byte("{}\n"), rows: 1}
	if lost, err := o.write(f); lost != 1 || err == nil || f.size != 3 || f.rows != 0 {
		t.Errorf("lost %d, %v, size %d", lost, err, f.size)
	}
}

// slow is an output that waits for a word.
type slow struct {
	gate chan struct{}
	n    atomic.Int64
}

func (s *slow) Write(_ context.Context, batch []Record) (int, error) {
	<-s.gate
	s.n.Add(int64(len(batch)))
	return 0, nil
}
func (s *slow) Flush(context.Context) (int, error) { return 0, nil }
func (s *slow) Close(context.Context) (int, error) { return 0, nil }

func TestLiveRecordsDoNotWaitAndFilesDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, wait := range []bool{false, true} {
			cfg := DefaultRecords()
			cfg.Queue = 8
			out := &slow{gate: make(chan struct{})}
			r := newRecorder(cfg, out, wait, quiet())
			done, ended := make(chan struct{}), make(chan struct{})
			go func() { r.run(t.Context(), done); close(ended) }()
			put := make(chan struct{})
			go func() {
				defer close(put)
				for range 100 {
					_ = r.record(&Connection{})
				}
			}()
			synctest.Wait()
			if !wait {
				<-put
			}
			r.mu.Lock()
			held, dropped := len(r.pending), r.dropped
			r.mu.Unlock()
			if held > cfg.Queue || wait != (dropped == 0) {
				t.Errorf("wait %v: %d held, %d dropped", wait, held, dropped)
			}
			close(out.gate)
			<-put
			close(done)
			<-ended
			if got := out.n.Load() + int64(r.dropped); got != 100 {
				t.Errorf("wait %v: %d written and %d dropped; want 100 together", wait, out.n.Load(), r.dropped)
			}
		}
	})
}

func TestReplayKeepsTheDistances(t *testing.T) {
	file := captureFile(t) // ten frames, one millisecond apart
	synctest.Test(t, func(t *testing.T) {
		for speed, want := range map[float64]time.Duration{1: 9 * time.Millisecond, 3: 3 * time.Millisecond} {
			cfg := Default()
			cfg.Replay, cfg.ReplaySpeed = true, speed
			start := time.Now()
			run(t, cfg, file)
			if got := time.Since(start); got != want {
				t.Errorf("speed %g: took %s; want %s", speed, got, want)
			}
		}
	})
}

func TestLoopGivesTimesOfNow(t *testing.T) {
	file := captureFile(t)
	synctest.Test(t, func(t *testing.T) {
		cfg := Default()
		cfg.Replay, cfg.Loop, cfg.Files = true, true, []string{file}
		var last time.Time
		n := 0
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		m, err := New(cfg, func(r Record) error { last = r.When(); n++; return nil }, quiet())
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := m.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if n < 5 || last.Before(start) || last.After(time.Now()) {
			t.Errorf("%d records, the last of %s; want several of now", n, last)
		}
	})
}

// TestAReplayDoesNotMoveServersClocks: what time a server told is compared with the time of the capture.
func TestAReplayDoesNotMoveServersClocks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.pcap")
	if err := os.WriteFile(file, pcap(binary.LittleEndian, 0xa1b2c3d4, 4, 1, talkFrames(t)...), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := Default()
		cfg.Replay, cfg.Loop, cfg.Files = true, true, []string{file}
		offsets := map[time.Duration]int{}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		m, err := New(cfg, func(r Record) error {
			if n, ok := r.(*NTP); ok && n.Stratum > 0 {
				offsets[time.Duration(n.OffsetNanos)]++
			}
			return nil
		}, quiet())
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if len(offsets) != 1 || offsets[4991500*time.Microsecond] < 2 {
			t.Errorf("offsets %v; want that of the capture, 4.9915s, in every round", offsets)
		}
	})
}

func TestFilterChoosesPacketsOfFiles(t *testing.T) {
	cfg := Default()
	cfg.Filter = "src host 192.0.2.1"
	_, w, _ := run(t, cfg, captureFile(t))
	if w.packets != 6 || w.filtered != 4 {
		t.Errorf("%d packets, %d left out; want 6 and 4", w.packets, w.filtered)
	}
	cfg.Filter = "port bogus"
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "filter") {
		t.Errorf("Validate = %v; want a complaint of the filter", err)
	}
}

func TestMixedPcapngHasAllLinkTypes(t *testing.T) {
	ip := session()[0][14:]
	var b bytes.Buffer
	block := func(kind uint32, body []byte) {
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
		size := uint32(len(body) + 12)
		_ = binary.Write(&b, binary.BigEndian, []uint32{kind, size})
		b.Write(body)
		_ = binary.Write(&b, binary.BigEndian, size)
	}
	packet := func(iface uint32, data []byte) {
		h := binary.BigEndian.AppendUint32(nil, iface)
		h = append(h, make([]byte, 8)...)
		h = binary.BigEndian.AppendUint32(h, uint32(len(data)))
		h = binary.BigEndian.AppendUint32(h, uint32(len(data)))
		block(6, append(h, data...))
	}
	block(0x0a0d0d0a, []byte("\x1a\x2b\x3c\x4d\x00\x01\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"))
	sll := append(make([]byte, 14), 8, 0)
	sll2 := append([]byte{8, 0}, make([]byte, 18)...)
	nflog := append([]byte{2, 0, 0, 0, byte(4 + len(ip)), 0, 9, 0}, ip...)
	links := []struct {
		link byte
		data []byte
	}{
		{1, session()[0]},
		{101, ip},
		{113, append(sll, ip...)},
		{0, append([]byte{2, 0, 0, 0}, ip...)},
		{108, append([]byte{0, 0, 0, 2}, ip...)},
		{9, append([]byte{0xff, 3, 0, 0x21}, ip...)},
		{50, append([]byte{0x00, 0x21}, ip...)},
		{51, append([]byte{0x11, 0, 0, 1, 0, 42, 0, 0x21}, ip...)},
		{104, append([]byte{0x0f, 0, 8, 0}, ip...)},
		{228, ip},
		{239, nflog},
		{12, ip},
	}
	for _, l := range links {
		block(1, []byte{0, l.link, 0, 0, 0, 0, 0xff, 0xff})
	}
	block(1, []byte{1, 20, 0, 0, 0, 0, 0xff, 0xff}) // 276
	for i, l := range links {
		packet(uint32(i), l.data)
	}
	packet(uint32(len(links)), append(sll2, ip...))
	var gz bytes.Buffer
	z := gzip.NewWriter(&gz)
	_, _ = z.Write(b.Bytes())
	_ = z.Close()
	file := filepath.Join(t.TempDir(), "mixed.pcapng.gz")
	if err := os.WriteFile(file, gz.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	_, w, _ := run(t, Default(), file)
	if want := uint64(len(links) + 1); w.packets != want || sum(w.dec.packets[unknownDirection][layerTCP:layerTCP+1], w.dec.packets[received][layerTCP:layerTCP+1]) != int(want) || w.table.made != 1 {
		t.Errorf("%d packets, %d of TCP, %d connections; want %d, all of one connection", w.packets, w.dec.packets, w.table.made, want)
	}
}

func TestStandardInputIsRead(t *testing.T) {
	b, err := os.ReadFile(captureFile(t))
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.Files = []string{"-"}
	m, err := New(cfg, nil, quiet())
	if err != nil {
		t.Fatal(err)
	}
	m.stdin = bufio.NewReader(bytes.NewReader(b))
	if err := m.Run(t.Context()); err != nil || m.workers[0].packets != 10 {
		t.Errorf("%d packets, %v; want 10", m.workers[0].packets, err)
	}
}
