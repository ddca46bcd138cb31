package lake

import (
	"bytes"
	"slices"
	"sync"

	zst "github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/orielhq/oriel/internal/lake/columnar"
)

// encoding is a Parquet file under way in memory.
type encoding[T any] interface {
	// add makes a row group of rows.
	add(rows []*T) error
	// size in bytes so far.
	size() int
	// end returns the whole file.
	end() ([]byte, error)
}

func (w *Writer[T]) newFile() encoding[T] {
	if w.builder != nil {
		return &plainFile[T]{w.builder, columnar.NewFile()}
	}
	f := &anyFile[T]{buf: &bytes.Buffer{}}
	f.writer = parquet.NewGenericWriter[T](f.buf, encoderOptions()...)
	return f
}

// plainFile is of a type that package columnar knows.
type plainFile[T any] struct {
	builder *columnar.Builder[T]
	file    *columnar.File
}

func (f *plainFile[T]) add(rows []*T) error { return f.builder.Append(f.file, rows) }
func (f *plainFile[T]) size() int           { return f.file.Size() }

func (f *plainFile[T]) end() ([]byte, error) { return f.builder.Close(f.file) }

// anyFile is of any type that parquet-go knows.
type anyFile[T any] struct {
	buf     *bytes.Buffer
	writer  *parquet.GenericWriter[T]
	scratch []T
}

func (f *anyFile[T]) size() int { return f.buf.Len() }

func (f *anyFile[T]) end() ([]byte, error) {
	err := f.writer.Close()
	return f.buf.Bytes(), err
}

func (f *anyFile[T]) add(rows []*T) error {
	for part := range slices.Chunk(rows, gather) {
		f.scratch = f.scratch[:0]
		for _, r := range part {
			f.scratch = append(f.scratch, *r)
		}
		if _, err := f.writer.Write(f.scratch); err != nil {
			return err
		}
	}
	clear(f.scratch[:cap(f.scratch)])
	return f.writer.Flush()
}

func encoderOptions() []parquet.WriterOption {
	return []parquet.WriterOption{
		parquet.Compression(pageCodec{&zstd.Codec{}}),
		parquet.PageBufferSize(256 << 10),
		parquet.CreatedBy("oriel", "1", ""),
	}
}

// pageCodec compresses all files' pages with the same few encoders. Those of
// parquet-go's codec are 8 MB each, and each file has its own.
type pageCodec struct{ *zstd.Codec }

// Encode appends src to dst[:0], compressed.
func (pageCodec) Encode(dst, src []byte) ([]byte, error) {
	e, err := pageEncoder()
	if err != nil {
		return dst, err
	}
	return e.EncodeAll(src, dst[:0]), nil
}

// pageEncoder has a window as large as a page, and room for a few pages at once.
var pageEncoder = sync.OnceValues(func() (*zst.Encoder, error) {
	return zst.NewWriter(nil, zst.WithEncoderLevel(zst.SpeedFastest), zst.WithEncoderConcurrency(4), zst.WithWindowSize(512<<10),
		zst.WithLowerEncoderMem(true), zst.WithZeroFrames(true), zst.WithEncoderCRC(false))
})
