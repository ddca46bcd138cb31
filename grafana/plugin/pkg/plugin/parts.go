package plugin

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
)

// Bounds of what stands around a part.
const (
	readAhead  = 64 << 10
	maxHeaders = 32
)

// parts reads a multipart answer. mime/multipart looks for the boundary in every
// byte of the rows; but Arrow says itself where it ends, and the other parts are
// one line of JSON.
type parts struct {
	r        *bufio.Reader
	boundary []byte // with its dashes
}

// part is the head of one part; its body is what parts reads next.
type part struct{ ref, contentType string }

// newParts reads the answer's own head; false if it is none of several parts.
func newParts(resp *http.Response) (*parts, bool) {
	kind, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/mixed" || params["boundary"] == "" {
		return nil, false
	}
	return &parts{bufio.NewReaderSize(resp.Body, readAhead), []byte("--" + params["boundary"])}, true
}

// line reads up to a line's end, which it takes off.
func (p *parts) line() ([]byte, error) {
	text, err := p.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("a head longer than %d bytes", readAhead)
	}
	if errors.Is(err, io.EOF) && len(text) > 0 {
		return bytes.TrimRight(text, "\r\n"), nil
	}
	return bytes.TrimRight(text, "\r\n"), err
}

// next goes to the next part; io.EOF is the regular end.
func (p *parts) next() (part, error) {
	for blank := 0; ; blank++ {
		text, err := p.line()
		switch {
		case errors.Is(err, io.EOF):
			return part{}, io.ErrUnexpectedEOF
		case err != nil:
			return part{}, err
		case len(text) == 0 && blank < 2: // the line's end before a boundary is the boundary's
			continue
		case !bytes.HasPrefix(text, p.boundary):
			return part{}, fmt.Errorf("%.50q where a part should begin", text)
		case string(text[len(p.boundary):]) == "--":
			return part{}, io.EOF
		case len(text) > len(p.boundary):
			return part{}, fmt.Errorf("%.50q where a part should begin", text)
		}
		return p.head()
	}
}

func (p *parts) head() (part, error) {
	var h part
	for range maxHeaders {
		text, err := p.line()
		if errors.Is(err, io.EOF) {
			return part{}, io.ErrUnexpectedEOF
		}
		if err != nil {
			return part{}, err
		}
		if len(text) == 0 {
			return h, nil
		}
		name, value, _ := bytes.Cut(text, []byte(":"))
		switch v := string(bytes.TrimSpace(value)); http.CanonicalHeaderKey(string(name)) {
		case "Content-Type":
			h.contentType = v
		case "Oriel-Ref-Id":
			h.ref = v
		}
	}
	return part{}, fmt.Errorf("more than %d lines in a part's head", maxHeaders)
}

// text reads a part of one line, of at most so many bytes.
func (p *parts) text(most int) ([]byte, error) {
	var all []byte
	for {
		piece, err := p.r.ReadSlice('\n')
		if len(all)+len(piece) > most {
			return nil, fmt.Errorf("more than %d bytes behind the rows", most)
		}
		all = append(all, piece...)
		switch {
		case err == nil:
			return all, nil
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}
