package mail

import (
	"bytes"
	"strconv"
	"strings"
)

// Described is what IMAP's BODYSTRUCTURE says of a leaf (RFC 3501, 7.4.2).
type Described struct {
	Section string // its number: 1, 2.1
	Part
	Size int64 // of it as it is sent, encoded
}

// Structure reads a BODYSTRUCTURE from its first parenthesis on, as far as it goes.
func Structure(b []byte) []Described {
	p := parser{b: b}
	var list []Described
	p.body("", 0, &list)
	return list
}

// parser reads IMAP's lists. At the end of the text everything is NIL.
type parser struct{ b []byte }

// next skips spaces and tells what comes.
func (p *parser) next() byte {
	p.b = bytes.TrimLeft(p.b, " ")
	if len(p.b) == 0 {
		return 0
	}
	return p.b[0]
}

// open takes the beginning of a list.
func (p *parser) open() bool {
	if p.next() != '(' {
		return false
	}
	p.b = p.b[1:]
	return true
}

// more tells whether the list has another item, and takes its end if not.
func (p *parser) more() bool {
	switch p.next() {
	case 0:
		return false
	case ')':
		p.b = p.b[1:]
		return false
	}
	return true
}

// text reads a string, quoted or not; of anything else it is empty, and skipped.
func (p *parser) text() string {
	switch p.next() {
	case 0, ')':
		return ""
	case '(':
		p.skip(0)
		return ""
	case '"':
		var out []byte
		i := 1
		for ; i < len(p.b) && p.b[i] != '"'; i++ {
			if p.b[i] == '\\' && i+1 < len(p.b) {
				i++
			}
			out = append(out, p.b[i])
		}
		p.b = p.b[min(i+1, len(p.b)):]
		return string(out)
	}
	i := bytes.IndexAny(p.b, " ()")
	if i < 0 {
		i = len(p.b)
	}
	word := string(p.b[:i])
	p.b = p.b[i:]
	if strings.EqualFold(word, "NIL") {
		return ""
	}
	return word
}

// skip takes one item; what is nested deeper than any mail ends the text.
func (p *parser) skip(depth int) {
	if p.next() != '(' {
		p.text()
		return
	}
	if depth > 2*maxDepth {
		p.b = nil
		return
	}
	for p.open(); p.more(); {
		p.skip(depth + 1)
	}
}

// rest takes what is left of a list.
func (p *parser) rest() {
	for p.more() {
		p.skip(0)
	}
}

// params reads a list of names and values and returns the one of a name.
func (p *parser) params(name string) (value string) {
	if !p.open() {
		p.text()
		return ""
	}
	for p.more() {
		if key, v := p.text(), p.text(); strings.EqualFold(key, name) {
			value = v
		}
	}
	return value
}

// body reads one part, or one with parts.
func (p *parser) body(section string, depth int, to *[]Described) {
	if !p.open() || depth > maxDepth || len(*to) >= maxParts {
		p.b = nil
		return
	}
	if p.next() == '(' { // a multipart: its parts, then how they belong together
		if section != "" {
			section += "."
		}
		for i := 1; p.next() == '('; i++ {
			p.body(section+strconv.Itoa(i), depth+1, to)
		}
		p.rest()
		return
	}
	if section == "" {
		section = "1"
	}
	d := Described{Section: section}
	d.Type = strings.ToLower(p.text() + "/" + p.text())
	d.Name = fileName(p.params("name"))
	p.text() // id
	p.text() // description
	switch e := strings.ToLower(p.text()); e {
	case "base64", "quoted-printable":
		d.Encoding = e
	}
	d.Size, _ = strconv.ParseInt(p.text(), 10, 64)
	// Then, in some order: numbers, for message/rfc822 lists, and the disposition,
	// which is a list of a word and parameters.
	for p.more() {
		if p.next() != '(' {
			p.text()
			continue
		}
		before := p.b
		p.open()
		kind := p.text()
		if p.next() == '(' && (strings.EqualFold(kind, "attachment") || strings.EqualFold(kind, "inline")) {
			d.Attached = d.Attached || strings.EqualFold(kind, "attachment")
			if name := fileName(p.params("filename")); name != "" {
				d.Name = name
			}
			p.rest()
			continue
		}
		if p.b = before; !p.more() {
			break
		}
		p.skip(0)
	}
	*to = append(*to, d)
}

// Leaf begins with a part whose header is known, instead of with a mail: Line
// takes its body.
func (r *Reader) Leaf(p Part) {
	r.begin()
	r.encoding, r.part = p.Encoding, p
	r.inBody, r.inLeaf, r.alone, r.gap, r.lineEnd, r.base64 = true, true, true, false, false, unbase64{}
	r.To.Begin(p)
}
