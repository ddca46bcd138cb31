// Package mail takes a mail apart while it comes, line by line (RFC 5322 and
// 2045 to 2049): it yields the leaves of its tree of parts, decoded. It keeps a
// header and a few bytes, whatever the mail's size.
package mail

import (
	"bytes"
	"mime"
	"path"
	"slices"
	"strings"
)

const (
	maxDepth    = 8        // multiparts within multiparts; what is deeper is one part
	maxHeader   = 8 << 10  // bytes of a header's field with its continuations
	maxParts    = 1000     // of a mail; what follows belongs to the last
	maxBoundary = 70       // RFC 2046, 5.1.1
	maxName     = 255      // of a file
	maxFields   = 200      // of a header
	wordBreak   = "\r\n\t" // never in a name
)

// Part is the header of a leaf.
type Part struct {
	Type     string // lower case, without parameters; text/plain if it does not say
	Name     string // of the file, without folders
	Attached bool   // its disposition is attachment
	Encoding string // that was undone: base64, quoted-printable or empty
}

// File tells whether the part is a file, and not the mail's own text.
func (p *Part) File() bool { return p.Attached || p.Name != "" || !strings.HasPrefix(p.Type, "text/") }

// A Sink takes the leaves. Data is called any number of times between Begin and
// End, with bytes that are good during the call; whole is false when the mail
// ended before the part did, or bytes of it are missing.
type Sink interface {
	Begin(p Part)
	Data(b []byte)
	End(whole bool)
}

// Reader is fed with a mail. The zero value with a Sink is ready.
type Reader struct {
	To Sink

	boundaries []string // of the open multiparts, the innermost last
	parts      int
	inBody     bool
	inLeaf     bool
	alone      bool   // the leaf is no part of a mail: no boundary ends it
	gap        bool   // bytes of the leaf are missing
	field      []byte // of the header: name, value and continuations
	fields     int
	kind       string // of the part whose header was read
	boundary   string
	part       Part
	encoding   string
	lineEnd    bool // owed before the next line: the last one belongs to the boundary
	base64     unbase64
	out        []byte
}

// Line takes the next line, without its end. cut tells that its rest is missing,
// open that it had no end, as the last one of a piece.
func (r *Reader) Line(line []byte, cut, open bool) {
	r.gap = r.gap || cut
	if i, last := r.delimiter(line); i >= 0 {
		r.leave(true)
		r.boundaries = r.boundaries[:i+1]
		if last { // what follows is for nobody, until an outer boundary
			r.boundaries = r.boundaries[:i]
			r.inBody = true
			return
		}
		r.begin()
		return
	}
	if r.inBody {
		if r.inLeaf {
			r.body(line, open)
		}
		return
	}
	r.header(line)
}

// Lost tells that bytes are missing here.
func (r *Reader) Lost() { r.gap = true }

// Close ends the mail.
func (r *Reader) Close(whole bool) {
	if !r.inBody {
		r.endOfHeader() // a mail may have no body
	}
	r.leave(whole && len(r.boundaries) == 0)
	r.inBody = true
}

func (r *Reader) begin() {
	r.inBody, r.kind, r.boundary, r.encoding, r.part, r.fields = false, "", "", "", Part{}, 0
	r.field = r.field[:0]
}

// delimiter tells which multipart a line is the boundary of, -1 if of none.
func (r *Reader) delimiter(line []byte) (i int, last bool) {
	if len(line) < 3 || line[0] != '-' || line[1] != '-' {
		return -1, false
	}
	for i, boundary := range slices.Backward(r.boundaries) {
		rest, ok := bytes.CutPrefix(line[2:], []byte(boundary))
		if !ok {
			continue
		}
		rest, last := bytes.CutPrefix(rest, []byte("--"))
		if len(bytes.TrimRight(rest, " \t")) == 0 {
			return i, last
		}
	}
	return -1, false
}

// header takes a line of a header; a field ends where the next begins.
func (r *Reader) header(line []byte) {
	if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
		if n := min(maxHeader-len(r.field), len(line)); n > 0 {
			r.field = append(r.field, line[:n]...)
		}
		return
	}
	r.endOfField()
	if len(line) == 0 {
		r.endOfHeader()
		return
	}
	r.field = append(r.field[:0], line[:min(len(line), maxHeader)]...)
}

func (r *Reader) endOfField() {
	name, value, ok := strings.Cut(string(r.field), ":")
	r.field = r.field[:0]
	if r.fields++; !ok || r.fields > maxFields {
		return
	}
	value = strings.TrimSpace(value)
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "content-type":
		kind, params, _ := mime.ParseMediaType(value)
		if kind == "" {
			kind, _, _ = strings.Cut(value, ";")
		}
		r.kind = strings.ToLower(strings.TrimSpace(kind))
		if b := params["boundary"]; b != "" && len(b) <= maxBoundary {
			r.boundary = b
		}
		if r.part.Name == "" {
			r.part.Name = fileName(params["name"])
		}
	case "content-disposition":
		kind, params, _ := mime.ParseMediaType(value)
		r.part.Attached = strings.EqualFold(kind, "attachment")
		if name := fileName(params["filename"]); name != "" {
			r.part.Name = name
		}
	case "content-transfer-encoding":
		r.encoding = strings.ToLower(value)
	}
}

// fileName undoes RFC 2047's encoding, which should not be there and often is.
func fileName(s string) string {
	if strings.Contains(s, "=?") {
		if plain, err := new(mime.WordDecoder).DecodeHeader(s); err == nil {
			s = plain
		}
	}
	s = strings.ToValidUTF8(strings.ReplaceAll(s, `\`, "/"), "�")
	s = strings.TrimSpace(strings.Map(func(c rune) rune {
		if strings.ContainsRune(wordBreak, c) || c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, s))
	if s == "" {
		return ""
	}
	if s = path.Base(s); s == "/" || s == "." || s == ".." {
		return "" // a folder is no name
	}
	return strings.ToValidUTF8(s[:min(len(s), maxName)], "")
}

func (r *Reader) endOfHeader() {
	r.endOfField()
	r.inBody = true
	if strings.HasPrefix(r.kind, "multipart/") && r.boundary != "" && len(r.boundaries) < maxDepth {
		r.boundaries = append(r.boundaries, r.boundary)
		return // the preamble is for nobody
	}
	if r.parts++; r.parts > maxParts {
		return
	}
	r.part.Type = r.kind
	if r.part.Type == "" {
		r.part.Type = "text/plain"
	}
	switch r.encoding {
	case "base64", "quoted-printable":
		r.part.Encoding = r.encoding
	default:
		r.encoding = ""
	}
	r.inLeaf, r.gap, r.lineEnd, r.base64 = true, false, false, unbase64{}
	r.To.Begin(r.part)
}

func (r *Reader) leave(whole bool) {
	if !r.inLeaf {
		return
	}
	r.inLeaf = false
	if r.encoding == "base64" {
		if r.base64.bad || r.base64.n == 1 {
			whole = false // no bytes are encoded so
		}
		r.out = r.base64.rest(r.out[:0])
		r.data()
	} else if r.alone && r.lineEnd { // no boundary has a part in it
		r.out = append(r.out[:0], '\r', '\n')
		r.data()
	}
	r.To.End(whole && !r.gap)
}

func (r *Reader) data() {
	if len(r.out) > 0 {
		r.To.Data(r.out)
	}
}

func (r *Reader) body(line []byte, open bool) {
	r.out = r.out[:0]
	switch r.encoding {
	case "base64":
		r.out = r.base64.decode(r.out, line)
	default:
		if r.lineEnd {
			r.out = append(r.out, '\r', '\n')
		}
		r.lineEnd = !open
		if r.encoding == "" {
			r.out = append(r.out, line...)
			break
		}
		var soft bool
		if r.out, soft = unquote(r.out, line); soft {
			r.lineEnd = false
		}
	}
	r.data()
}
