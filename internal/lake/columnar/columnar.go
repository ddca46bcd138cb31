// Package columnar writes rows of plain structs as Parquet, a column at a time.
//
// parquet-go does the same for any type, by a chain of calls for each value of
// each row; most columns of a flow log say one thing all over, and here such a
// column costs a comparison a row and some bytes a file.
package columnar

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"unsafe"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// ErrUnsupported tells that a type has fields that are not written here: the
// caller uses parquet-go itself.
var ErrUnsupported = errors.New("not a plain struct")

const (
	magic = "PAR1"
	// chunk is how many rows are gone through for all columns before the next
	// ones: as many as stay in the processor's cache.
	chunk = 128
	// pageRows is how many rows a page has at most: who merges many files holds
	// a page of each column of each.
	pageRows = 16_384
	// maxBound is the length of a text beyond which it is not kept as a bound.
	maxBound = 128
)

// Builder makes row groups of rows. It is used for one row group after the
// other, of any number of files; not for concurrent use.
type Builder[T any] struct {
	columns []column
	schema  thrift.Slice[format.SchemaElement]
	orders  thrift.Slice[format.ColumnOrder]
	packer  *zstd.Encoder
	group   []byte // packed pages of the row group under way
	pages   []byte // of one column
	packed  []byte
}

// File is a Parquet file under way.
type File struct {
	parts  [][]byte // of the file, in order: a row group each
	size   int      // of all parts
	groups thrift.Slice[format.RowGroup]
	rows   int64
}

// NewBuilder returns a builder for the type, or ErrUnsupported.
func NewBuilder[T any]() (*Builder[T], error) {
	typ := reflect.TypeFor[T]()
	if typ.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s: %w", typ, ErrUnsupported)
	}
	schema := parquet.SchemaOf(*new(T))
	fields := fieldsOf(typ, 0, nil)
	if len(schema.Fields()) != len(fields) {
		return nil, fmt.Errorf("%s: %w", typ, ErrUnsupported)
	}
	b := &Builder[T]{schema: thrift.Slice[format.SchemaElement]{{Name: schema.Name(), NumChildren: thrift.New(int32(len(fields)))}}} //nolint:gosec // fields of a struct
	for i, f := range schema.Fields() {
		c, ok := newColumn(fields[i], f)
		if !ok {
			return nil, fmt.Errorf("%s: field %s: %w", typ, f.Name(), ErrUnsupported)
		}
		b.columns = append(b.columns, c)
		b.schema = appendElements(b.schema, f.Name(), f)
		leaf := parquet.Node(f)
		if c.list {
			leaf = element(f)
		}
		b.orders = append(b.orders, *leaf.Type().ColumnOrder())
	}
	var err error
	b.packer, err = packer()
	return b, err
}

// packer is the encoder of all builders, since each takes its memory. Its window
// is that of a page.
var packer = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithWindowSize(256<<10),
		zstd.WithLowerEncoderMem(true), zstd.WithZeroFrames(true), zstd.WithEncoderCRC(false))
})

// NewFile returns an empty file.
func NewFile() *File {
	return &File{parts: [][]byte{[]byte(magic)}, size: len(magic)}
}

// Size of the file so far, in bytes.
func (f *File) Size() int { return f.size }

// Append adds a row group.
func (b *Builder[T]) Append(f *File, rows []*T) error {
	if len(rows) == 0 {
		return nil
	}
	for at := 0; at < len(rows); at += chunk {
		part := rows[at:min(at+chunk, len(rows))]
		pointers := unsafe.Slice((*unsafe.Pointer)(unsafe.Pointer(unsafe.SliceData(part))), len(part)) //nolint:gosec // *T and unsafe.Pointer are one
		for i := range b.columns {
			b.columns[i].take(pointers, len(rows))
		}
	}
	b.group = b.group[:0]
	g := format.RowGroup{NumRows: int64(len(rows)), FileOffset: int64(f.size), Ordinal: int16(len(f.groups))} //nolint:gosec // files end long before
	for i := range b.columns {
		meta, err := b.column(f, &b.columns[i], len(rows))
		if err != nil {
			return fmt.Errorf("column %s: %w", b.columns[i].name, err)
		}
		g.TotalByteSize += meta.TotalUncompressedSize
		g.TotalCompressedSize += meta.TotalCompressedSize
		g.Columns = append(g.Columns, format.ColumnChunk{MetaData: meta})
		b.columns[i].reset()
	}
	f.parts = append(f.parts, bytes.Clone(b.group))
	f.size += len(b.group)
	f.groups = append(f.groups, g)
	f.rows += g.NumRows
	return nil
}

// column writes one column's chunk of a row group.
func (b *Builder[T]) column(f *File, c *column, rows int) (format.ColumnMetaData, error) {
	// Small columns, too: parquet-go reads all row groups by the first one's codec.
	m := format.ColumnMetaData{
		Type: c.physical, PathInSchema: c.path, NumValues: int64(c.entries(rows)), Codec: format.Zstd,
		Statistics: c.statistics(), Encoding: encodings(c),
	}
	begin := int64(f.size + len(b.group))
	put := func(h format.PageHeader, page []byte) error {
		h.UncompressedPageSize = int32(len(page)) //nolint:gosec // bounded by pageRows and what a row may have
		b.packed = b.packer.EncodeAll(page, b.packed[:0])
		page = b.packed
		h.CompressedPageSize = int32(len(page)) //nolint:gosec // as above
		head, err := thrift.Marshal(&thrift.CompactProtocol{}, &h)
		if err != nil {
			return err
		}
		b.group = append(append(b.group, head...), page...)
		m.TotalUncompressedSize += int64(len(head)) + int64(h.UncompressedPageSize)
		m.TotalCompressedSize += int64(len(head)) + int64(len(page))
		return nil
	}
	if c.dictionary() {
		m.DictionaryPageOffset = begin
		b.pages = c.appendDictionary(b.pages[:0])
		if err := put(format.PageHeader{Type: format.DictionaryPage, DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: int32(c.distinct()), Encoding: format.Plain})}, b.pages); err != nil { //nolint:gosec // at most rows
			return m, err
		}
	}
	m.DataPageOffset = int64(f.size + len(b.group))
	step := pageRows
	if c.distinct() <= 1 || c.nulls == rows {
		step = rows
	}
	for at := 0; at < rows; at += step {
		var entries int
		var err error
		if b.pages, entries, err = c.appendPage(b.pages[:0], min(step, rows-at)); err != nil {
			return m, err
		}
		if err := put(format.PageHeader{Type: format.DataPage, DataPageHeader: thrift.New(format.DataPageHeader{
			NumValues: int32(entries), Encoding: c.encoding(), DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE, //nolint:gosec // of a row group
		})}, b.pages); err != nil {
			return m, err
		}
	}
	return m, nil
}

// Close ends the file and returns its bytes.
func (b *Builder[T]) Close(f *File) ([]byte, error) {
	foot, err := thrift.Marshal(&thrift.CompactProtocol{}, &format.FileMetaData{
		Version: 2, Schema: b.schema, NumRows: f.rows, RowGroups: f.groups, CreatedBy: "oriel version 1(build )", ColumnOrders: b.orders,
	})
	if err != nil {
		return nil, fmt.Errorf("footer: %w", err)
	}
	f.parts = append(f.parts, foot, binary.LittleEndian.AppendUint32(nil, uint32(len(foot))), []byte(magic)) //nolint:gosec // some kilobytes
	return bytes.Join(f.parts, nil), nil
}
