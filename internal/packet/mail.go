package packet

import (
	"bytes"

	"github.com/orielhq/oriel/internal/packet/mail"
)

// mailbag takes a mail that goes over the wire, makes file records of it and of
// the files in it, and reads a few fields of its header.
type mailbag struct {
	w       *worker
	c       *conn
	service string
	upload  bool

	at       int64
	inHead   bool
	leafOnly bool // it is one part, not a mail
	whole    *file
	leaf     *file // the part at hand
	part     mail.Part
	reader   mail.Reader
	files    int32 // parts that are files
	headers  func(name, value []byte)
}

// newMail begins a mail; headers may be nil.
func newMail(w *worker, c *conn, service string, upload bool, headers func(name, value []byte)) *mailbag {
	m := &mailbag{w: w, c: c, service: service, upload: upload, inHead: true, whole: newFile(), headers: headers}
	m.reader.To = m
	return m
}

// line takes the next line. cut and open are as lines has them.
func (m *mailbag) line(at int64, line []byte, cut, open bool) {
	m.at = at
	m.whole.lost = m.whole.lost || cut
	m.whole.write(line)
	if !open {
		m.whole.write([]byte("\r\n"))
	}
	if m.inHead {
		if m.inHead = len(line) > 0; m.inHead && m.headers != nil {
			name, value, _ := bytes.Cut(line, []byte(":"))
			m.headers(name, bytes.TrimSpace(value))
		}
	}
	m.reader.Line(line, cut, open)
}

// lost tells that bytes are missing.
func (m *mailbag) lost() {
	m.whole.lost = true
	m.reader.Lost()
}

// close ends the mail and reports it; whole says whether all of it was seen.
func (m *mailbag) close(at int64, whole bool) {
	m.at = at
	m.reader.Close(whole)
	if m.whole.size > 0 && !m.leafOnly {
		m.whole.lost = m.whole.lost || !whole
		m.w.emitFile(at, m.c.flow(at), m.whole, m.service, "message/rfc822", "", m.upload)
	}
}

// Begin, Data and End are the parts.
func (m *mailbag) Begin(p mail.Part) {
	m.part, m.leaf = p, nil
	if p.File() {
		m.leaf = newFile()
		m.leaf.name = text(p.Name)
	}
}

// Data is a piece of the part at hand.
func (m *mailbag) Data(b []byte) {
	if m.leaf != nil {
		m.leaf.write(b)
	}
}

// End is the part's.
func (m *mailbag) End(whole bool) {
	if m.leaf == nil {
		return
	}
	m.files++
	m.leaf.lost = !whole
	m.w.emitFile(m.at, m.c.flow(m.at), m.leaf, m.service, text(m.part.Type), "", m.upload)
	m.leaf = nil
}
