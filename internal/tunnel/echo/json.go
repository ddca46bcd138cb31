package echo

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// object is Excrypt's tags as JSON.
type object struct {
	AO string  `json:"AO"`
	AK *string `json:"AK,omitempty"`
	BB *string `json:"BB,omitempty"`
}

// jsonRaw is one JSON object each way on the bare connection.
type jsonRaw struct{}

func (jsonRaw) request(nonce string) ([]byte, error) {
	return json.Marshal(object{AO: "ECHO", AK: &nonce})
}

// read returns one JSON value; it ends where its last brace is.
func (jsonRaw) read(r *bufio.Reader) ([]byte, error) {
	var raw json.RawMessage
	if err := json.NewDecoder(r).Decode(&raw); err != nil {
		if _, ok := errors.AsType[*json.SyntaxError](err); ok {
			err = fmt.Errorf("%w: not JSON", ErrProtocol)
		}
		return nil, err
	}
	return raw, nil
}

func (c jsonRaw) readRequest(r *bufio.Reader) ([]byte, error) { return c.read(r) }

func (jsonRaw) check(answer []byte, nonce string) error {
	var o object
	if err := json.Unmarshal(answer, &o); err != nil {
		return fmt.Errorf("%w: not an object of texts", ErrProtocol)
	}
	tags := map[string]string{"AO": o.AO}
	if o.AK != nil {
		tags["AK"] = *o.AK
	}
	if o.BB != nil {
		tags["BB"] = *o.BB
	}
	return checkTags(tags, "AK", nonce)
}

func (jsonRaw) answer(request []byte, wrong bool) ([]byte, error) {
	var o object
	if err := json.Unmarshal(request, &o); err != nil {
		return nil, err
	}
	status := "Y"
	if o.AO != "ECHO" {
		o.AO, o.AK, status = "ERRO", nil, "unknown command"
	} else if wrong {
		other := "another text"
		o.AK = &other
	}
	o.BB = &status
	return json.Marshal(o)
}

func (jsonRaw) flood() []byte { return []byte(`{"AO":"ECHO","AK":"`) }

// jsonHTTP is the same object as the body of a POST.
type jsonHTTP struct{ host, path string }

func (c jsonHTTP) request(nonce string) ([]byte, error) {
	body, err := jsonRaw{}.request(nonce)
	if err != nil {
		return nil, err
	}
	host := c.host
	if host == "" {
		host = "localhost"
	}
	//nolint:noctx // it is only written out; the connection has the deadline
	r, err := http.NewRequest(http.MethodPost, "http://"+host+c.path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("json: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (jsonHTTP) read(r *bufio.Reader) ([]byte, error) {
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		if !isNet(err) {
			err = fmt.Errorf("%w: not HTTP", ErrProtocol)
		}
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: status %d", ErrRefused, resp.StatusCode)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxFrame))
}

// isNet tells errors of the connection from those of what came through it.
func isNet(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func (jsonHTTP) check(answer []byte, nonce string) error { return jsonRaw{}.check(answer, nonce) }

func (jsonHTTP) readRequest(r *bufio.Reader) ([]byte, error) {
	req, err := http.ReadRequest(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = req.Body.Close() }()
	return io.ReadAll(io.LimitReader(req.Body, maxFrame))
}

func (jsonHTTP) answer(request []byte, wrong bool) ([]byte, error) {
	body, err := jsonRaw{}.answer(request, wrong)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body), nil
}

func (jsonHTTP) flood() []byte { return []byte("HTTP/1.1 200 OK\r\nX-Endless: ") }
