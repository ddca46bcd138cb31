package influx

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

const (
	suffix = ".lp.gz"
	// block is what the smallest file takes on disk.
	block = 4096
)

var errInUse = errors.New("in use by another process")

// buffer is a queue of batches, each a file. A batch that put has taken is on
// disk and outlives the process and the machine's power; it goes when done is
// called for it, or when it is the oldest and there is no room. A batch may be
// delivered twice after a crash, which InfluxDB does not notice: the same
// series at the same time with the same value.
type buffer struct {
	dir   string
	limit int64
	lock  *os.File
	wake  chan struct{} // holds a token after put

	mu      sync.Mutex // guards what follows
	entries []*entry   // oldest first
	next    uint64
	bytes   int64
	lines   int
}

// entry is one batch.
type entry struct {
	seq   uint64
	lines int
	size  int64
	busy  bool // being sent
	// recovered tells that an earlier run wrote it: who knows what happened to it since.
	recovered bool
}

func (e *entry) file() string { return fmt.Sprintf("%020d-%d%s", e.seq, e.lines, suffix) }

// openBuffer takes the directory and finds what an earlier run left in it.
func openBuffer(dir string, limit int64) (*buffer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make buffer: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock buffer: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errInUse
		}
		return nil, fmt.Errorf("lock buffer %q: %w", dir, err)
	}
	b := &buffer{dir: dir, limit: limit, lock: lock, wake: make(chan struct{}, 1)}
	if err := b.recover(); err != nil {
		b.close()
		return nil, fmt.Errorf("read buffer: %w", err)
	}
	return b, nil
}

// recover lists the batches. What is not a batch stays, except for unfinished writes.
func (b *buffer) recover() error {
	files, err := os.ReadDir(b.dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if strings.HasPrefix(f.Name(), ".new-") {
			if err := os.Remove(filepath.Join(b.dir, f.Name())); err != nil {
				return err
			}
			continue
		}
		e, ok := parseEntry(f.Name())
		info, err := f.Info()
		if !ok || err != nil || !info.Mode().IsRegular() {
			continue
		}
		e.size, e.recovered = onDisk(info.Size()), true
		b.entries = append(b.entries, e)
		b.bytes += e.size
		b.lines += e.lines
		b.next = max(b.next, e.seq+1)
	}
	slices.SortFunc(b.entries, func(x, y *entry) int {
		if x.seq < y.seq {
			return -1
		}
		return 1
	})
	if len(b.entries) > 0 {
		b.signal()
	}
	return nil
}

func parseEntry(name string) (*entry, bool) {
	base, ok := strings.CutSuffix(name, suffix)
	seq, lines, dash := strings.Cut(base, "-")
	if !ok || !dash || len(seq) != 20 {
		return nil, false
	}
	s, err := strconv.ParseUint(seq, 10, 63)
	n, err2 := strconv.ParseUint(lines, 10, 31)
	e := &entry{seq: s, lines: int(n)}
	return e, err == nil && err2 == nil && n > 0 && e.file() == name
}

func onDisk(size int64) int64 { return (size + block - 1) / block * block }

// put adds a batch and returns how many older lines had to go for it. After an
// error the batch is not in the buffer.
func (b *buffer) put(data []byte, lines int) (dropped int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	size := onDisk(int64(len(data)))
	if size > b.limit {
		return 0, fmt.Errorf("batch of %d bytes is larger than the buffer", len(data))
	}
	for b.bytes+size > b.limit {
		n, ok := b.dropOldest()
		if !ok {
			return dropped, errors.New("buffer is full of batches that are being sent")
		}
		dropped += n
	}
	e := &entry{seq: b.next, lines: lines, size: size}
	b.next++
	err = b.write(e, data)
	for errors.Is(err, syscall.ENOSPC) {
		// The disk is full before the buffer is: the same rule holds.
		n, ok := b.dropOldest()
		if !ok {
			break
		}
		dropped += n
		err = b.write(e, data)
	}
	if err != nil {
		return dropped, fmt.Errorf("write buffer: %w", err)
	}
	b.entries = append(b.entries, e)
	b.bytes += size
	b.lines += lines
	b.signal()
	return dropped, nil
}

// write makes the file whole under another name first: a crash leaves all of it or nothing.
func (b *buffer) write(e *entry, data []byte) error {
	name := filepath.Join(b.dir, ".new-"+strconv.FormatUint(e.seq, 10))
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(name, filepath.Join(b.dir, e.file()))
	}
	if err != nil {
		_ = os.Remove(name)
		return err
	}
	return syncDir(b.dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

// dropOldest removes the oldest batch that is not being sent.
func (b *buffer) dropOldest() (lines int, ok bool) {
	for _, e := range b.entries {
		if !e.busy {
			b.forget(e)
			return e.lines, true
		}
	}
	return 0, false
}

// forget removes a batch. A file that cannot be removed is sent again by the next run: nothing worse.
func (b *buffer) forget(e *entry) {
	_ = os.Remove(filepath.Join(b.dir, e.file()))
	b.entries = slices.DeleteFunc(b.entries, func(x *entry) bool { return x == e })
	b.bytes -= e.size
	b.lines -= e.lines
}

// take marks the oldest batches as being sent: one, and more while they are not more than maxLines together.
func (b *buffer) take(maxLines int) []*entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, lines := 0, 0
	for n < len(b.entries) && (n == 0 || lines+b.entries[n].lines <= maxLines) {
		lines += b.entries[n].lines
		b.entries[n].busy = true
		n++
	}
	return slices.Clone(b.entries[:n])
}

// read returns a batch as it was put.
func (b *buffer) read(e *entry) ([]byte, error) {
	f, err := os.Open(filepath.Join(b.dir, e.file()))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, e.size))
}

// done removes batches that were delivered or will never be.
func (b *buffer) done(batches []*entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range batches {
		b.forget(e)
	}
}

// release makes batches ordinary again that could not be sent now.
func (b *buffer) release(batches []*entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range batches {
		e.busy = false
	}
}

// size returns what waits.
func (b *buffer) size() (bytes int64, lines int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes, b.lines
}

func (b *buffer) signal() {
	select {
	case b.wake <- struct{}{}:
	default: // there is a token already
	}
}

func (b *buffer) close() { _ = b.lock.Close() }
