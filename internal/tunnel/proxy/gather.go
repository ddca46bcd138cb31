package proxy

import (
	"bufio"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// pieceSize is what is read, written and kept back at once.
const pieceSize = 64 << 10

// Readers and writers of one piece, lent for one answer.
var (
	pieces  = sync.Pool{New: func() any { return new([pieceSize]byte) }}
	readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, pieceSize) }}
	writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, pieceSize) }}
)

// gather sends an answer in large pieces: each one wakes the client. One of a
// single piece goes with its length, and not before it is whole.
type gather struct {
	w    http.ResponseWriter
	code int
	b    *[pieceSize]byte
	n    int
	sent bool
}

func newGather(w http.ResponseWriter, code int) *gather {
	return &gather{w: w, code: code, b: pieces.Get().(*[pieceSize]byte)}
}

// Write keeps p back, or sends it with what was kept.
func (g *gather) Write(p []byte) (int, error) {
	if len(p) > pieceSize-g.n {
		if err := g.send(); err != nil {
			return 0, err
		}
	}
	if len(p) > pieceSize {
		return g.w.Write(p)
	}
	g.n += copy(g.b[g.n:], p)
	return len(p), nil
}

// from reads r to its end, or until more than limit bytes have come.
func (g *gather) from(r io.Reader, limit int64) (read int64, err error, gone error) {
	for {
		n, err := r.Read(g.b[g.n:])
		g.n += n
		if read += int64(n); err != nil || read > limit {
			return read, err, nil
		}
		if g.n == pieceSize {
			if err := g.send(); err != nil {
				return read, nil, err
			}
		}
	}
}

func (g *gather) send() error {
	if !g.sent {
		g.sent = true
		g.w.WriteHeader(g.code)
	}
	_, err := g.w.Write(g.b[:g.n])
	g.n = 0
	return err
}

// end sends what is kept back. Errors are of a client that has gone: nobody is left to be told.
func (g *gather) end() {
	if !g.sent && g.w.Header().Get("Content-Length") == "" {
		g.w.Header()["Content-Length"] = []string{strconv.Itoa(g.n)}
	}
	_ = g.send()
}

// release gives the piece back, sent or not.
func (g *gather) release() {
	pieces.Put(g.b)
	g.b = nil
}
