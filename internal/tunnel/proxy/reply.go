package proxy

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// pieceSize is what is sent and kept back at once; before it there is room for a head, behind it for the end of a chunk.
const (
	pieceSize = 64 << 10
	headRoom  = 1 << 10
	tailRoom  = 16
)

type piece [headRoom + pieceSize + tailRoom]byte

// pieces are lent for one answer.
var pieces = sync.Pool{New: func() any { return new(piece) }}

// reply is an answer to a client. It goes in large pieces, since each one wakes
// the client: one of a single piece goes with its length, at once, and not
// before it is whole; a longer one in chunks, or with the length that was said.
type reply struct {
	c      *clientConn
	r      *http.Request
	header http.Header
	code   int // 0: not said yet
	b      *piece
	n      int // of b's bytes that wait
	bytes  int64
	// What is on its way.
	begun   bool
	chunked bool
	last    bool  // no other request on this connection
	said    int64 // the length in the head; -1: none
	sent    int64
	err     error
}

func newReply(c *clientConn, r *http.Request) *reply {
	return &reply{c: c, r: r, header: http.Header{}, b: pieces.Get().(*piece), said: -1}
}

// Header is what is sent before the body.
func (w *reply) Header() http.Header { return w.header }

// WriteHeader says the status.
func (w *reply) WriteHeader(code int) {
	if w.code == 0 {
		w.code = code
	}
}

// Write keeps p back, or sends it with what was kept. Errors are of a client that has gone.
func (w *reply) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	total := len(p)
	for len(p) > 0 {
		if w.n == pieceSize {
			w.send(false)
		}
		if w.err != nil {
			return 0, w.err
		}
		n := copy(w.b[headRoom+w.n:headRoom+pieceSize], p)
		w.n += n
		p = p[n:]
	}
	w.bytes += int64(total)
	return total, nil
}

// from reads r to its end, or until more than limit bytes have come; err is what r ended with, if not the client.
func (w *reply) from(r io.Reader, limit int64) (read int64, err error) {
	w.WriteHeader(http.StatusOK)
	for w.err == nil {
		if w.n == pieceSize {
			w.send(false)
		}
		n, err := r.Read(w.b[headRoom+w.n : headRoom+pieceSize])
		w.n += n
		w.bytes += int64(n)
		if read += int64(n); err != nil || read > limit {
			return read, err
		}
	}
	return read, nil
}

// again forgets an answer of which nothing was sent, for another one.
func (w *reply) again() {
	clear(w.header)
	w.code, w.n, w.bytes = 0, 0, 0
}

// send sends what waits, with what belongs before it and, if it is the last of the answer, behind it.
func (w *reply) send(whole bool) {
	if w.err != nil {
		return
	}
	from, to := headRoom, headRoom+w.n
	w.sent += int64(w.n)
	var head []byte
	if !w.begun {
		head = w.head(whole)
	}
	if w.r.Method == http.MethodHead {
		to = from
	} else if w.chunked {
		if w.n > 0 {
			head = append(strconv.AppendInt(head, int64(w.n), 16), '\r', '\n')
			to += copy(w.b[to:], "\r\n")
		}
		if whole {
			to += copy(w.b[to:], "0\r\n\r\n")
		}
	}
	w.n, w.begun = 0, true
	if len(head) > headRoom {
		_, w.err = w.c.Write(head)
		head = nil
	}
	from -= copy(w.b[from-len(head):], head)
	if w.err == nil && to > from {
		_, w.err = w.c.Write(w.b[from:to])
	}
}

// head is the status and the headers.
func (w *reply) head(whole bool) []byte {
	switch said := w.header.Get("Content-Length"); {
	case whole:
		if w.r.Method != http.MethodHead || said == "" && w.n > 0 {
			w.header["Content-Length"] = []string{strconv.Itoa(w.n)}
		}
	case said != "":
		w.said, w.err = strconv.ParseInt(said, 10, 64)
	case w.r.ProtoAtLeast(1, 1):
		w.chunked = true
		w.header["Transfer-Encoding"] = []string{"chunked"}
	default:
		w.last = true
	}
	if body, ok := w.r.Body.(*requestBody); ok && body.waits {
		w.last = true // what the client holds back for our word is not to be taken for a request
	}
	if w.last {
		w.header["Connection"] = []string{"close"}
	}
	b := bytes.NewBuffer(make([]byte, 0, 256))
	b.WriteString("HTTP/1.1 ")
	b.WriteString(strconv.Itoa(w.code))
	b.WriteByte(' ')
	b.WriteString(http.StatusText(w.code))
	b.WriteString("\r\nDate: ")
	b.Write(time.Now().UTC().AppendFormat(b.AvailableBuffer(), http.TimeFormat))
	b.WriteString("\r\n")
	_ = w.header.Write(b)
	b.WriteString("\r\n")
	return b.Bytes()
}

// end sends what waits and tells whether the client has all of it, so that another answer can follow.
func (w *reply) end() bool {
	w.WriteHeader(http.StatusOK)
	if !w.begun || w.chunked || w.n > 0 {
		w.send(true)
	}
	return w.err == nil && !w.last && (w.said < 0 || w.said == w.sent)
}

// release gives the piece back.
func (w *reply) release() {
	pieces.Put(w.b)
	w.b = nil
}
