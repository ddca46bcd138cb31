// Package echo speaks the echo commands of the services behind TLS tunnels:
// Excrypt, International, JSON (over HTTP and raw) and plain lines. Each format
// has a fake server too, which can be slow, wrong, silent or endless.
package echo

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// maxFrame bounds one request or answer, HTTP headers included.
const maxFrame = 64 << 10

// The ways in which an echo fails; each error of Do but those of the
// connection itself wraps one of them.
var (
	ErrMismatch = errors.New("the answer is not the echo of the request")
	ErrProtocol = errors.New("the answer is not of this protocol")
	ErrRefused  = errors.New("the service answered with an error")
)

// Format is how a service is spoken to.
type Format string

// The formats.
const (
	Excrypt       Format = "excrypt"
	International Format = "international"
	JSONHTTP      Format = "json"
	JSONRaw       Format = "json_raw"
	Plain         Format = "plain"
)

// Options adjust a format.
type Options struct {
	// Header is International's message header; "0000" when empty.
	Header string
	// ASCIILength makes International's length four decimal digits instead of two bytes.
	ASCIILength bool
	// Command is International's: B2, an echo, which is meant when it is empty; or
	// NC, diagnostics, for services that have no B2.
	Command string
	// Host and Path are those of JSON's HTTP request; the path is /guardian when empty.
	Host, Path string
}

// wire is one format: what is sent, how a frame is cut from the stream, what an answer must say.
type wire interface {
	request(nonce string) ([]byte, error)
	read(r *bufio.Reader) ([]byte, error)
	check(answer []byte, nonce string) error

	// The server's side, for the fakes.
	readRequest(r *bufio.Reader) ([]byte, error)
	answer(request []byte, wrong bool) ([]byte, error)
	flood() []byte // how an answer begins that never ends
}

// Codec speaks one format. It holds no state; many may use it at once.
type Codec struct{ wire wire }

// New returns the codec of a format.
func New(f Format, o Options) (Codec, error) {
	switch f {
	case Excrypt:
		return Codec{excrypt{}}, nil
	case International:
		if o.Header == "" {
			o.Header = "0000"
		}
		if len(o.Header) > 255 {
			return Codec{}, fmt.Errorf("header of %d bytes: want at most 255", len(o.Header))
		}
		if o.Command == "" {
			o.Command = "B2"
		}
		if o.Command != "B2" && o.Command != "NC" {
			return Codec{}, fmt.Errorf("command %q: want B2 or NC", o.Command)
		}
		return Codec{international{header: o.Header, ascii: o.ASCIILength, command: o.Command}}, nil
	case JSONHTTP:
		if o.Path == "" {
			o.Path = "/guardian"
		}
		return Codec{jsonHTTP{host: o.Host, path: o.Path}}, nil
	case JSONRaw:
		return Codec{jsonRaw{}}, nil
	case Plain:
		return Codec{plain{}}, nil
	}
	return Codec{}, fmt.Errorf("format %q: want excrypt, international, json, json_raw or plain", f)
}

// Timing is how long the parts of an echo took. A part that was not reached is 0.
type Timing struct {
	Processing time.Duration // from the request sent to the answer's first byte
	Transfer   time.Duration // from there to its last
}

// Do sends an echo with a fresh nonce and waits for its answer until ctx is
// done. It leaves the connection open, with no deadline.
func (c Codec) Do(ctx context.Context, conn net.Conn) (Timing, error) {
	var t Timing
	nonce := newNonce()
	request, err := c.wire.request(nonce)
	if err != nil {
		return t, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if stop() {
			return
		}
		_ = conn.SetDeadline(time.Time{})
	}()
	sent := time.Now() // before: on a busy machine the answer may be there when Write returns
	if _, err := conn.Write(request); err != nil {
		return t, fmt.Errorf("send echo: %w", err)
	}
	in := &io.LimitedReader{R: conn, N: maxFrame}
	r := bufio.NewReaderSize(in, 4096)
	if _, err := r.Peek(1); err != nil {
		return t, fmt.Errorf("wait for echo: %w", err)
	}
	first := time.Now()
	t.Processing = first.Sub(sent)
	answer, err := c.wire.read(r)
	if err != nil {
		if in.N <= 0 {
			err = fmt.Errorf("%w: longer than %d bytes", ErrProtocol, maxFrame)
		}
		return t, fmt.Errorf("read echo: %w", err)
	}
	t.Transfer = time.Since(first)
	return t, c.wire.check(answer, nonce)
}

// Kind names an error of Do with a word of a closed list, for a label: it is
// never text from outside. It is empty for nil.
func Kind(err error) string {
	var timeout net.Error
	switch {
	case err == nil:
		return ""
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "echo_timeout"
	case errors.Is(err, ErrMismatch):
		return "echo_mismatch"
	case errors.Is(err, ErrProtocol):
		return "echo_protocol"
	}
	return "echo_error"
}

func newNonce() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// HTTP tells whether the format is carried by HTTP.
func (c Codec) HTTP() bool {
	_, ok := c.wire.(jsonHTTP)
	return ok
}
