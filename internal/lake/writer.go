package lake

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

const (
	// maxGroup is the rows of a row group: sorted together, and skipped together by a query.
	maxGroup = 122_880
	// maxBuffered is the rows that a writer holds in memory over all hours.
	maxBuffered = 200_000
	// maxOpen is the hours that a writer keeps files of at once.
	maxOpen = 48
	// maxFile is the bytes at which a file is closed and the next one begun.
	maxFile = 128 << 20
)

// Writer writes rows of one type to one table. Not for concurrent use.
//
// Rows are in the lake, and safe, once Flush has returned nil; before they are
// in memory only. A row goes to the hour that it happened in, however late it comes.
type Writer[T any] struct {
	lake   *Lake
	table  string
	timeOf func(*T) time.Time
	id     string
	seq    int

	hours    map[partition]*hourFile[T]
	buffered int
	put      []string // keys written, for a transaction

	scratch []T
	order   []int32
	times   []int64
}

// hourFile is the rows of one hour that are not in the store yet.
type hourFile[T any] struct {
	rows    []T
	first   time.Time
	buf     *bytes.Buffer
	encoder *parquet.GenericWriter[T] // nil until the first row group
	used    int                       // seq of the writer's last row, for choosing whom to close
}

// NewWriter returns a writer of rows whose struct tags are their Parquet schema
// (parquet-go's). timeOf is when a row happened; it must be what the first
// TIMESTAMP column says.
func NewWriter[T any](l *Lake, table string, timeOf func(*T) time.Time) *Writer[T] {
	return newWriter(l, table, newID("w"), timeOf)
}

func newWriter[T any](l *Lake, table, id string, timeOf func(*T) time.Time) *Writer[T] {
	return &Writer[T]{lake: l, table: table, timeOf: timeOf, id: id, hours: map[partition]*hourFile[T]{}}
}

// newID returns a name that nobody else has. Later ones of this machine sort behind earlier ones.
func newID(kind string) string {
	var b [12]byte
	binary.BigEndian.PutUint64(b[:], uint64(time.Now().UnixNano())) //nolint:gosec // after 1970
	_, _ = rand.Read(b[8:])                                         // never fails (crypto/rand)
	return kind + hex.EncodeToString(b[:])
}

// Write takes rows over; the caller may use the slice again, but not what its
// rows point to. It goes to the store when a lot has come together. After an
// error the rows are still held, and the next Flush tries again.
func (w *Writer[T]) Write(ctx context.Context, rows []T) error {
	if !validTable(w.table) {
		return fmt.Errorf("write: table %q: not a name of a table", w.table)
	}
	for len(rows) > 0 {
		p := partitionOf(w.table, w.timeOf(&rows[0]))
		n := 1
		for n < len(rows) && partitionOf(w.table, w.timeOf(&rows[n])) == p {
			n++
		}
		if err := w.add(ctx, p, rows[:n]); err != nil {
			return fmt.Errorf("write %s: %w", w.table, err)
		}
		rows = rows[n:]
	}
	return nil
}

// add takes rows of one hour.
func (w *Writer[T]) add(ctx context.Context, p partition, rows []T) error {
	h := w.hours[p]
	if h == nil {
		if len(w.hours) >= maxOpen {
			if err := w.closeOldest(ctx); err != nil {
				return err
			}
		}
		h = &hourFile[T]{}
		w.hours[p] = h
	}
	w.seq++
	h.used = w.seq
	h.rows = append(h.rows, rows...)
	w.buffered += len(rows)
	if len(h.rows) >= maxGroup {
		if err := w.encode(h); err != nil {
			return err
		}
		if h.buf.Len() >= maxFile {
			return w.close(ctx, p, h)
		}
	}
	for w.buffered > maxBuffered {
		// The hour with the most rows makes the best row group.
		var most *hourFile[T]
		for _, h := range w.hours {
			if most == nil || len(h.rows) > len(most.rows) {
				most = h
			}
		}
		if err := w.encode(most); err != nil {
			return err
		}
	}
	return nil
}

// encode makes a row group of an hour's rows, in order of time.
func (w *Writer[T]) encode(h *hourFile[T]) error {
	if len(h.rows) == 0 {
		return nil
	}
	if h.encoder == nil {
		h.buf = &bytes.Buffer{}
		h.encoder = newEncoder[T](h.buf)
	}
	w.sort(h)
	if _, err := h.encoder.Write(h.rows); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if err := h.encoder.Flush(); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	w.buffered -= len(h.rows)
	clear(h.rows)
	h.rows = h.rows[:0]
	return nil
}

// sort orders the rows by time; those of the same time stay as they came.
func (w *Writer[T]) sort(h *hourFile[T]) {
	w.times, w.order = w.times[:0], w.order[:0]
	sorted := true
	for i := range h.rows {
		t := w.timeOf(&h.rows[i]).UnixMicro()
		sorted = sorted && (i == 0 || w.times[i-1] <= t)
		w.times = append(w.times, t)
		w.order = append(w.order, int32(i)) //nolint:gosec // fewer than maxBuffered
	}
	if !sorted {
		slices.SortFunc(w.order, func(a, b int32) int {
			return cmp.Or(cmp.Compare(w.times[a], w.times[b]), cmp.Compare(a, b))
		})
		w.scratch = slices.Grow(w.scratch[:0], len(h.rows))
		for _, i := range w.order {
			w.scratch = append(w.scratch, h.rows[i])
		}
		copy(h.rows, w.scratch)
		clear(w.scratch)
	}
	if first := time.UnixMicro(w.times[w.order[0]]); h.first.IsZero() || first.Before(h.first) {
		h.first = first
	}
}

func newEncoder[T any](buf *bytes.Buffer) *parquet.GenericWriter[T] {
	return parquet.NewGenericWriter[T](buf, encoderOptions()...)
}

func encoderOptions() []parquet.WriterOption {
	return []parquet.WriterOption{
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest, Concurrency: 1}),
		parquet.PageBufferSize(256 << 10),
		parquet.CreatedBy("oriel", "1", ""),
	}
}

// close writes an hour's file to the store.
func (w *Writer[T]) close(ctx context.Context, p partition, h *hourFile[T]) error {
	if err := w.encode(h); err != nil {
		return err
	}
	if h.encoder != nil {
		if err := h.encoder.Close(); err != nil {
			return fmt.Errorf("encode: %w", err)
		}
		w.seq++
		key := p.key(h.first, w.id, w.seq)
		if err := w.lake.store.Put(ctx, key, bytes.NewReader(h.buf.Bytes()), int64(h.buf.Len()), true); err != nil {
			return err
		}
		w.put = append(w.put, key)
	}
	delete(w.hours, p)
	return nil
}

func (w *Writer[T]) closeOldest(ctx context.Context) error {
	var oldest partition
	for p, h := range w.hours {
		if o := w.hours[oldest]; o == nil || h.used < o.used {
			oldest = p
		}
	}
	return w.close(ctx, oldest, w.hours[oldest])
}

// Flush writes all rows to the store, a file for each hour. What could not be
// written is kept for the next Flush.
func (w *Writer[T]) Flush(ctx context.Context) error {
	var errs []error
	for p, h := range w.hours {
		if err := w.close(ctx, p, h); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("flush %s: %w", w.table, err)
	}
	return nil
}

// Buffered is the number of rows that Flush would make safe and that are not
// compressed yet: a caller whose store is away refuses rows by it.
func (w *Writer[T]) Buffered() int { return w.buffered }

// Close flushes. The writer can be used again.
func (w *Writer[T]) Close(ctx context.Context) error { return w.Flush(ctx) }
