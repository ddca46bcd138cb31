package lake

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/demo/flows"
	"github.com/orielhq/oriel/internal/flow"
)

func traffic(rows int64) flows.Config {
	return flows.Config{Seed: 1, Start: t0.Truncate(time.Hour), Duration: 3 * time.Hour, Rows: rows}
}

// generate writes a vendor's flow logs below a directory.
func generate(t *testing.T, dir, vendor string, c flows.Config) flows.Stats {
	t.Helper()
	s, err := flows.Write(c, vendor, flows.Directory(dir))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func value(p *int64) int64 {
	if p == nil {
		return 0
	}
	return *p
}

// all reads the whole table.
func all(t *testing.T, l *Lake) []flow.Record {
	t.Helper()
	files, err := l.Files(context.Background(), FlowTable, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return rows(t, files)
}

func TestImportGivesWhatWasWritten(t *testing.T) {
	for _, vendor := range flows.Vendors() {
		t.Run(vendor, func(t *testing.T) {
			ctx := context.Background()
			c := traffic(3000)
			in := t.TempDir()
			written := generate(t, in, vendor, c)
			l := newLake(t)
			sum, err := l.Import(ctx, Source{Name: in, Store: NewDir(in)}, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range sum.Problems {
				t.Error(p)
			}
			if sum.Rows != written.Records || sum.Objects != written.Objects || sum.BadRecords != 0 {
				t.Errorf("imported %d rows of %d objects; written %d of %d", sum.Rows, sum.Objects, written.Records, written.Objects)
			}
			var sent, received, rejected, scanned uint64
			for f := range c.All() {
				sent += f.Sent
				received += f.Received
				if f.Rejected {
					rejected++
				}
				if f.Initiator == flows.ScannerIP {
					scanned++
				}
			}
			var gotSent, gotReceived, gotRejected, gotScanned uint64
			for _, r := range all(t, l) {
				gotSent += uint64(value(r.BytesFromInitiator))
				gotReceived += uint64(value(r.BytesFromTarget))
				if r.Action == flow.Rejected {
					gotRejected++
				}
				if r.InitiatorIP == flows.ScannerIP {
					gotScanned++
				}
				if err := complete(&r); err != nil {
					t.Fatalf("%v: %+v", err, r)
				}
			}
			switch vendor {
			case "gcp": // one direction, and none of what was rejected
				received, gotReceived, sent, gotSent = 0, 0, 0, 0
			case "aws", "aws_parquet": // directions are guessed: the sum is certain
				sent, gotSent = sent+received, gotSent+gotReceived
				received, gotReceived = 0, 0
			}
			if gotSent != sent || gotReceived != received || gotRejected != rejected || gotScanned != scanned || scanned == 0 {
				t.Errorf("sent %d, received %d, rejected %d, scanned %d; want %d, %d, %d, %d", gotSent, gotReceived, gotRejected, gotScanned, sent, received, rejected, scanned)
			}
			again, err := l.Import(ctx, Source{Name: in, Store: NewDir(in)}, nil)
			if err != nil || again.Rows != 0 || again.ObjectsKnown != written.Objects {
				t.Errorf("second import: %d rows, %d objects known, %v; want none and %d", again.Rows, again.ObjectsKnown, err, written.Objects)
			}
		})
	}
}

// complete checks what all vendors' rows have.
func complete(r *flow.Record) error {
	s := r.StartTime.Std()
	switch {
	case r.Provider == "" || r.SourceFormat == "" || r.ObjectKey == "" || r.RecordNo == 0 || r.Observer == "":
		return fmt.Errorf("no origin")
	case r.InitiatorIP == "" || r.TargetIP == "" || r.TargetPort == nil || r.TransportProtocol == nil:
		return fmt.Errorf("no end points")
	case s.Year() != int(r.Year) || int(s.Month()) != int(r.Month) || s.Day() != int(r.Day) || s.Hour() != int(r.Hour):
		return fmt.Errorf("parts of the time differ")
	}
	return nil
}

func TestObjectsThatGrowGiveTheirNewRows(t *testing.T) {
	ctx := context.Background()
	in := t.TempDir()
	l := newLake(t)
	file := filepath.Join(in, "y=2026", "PT1H.json")
	tuple := func(i int) string {
		return fmt.Sprintf(`"%d,10.0.0.%d,10.0.1.1,%d,443,6,I,B,NX,1,60,1,60"`, t0.UnixMilli()+int64(i), 1+i%250, 1024+i)
	}
	write := func(records int, change bool) {
		var parts []string
		for i := range records {
			if change {
				i += 10_000
			}
			parts = append(parts, fmt.Sprintf(`{"time":"2026-08-20T02:00:00Z","flowLogVersion":4,"flowRecords":{"flows":[{"aclID":"a","flowGroups":[{"rule":"r","flowTuples":[%s,%s]}]}]}}`, tuple(2*i), tuple(2*i+1)))
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(`{"records":[`+strings.Join(parts, ",")+`]}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		records int
		change  bool
		want    int
	}{{3, false, 6}, {3, false, 6}, {5, false, 10}, {5000, false, 10_000}, {5001, true, 10_000}, {5001, false, 10_002}} {
		write(step.records, step.change)
		sum, err := l.Import(ctx, Source{Name: "azure", Store: NewDir(in)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if (sum.ObjectsFailed > 0) != step.change {
			t.Errorf("%+v: %d failed: %v", step, sum.ObjectsFailed, sum.Problems)
		}
		seen := map[int32]bool{}
		got := all(t, l)
		for _, r := range got {
			seen[r.RecordNo] = true
		}
		if len(got) != step.want || len(seen) != step.want {
			t.Fatalf("%+v: %d rows, %d different", step, len(got), len(seen))
		}
	}
}

func TestDamagedObjectsCostThemselvesOnly(t *testing.T) {
	ctx := context.Background()
	in := t.TempDir()
	written := generate(t, in, "ibm", traffic(2000))
	good, err := filepath.Glob(in + "/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*.gz")
	if err != nil || len(good) == 0 {
		t.Fatalf("no objects: %v", err)
	}
	whole, err := os.ReadFile(good[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"cut.gz": whole[:len(whole)-20], "empty.gz": {}, "text.gz": []byte("hello"), "zeros.gz": make([]byte, 100), "version.json": []byte(`{"version":"9","flow_logs":[]}`),
	} {
		if err := os.WriteFile(filepath.Join(in, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := newLake(t)
	sum, err := l.Import(ctx, Source{Name: in, Store: NewDir(in)}, nil)
	if err != nil || sum.Rows != written.Records || sum.ObjectsFailed != 5 || len(sum.Problems) != 5 {
		t.Errorf("%d rows, %d failed, %d problems, %v; want %d, 5, 5", sum.Rows, sum.ObjectsFailed, len(sum.Problems), err, written.Records)
	}
	if got := len(all(t, l)); int64(got) != written.Records {
		t.Errorf("%d rows in the lake; want %d", got, written.Records)
	}
	if sum, err := l.Import(ctx, Source{Name: in, Store: NewDir(in)}, nil); err != nil || sum.ObjectsFailed+sum.Rows != 0 {
		t.Errorf("second import: %+v, %v; want nothing to do", sum, err)
	}
}

// TestLargeDamagedObjectLeavesNothing: rows of it have been written before its end is seen to be missing.
func TestLargeDamagedObjectLeavesNothing(t *testing.T) {
	ctx := context.Background()
	in := t.TempDir()
	var text bytes.Buffer
	text.WriteString("version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n")
	for i := range 3 * heldRows {
		fmt.Fprintf(&text, "2 1 eni 10.0.0.1 10.0.0.2 %d 22 6 1 1 %d %d ACCEPT OK\n", 32768+i%1000, t0.Unix(), t0.Unix())
	}
	if err := os.WriteFile(filepath.Join(in, "a.log"), text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(in, "b.log.gz"), cutGzip(t, text.Bytes()), 0o600); err != nil {
		t.Fatal(err)
	}
	l := newLake(t)
	sum, err := l.Import(ctx, Source{Name: in, Store: NewDir(in)}, nil)
	if err != nil || sum.Rows != 3*heldRows || sum.ObjectsFailed != 1 {
		t.Errorf("%d rows, %d failed, %v", sum.Rows, sum.ObjectsFailed, err)
	}
	if got := len(all(t, l)); got != 3*heldRows {
		t.Errorf("%d rows in the lake; want %d", got, 3*heldRows)
	}
}

// flaky breaks off the reading of some objects once.
type flaky struct {
	Store
	mu     sync.Mutex // guards broken
	broken map[string]bool
}

func (f *flaky) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	body, err := f.Store.Get(ctx, key)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil && f.broken[key] {
		delete(f.broken, key)
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(body, 200), errReader{}), body}, nil
	}
	return body, err
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestObjectsThatCouldNotBeReadComeNextTime(t *testing.T) {
	ctx := context.Background()
	in := t.TempDir()
	written := generate(t, in, "ibm", traffic(1000))
	s := &flaky{Store: NewDir(in), broken: map[string]bool{}}
	for o, err := range s.List(ctx, "", "") {
		if err != nil {
			t.Fatal(err)
		}
		if len(s.broken) == 0 {
			s.broken[o.Key] = true
		}
	}
	l := newLake(t)
	if sum, err := l.Import(ctx, Source{Name: in, Store: s}, nil); err == nil || sum.ObjectsFailed != 0 || sum.Rows == 0 || sum.Rows >= written.Records {
		t.Errorf("first import: %+v, %v; want an error, and the other objects' rows", sum, err)
	}
	if _, err := l.Import(ctx, Source{Name: in, Store: s}, nil); err != nil {
		t.Error(err)
	}
	if got := len(all(t, l)); int64(got) != written.Records {
		t.Errorf("%d rows in the lake; want %d", got, written.Records)
	}
}
