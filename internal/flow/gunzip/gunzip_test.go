package gunzip

import (
	"bufio"
	"bytes"
	"compress/flate"
	stdgzip "compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/gzip"
)

// texts are of what flow logs are like, and of what they are not.
func texts() map[string][]byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 120_000)
	for i := range noise {
		noise[i] = byte(rnd.Uint32())
	}
	var log, digits bytes.Buffer
	for i := range 1500 {
		fmt.Fprintf(&log, `{"start_time":"2026-08-20T01:%02d:%02dZ","initiator_ip":"10.10.%d.%d","target_port":%d,"bytes_from_initiator":%d},`, i/60%60, i%60, rnd.IntN(4), rnd.IntN(256), rnd.IntN(65536), rnd.IntN(1<<30))
		fmt.Fprintf(&digits, "%x", rnd.Uint64())
	}
	skewed := make([]byte, 100_000) // long codes
	for i := range skewed {
		skewed[i] = byte(min(rnd.ExpFloat64()*6, 255))
	}
	return map[string][]byte{
		"empty": {}, "one": []byte("x"), "log": log.Bytes(), "digits": digits.Bytes(), "noise": noise, "skewed": skewed, "zeros": make([]byte, 300_000),
		"threes": bytes.Repeat([]byte("abc"), 50_000), "far": append(append(bytes.Clone(noise[:32768]), noise[:300]...), noise[:40000]...), "mixed": append(bytes.Clone(noise[:70_000]), log.Bytes()...),
	}
}

func pack(t testing.TB, text []byte, level int) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func packStd(t testing.TB, text []byte, level int) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := stdgzip.NewWriterLevel(&buf, level)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(text)
	_ = w.Close()
	return buf.Bytes()
}

// unpack reads all with a reader that has been used before.
func unpack(z *Reader, r io.Reader) ([]byte, error) {
	if err := z.Reset(r); err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

func TestUnpacksWhatOthersPacked(t *testing.T) {
	z := NewReader()
	for name, text := range texts() {
		for _, level := range []int{-2, 0, 1, 6, 9} {
			for who, packed := range map[string][]byte{"klauspost": pack(t, text, level), "std": packStd(t, text, level)} {
				got, err := unpack(z, bytes.NewReader(packed))
				if err != nil || !bytes.Equal(got, text) {
					t.Errorf("%s, %s, level %d: %d of %d bytes, %v", name, who, level, len(got), len(text), err)
				}
			}
		}
		packed := pack(t, text, 6)
		for how, r := range map[string]io.Reader{"a byte at a time": iotest.OneByteReader(bytes.NewReader(packed)), "end with the data": iotest.DataErrReader(bytes.NewReader(packed)), "halves": iotest.HalfReader(bytes.NewReader(packed))} {
			if got, err := unpack(z, r); err != nil || !bytes.Equal(got, text) {
				t.Errorf("%s, %s: %d of %d bytes, %v", name, how, len(got), len(text), err)
			}
		}
	}
}

// TestMembers: what several writers appended to one another is one text, and no
// match reaches from one into another.
func TestMembers(t *testing.T) {
	all := texts()
	packed := bytes.Join([][]byte{pack(t, all["log"], 6), pack(t, nil, 6), pack(t, all["noise"], 0), pack(t, all["log"], 9)}, nil)
	want := bytes.Join([][]byte{all["log"], all["noise"], all["log"]}, nil)
	if got, err := unpack(NewReader(), bytes.NewReader(packed)); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d of %d bytes, %v", len(got), len(want), err)
	}
	// The second member's data begin with a match of what only the first one has.
	var raw bytes.Buffer
	w, err := flate.NewWriterDict(&raw, 9, all["log"][:1000])
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(all["log"][:1000])
	_ = w.Close()
	whole := pack(t, all["log"][:1000], 9)
	bad := append(append(append(bytes.Clone(whole), whole[:10]...), raw.Bytes()...), whole[len(whole)-8:]...)
	if got, err := unpack(NewReader(), bytes.NewReader(bad)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a match into the member before: %d bytes, %v", len(got), err)
	}
}

// TestHeaders have fields that few writers use.
func TestHeaders(t *testing.T) {
	var buf bytes.Buffer
	w := stdgzip.NewWriter(&buf)
	w.Extra, w.Name, w.Comment = []byte("extra field"), "name", "comment"
	_, _ = io.WriteString(w, "text")
	_ = w.Close()
	packed := buf.Bytes()
	if got, err := unpack(NewReader(), bytes.NewReader(packed)); err != nil || string(got) != "text" {
		t.Errorf("%q, %v", got, err)
	}
	for n := range packed {
		if got, err := unpack(NewReader(), bytes.NewReader(packed[:n])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d: %q, %v", n, got, err)
		}
	}
	for _, text := range []string{"", "x", "\x1f\x8b\x07" + strings.Repeat("\x00", 20), "hello world, this is no gzip"} {
		if got, err := unpack(NewReader(), strings.NewReader(text)); err == nil {
			t.Errorf("%q: %q, no error", text, got)
		}
	}
	if _, err := unpack(NewReader(), bytes.NewReader(append(bytes.Clone(packed), "garbage behind it"...))); !errors.Is(err, ErrCorrupt) {
		t.Errorf("garbage behind: %v", err)
	}
}

// TestDamageIsNeverSilent: each byte cut off or turned is an error, at the latest by the checksum.
func TestDamageIsNeverSilent(t *testing.T) {
	z := NewReader()
	log := texts()["log"][:1200]
	for _, level := range []int{-2, 0, 1, 6} {
		packed := pack(t, log, level)
		for n := range packed {
			if got, err := unpack(z, bytes.NewReader(packed[:n])); err == nil || len(got) > len(log) || !bytes.HasPrefix(log, got) {
				t.Errorf("level %d, cut at %d: %d bytes, %v", level, n, len(got), err)
			}
		}
		for i := 10; i < len(packed); i++ { // before is the header, whose time and system are nobody's concern
			bad := bytes.Clone(packed)
			bad[i] ^= 0x10
			// The last bits of the data may be of no byte: then it is whole all the same.
			if got, err := unpack(z, bytes.NewReader(bad)); err == nil && !bytes.Equal(got, log) {
				t.Errorf("level %d, byte %d turned: %d bytes, no error", level, i, len(got))
			}
		}
	}
	if _, err := unpack(z, iotest.TimeoutReader(bytes.NewReader(pack(t, texts()["noise"], 6)))); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("a reader's own error: %v", err)
	}
}

// BenchmarkUnpack beside the two libraries. The number to look at is MB/cpu-s.
func BenchmarkUnpack(b *testing.B) {
	text := bytes.Repeat(texts()["log"], 4)
	packed := pack(b, text, 6)
	mine, klauspost, std := NewReader(), new(gzip.Reader), new(stdgzip.Reader)
	buf := make([]byte, 256<<10)
	for name, z := range map[string]interface {
		io.Reader
		Reset(io.Reader) error
	}{"own": mine, "klauspost": klauspost, "std": std} {
		b.Run(name, func(b *testing.B) {
			before := cpu()
			for range b.N {
				if err := z.Reset(bufio.NewReaderSize(bytes.NewReader(packed), 64<<10)); err != nil {
					b.Fatal(err)
				}
				if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{z}, buf); err != nil || n != int64(len(text)) {
					b.Fatal(n, err)
				}
			}
			b.ReportMetric(float64(len(text))*float64(b.N)/1e6/(cpu()-before).Seconds(), "MB/cpu-s")
		})
	}
}

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail so
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// FuzzAgainstStd: the same text as compress/gzip's, or an error where it has one.
func FuzzAgainstStd(f *testing.F) {
	for _, text := range texts() {
		text = text[:min(len(text), 2000)]
		for _, level := range []int{-2, 0, 1, 6} {
			f.Add(pack(f, text, level))
		}
	}
	z := NewReader()
	f.Fuzz(func(t *testing.T, packed []byte) {
		const limit = 1 << 20
		var got []byte
		err := z.Reset(bytes.NewReader(packed))
		if err == nil {
			got, err = io.ReadAll(io.LimitReader(z, limit))
		}
		std, serr := stdgzip.NewReader(bytes.NewReader(packed))
		var want []byte
		if serr == nil {
			want, serr = io.ReadAll(io.LimitReader(std, limit))
		}
		if (err == nil) != (serr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, %v; compress/gzip: %d bytes, %v", len(got), err, len(want), serr)
		}
		// The same, a block at a time and without the checksum before it: flate alone.
		if len(packed) > 18 {
			raw := append(append([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0}, packed[10:]...), make([]byte, 8)...)
			var mine []byte
			if err := z.Reset(bytes.NewReader(raw)); err == nil {
				mine, _ = io.ReadAll(io.LimitReader(z, limit))
			}
			theirs, ferr := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed[10:])), limit))
			if ferr == nil && !bytes.HasPrefix(mine, theirs) {
				t.Fatalf("%d bytes; compress/flate: %d", len(mine), len(theirs))
			}
		}
	})
}
