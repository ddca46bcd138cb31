package echo

import (
	"bufio"
	"strings"
)

// plain is a line that comes back as it is, in the manner of RFC 862.
type plain struct{}

func (plain) request(nonce string) ([]byte, error) { return []byte(nonce + "\n"), nil }

func (plain) read(r *bufio.Reader) ([]byte, error) { return r.ReadBytes('\n') }

func (plain) check(answer []byte, nonce string) error {
	if strings.TrimRight(string(answer), "\r\n") != nonce {
		return ErrMismatch
	}
	return nil
}

func (c plain) readRequest(r *bufio.Reader) ([]byte, error) { return c.read(r) }

func (plain) answer(request []byte, wrong bool) ([]byte, error) {
	if wrong {
		return []byte("another text\n"), nil
	}
	return request, nil
}

func (plain) flood() []byte { return []byte("x") }
