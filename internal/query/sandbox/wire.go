package sandbox

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"time"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/query"
	"github.com/orielhq/oriel/internal/query/duckdb"
)

// What passes between the two processes are frames: a byte that says what it
// is, the length in four bytes, and the content.
const (
	frameInspect = 'I' // a statement, as JSON
	frameQuery   = 'Q'
	frameExport  = 'E'
	frameShape   = 's' // a query.Shape, as JSON
	frameColumns = 'c' // []query.Column, as JSON
	frameRows    = 'r' // as appendValue writes them
	frameDone    = 'd'
	frameError   = 'e' // a failure, as JSON
)

const (
	// batch is how many bytes of rows are sent at once, at least.
	batch = 64 << 10
	// maxRow bounds a row: larger ones are an error of their query.
	maxRow = 16 << 20
	// maxFrame is more than any frame has: a batch and a row, or a request with its text and its list of files.
	maxFrame = batch + maxRow + 64<<20
)

// settings is a duckdb.Config whose sizes JSON writes as it reads them.
type settings struct {
	MemoryLimit, SpillLimit int64
	Threads                 int
	TempDir                 string
	Dirs                    []string
}

func settingsOf(c duckdb.Config) settings {
	return settings{int64(c.MemoryLimit), int64(c.SpillLimit), c.Threads, c.TempDir, c.Dirs}
}

func (s settings) config() duckdb.Config {
	return duckdb.Config{MemoryLimit: conf.ByteSize(s.MemoryLimit), SpillLimit: conf.ByteSize(s.SpillLimit), Threads: s.Threads, TempDir: s.TempDir, Dirs: s.Dirs}
}

// request is a statement to run.
type request struct {
	query.Statement
	Format string `json:",omitempty"`
	File   string `json:",omitempty"`
}

// failure is an error on its way.
type failure struct {
	Msg    string
	Offset int  // of a query.EngineError
	Engine bool // it is one
	Memory bool // there was not enough
	// Allocation says that it was the kernel that refused, and not DuckDB's own limit.
	Allocation bool
}

func (f *failure) error() error {
	if f.Engine {
		return &query.EngineError{Msg: f.Msg, Offset: f.Offset}
	}
	return errors.New(f.Msg)
}

func writeFrame(w io.Writer, kind byte, content []byte) error {
	head := [5]byte{kind}
	if len(content) > maxFrame {
		return fmt.Errorf("%d bytes at once: at most %d", len(content), maxFrame)
	}
	binary.LittleEndian.PutUint32(head[1:], uint32(len(content))) //nolint:gosec // at most maxFrame
	buffers := net.Buffers{head[:], content}
	_, err := buffers.WriteTo(w)
	return err
}

func writeJSON(w io.Writer, kind byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeFrame(w, kind, b)
}

// readFrame reads into buf, if it fits.
func readFrame(r io.Reader, buf []byte) (kind byte, content []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := int(binary.LittleEndian.Uint32(head[1:]))
	if n > maxFrame {
		return 0, nil, fmt.Errorf("a frame of %d bytes: at most %d", n, maxFrame)
	}
	if cap(buf) < n {
		buf = make([]byte, max(n, batch+batch/4))
	}
	_, err = io.ReadFull(r, buf[:n])
	return head[0], buf[:n], err
}

// The kinds of values in a row.
const (
	valueNil = iota
	valueFalse
	valueTrue
	valueInt    // zigzag varint
	valueFloat  // eight bytes
	valueString // length, bytes
	valueTime   // seconds as zigzag varint, nanoseconds
)

func appendValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, valueNil), nil
	case bool:
		if v {
			return append(b, valueTrue), nil
		}
		return append(b, valueFalse), nil
	case int64:
		return binary.AppendVarint(append(b, valueInt), v), nil
	case float64:
		return binary.LittleEndian.AppendUint64(append(b, valueFloat), math.Float64bits(v)), nil
	case string:
		if len(v) > maxRow {
			return b, errLargeRow
		}
		return append(binary.AppendUvarint(append(b, valueString), uint64(len(v))), v...), nil
	case time.Time:
		return binary.AppendUvarint(binary.AppendVarint(append(b, valueTime), v.Unix()), uint64(v.Nanosecond())), nil //nolint:gosec // not negative
	}
	return b, fmt.Errorf("a value of type %T", v)
}

var (
	errLargeRow = fmt.Errorf("a row of more than %d MiB", maxRow>>20)
	errGarbled  = errors.New("the SQL engine's answer is garbled")
)

// takeValue reads a value, and returns what follows it.
func takeValue(b []byte) (any, []byte, error) {
	if len(b) == 0 {
		return nil, nil, errGarbled
	}
	kind, b := b[0], b[1:]
	switch kind {
	case valueNil:
		return nil, b, nil
	case valueFalse, valueTrue:
		return kind == valueTrue, b, nil
	case valueInt:
		v, n := binary.Varint(b)
		if n <= 0 {
			return nil, nil, errGarbled
		}
		return v, b[n:], nil
	case valueFloat:
		if len(b) < 8 {
			return nil, nil, errGarbled
		}
		return math.Float64frombits(binary.LittleEndian.Uint64(b)), b[8:], nil
	case valueString:
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) { //nolint:gosec // n is at most len(b)
			return nil, nil, errGarbled
		}
		end := n + int(size) //nolint:gosec // at most len(b)
		return string(b[n:end]), b[end:], nil
	case valueTime:
		seconds, n := binary.Varint(b)
		if n <= 0 {
			return nil, nil, errGarbled
		}
		nanos, m := binary.Uvarint(b[n:])
		if m <= 0 || nanos >= 1e9 {
			return nil, nil, errGarbled
		}
		return time.Unix(seconds, int64(nanos)).UTC(), b[n+m:], nil
	}
	return nil, nil, errGarbled
}
