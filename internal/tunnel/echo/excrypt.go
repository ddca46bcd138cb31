package echo

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
)

// excrypt is Futurex' format: [AOECHO;AGtext;], tags of two characters, no length.
type excrypt struct{}

func (excrypt) request(nonce string) ([]byte, error) {
	if strings.ContainsAny(nonce, ";[]") { // nothing can be escaped
		return nil, fmt.Errorf("excrypt: payload %q holds a delimiter", nonce)
	}
	return []byte("[AOECHO;AG" + nonce + ";]"), nil
}

// read returns what stands between the brackets.
func (excrypt) read(r *bufio.Reader) ([]byte, error) {
	b, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	if b != '[' {
		return nil, fmt.Errorf("%w: it begins with %q, not [", ErrProtocol, b)
	}
	frame, err := r.ReadBytes(']')
	if err != nil {
		return nil, err
	}
	frame = frame[:len(frame)-1]
	if bytes.IndexByte(frame, '[') >= 0 {
		return nil, fmt.Errorf("%w: a bracket within brackets", ErrProtocol)
	}
	return frame, nil
}

func (c excrypt) readRequest(r *bufio.Reader) ([]byte, error) { return c.read(r) }

// tags reads the fields of a frame. A tag that comes twice is refused.
func (excrypt) tags(frame []byte) (map[string]string, error) {
	tags := map[string]string{}
	for field := range strings.SplitSeq(strings.TrimSuffix(string(frame), ";"), ";") {
		if len(field) < 2 {
			return nil, fmt.Errorf("%w: field %q has no tag", ErrProtocol, field)
		}
		if _, twice := tags[field[:2]]; twice {
			return nil, fmt.Errorf("%w: tag %q comes twice", ErrProtocol, field[:2])
		}
		tags[field[:2]] = field[2:]
	}
	return tags, nil
}

func (c excrypt) check(answer []byte, nonce string) error {
	tags, err := c.tags(answer)
	if err != nil {
		return err
	}
	return checkTags(tags, "AG", nonce)
}

// checkTags holds for Excrypt and JSON: the command comes back, the status is
// good or missing, and the text, if it comes back, is the one sent.
func checkTags(tags map[string]string, text, nonce string) error {
	switch command := strings.TrimSpace(tags["AO"]); command {
	case "ECHO":
	case "ERRO":
		return ErrRefused
	default:
		return fmt.Errorf("%w: command %q", ErrMismatch, command)
	}
	if status, ok := tags["BB"]; ok && status != "Y" {
		return ErrRefused
	}
	if got, ok := tags[text]; ok && got != nonce {
		return ErrMismatch
	}
	return nil
}

func (c excrypt) answer(request []byte, wrong bool) ([]byte, error) {
	tags, err := c.tags(request)
	if err != nil {
		return nil, err
	}
	if tags["AO"] != "ECHO" {
		return []byte("[AOERRO;BBunknown command;]"), nil
	}
	text, ok := tags["AG"]
	if wrong {
		text, ok = "another text", true
	}
	if !ok {
		return []byte("[AOECHO;BBY;]"), nil
	}
	return []byte("[AOECHO;AG" + text + ";BBY;]"), nil
}

func (excrypt) flood() []byte { return []byte("[AOECHO;AG") }
