package packet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/gzip"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/orielhq/oriel/internal/packet/ncap"
)

const (
	// blockSize is how many bytes come together before a file is written to.
	blockSize = 256 << 10
	// version is what the headers of audit records say.
	version = "oriel"
)

// FileOutput writes records into a directory, a file for each kind: JSON lines,
// or netcap's audit records with one gzip member to a flush, so that a file
// that is being written to, or was when the power went, can be read.
type FileOutput struct {
	cfg    Records
	source string
	schema ncap.Schemas
	json   jsonLines
	files  map[string]*recordFile
	byType []*recordFile // of netcap's types
	msg    []byte
	plain  []byte // a block with its head
	packed bytes.Buffer
	zip    *gzip.Writer // used again for each block
	now    func() time.Time
}

// NewFileOutput returns an output that has written nothing. cfg.Dir is made when
// the first record comes; source is where the records come from, for the headers of audit records.
func NewFileOutput(cfg Records, source string) *FileOutput {
	return &FileOutput{cfg: cfg, source: source, schema: ncap.Known(), files: map[string]*recordFile{}, now: time.Now}
}

// recordFile is the file of one kind.
type recordFile struct {
	name  string // without what rotation adds
	ext   string
	head  []byte // at the beginning of each file
	file  *os.File
	size  int64 // what is whole
	begun time.Time
	seq   int
	block []byte
	rows  int // in block
}

// Write takes a batch over.
func (o *FileOutput) Write(_ context.Context, batch []Record) (lost int, err error) {
	full := func(f *recordFile) {
		if f != nil && len(f.block) >= blockSize {
			n, e := o.write(f)
			lost, err = lost+n, errors.Join(err, e)
		}
	}
	for _, rec := range batch {
		if o.cfg.Format == FormatJSON {
			full(o.line(rec))
			continue
		}
		if r, ok := rec.(ncapRecord); ok {
			full(o.message(r.ncap(o.msg[:0])))
		}
		if r, ok := rec.(ncapPair); ok {
			full(o.message(r.ncapToo(o.msg[:0])))
		}
	}
	return lost, err
}

// line appends a record to its kind's block.
func (o *FileOutput) line(rec Record) *recordFile {
	f := o.files[rec.Kind()]
	if f == nil {
		f = &recordFile{name: rec.Kind(), ext: ".jsonl"}
		o.files[f.name] = f
	}
	f.block = o.json.append(f.block, rec)
	f.rows++
	return f
}

// message appends one of netcap's messages to its type's block; nil if there is no such type.
func (o *FileOutput) message(t ncap.Type, msg []byte) *recordFile {
	o.msg = msg
	var f *recordFile
	if int(t) < len(o.byType) {
		f = o.byType[t]
	}
	if f == nil {
		s := o.schema[t]
		if s == nil {
			return nil
		}
		f = &recordFile{name: s.Name, ext: ".ncap.gz", head: ncap.Header{Created: o.now(), Source: o.source, Type: t, Version: version}.Append(nil)}
		o.files[s.Name] = f
		o.byType = append(o.byType, make([]*recordFile, max(int(t)+1-len(o.byType), 0))...)
		o.byType[t] = f
	}
	f.block = protowire.AppendBytes(f.block, msg)
	f.rows++
	return f
}

// write appends a file's block to it, wholly or not at all.
func (o *FileOutput) write(f *recordFile) (lost int, err error) {
	if f.rows == 0 {
		return 0, nil
	}
	rows := f.rows
	defer func() {
		f.block, f.rows = f.block[:0], 0
		if cap(f.block) > 4*blockSize {
			f.block = nil
		}
	}()
	if err := o.rotate(f); err != nil {
		return rows, err
	}
	data := f.block
	if f.size == 0 {
		o.plain = append(append(o.plain[:0], f.head...), f.block...)
		data = o.plain
	}
	if o.cfg.Format == FormatNcap {
		data = o.compress(data)
	}
	if _, err := f.file.WriteAt(data, f.size); err != nil {
		// What is written of the block goes, so that the file can be read.
		err = errors.Join(fmt.Errorf("write records: %w", err), f.file.Truncate(f.size))
		return rows, err
	}
	f.size += int64(len(data))
	return 0, nil
}

// compress makes data a member of gzip, good until the next call.
func (o *FileOutput) compress(data []byte) []byte {
	o.packed.Reset()
	if o.zip == nil {
		o.zip, _ = gzip.NewWriterLevel(&o.packed, gzip.BestSpeed) // fails of a bad level only
	}
	o.zip.Reset(&o.packed)
	_, _ = o.zip.Write(data) // a buffer takes everything
	_ = o.zip.Close()
	return o.packed.Bytes()
}

// rotate sees to it that f has a file that is not too old nor too large.
func (o *FileOutput) rotate(f *recordFile) error {
	now := o.now()
	old := o.cfg.RotateInterval > 0 && now.Sub(f.begun) >= o.cfg.RotateInterval.Std()
	large := o.cfg.RotateSize > 0 && f.size >= int64(o.cfg.RotateSize)
	if f.file != nil && (f.size == 0 || !old && !large) {
		return nil
	}
	if err := f.close(); err != nil {
		return err
	}
	if err := os.MkdirAll(o.cfg.Dir, 0o750); err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	name := f.name + f.ext
	if o.cfg.RotateInterval > 0 || o.cfg.RotateSize > 0 {
		f.seq++
		name = fmt.Sprintf("%s-%s-%06d%s", f.name, now.UTC().Format("20060102T150405Z"), f.seq, f.ext)
	}
	file, err := os.OpenFile(filepath.Join(o.cfg.Dir, name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640) //nolint:gosec // the operator names the folder, and a group may read
	if err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	f.file, f.size, f.begun = file, 0, now
	return nil
}

// close lets go of the file; one that nothing could be written to goes.
func (f *recordFile) close() error {
	if f.file == nil {
		return nil
	}
	file := f.file
	f.file = nil
	err := file.Close()
	if f.size == 0 {
		err = errors.Join(err, os.Remove(file.Name()))
	}
	return err
}

// Flush writes what has come together.
func (o *FileOutput) Flush(context.Context) (lost int, err error) {
	for _, f := range o.files {
		n, e := o.write(f)
		lost, err = lost+n, errors.Join(err, e)
	}
	return lost, err
}

// Close flushes and closes the files.
func (o *FileOutput) Close(ctx context.Context) (lost int, err error) {
	lost, err = o.Flush(ctx)
	for _, f := range o.files {
		err = errors.Join(err, f.close())
	}
	return lost, err
}
