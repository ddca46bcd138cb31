package packet

import (
	"bytes"

	"github.com/orielhq/oriel/internal/packet/http1"
)

const (
	maxPipelined = 128 // requests that wait for their answer
	exchangeCost = 1024
)

// httpSide is one direction of HTTP/1: requests or responses.
type httpSide struct {
	head     buffer
	body     http1.Body
	inBody   bool
	lost     bool // until a message begins with a segment
	began    int64
	length   int64
	file     *file
	answered *exchange // whose response is read
}

// exchange is a request and its answer.
type exchange struct {
	HTTP
	start int64
	whole bool // the request's end was seen
}

// httpAnalyzer reads HTTP/1, pipelined or one-way, from either end.
type httpAnalyzer struct {
	w       *worker
	c       *conn
	req     httpSide
	resp    httpSide
	client  int8 // which side asks: 1 the one that began, -1 the other, 0 not known yet
	depth   int32
	pending []*exchange // whose answers are awaited, the oldest first
	current *exchange   // whose request's body is read
	user    string      // last reported
	inner   analyzer    // TLS, behind a proxy's CONNECT
}

func matchHTTP(_ *key, _ bool, b []byte) bool { return http1.IsResponse(b) || http1.IsRequest(b) }

func openHTTP(w *worker, c *conn) analyzer { return &httpAnalyzer{w: w, c: c} }

func (a *httpAnalyzer) data(at int64, orig bool, b []byte) bool {
	if a.inner != nil {
		return a.inner.data(at, orig, b)
	}
	if a.client == 0 {
		a.client = -1
		if orig != http1.IsResponse(b) {
			a.client = 1
		}
	}
	if orig == (a.client > 0) {
		return a.read(at, &a.req, b, true)
	}
	return a.read(at, &a.resp, b, false)
}

func (a *httpAnalyzer) read(at int64, s *httpSide, b []byte, request bool) bool {
	if s.lost {
		if begins := request && http1.IsRequest(b) || !request && http1.IsResponse(b); !begins {
			return true
		}
		s.lost = false
		if !request {
			a.align()
		}
	}
	for len(b) > 0 {
		if a.inner != nil {
			return a.inner.data(at, request == (a.client > 0), b)
		}
		if s.inBody {
			var content []byte
			content, b = s.body.Next(b)
			s.content(content)
			if s.body.Broken() {
				a.lose(at, s, request)
				return true
			}
			if s.body.Done() {
				a.finishBody(at, s, request)
			}
			continue
		}
		n, more := a.takeHead(at, s, b, request)
		if !more {
			return false
		}
		b = b[n:]
		if s.lost {
			return true
		}
	}
	return true
}

// takeHead reads a head, which may have begun in earlier segments, and returns how much of b it took.
func (a *httpAnalyzer) takeHead(at int64, s *httpSide, b []byte, request bool) (n int, more bool) {
	if len(s.head.b) == 0 {
		for n < len(b) && (b[n] == '\r' || b[n] == '\n') {
			n++ // an empty line too many between messages
		}
		if n == len(b) {
			return n, true
		}
		s.began = at
		if end := http1.HeadEnd(b[n:]); end > 0 {
			return n + end, a.message(at, s, b[n:n+end], request)
		}
		if !s.head.add(a.w, b[n:], http1.MaxHead) {
			a.w.http.bad++
			a.lose(at, s, request)
		}
		return len(b), true
	}
	had := len(s.head.b)
	// The end may lie across the seam; a head is short, so it is searched from its beginning.
	if !s.head.add(a.w, b[:min(len(b), max(http1.MaxHead-had, 0))], http1.MaxHead) {
		a.w.http.bad++
		a.lose(at, s, request)
		return len(b), true
	}
	end := http1.HeadEnd(s.head.b)
	if end < 0 {
		if len(s.head.b) >= http1.MaxHead {
			a.w.http.bad++
			a.lose(at, s, request)
		}
		return len(b), true
	}
	more = a.message(at, s, s.head.b[:end], request)
	s.head.free(a.w)
	return end - had, more
}

// message reads a head. False: what follows is not HTTP.
func (a *httpAnalyzer) message(at int64, s *httpSide, head []byte, request bool) bool {
	if request {
		r, err := http1.ParseRequest(head)
		if err != nil {
			a.w.http.bad++
			a.lose(at, s, true)
			return true
		}
		a.request(at, s, &r)
		return true
	}
	r, err := http1.ParseResponse(head)
	if err != nil {
		a.w.http.bad++
		a.lose(at, s, false)
		return true
	}
	return a.response(at, s, &r)
}

func (a *httpAnalyzer) request(at int64, s *httpSide, r *http1.Request) {
	if len(a.pending) >= maxPipelined || !a.w.budget.charge(exchangeCost) {
		a.flush(at) // nobody answers, or the answers are not captured
		if !a.w.budget.charge(exchangeCost) {
			return
		}
	}
	a.depth++
	x := &exchange{start: s.began}
	x.HTTP = HTTP{
		Flow: a.c.flow(s.began), Depth: a.depth, Method: text(r.Method[:min(len(r.Method), 32)]), Host: text(r.Host),
		URI: redact(r.Target), Version: text(r.Version), UserAgent: text(r.UserAgent), Referer: redact(r.Referer),
		RequestType: mediaType(r.Type), RequestEncoding: text(r.Encoding),
	}
	if a.client < 0 {
		x.swap()
	}
	x.User = a.authorization(at, &r.Header)
	a.w.software(at, x.OrigAddr, x.UserAgent, "http", a.c)
	a.pending = append(a.pending, x)
	a.current = x
	s.begin(r.RequestBody())
	if r.Length != 0 || r.Chunked {
		s.file = newFile()
	}
	if s.body.Done() {
		a.finishBody(at, s, true)
	}
}

// swap turns a flow around whose asking side was not the first that was captured.
func (f *Flow) swap() {
	f.OrigAddr, f.RespAddr = f.RespAddr, f.OrigAddr
	f.OrigPort, f.RespPort = f.RespPort, f.OrigPort
}

func (a *httpAnalyzer) response(at int64, s *httpSide, r *http1.Response) bool {
	if r.Status < 200 && r.Status != 101 {
		return true // the answer is still to come
	}
	x := s.answered
	if x == nil && len(a.pending) > 0 {
		x = a.pending[0]
		a.pending = a.pending[:copy(a.pending, a.pending[1:])]
	}
	if x == nil {
		if !a.w.budget.charge(exchangeCost) {
			return true
		}
		a.depth++
		x = &exchange{HTTP: HTTP{Flow: a.c.flow(s.began), Depth: a.depth, Version: text(r.Version)}}
		if a.client < 0 {
			x.swap()
		}
	}
	x.Status, x.Reason, x.Server = int32(r.Status), text(r.Reason), text(r.Server)
	x.ResponseType, x.ResponseEncoding = mediaType(r.Type), text(r.Encoding)
	if x.start > 0 {
		x.FirstByteNanos = max(s.began-x.start, 0)
	}
	a.w.software(at, x.RespAddr, x.Server, "http", a.c)
	s.answered = x
	s.begin(r.ResponseBody(x.Method, r.Status))
	if !s.body.Done() {
		s.file = newFile()
		s.file.name = fileName(r.Disposition, x.URI)
	}
	if tunnel := x.Method == "CONNECT" && r.Status < 300; tunnel || r.Status == 101 {
		a.finishBody(at, s, false)
		if tunnel {
			a.inner = openTLS(a.w, a.c)
		}
		return tunnel
	}
	if s.body.Done() {
		a.finishBody(at, s, false)
	}
	return true
}

func (s *httpSide) begin(body http1.Body) {
	s.body, s.inBody, s.length, s.file = body, true, 0, nil
}

func (s *httpSide) content(b []byte) {
	s.length += int64(len(b))
	if s.file != nil {
		s.file.write(b)
	}
}

// finishBody ends a message.
func (a *httpAnalyzer) finishBody(at int64, s *httpSide, request bool) {
	s.inBody = false
	f := s.file
	s.file = nil
	if request {
		if x := a.current; x != nil {
			x.RequestLength, x.whole = s.length, true
			if f != nil && f.size > 0 {
				if x.RequestType == "application/x-www-form-urlencoded" {
					a.form(at, x, f)
				}
				f.name = fileName(nil, x.URI)
				a.w.emitFile(at, x.Flow, f, "http", x.RequestType, x.RequestEncoding, true)
			}
		}
		a.current = nil
		return
	}
	x := s.answered
	if s.answered = nil; x == nil {
		return
	}
	x.ResponseLength = s.length
	if x.start > 0 {
		x.DurationNanos = max(at-x.start, 0)
	}
	if f != nil && f.size > 0 {
		a.w.emitFile(at, x.Flow, f, "http", x.ResponseType, x.ResponseEncoding, false)
	}
	a.report(x)
}

// lose ends a message whose rest cannot be told apart. Of a head that is cut
// short, the lines that are there count.
func (a *httpAnalyzer) lose(at int64, s *httpSide, request bool) {
	if head := s.head; !s.inBody && len(head.b) > 0 {
		s.head = buffer{}
		if i := bytes.LastIndexByte(head.b, '\n'); i >= 0 {
			a.message(at, s, head.b[:i+1], request)
		}
		head.free(a.w)
	}
	s.head.free(a.w)
	s.lost = true
	if !s.inBody {
		return
	}
	if s.file != nil {
		s.file.lost = true
	}
	switch {
	case request && a.current != nil:
		a.current.RequestTruncated = true
	case !request && s.answered != nil:
		s.answered.ResponseTruncated = true
	}
	a.finishBody(at, s, request)
}

// align lets the oldest requests go unanswered whose answers were lost in a
// gap: an answer in sight is for the newest that is there as a whole.
func (a *httpAnalyzer) align() {
	for len(a.pending) > 1 {
		a.report(a.pending[0])
		a.pending = a.pending[:copy(a.pending, a.pending[1:])]
	}
}

func (a *httpAnalyzer) gap(at int64, orig bool, n int) {
	if a.inner != nil {
		a.inner.gap(at, orig, n)
		return
	}
	s, request := &a.resp, false
	if orig == (a.client > 0) {
		s, request = &a.req, true
	}
	if !s.inBody {
		a.lose(at, s, request)
		return
	}
	s.body.Gap(int64(n))
	if s.file != nil {
		s.file.lost = true
	}
	if s.length += int64(n); s.body.Broken() {
		s.length -= int64(n)
		a.lose(at, s, request)
	} else if s.body.Done() {
		a.finishBody(at, s, request)
	}
}

func (a *httpAnalyzer) end(at int64) {
	for i, s := range []*httpSide{&a.req, &a.resp} {
		if len(s.head.b) > 0 {
			a.lose(at, s, i == 0)
		}
		if !s.inBody {
			continue
		}
		if !s.body.UntilClose() {
			if s.file != nil {
				s.file.lost = true
			}
			if i == 0 && a.current != nil {
				a.current.RequestTruncated = true
			} else if s.answered != nil {
				s.answered.ResponseTruncated = true
			}
		}
		a.finishBody(at, s, i == 0)
	}
	a.flush(at)
	if a.inner != nil {
		a.inner.end(at)
	}
}

// flush reports the requests that nobody answered.
func (a *httpAnalyzer) flush(int64) {
	for _, x := range a.pending {
		a.report(x)
	}
	a.pending = a.pending[:0]
}

func (a *httpAnalyzer) report(x *exchange) {
	a.w.budget.release(exchangeCost)
	a.w.http.count(&x.HTTP)
	r := x.HTTP // a request's body may still be under way
	a.w.emit(&r)
}
