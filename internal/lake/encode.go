package lake

import (
	"bytes"
	"slices"

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
func (f *plainFile[T]) size() int           { return f.file.Data.Len() }

func (f *plainFile[T]) end() ([]byte, error) {
	err := f.builder.Close(f.file)
	return f.file.Data.Bytes(), err
}

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
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest, Concurrency: 1}),
		parquet.PageBufferSize(256 << 10),
		parquet.CreatedBy("oriel", "1", ""),
	}
}
