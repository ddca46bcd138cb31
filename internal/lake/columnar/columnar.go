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
	"slices"
	"unsafe"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
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
	pages   []byte // of one column
	packed  []byte
}

// File is a Parquet file under way. Its bytes are in Data.
type File struct {
	Data   bytes.Buffer
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
	b := &Builder[T]{}
	b.schema = append(b.schema, format.SchemaElement{Name: schema.Name(), NumChildren: thrift.New(int32(len(schema.Fields())))}) //nolint:gosec // fields of a struct
	if len(schema.Fields()) != typ.NumField() {
		return nil, fmt.Errorf("%s: %w", typ, ErrUnsupported)
	}
	for i, f := range schema.Fields() {
		c, ok := newColumn(typ.Field(i), f)
		if !ok {
			return nil, fmt.Errorf("%s: field %s: %w", typ, f.Name(), ErrUnsupported)
		}
		b.columns = append(b.columns, c)
		e := format.SchemaElement{Name: f.Name(), Type: thrift.New(c.physical), RepetitionType: thrift.New(format.Required)}
		if c.optional {
			e.RepetitionType.V = format.Optional
		}
		if l := f.Type().LogicalType(); l != nil {
			e.LogicalType = *l
		}
		if t := f.Type().ConvertedType(); t != nil {
			e.ConvertedType = thrift.New[deprecated.ConvertedType](*t)
		}
		b.schema = append(b.schema, e)
		b.orders = append(b.orders, *f.Type().ColumnOrder())
	}
	var err error
	b.packer, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true), zstd.WithEncoderCRC(false))
	return b, err
}

// NewFile returns an empty file.
func NewFile() *File {
	f := &File{}
	f.Data.WriteString(magic)
	return f
}

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
	g := format.RowGroup{NumRows: int64(len(rows)), FileOffset: int64(f.Data.Len()), Ordinal: int16(len(f.groups))} //nolint:gosec // files end long before
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
	f.groups = append(f.groups, g)
	f.rows += g.NumRows
	return nil
}

// column writes one column's chunk of a row group.
func (b *Builder[T]) column(f *File, c *column, rows int) (format.ColumnMetaData, error) {
	m := format.ColumnMetaData{
		Type: c.physical, PathInSchema: thrift.Slice[string]{c.name}, NumValues: int64(rows), Codec: format.Zstd,
		Statistics: c.statistics(), Encoding: encodings(c),
	}
	begin := int64(f.Data.Len())
	put := func(h format.PageHeader, page []byte) error {
		h.UncompressedPageSize = int32(len(page)) //nolint:gosec // bounded by pageRows and what a row may have
		b.packed = b.packer.EncodeAll(page, b.packed[:0])
		page = b.packed
		h.CompressedPageSize = int32(len(page)) //nolint:gosec // as above
		head, err := thrift.Marshal(&thrift.CompactProtocol{}, &h)
		if err != nil {
			return err
		}
		f.Data.Write(head)
		f.Data.Write(page)
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
	m.DataPageOffset = int64(f.Data.Len())
	step := pageRows
	if c.distinct() <= 1 || c.nulls == rows {
		step = rows
	}
	for at := 0; at < rows; at += step {
		n := min(step, rows-at)
		var err error
		if b.pages, err = c.appendPage(b.pages[:0], at, n, rows); err != nil {
			return m, err
		}
		if err := put(format.PageHeader{Type: format.DataPage, DataPageHeader: thrift.New(format.DataPageHeader{
			NumValues: int32(n), Encoding: c.encoding(), DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE, //nolint:gosec // at most rows
		})}, b.pages); err != nil {
			return m, err
		}
	}
	return m, nil
}

// encodings lists, in their order, what a column's pages are made of.
func encodings(c *column) (list thrift.Slice[format.Encoding]) {
	list = append(list, c.encoding())
	if c.dictionary() {
		list = append(list, format.Plain)
	}
	if c.optional {
		list = append(list, format.RLE)
	}
	slices.Sort(list)
	return list
}

// Close ends the file: Data is whole then.
func (b *Builder[T]) Close(f *File) error {
	foot, err := thrift.Marshal(&thrift.CompactProtocol{}, &format.FileMetaData{
		Version: 2, Schema: b.schema, NumRows: f.rows, RowGroups: f.groups, CreatedBy: "oriel version 1(build )", ColumnOrders: b.orders,
	})
	if err != nil {
		return fmt.Errorf("footer: %w", err)
	}
	f.Data.Write(foot)
	f.Data.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(foot)))) //nolint:gosec // some kilobytes
	f.Data.WriteString(magic)
	return nil
}
