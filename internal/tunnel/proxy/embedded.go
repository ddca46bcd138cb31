package proxy

import (
	"io"
	"net/http"
)

// Embedded is the upstream that is the Prometheus of this very program.
const Embedded = "embedded"

// handlerTransport asks a handler of this program, without a socket.
type handlerTransport struct{ h http.Handler }

// ask returns as soon as the handler has begun to answer.
func (t handlerTransport) ask(_ string, r *http.Request) (*http.Response, error) {
	body, out := io.Pipe()
	w := &pipeWriter{header: http.Header{}, out: out, begun: make(chan struct{})}
	r.RequestURI = r.URL.RequestURI()
	r.RemoteAddr = "embedded"
	if r.Body == nil {
		r.Body = http.NoBody
	}
	go func() {
		defer func() {
			var err error
			if recover() != nil {
				err = io.ErrUnexpectedEOF // what the handler has sent is not whole
			}
			w.WriteHeader(http.StatusOK) // of an answer without a body
			_ = out.CloseWithError(err)
		}()
		t.h.ServeHTTP(w, r)
	}()
	select {
	case <-w.begun:
	case <-r.Context().Done():
		_ = body.CloseWithError(r.Context().Err()) // ends the handler at its next write
		return nil, r.Context().Err()
	}
	return &http.Response{
		Status: http.StatusText(w.code), StatusCode: w.code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: body, ContentLength: -1, Request: r,
	}, nil
}

// pipeWriter is a handler's end of it.
type pipeWriter struct {
	header, sent http.Header
	out          *io.PipeWriter
	code         int
	begun        chan struct{}
}

// Header is what the handler sets before it begins.
func (w *pipeWriter) Header() http.Header { return w.header }

// WriteHeader begins the answer.
func (w *pipeWriter) WriteHeader(code int) {
	if w.code == 0 {
		w.code, w.sent = code, w.header.Clone()
		close(w.begun)
	}
}

// Write sends a piece.
func (w *pipeWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.out.Write(b)
}

// Flush does nothing: nothing is kept back.
func (w *pipeWriter) Flush() {}
