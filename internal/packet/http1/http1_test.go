package http1

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"
)

func TestParseRequest(t *testing.T) {
	head := "BREW  /pot?x=1 HTTP/1.1\r\nHOST: a.example\r\nUser-Agent :  curl/8 \r\nContent-Length: 12\r\nX: 1\r\n folded: yes\r\nHost: b.example\r\n\r\n"
	if HeadEnd([]byte(head+"body")) != len(head) || !IsRequest([]byte(head)) {
		t.Fatal("the head's end or kind was not seen")
	}
	r, err := ParseRequest([]byte(head))
	if err != nil || string(r.Method) != "BREW" || string(r.Target) != "/pot?x=1" || string(r.Host) != "a.example" ||
		string(r.UserAgent) != "curl/8" || r.Length != 12 || r.Chunked {
		t.Errorf("request = %+v, %v", r, err)
	}
}

func TestIsRequest(t *testing.T) {
	for in, want := range map[string]bool{
		"GET / HTTP/1.0\n": true, "GET /long": true, "OPTIONS * RTSP/1.0\r\n": false, "PRI * HTTP/2.0\r\n": false, "GE": false,
		"HTTP/1.1 200 OK\r\n": false, "X-Y_Z /a b c HTTP/1.1\r\n": true, "\x16\x03\x01": false, "REGISTER sip:a SIP/2.0\r\n": false,
	} {
		if got := IsRequest([]byte(in)); got != want {
			t.Errorf("IsRequest(%q) = %t; want %t", in, got, want)
		}
	}
}

// read passes in through a body in pieces of n bytes.
func read(b *Body, in []byte, n int) (content, rest []byte) {
	for len(in) > 0 && !b.Done() && !b.Broken() {
		part := in[:min(n, len(in))]
		in = in[len(part):]
		for len(part) > 0 && !b.Done() && !b.Broken() {
			var c []byte
			c, part = b.Next(part)
			content = append(content, c...)
		}
		if len(part) > 0 {
			return content, append(bytes.Clone(part), in...)
		}
	}
	return content, in
}

func TestChunkedAsGoWritesIt(t *testing.T) {
	var buf bytes.Buffer
	w := httputil.NewChunkedWriter(&buf)
	for i := range 20 {
		_, _ = w.Write(bytes.Repeat([]byte{byte('a' + i)}, i*7+1))
	}
	_ = w.Close()
	buf.WriteString("Trailer: x\r\n\r\nnext")
	want, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(buf.Bytes())))
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < 50; n++ {
		b := Body{state: bodyChunkSize}
		content, rest := read(&b, buf.Bytes(), n)
		if !bytes.Equal(content, want) || string(rest) != "next" || !b.Done() {
			t.Errorf("in pieces of %d: %d bytes, rest %q, done %t; want %d, %q", n, len(content), rest, b.Done(), len(want), "next")
		}
	}
}

func TestResponseBodies(t *testing.T) {
	for _, tt := range []struct {
		head, method string
		close, done  bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "GET", false, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HEAD", false, true},
		{"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", "GET", false, true},
		{"HTTP/1.0 200 OK\r\n\r\n", "GET", true, false},
		{"HTTP/1.1 200\r\nTransfer-Encoding: gzip, chunked\r\nContent-Length: 3\r\n\r\n", "GET", false, false},
	} {
		r, err := ParseResponse([]byte(tt.head))
		if err != nil {
			t.Fatal(err)
		}
		if b := r.ResponseBody(tt.method, r.Status); b.UntilClose() != tt.close || b.Done() != tt.done {
			t.Errorf("%s %q: until close %t, done %t", tt.method, tt.head, b.UntilClose(), b.Done())
		}
	}
}

// FuzzBody: what Go's reader takes from a chunked body, ours does, in any pieces.
func FuzzBody(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), 3)
	f.Add([]byte("5;ext=1\r\nhello\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\nmore"), 1)
	f.Fuzz(func(t *testing.T, in []byte, n int) {
		n = max(1, n&0xff)
		b := Body{state: bodyChunkSize}
		content, _ := read(&b, in, n)
		if len(content) > len(in) {
			t.Fatalf("%d bytes of content in %d", len(content), len(in))
		}
		want, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(in)))
		if err == nil && !bytes.Equal(content, want) {
			t.Errorf("content %q; Go reads %q", content, want)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"))
	req, _ := http.NewRequest(http.MethodPost, "http://u:p@h/x", strings.NewReader("a"))
	b, _ := httputil.DumpRequestOut(req, true)
	f.Add(b)
	f.Fuzz(func(t *testing.T, in []byte) {
		if r, err := ParseRequest(in); err == nil {
			if !IsRequest(append(bytes.Clone(in), '\n')) {
				t.Errorf("%q parses, but IsRequest says no", in)
			}
			again := fmt.Sprintf("%s %s %s\r\nHost: %s\r\n\r\n", r.Method, r.Target, r.Version, r.Host)
			if s, err := ParseRequest([]byte(again)); err != nil || !bytes.Equal(s.Target, r.Target) || !bytes.Equal(s.Host, r.Host) {
				t.Errorf("%q, written again: %v, %+v", again, err, s)
			}
		}
		if r, err := ParseResponse(in); err == nil && (r.Status < 100 || r.Status > 999 || !IsResponse(in)) {
			t.Errorf("%q has status %d", in, r.Status)
		}
		if n := HeadEnd(in); n > len(in) || n == 0 {
			t.Errorf("head ends at %d of %d", n, len(in))
		}
	})
}
