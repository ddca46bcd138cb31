// Package http1 reads the heads of HTTP/1 messages: bytes in, structs out. It is
// as tolerant as servers are, since what a server answered was a request.
package http1

import (
	"bytes"
	"errors"
	"strconv"
)

// Errors of the parsers.
var (
	ErrStart  = errors.New("no start line of HTTP/1")
	ErrHeader = errors.New("header without a colon")
)

// MaxHead is how long a message's head may be.
const MaxHead = 64 << 10

const maxHeaders = 256

// Request is the head of a request. Slices are of the parsed bytes.
type Request struct {
	Method, Target, Version []byte
	Header
}

// Response is the head of a response.
type Response struct {
	Version, Reason []byte
	Status          int // 100 to 999
	Header
}

// Header holds the headers that are looked at.
type Header struct {
	Host, UserAgent, Referer, Server, Type, Encoding, Disposition, Upgrade, Authorization, ProxyAuthorization, Location []byte
	Length                                                                                                              int64 // -1: not said
	Chunked                                                                                                             bool
	Close                                                                                                               bool
}

// HeadEnd returns where a head that b begins with ends, or -1.
func HeadEnd(b []byte) int {
	for i := 0; ; {
		n := bytes.IndexByte(b[i:], '\n')
		if n < 0 {
			return -1
		}
		i += n + 1
		if i < len(b) && b[i] == '\n' {
			return i + 1
		}
		if i+1 < len(b) && b[i] == '\r' && b[i+1] == '\n' {
			return i + 2
		}
	}
}

// IsResponse tells whether b begins, as far as it goes, as a response does.
func IsResponse(b []byte) bool {
	const want = "HTTP/1."
	return len(b) >= len(want) && string(b[:len(want)]) == want
}

// methods are what a request is known by when its first line is not there as a whole.
var methods = []string{
	"GET ", "POST ", "HEAD ", "PUT ", "DELETE ", "OPTIONS ", "CONNECT ", "PATCH ", "TRACE ", "PROPFIND ", "PROPPATCH ",
	"MKCOL ", "COPY ", "MOVE ", "LOCK ", "UNLOCK ", "REPORT ", "SEARCH ", "NOTIFY ", "SUBSCRIBE ", "M-SEARCH ",
}

// IsRequest tells whether b begins as a request does, with any method.
func IsRequest(b []byte) bool {
	line, _, whole := bytes.Cut(b, []byte("\n"))
	if whole {
		_, _, _, err := requestLine(line)
		return err == nil
	}
	for _, m := range methods {
		if len(b) > len(m) && string(b[:len(m)]) == m && b[len(m)] > ' ' {
			return true
		}
	}
	return false
}

func requestLine(line []byte) (method, target, version []byte, err error) {
	line = bytes.TrimRight(line, "\r ")
	i := bytes.IndexByte(line, ' ')
	j := bytes.LastIndexByte(line, ' ')
	if i < 1 || i > 32 || j <= i || !bytes.HasPrefix(line[j+1:], []byte("HTTP/1.")) {
		return nil, nil, nil, ErrStart
	}
	for _, c := range line[:i] {
		if !token(c) {
			return nil, nil, nil, ErrStart
		}
	}
	return line[:i], bytes.Trim(line[i:j], " "), line[j+1:], nil
}

// token tells the characters of RFC 9110, 5.6.2.
func token(c byte) bool {
	return c-'0' < 10 || (c|0x20)-'a' < 26 || bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) >= 0
}

// ParseRequest reads a head, its empty line included or not.
func ParseRequest(b []byte) (r Request, err error) {
	line, rest, _ := bytes.Cut(b, []byte("\n"))
	if r.Method, r.Target, r.Version, err = requestLine(line); err != nil {
		return r, err
	}
	err = r.parse(rest)
	return r, err
}

// ParseResponse reads a head, its empty line included or not.
func ParseResponse(b []byte) (r Response, err error) {
	line, rest, _ := bytes.Cut(b, []byte("\n"))
	line = bytes.TrimRight(line, "\r")
	var after []byte
	r.Version, after, _ = bytes.Cut(line, []byte(" "))
	if !IsResponse(r.Version) {
		return r, ErrStart
	}
	after = bytes.TrimLeft(after, " ")
	code, reason, _ := bytes.Cut(after, []byte(" "))
	r.Status, err = strconv.Atoi(string(code))
	if err != nil || len(code) != 3 || r.Status < 100 {
		return r, ErrStart
	}
	r.Reason = reason
	err = r.parse(rest)
	return r, err
}

// parse reads the headers. The first of a name counts, as for Host and for
// framing a second one is an attack or a mistake.
func (h *Header) parse(b []byte) error {
	h.Length = -1
	for n := 0; len(b) > 0 && n < maxHeaders; n++ {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte("\n"))
		line = bytes.TrimRight(line, "\r")
		if len(line) == 0 {
			return nil
		}
		if line[0] == ' ' || line[0] == '\t' {
			continue // a folded line: the value's rest is of no interest
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return ErrHeader
		}
		h.set(bytes.TrimRight(name, " \t"), bytes.Trim(value, " \t\r")) // a bare CR is a space: RFC 9112, 2.2
	}
	return nil
}

func (h *Header) set(name, value []byte) {
	var to *[]byte
	switch len(name) {
	case 4:
		to = pick(name, "host", &h.Host)
	case 6:
		to = pick(name, "server", &h.Server)
	case 7:
		if to = pick(name, "referer", &h.Referer); to == nil {
			to = pick(name, "upgrade", &h.Upgrade)
		}
	case 8:
		to = pick(name, "location", &h.Location)
	case 10:
		if to = pick(name, "user-agent", &h.UserAgent); to == nil && bytes.EqualFold(name, []byte("connection")) {
			h.Close = h.Close || bytes.EqualFold(value, []byte("close"))
		}
	case 12:
		to = pick(name, "content-type", &h.Type)
	case 13:
		to = pick(name, "authorization", &h.Authorization)
	case 14:
		if bytes.EqualFold(name, []byte("content-length")) && h.Length < 0 {
			if n, err := strconv.ParseInt(string(value), 10, 64); err == nil && n >= 0 {
				h.Length = n
			}
		}
	case 16:
		to = pick(name, "content-encoding", &h.Encoding)
	case 17:
		if bytes.EqualFold(name, []byte("transfer-encoding")) {
			last := value[bytes.LastIndexByte(value, ',')+1:]
			h.Chunked = bytes.EqualFold(bytes.TrimSpace(last), []byte("chunked"))
		}
	case 19:
		if to = pick(name, "content-disposition", &h.Disposition); to == nil {
			to = pick(name, "proxy-authorization", &h.ProxyAuthorization)
		}
	}
	if to != nil && *to == nil {
		*to = value
	}
}

func pick(name []byte, want string, field *[]byte) *[]byte {
	if bytes.EqualFold(name, []byte(want)) {
		return field
	}
	return nil
}
