package flow

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// maxParquet bounds a Parquet object that cannot be read in place: it is held in memory.
const maxParquet = 512 << 20

// awsParquet reads a Parquet file: the same fields, with "_" in their names, with types.
func (d *decoder) awsParquet(o Object, in io.Reader) (err error) {
	// The reader panics on some damaged files.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("parquet: damaged: %v", p)
		}
	}()
	at, ok := o.Body.(io.ReaderAt)
	size := o.Size
	if !ok || size <= 0 {
		data, err := io.ReadAll(io.LimitReader(in, maxParquet+1))
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if len(data) > maxParquet {
			return fmt.Errorf("parquet: larger than %d bytes", maxParquet)
		}
		at, size = bytes.NewReader(data), int64(len(data))
	}
	file, err := parquet.OpenFile(at, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return fmt.Errorf("parquet: %w", err)
	}
	var fields []awsField
	start := false
	for _, path := range file.Schema().Columns() {
		name := path[0]
		if len(path) > 1 || len(fields) >= maxFields {
			return fmt.Errorf("parquet: column %q is not flat", excerpt(name))
		}
		name = strings.ReplaceAll(valid([]byte(name)), "_", "-") // in extra as the text format has it
		fields = append(fields, awsField{name, awsSetter(name)})
		start = start || name == "start"
	}
	if !start {
		return fmt.Errorf("parquet: no column start: %w", ErrUnknownFormat)
	}
	for _, g := range file.RowGroups() {
		if err := d.awsRowGroup(g, fields); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) awsRowGroup(g parquet.RowGroup, fields []awsField) (err error) {
	rows := g.Rows()
	defer func() { err = errors.Join(err, rows.Close()) }()
	buf := make([]parquet.Row, 128)
	values := make([][]byte, len(fields))
	texts := make([][]byte, len(fields)) // one buffer each, used again
	for {
		n, err := rows.ReadRows(buf)
		for _, row := range buf[:n] {
			clear(values)
			for _, v := range row {
				i := v.Column()
				if i < 0 || i >= len(values) || v.IsNull() {
					continue
				}
				texts[i] = appendValue(texts[i][:0], v)
				values[i] = texts[i]
			}
			r := d.next()
			if err := d.awsRow(r, fields, values); err != nil {
				d.drop(0, err)
				continue
			}
			if err := d.keep(); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("parquet: record %d: %w", d.no+1, err)
		}
		if n == 0 {
			return fmt.Errorf("parquet: record %d: %w", d.no+1, io.ErrNoProgress)
		}
	}
}

// appendValue is a value as the text format has it.
func appendValue(b []byte, v parquet.Value) []byte {
	switch v.Kind() {
	case parquet.Int32:
		return strconv.AppendInt(b, int64(v.Int32()), 10)
	case parquet.Int64:
		return strconv.AppendInt(b, v.Int64(), 10)
	case parquet.ByteArray, parquet.FixedLenByteArray:
		return append(b, v.ByteArray()...)
	}
	return append(b, v.String()...)
}
