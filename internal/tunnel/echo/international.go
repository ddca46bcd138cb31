package echo

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// international is the host command format of payShield: a length, a header
// that comes back unchanged, a command of two characters.
type international struct {
	header  string
	ascii   bool
	command string // B2, also when empty, or NC
}

func (c international) frame(message string) ([]byte, error) {
	if c.ascii {
		if len(message) > 9999 {
			return nil, fmt.Errorf("international: message of %d bytes", len(message))
		}
		return fmt.Appendf(nil, "%04d%s", len(message), message), nil
	}
	if len(message) > 0xffff {
		return nil, fmt.Errorf("international: message of %d bytes", len(message))
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...), nil //nolint:gosec // checked above
}

func (c international) request(nonce string) ([]byte, error) {
	if c.command == "NC" {
		return c.frame(c.header + c.command)
	}
	return c.frame(fmt.Sprintf("%sB2%04X%s", c.header, len(nonce), nonce))
}

// read returns a message without its length.
func (c international) read(r *bufio.Reader) ([]byte, error) {
	n := 0
	if c.ascii {
		var digits [4]byte
		if _, err := io.ReadFull(r, digits[:]); err != nil {
			return nil, err
		}
		v, err := strconv.ParseUint(string(digits[:]), 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%w: length %q", ErrProtocol, digits)
		}
		n = int(v)
	} else {
		var length [2]byte
		if _, err := io.ReadFull(r, length[:]); err != nil {
			return nil, err
		}
		n = int(binary.BigEndian.Uint16(length[:]))
	}
	if n < len(c.header)+2 {
		return nil, fmt.Errorf("%w: a message of %d bytes has no room for header and command", ErrProtocol, n)
	}
	message := make([]byte, n)
	_, err := io.ReadFull(r, message)
	return message, err
}

func (c international) readRequest(r *bufio.Reader) ([]byte, error) { return c.read(r) }

func (c international) check(answer []byte, nonce string) error {
	rest, ok := strings.CutPrefix(string(answer), c.header)
	if !ok {
		return fmt.Errorf("%w: another header", ErrMismatch)
	}
	want := "B3" // the command's with the second character one up
	if c.command == "NC" {
		want, nonce = "ND", ""
	}
	if rest, ok = strings.CutPrefix(rest, want); !ok {
		return fmt.Errorf("%w: answer code is not %s", ErrMismatch, want)
	}
	if len(rest) < 2 {
		return fmt.Errorf("%w: no error code", ErrProtocol)
	}
	switch code, data := rest[:2], rest[2:]; {
	case code == "68" || code == "67": // disabled, not licensed: the service is alive
		return nil
	case code != "00":
		return ErrRefused
	case c.command == "NC" && len(data) != diagnostics:
		return ErrMismatch
	case c.command != "NC" && data != "" && data != nonce: // some services answer without the data
		return ErrMismatch
	}
	return nil
}

// diagnostics is the length of what NC tells: a check value of 16 digits and a firmware number of 9.
const diagnostics = 16 + 9

func (c international) answer(request []byte, wrong bool) ([]byte, error) {
	header, rest := string(request[:len(c.header)]), string(request[len(c.header):])
	if rest == "NC" {
		text := "D005D67270000000" + "1500-0023"
		if wrong {
			text = "1500-0023"
		}
		return c.frame(header + "ND00" + text)
	}
	data, ok := strings.CutPrefix(rest, "B2")
	if !ok {
		return c.frame(header + string([]byte{rest[0], rest[1] + 1}) + "68")
	}
	if len(data) < 4 {
		return c.frame(header + "B315")
	}
	n, err := strconv.ParseUint(data[:4], 16, 16)
	if err != nil || int(n) > len(data)-4 {
		return c.frame(header + "B315")
	}
	text := data[4 : 4+n]
	if wrong {
		text = "another text"
	}
	return c.frame(header + "B300" + text)
}

// flood promises the longest message that the length can tell.
func (c international) flood() []byte {
	if c.ascii {
		return []byte("9999")
	}
	return []byte{0xff, 0xff}
}
