package packet

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/orielhq/oriel/internal/packet/mail"
)

// maxStructures is how many mails' structures are kept of a connection: clients
// ask for a mail's structure and then for its parts.
const maxStructures = 8

// imapParts are the parts of mails that a client fetches one by one.
type imapParts struct {
	message string      // the number of the FETCH at hand
	known   []structure // the latest last
	open    imapPart    // whose bytes come in pieces
	bag     *mailbag    // of open; nil: none is
}

// structure is what a mail is made of.
type structure struct {
	message string
	parts   []mail.Described
}

// imapPart is one part of a mail, or a piece of it.
type imapPart struct {
	message, section string
	from             int64 // where the piece begins, -1: it is all
	size             int64 // of the whole part; 0: not known
}

// fetched reads the line of a FETCH without literals at its end.
func (p *imapParts) fetched(line []byte) {
	p.number(line)
	i := indexFold(line, []byte("BODYSTRUCTURE ("))
	if i < 0 || p.message == "" {
		return
	}
	parts := mail.Structure(line[i+len("BODYSTRUCTURE "):])
	p.known = slices.DeleteFunc(p.known, func(s structure) bool { return s.message == p.message })
	if len(p.known) == maxStructures {
		p.known = slices.Delete(p.known, 0, 1)
	}
	p.known = append(p.known, structure{p.message, parts})
}

// indexFold is bytes.Index in any case. (A text in upper case may have another length.)
func indexFold(b, part []byte) int {
	for i := 0; i+len(part) <= len(b); i++ {
		if bytes.EqualFold(b[i:i+len(part)], part) {
			return i
		}
	}
	return -1
}

// number remembers which mail the following lines are about.
func (p *imapParts) number(line []byte) {
	rest, ok := bytes.CutPrefix(line, []byte("* "))
	if !ok {
		return
	}
	p.message = ""
	number, rest, _ := bytes.Cut(rest, []byte(" "))
	if word, _ := command(rest); word == "FETCH" && len(number) <= 10 {
		p.message = string(number)
	}
}

// part tells what the literal behind a line is, if it is a part of a mail.
func (p *imapParts) part(line []byte) (imapPart, bool) {
	p.number(line)
	line = bytes.TrimRight(line[:bytes.LastIndexByte(line, '{')], " ~")
	part := imapPart{message: p.message, from: -1}
	if rest, ok := bytes.CutSuffix(line, []byte(">")); ok {
		i := bytes.LastIndexByte(rest, '<')
		if i < 0 {
			return part, false
		}
		from, err := strconv.ParseInt(string(rest[i+1:]), 10, 64)
		if err != nil || from < 0 {
			return part, false
		}
		part.from, line = from, rest[:i]
	}
	line, ok := bytes.CutSuffix(line, []byte("]"))
	i := bytes.LastIndexByte(line, '[')
	if !ok || i < 0 || p.message == "" || !bytes.HasSuffix(bytes.ToUpper(line[:i]), []byte("BODY")) {
		return part, false
	}
	part.section = string(line[i+1:])
	return part, len(part.section) > 0 && len(part.section) <= 64 && len(bytes.Trim(line[i+1:], "0123456789.")) == 0
}

// describe finds what the mail's structure says of a part.
func (p *imapParts) describe(part *imapPart) (d mail.Part, known bool) {
	for _, s := range p.known {
		if s.message != part.message {
			continue
		}
		for _, d := range s.parts {
			if d.Section == part.section {
				part.size = d.Size
				return d.Part, true
			}
		}
	}
	return mail.Part{}, false
}

// openPart begins with n bytes of a part; false: it is no file.
func (a *mailboxAnalyzer) openPart(at int64, part imapPart, n int64) bool {
	p := &a.parts
	if o := p.open; p.bag != nil && o.message == part.message && o.section == part.section && o.from == part.from {
		p.open.from += n // it goes on where it ended
		a.mails[side(false)], a.server.mail = p.bag, n
		return true
	}
	a.closePart(at, false)
	d, known := p.describe(&part)
	if known && !d.File() {
		return false
	}
	m := newMail(a.w, a.c, a.record.Service, false, nil)
	m.leafOnly, m.inHead = true, false
	m.reader.Leaf(d)
	a.mails[side(false)], a.server.mail = m, n
	if part.from >= 0 {
		if part.from > 0 {
			m.lost()
		}
		p.bag, p.open = m, part
		p.open.from += n
	}
	return true
}

// pieceEnds tells that the literal at hand is at its end, and whether the part goes on.
func (a *mailboxAnalyzer) pieceEnds(at int64) bool {
	p := &a.parts
	if p.bag == nil || a.mails[side(false)] != p.bag {
		return false
	}
	a.mails[side(false)] = nil
	if p.open.size > 0 && p.open.from >= p.open.size {
		a.closePart(at, true)
	}
	return true
}

// closePart ends a part that came in pieces.
func (a *mailboxAnalyzer) closePart(at int64, whole bool) {
	if m := a.parts.bag; m != nil {
		a.parts.bag = nil
		m.close(at, whole)
	}
}
