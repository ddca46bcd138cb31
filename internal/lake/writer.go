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

	"github.com/orielhq/oriel/internal/lake/columnar"
)

const (
	// maxBuffered is the rows that a writer holds before it makes row groups of them, unless Hold says otherwise.
	maxBuffered = 65_536
	// maxBatches is the batches that a writer holds: one of an object with a
	// single row takes as much memory as a full one.
	maxBatches = 128
	// maxOpen is the hours that a writer keeps files of at once.
	maxOpen = 48
	// maxFile is the bytes at which a file is closed and the next one begun.
	maxFile = 128 << 20
	// maxHeld is the bytes of unfinished files that a writer keeps in memory; then
	// it closes the hours that it has not written to for the longest time.
	maxHeld = 128 << 20
	// maxBacklog is the bytes of files that may wait for a store that is away.
	maxBacklog = 256 << 20
	// gather is how many rows are put in order at once for parquet-go.
	gather = 256
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
	last     *hourFile[T] // of hours, the one written to last
	lastHour partition
	buffered int
	hold     int      // maxBuffered
	full     int      // maxFile
	limit    int      // maxHeld
	free     []func() // gives the buffered rows back to their owner
	unsent   []unsent
	put      []string // keys written, for a transaction

	builder  *columnar.Builder[T] // nil if T is not plain enough
	pointers []*T
}

// hourFile is the rows of one hour that are not in the store yet.
type hourFile[T any] struct {
	rows  []ref[T]
	first int64       // microseconds
	file  encoding[T] // nil until the first row group
	used  int         // when rows came last, for choosing whom to close
}

// ref is a row and its time in microseconds: ordering these moves no rows.
type ref[T any] struct {
	time int64
	row  *T
}

// NewWriter returns a writer of rows whose struct tags are their Parquet schema
// (parquet-go's). timeOf is when a row happened; it must be what the first
// TIMESTAMP column says.
func NewWriter[T any](l *Lake, table string, timeOf func(*T) time.Time) *Writer[T] {
	return newWriter(l, table, newID("w"), timeOf)
}

func newWriter[T any](l *Lake, table, id string, timeOf func(*T) time.Time) *Writer[T] {
	w := &Writer[T]{lake: l, table: table, timeOf: timeOf, id: id, hold: maxBuffered, full: maxFile, limit: maxHeld, hours: map[partition]*hourFile[T]{}}
	if b, err := columnar.NewBuilder[T](); err == nil {
		w.builder = b
	}
	return w
}

// Hold bounds what is in memory, where many tables are written to at once: row
// groups are made of so many rows, and a file of so many bytes goes to the store.
func (w *Writer[T]) Hold(rows, bytes int) { w.hold, w.full = rows, bytes }

// newID returns a name that nobody else has. Later ones of this machine sort behind earlier ones.
func newID(kind string) string {
	var b [12]byte
	binary.BigEndian.PutUint64(b[:], uint64(time.Now().UnixNano()))
	_, _ = rand.Read(b[8:]) // never fails (crypto/rand)
	return kind + hex.EncodeToString(b[:])
}

// Write takes rows over; the caller may use the slice again, but not what its
// rows point to. They go to the store when a lot has come together. After an
// error the rows are still held, and the next Flush tries again; only if it is
// ErrBacklog they have not been taken.
func (w *Writer[T]) Write(ctx context.Context, rows []T) error {
	return w.own(ctx, slices.Clone(rows), nil)
}

// Add is Write for one row, which is not copied: it stays as it is from now on.
func (w *Writer[T]) Add(ctx context.Context, row *T) error {
	if err := w.ready(); err != nil {
		return err
	}
	return w.added(ctx, 1, w.add(ctx, row))
}

// own is Write for rows that stay as they are until free is called.
func (w *Writer[T]) own(ctx context.Context, rows []T, free func()) error {
	if err := w.ready(); err != nil {
		return err
	}
	if free != nil {
		w.free = append(w.free, free)
	}
	var failed error
	for i := range rows {
		if err := w.add(ctx, &rows[i]); err != nil && failed == nil {
			failed = err
		}
	}
	return w.added(ctx, len(rows), failed)
}

// ready tells why no row can be taken.
func (w *Writer[T]) ready() error {
	if !validTable(w.table) {
		return fmt.Errorf("write: table %q: not a name of a table", w.table)
	}
	backlog := 0
	for _, u := range w.unsent {
		backlog += len(u.data)
	}
	if backlog > maxBacklog {
		return fmt.Errorf("write %s: %d bytes wait for the store: %w", w.table, backlog, ErrBacklog)
	}
	return nil
}

// add takes a row over, whatever it returns.
func (w *Writer[T]) add(ctx context.Context, row *T) (err error) {
	t := w.timeOf(row)
	h := w.last
	if h == nil || t.Before(w.lastHour.hour) || !t.Before(w.lastHour.hour.Add(time.Hour)) {
		h, err = w.hour(ctx, partitionOf(w.table, t))
	}
	h.rows = append(h.rows, ref[T]{t.UnixMicro(), row})
	return err
}

// added makes row groups when enough has come together. failed is what went wrong before.
func (w *Writer[T]) added(ctx context.Context, rows int, failed error) error {
	w.buffered += rows
	if (w.buffered >= w.hold || len(w.free) >= maxBatches) && failed == nil {
		failed = w.encodeAll(ctx)
	}
	if failed != nil {
		return fmt.Errorf("write %s: %w", w.table, failed)
	}
	return nil
}

// hour returns the file of an hour. An error is of closing another one, to keep few open.
func (w *Writer[T]) hour(ctx context.Context, p partition) (h *hourFile[T], err error) {
	h = w.hours[p]
	if h == nil {
		if len(w.hours) >= maxOpen {
			err = w.closeOldest(ctx)
		}
		h = &hourFile[T]{first: 1<<63 - 1}
		w.hours[p] = h
	}
	w.seq++
	h.used = w.seq
	w.last, w.lastHour = h, p
	return h, err
}

// encodeAll makes row groups of all rows held, and closes the files that are large enough.
func (w *Writer[T]) encodeAll(ctx context.Context) error {
	for _, h := range w.hours {
		if err := w.encode(h); err != nil {
			return err
		}
	}
	w.buffered = 0
	for _, free := range w.free {
		free()
	}
	w.free = w.free[:0]
	for p, h := range w.hours {
		if h.file != nil && h.file.size() >= w.full {
			if err := w.close(ctx, p, h); err != nil {
				return err
			}
		}
	}
	for w.held() > w.limit {
		if err := w.closeOldest(ctx); err != nil {
			return err
		}
	}
	return nil
}

// held is the bytes of the files under way.
func (w *Writer[T]) held() (n int) {
	for _, h := range w.hours {
		if h.file != nil {
			n += h.file.size()
		}
	}
	return n
}

// encode makes a row group of an hour's rows, in order of time; those of the same time stay as they came.
func (w *Writer[T]) encode(h *hourFile[T]) error {
	if len(h.rows) == 0 {
		return nil
	}
	if h.file == nil {
		h.file = w.newFile()
	}
	byTime := func(a, b ref[T]) int { return cmp.Compare(a.time, b.time) }
	if !slices.IsSortedFunc(h.rows, byTime) {
		slices.SortStableFunc(h.rows, byTime)
	}
	h.first = min(h.first, h.rows[0].time)
	w.pointers = w.pointers[:0]
	for _, r := range h.rows {
		w.pointers = append(w.pointers, r.row)
	}
	if err := h.file.add(w.pointers); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	clear(w.pointers)
	clear(h.rows)
	h.rows = h.rows[:0]
	return nil
}

// close ends an hour's file and sends it to the store.
func (w *Writer[T]) close(ctx context.Context, p partition, h *hourFile[T]) error {
	if err := w.encode(h); err != nil {
		return err
	}
	if h.file != nil {
		data, err := h.file.end()
		if err != nil {
			return fmt.Errorf("encode: %w", err)
		}
		w.seq++
		w.unsent = append(w.unsent, unsent{p.key(time.UnixMicro(h.first), w.id, w.seq), data})
	}
	delete(w.hours, p)
	if w.last == h {
		w.last = nil
	}
	return w.send(ctx)
}

// unsent is a file that the store has not taken yet.
type unsent struct {
	key  string
	data []byte
}

// send puts finished files into the store, in order.
func (w *Writer[T]) send(ctx context.Context) error {
	for len(w.unsent) > 0 {
		u := w.unsent[0]
		err := w.lake.store.Put(ctx, u.key, bytes.NewReader(u.data), int64(len(u.data)), true)
		// The name is ours alone: if it is there, an earlier try came through after all.
		if err != nil && !errors.Is(err, ErrExists) {
			return err
		}
		w.put = append(w.put, u.key)
		w.unsent = w.unsent[1:]
	}
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
	err := w.encodeAll(ctx)
	for p, h := range w.hours {
		if err != nil {
			break
		}
		err = w.close(ctx, p, h)
	}
	if err == nil {
		err = w.send(ctx)
	}
	if err != nil {
		return fmt.Errorf("flush %s: %w", w.table, err)
	}
	return nil
}

// Buffered is the number of rows in memory that are not compressed yet.
func (w *Writer[T]) Buffered() int { return w.buffered }

// Compress makes row groups of the rows in memory, which take less.
func (w *Writer[T]) Compress(ctx context.Context) error {
	if err := w.encodeAll(ctx); err != nil {
		return fmt.Errorf("write %s: %w", w.table, err)
	}
	return nil
}

// Compressed is the bytes of row groups in memory.
func (w *Writer[T]) Compressed() int { return w.held() }

// Close flushes. The writer can be used again.
func (w *Writer[T]) Close(ctx context.Context) error { return w.Flush(ctx) }
