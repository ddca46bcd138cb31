package http1

// Body follows the framing of one message's body. The zero value is of none.
type Body struct {
	state bodyState
	left  int64 // of the body, or of the chunk
	size  int64 // of the chunk's length line, while it is read
	any   bool  // whether that line had a digit
	line  int   // bytes of the trailer's line
}

type bodyState uint8

const (
	bodyNone bodyState = iota
	bodyLength
	bodyClose
	bodyChunkSize
	bodyChunkExt
	bodyChunk
	bodyChunkEnd
	bodyTrailer
	bodyBroken
)

const maxChunk = 1 << 40

// RequestBody begins the body of a request.
func (h *Header) RequestBody() Body {
	if h.Chunked {
		return Body{state: bodyChunkSize}
	}
	if h.Length > 0 {
		return Body{state: bodyLength, left: h.Length}
	}
	return Body{}
}

// ResponseBody begins the body of the answer to a request with that method.
func (h *Header) ResponseBody(method string, status int) Body {
	switch {
	case method == "HEAD" || status < 200 || status == 204 || status == 304:
		return Body{}
	case h.Chunked:
		return Body{state: bodyChunkSize}
	case h.Length >= 0:
		if h.Length == 0 {
			return Body{}
		}
		return Body{state: bodyLength, left: h.Length}
	}
	return Body{state: bodyClose}
}

// Done tells that the message is over.
func (b *Body) Done() bool { return b.state == bodyNone }

// Broken tells that the framing makes no sense, or was lost in a gap.
func (b *Body) Broken() bool { return b.state == bodyBroken }

// UntilClose tells that only the connection's end ends the body.
func (b *Body) UntilClose() bool { return b.state == bodyClose }

// Next returns the content that in begins with, without framing, and what is behind it.
func (b *Body) Next(in []byte) (content, rest []byte) {
	for len(in) > 0 {
		switch b.state {
		case bodyNone, bodyBroken:
			return nil, in
		case bodyClose:
			return in, nil
		case bodyLength, bodyChunk:
			n := int(min(b.left, int64(len(in))))
			b.passed(int64(n))
			return in[:n], in[n:]
		default:
			b.framing(in[0])
			in = in[1:]
		}
	}
	return nil, nil
}

func (b *Body) passed(n int64) {
	if b.left -= n; b.left == 0 {
		if b.state == bodyLength {
			b.state = bodyNone
		} else {
			b.state = bodyChunkEnd
		}
	}
}

// Gap tells that n bytes are missing.
func (b *Body) Gap(n int64) {
	switch {
	case b.state == bodyClose:
	case (b.state == bodyLength || b.state == bodyChunk) && n <= b.left:
		b.passed(n)
	default:
		b.state = bodyBroken
	}
}

// framing takes one byte that is not content.
func (b *Body) framing(c byte) {
	switch b.state {
	case bodyChunkSize:
		switch d := hexDigit(c); {
		case d >= 0:
			b.size, b.any = b.size<<4|int64(d), true
			if b.size > maxChunk {
				b.state = bodyBroken
			}
		case c == '\n' && b.any:
			b.chunk()
		case c == '\n' || !b.any && c != ' ' && c != '\r':
			b.state = bodyBroken
		case c != '\r':
			b.state = bodyChunkExt
		}
	case bodyChunkExt:
		if c == '\n' {
			b.chunk()
		}
	case bodyChunkEnd:
		switch c {
		case '\n':
			b.state = bodyChunkSize
		case '\r':
		default:
			b.state = bodyBroken
		}
	case bodyTrailer:
		switch {
		case c == '\n' && b.line == 0:
			b.state = bodyNone
		case c == '\n':
			b.line = 0
		case c != '\r':
			b.line++
		}
	}
}

func (b *Body) chunk() {
	if b.left = b.size; b.left == 0 {
		b.state = bodyTrailer
	} else {
		b.state = bodyChunk
	}
	b.size, b.any, b.line = 0, false, 0
}

func hexDigit(c byte) int {
	switch {
	case c-'0' < 10:
		return int(c - '0')
	case (c|0x20)-'a' < 6:
		return int((c|0x20)-'a') + 10
	}
	return -1
}
