package plugin

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	flatbuffers "github.com/google/flatbuffers/go"
)

// Bounds of an Arrow stream.
const (
	maxMessageHead = 4 << 20
	// maxBatch bounds a batch of rows: a server of ours sends some thousand of them at a time.
	maxBatch = 256 << 20
	// maxAnswer bounds the rows of one query: gRPC carries no more than twice that.
	maxAnswer = 1 << 30
)

// Kinds of messages and types, and places in Arrow's tables (its Message.fbs and Schema.fbs).
const (
	messageSchema, messageBatch                             = 1, 3
	typeInt, typeFloat, typeText, typeBool, typeTime        = 2, 3, 5, 6, 10
	inHeaderType, inHeader, inBodyLength, inMessageMetadata = 6, 8, 10, 12
	inFields, inSchemaMetadata                              = 6, 8
	inTypeType, inDictionary, inChildren, inFieldMetadata   = 8, 12, 14, 16
	inLength, inNodes, inBuffers, inCompression             = 4, 6, 8, 10
)

// messages reads the messages of a stream, and lets through only what holds
// together: Arrow's reader believes counts, of which one can ask for more memory
// than there is, and Grafana's believes offsets.
type messages struct {
	r     io.Reader
	mem   memory.Allocator
	types []byte // of the columns
	last  *ipc.Message
}

var _ ipc.MessageReader = (*messages)(nil)

// Retain does nothing: there is one who reads.
func (m *messages) Retain() {}

// Release lets go of the last message.
func (m *messages) Release() {
	if m.last != nil {
		m.last.Release()
		m.last = nil
	}
}

// Message returns the next message; it is there until the next call. io.EOF is the regular end.
func (m *messages) Message() (*ipc.Message, error) {
	var start [8]byte
	if _, err := io.ReadFull(m.r, start[:]); err != nil {
		return nil, fmt.Errorf("read message: %w", broken(err))
	}
	size := binary.LittleEndian.Uint32(start[4:])
	switch {
	case binary.LittleEndian.Uint32(start[:]) != 0xffffffff:
		return nil, errors.New("no message of Arrow where one should be")
	case size == 0:
		return nil, io.EOF
	case size > maxMessageHead:
		return nil, fmt.Errorf("a message's head of %d bytes", size)
	}
	head := make([]byte, size)
	if _, err := io.ReadFull(m.r, head); err != nil {
		return nil, fmt.Errorf("read message: %w", broken(err))
	}
	t, err := m.check(head)
	if err != nil {
		return nil, fmt.Errorf("malformed message: %w", err)
	}
	body := memory.NewResizableBuffer(m.mem)
	defer body.Release()
	body.Resize(int(t.bodyLength))
	if _, err := io.ReadFull(m.r, body.Bytes()); err != nil {
		return nil, fmt.Errorf("read rows: %w", broken(err))
	}
	if t.kind == messageBatch {
		if err := m.checkRows(t, body.Bytes()); err != nil {
			return nil, fmt.Errorf("malformed rows: %w", err)
		}
	}
	m.Release()
	m.last = ipc.NewMessage(memory.NewBufferBytes(head), body)
	return m.last, nil
}

func broken(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// message is the table of a message, with what is in its header.
type message struct {
	kind       byte
	bodyLength int64
	header     flatbuffers.Table
}

// check reads a message's head. The tables' own code panics at offsets that lead out of it.
func (m *messages) check(head []byte) (msg message, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	t := flatbuffers.Table{Bytes: head, Pos: flatbuffers.GetUOffsetT(head)}
	if o := t.Offset(inHeaderType); o != 0 {
		msg.kind = t.GetByte(flatbuffers.UOffsetT(o) + t.Pos)
	}
	if o := t.Offset(inBodyLength); o != 0 {
		msg.bodyLength = t.GetInt64(flatbuffers.UOffsetT(o) + t.Pos)
	}
	o := t.Offset(inHeader)
	if o == 0 || msg.kind != messageSchema && msg.kind != messageBatch {
		return msg, fmt.Errorf("of kind %d", msg.kind)
	}
	if msg.bodyLength < 0 || msg.bodyLength > maxBatch || msg.bodyLength%8 != 0 {
		return msg, fmt.Errorf("a body of %d bytes", msg.bodyLength)
	}
	t.Union(&msg.header, flatbuffers.UOffsetT(o))
	if _, _, err := vector(&t, inMessageMetadata, 4); err != nil {
		return msg, err
	}
	if msg.kind == messageSchema {
		return msg, m.checkSchema(&msg.header)
	}
	return msg, nil
}

// vector returns where a vector begins and how many elements it has, all within the head.
func vector(t *flatbuffers.Table, slot flatbuffers.VOffsetT, size int) (start flatbuffers.UOffsetT, n int, err error) {
	o := t.Offset(slot)
	if o == 0 {
		return 0, 0, nil
	}
	start, n = t.Vector(flatbuffers.UOffsetT(o)), t.VectorLen(flatbuffers.UOffsetT(o))
	if int64(start) > int64(len(t.Bytes)) || n < 0 || int64(n)*int64(size) > int64(len(t.Bytes))-int64(start) {
		return 0, 0, fmt.Errorf("%d elements in %d bytes", n, len(t.Bytes))
	}
	return start, n, nil
}

func (m *messages) checkSchema(schema *flatbuffers.Table) error {
	if m.types != nil {
		return errors.New("a second schema")
	}
	start, n, err := vector(schema, inFields, 4)
	if err != nil {
		return err
	}
	if _, _, err := vector(schema, inSchemaMetadata, 4); err != nil {
		return err
	}
	m.types = make([]byte, n)
	for i := range n {
		at := start + flatbuffers.UOffsetT(4*i)
		field := flatbuffers.Table{Bytes: schema.Bytes, Pos: schema.Indirect(at)}
		if o := field.Offset(inTypeType); o != 0 {
			m.types[i] = field.GetByte(flatbuffers.UOffsetT(o) + field.Pos)
		}
		_, children, err := vector(&field, inChildren, 4)
		if err == nil {
			_, _, err = vector(&field, inFieldMetadata, 4)
		}
		switch {
		case err != nil:
			return err
		case children > 0 || field.Offset(inDictionary) != 0:
			return fmt.Errorf("column %d is nested or a dictionary", i)
		}
	}
	return nil
}

// checkRows looks whether each column has the bytes that its rows need.
func (m *messages) checkRows(msg message, body []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	t := &msg.header
	rows := int64(0)
	if o := t.Offset(inLength); o != 0 {
		rows = t.GetInt64(flatbuffers.UOffsetT(o) + t.Pos)
	}
	nodes, columns, err := vector(t, inNodes, 16)
	if err != nil {
		return err
	}
	start, n, err := vector(t, inBuffers, 16)
	switch {
	case err != nil:
		return err
	case rows < 0 || rows > int64(len(body))*8:
		return fmt.Errorf("%d rows in %d bytes", rows, len(body))
	case columns != len(m.types):
		return fmt.Errorf("%d columns of %d", columns, len(m.types))
	case t.Offset(inCompression) != 0:
		return errors.New("they are compressed")
	}
	next := func(least int64) ([]byte, error) {
		if n == 0 {
			return nil, errors.New("a buffer is missing")
		}
		offset, length := t.GetInt64(start), t.GetInt64(start+8)
		start, n = start+16, n-1
		if offset < 0 || length < least || offset > int64(len(body)) || length > int64(len(body))-offset {
			return nil, fmt.Errorf("a buffer of %d bytes at %d; want %d of %d", length, offset, least, len(body))
		}
		return body[offset : offset+length], nil
	}
	for i, kind := range m.types {
		node := nodes + flatbuffers.UOffsetT(16*i)
		length, nulls := t.GetInt64(node), t.GetInt64(node+8)
		if length != rows || nulls < 0 || nulls > rows {
			return fmt.Errorf("column %d has %d rows of %d, %d NULLs", i, length, rows, nulls)
		}
		if err := checkColumn(kind, rows, nulls, next); err != nil {
			return fmt.Errorf("column %d: %w", i, err)
		}
	}
	if n > 0 {
		return fmt.Errorf("%d buffers are nobody's", n)
	}
	return nil
}

func checkColumn(kind byte, rows, nulls int64, next func(least int64) ([]byte, error)) error {
	bits := (rows + 7) / 8
	valid := bits
	if nulls == 0 {
		valid = 0
	}
	if _, err := next(valid); err != nil {
		return err
	}
	switch kind {
	case typeBool:
		_, err := next(bits)
		return err
	case typeInt, typeFloat, typeTime:
		_, err := next(8 * rows)
		return err
	case typeText:
		least := 4 * (rows + 1)
		if rows == 0 {
			least = 0
		}
		offsets, err := next(least)
		if err != nil {
			return err
		}
		text, err := next(0)
		if err != nil || rows == 0 {
			return err
		}
		last, ok := ascending(offsets[:least])
		if !ok {
			return errors.New("texts overlap")
		}
		if last > int64(len(text)) {
			return fmt.Errorf("text ends at %d of %d", last, len(text))
		}
		return nil
	}
	return fmt.Errorf("type %d is not known", kind)
}

// ascending returns the last of some offsets, and whether none is before the one that precedes it.
func ascending(offsets []byte) (last int64, ok bool) {
	steps := int64(0) // the sign of one that goes back stays
	for len(offsets) >= 16 {
		o := offsets[:16:16]
		a, b := int64(binary.LittleEndian.Uint32(o)), int64(binary.LittleEndian.Uint32(o[4:]))
		c, d := int64(binary.LittleEndian.Uint32(o[8:])), int64(binary.LittleEndian.Uint32(o[12:]))
		steps |= (a - last) | (b - a) | (c - b) | (d - c)
		last, offsets = d, offsets[16:]
	}
	for len(offsets) >= 4 {
		a := int64(binary.LittleEndian.Uint32(offsets))
		steps |= a - last
		last, offsets = a, offsets[4:]
	}
	return last, steps >= 0
}
