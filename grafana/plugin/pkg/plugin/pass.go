package plugin

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"
)

// asArrow turns answers into the Arrow files that Grafana's protocol carries,
// without making values of them.
type asArrow struct {
	group   *group
	to      *passed
	open    map[string]*held
	answers map[string]backend.DataResponse
}

func newAsArrow(g *group, to *passed, answers map[string]backend.DataResponse) *asArrow {
	return &asArrow{group: g, to: to, open: map[string]*held{}, answers: answers}
}

// allocator is where the rows of an answer are read to.
func (s *asArrow) allocator(ref string) memory.Allocator {
	h := &held{}
	s.open[ref] = h
	return &h.memory
}

// held is what has come of one answer.
type held struct {
	schema  *arrow.Schema
	batches []arrow.RecordBatch
	rows    int64
	size    int
	nulls   []bool
	memory  arena
}

func (s *asArrow) begin(ref string, schema *arrow.Schema) error {
	h := s.open[ref]
	h.schema, h.nulls = schema, make([]bool, schema.NumFields())
	for _, f := range schema.Fields() {
		if _, err := newColumn(f.Type, false); err != nil { // Grafana knows others, but none of ours
			return fmt.Errorf("column %q: %w", f.Name, err)
		}
	}
	return nil
}

func (s *asArrow) batch(ref string, batch arrow.RecordBatch) error {
	h := s.open[ref]
	h.rows += batch.NumRows()
	if err := s.group.tooMany(h.rows); err != nil {
		return err
	}
	batch.Retain()
	h.batches = append(h.batches, batch)
	for i, c := range batch.Columns() {
		h.nulls[i] = h.nulls[i] || c.NullN() > 0
		for _, b := range c.Data().Buffers() {
			if b != nil {
				h.size += b.Len() + 64
			}
		}
	}
	h.size += 512 + 256*len(h.nulls)
	if h.size > maxAnswer {
		return fmt.Errorf("the rows are larger than %d MB: narrow the query, or lower its limit", maxAnswer>>20)
	}
	return nil
}

func (s *asArrow) end(ref string, t tail) error {
	h := s.open[ref]
	delete(s.open, ref)
	if h != nil {
		defer h.memory.free()
	}
	if t.Error != nil {
		s.answers[ref] = failure(backend.StatusBadRequest, t.Error.Error())
		return nil
	}
	s.answers[ref] = backend.DataResponse{Status: backend.StatusOK}
	if h == nil || len(h.nulls) == 0 {
		return nil
	}
	file, err := h.file(ref, s.group.formats[ref], t)
	if err != nil {
		return err
	}
	s.to.put(ref, file)
	return nil
}

// file writes what has come as Grafana reads it: the frame's own schema, made of
// an empty frame, around the batches as they are.
func (h *held) file(ref, format string, t tail) ([]byte, error) {
	b, err := newFrameBuilder(h.schema, false)
	if err != nil {
		return nil, err
	}
	for i, c := range b.columns {
		if h.nulls[i] {
			c.allowNull()
		}
	}
	f := b.frame(ref)
	finish(f, format, t.SQL, notices(t))
	table, err := data.FrameToArrowTable(f)
	if err != nil {
		return nil, fmt.Errorf("describe frame: %w", err)
	}
	defer table.Release()
	var out strings.Builder // its memory is not cleared before it is written
	out.Grow(h.size + len(h.nulls)*256 + len(t.SQL)*2 + 8192)
	w, err := ipc.NewFileWriter(&out, ipc.WithSchema(table.Schema()))
	if err != nil {
		return nil, err
	}
	for _, batch := range h.batches {
		columns := make([]arrow.Array, len(h.nulls))
		for i, c := range batch.Columns() {
			columns[i] = asGrafanaHasIt(c, table.Schema().Field(i).Type)
		}
		if err := w.Write(array.NewRecordBatch(table.Schema(), columns, batch.NumRows())); err != nil {
			return nil, fmt.Errorf("write frame: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write frame: %w", err)
	}
	text := out.String()
	return unsafe.Slice(unsafe.StringData(text), len(text)), nil //nolint:gosec // nobody else has the string, nobody writes to the bytes
}

// asGrafanaHasIt is a column of another type over the same memory: times without a zone.
func asGrafanaHasIt(a arrow.Array, t arrow.DataType) arrow.Array {
	if arrow.TypeEqual(a.DataType(), t) {
		return a
	}
	d := a.Data()
	return array.MakeFromData(array.NewData(t, d.Len(), d.Buffers(), nil, d.NullN(), d.Offset()))
}
