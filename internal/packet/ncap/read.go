package ncap

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// maxMessage bounds a record: an HTTP record may hold two bodies.
	maxMessage = 16 << 20
	// maxList bounds what a repeated field keeps.
	maxList = 1000
	// maxLabel bounds the text of a value.
	maxLabel = 1024
)

// ErrNotNcap tells that a file has no header of audit records.
var ErrNotNcap = errors.New("not a file of audit records")

var errMessage = errors.New("damaged message")

// Reader yields the records of one file.
type Reader struct {
	Header Header
	in     *bufio.Reader
	buf    []byte
}

// NewReader reads the header. in may be compressed, also in several members.
func NewReader(in io.Reader) (*Reader, error) {
	r := &Reader{in: bufio.NewReaderSize(in, 64<<10)}
	if magic, err := r.in.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(r.in)
		if err != nil {
			return nil, fmt.Errorf("read gzip: %w", err)
		}
		r.in = bufio.NewReaderSize(z, 256<<10)
	}
	b, err := r.Next()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotNcap, err)
	}
	if err := r.Header.parse(b); err != nil || r.Header.Type < 2 {
		return nil, ErrNotNcap
	}
	return r, nil
}

// Next returns the next record's message, good until the next call, and io.EOF
// at the end. A file that is cut off, as one that is being written to, ends with
// io.ErrUnexpectedEOF.
func (r *Reader) Next() ([]byte, error) {
	var n uint64
	for shift := 0; ; shift += 7 {
		c, err := r.in.ReadByte()
		if err != nil {
			if shift > 0 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			break
		}
		if shift >= 28 {
			return nil, fmt.Errorf("length: %w", errMessage)
		}
	}
	if n > maxMessage {
		return nil, fmt.Errorf("length %d: %w", n, errMessage)
	}
	// Grown as the bytes come, so that a length alone costs nothing.
	r.buf = r.buf[:0]
	for len(r.buf) < int(n) {
		part := min(int(n)-len(r.buf), 64<<10)
		at := len(r.buf)
		r.buf = append(r.buf, make([]byte, part)...)
		if _, err := io.ReadFull(r.in, r.buf[at:]); err != nil {
			return nil, fmt.Errorf("record cut off: %w", io.ErrUnexpectedEOF)
		}
	}
	return r.buf, nil
}

// each calls f for the fields of a message: v of numbers, data of all that has a length.
func each(b []byte, f func(n protowire.Number, t protowire.Type, v uint64, data []byte)) error {
	for len(b) > 0 {
		n, t, size := protowire.ConsumeTag(b)
		if size < 0 {
			return errMessage
		}
		b = b[size:]
		var v uint64
		var data []byte
		switch t {
		case protowire.VarintType:
			v, size = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			v, size = protowire.ConsumeFixed64(b)
		case protowire.Fixed32Type:
			var w uint32
			w, size = protowire.ConsumeFixed32(b)
			v = uint64(w)
		case protowire.BytesType:
			data, size = protowire.ConsumeBytes(b)
		default:
			size = protowire.ConsumeFieldValue(n, t, b)
		}
		if size < 0 {
			return errMessage
		}
		b = b[size:]
		f(n, t, v, data)
	}
	return nil
}

// Record is a message taken apart.
type Record struct {
	Schema *Schema
	values [][]string // of each field of the schema
}

// Parse takes a message apart, into r's memory. Fields that the schema does not have are left out.
func (s *Schema) Parse(b []byte, r *Record) error {
	r.Schema = s
	if cap(r.values) < len(s.Fields) {
		r.values = make([][]string, len(s.Fields))
	}
	r.values = r.values[:len(s.Fields)]
	for i := range r.values {
		r.values[i] = r.values[i][:0]
	}
	return each(b, func(n protowire.Number, t protowire.Type, v uint64, data []byte) {
		i, ok := s.fields[n]
		if !ok || len(r.values[i]) >= maxList {
			return
		}
		f := s.Fields[i]
		if t == protowire.BytesType && f.Repeated && f.kind != kindString && f.kind != kindBytes && f.kind != kindMessage {
			for len(data) > 0 && len(r.values[i]) < maxList { // packed
				v, size := protowire.ConsumeVarint(data)
				if size < 0 {
					return
				}
				data = data[size:]
				r.values[i] = append(r.values[i], number(f.kind, v))
			}
			return
		}
		text := ""
		switch {
		case f.kind == kindBytes && t == protowire.BytesType:
			text = base64.StdEncoding.EncodeToString(data[:min(len(data), maxLabel)])
		case f.kind == kindMessage && t == protowire.BytesType:
			text = nested(data, 0)
		case t == protowire.BytesType:
			text = strings.ToValidUTF8(string(data[:min(len(data), maxLabel)]), "�")
		default:
			text = number(f.kind, v)
		}
		if !f.Repeated {
			r.values[i] = r.values[i][:0] // the last one holds
		}
		r.values[i] = append(r.values[i], text)
	})
}

func number(kind byte, v uint64) string {
	switch kind {
	case kindBool:
		return strconv.FormatBool(v != 0)
	case kindDouble:
		return strconv.FormatFloat(math.Float64frombits(v), 'g', -1, 64)
	case kindUnsigned:
		return strconv.FormatUint(v, 10)
	}
	return strconv.FormatInt(int64(v), 10)
}

// nested is the values of a nested message, as netcap joins them.
func nested(b []byte, depth int) string {
	if depth == 4 {
		return ""
	}
	var parts []string
	_ = each(b, func(_ protowire.Number, t protowire.Type, v uint64, data []byte) {
		if len(parts) >= 32 {
			return
		}
		if t == protowire.BytesType {
			parts = append(parts, strings.ToValidUTF8(string(data[:min(len(data), 256)]), "�"))
			return
		}
		parts = append(parts, strconv.FormatInt(int64(v), 10))
	})
	text := "(" + strings.Join(parts, "-") + ")"
	return text[:min(len(text), maxLabel)]
}

// Value is a field's text; a list is joined by "-".
func (r *Record) Value(name string) string {
	i := r.Schema.find(name)
	if i < 0 {
		return ""
	}
	return r.value(i)
}

func (r *Record) value(i int) string {
	f, v := r.Schema.Fields[i], r.values[i]
	switch {
	case !f.Repeated && len(v) > 0:
		return v[0]
	case !f.Repeated && f.kind == kindBool:
		return "false"
	case !f.Repeated && (f.kind == kindSigned || f.kind == kindUnsigned || f.kind == kindDouble):
		return "0"
	case len(v) == 0:
		return ""
	}
	text := "(" + strings.Join(v, "-") + ")"
	return text[:min(len(text), maxLabel)]
}

// Time is when the record happened, in Unix nanoseconds; 0 if it does not tell.
func (r *Record) Time() int64 {
	for i, f := range r.Schema.Fields {
		if (f.Name == "Timestamp" || f.Name == "TimestampFirst") && len(r.values[i]) > 0 {
			n, _ := strconv.ParseInt(r.values[i][0], 10, 64)
			return n
		}
	}
	return 0
}

// secrets are the labels whose values are never shown.
func secret(label string) bool {
	return label == "Password" || label == "Pass" || label == "AuthToken"
}

// Labels appends the values of the type's labels to b. Secrets stay empty, and
// of a URL what follows the path.
func (r *Record) Labels(b []string) []string {
	for n, i := range r.Schema.labels {
		switch label := r.Schema.Labels[n]; {
		case i < 0 || secret(label):
			b = append(b, "")
		case strings.HasPrefix(label, "Num") && r.Schema.Fields[i].Repeated:
			b = append(b, strconv.Itoa(len(r.values[i])))
		case label == "URL":
			path, _, _ := strings.Cut(r.value(i), "?")
			b = append(b, path)
		default:
			b = append(b, strings.ToValidUTF8(r.value(i), "�"))
		}
	}
	return b
}
