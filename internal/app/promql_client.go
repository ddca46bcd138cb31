package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
)

// promqlMaxAnswer bounds what is read of an answer, after decompression.
const promqlMaxAnswer = 256 << 20

var errPromqlTooLarge = errors.New("the answer is too large")

// promqlClient is an api.Client that reads a bounded answer and keeps it: its
// data is what -o json prints.
type promqlClient struct {
	api.Client
	http *http.Client
	url  string // as shown: without a password
	max  int64

	contentType string
	body        []byte
}

func newPromqlClient(address, configFile string) (*promqlClient, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		// Not err: it would show a password in the address.
		return nil, fmt.Errorf("--url: want an address as %s", promqlURL)
	}
	c := &promqlClient{
		http: &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}},
		url:  u.Redacted(),
		max:  promqlMaxAnswer,
	}
	if configFile != "" {
		if u.User != nil {
			return nil, errors.New("a user in --url and --http.config.file together: give one of them")
		}
		cfg, _, err := config.LoadHTTPConfigFile(configFile)
		if err != nil {
			return nil, fmt.Errorf("read --http.config.file %q: %w", configFile, promqlCause(err))
		}
		if c.http, err = config.NewClientFromConfig(*cfg, "oriel"); err != nil {
			return nil, fmt.Errorf("use --http.config.file %q: %w", configFile, err)
		}
	}
	if c.Client, err = api.NewClient(api.Config{Address: address, Client: c.http}); err != nil {
		return nil, fmt.Errorf("--url: %w", err)
	}
	return c, nil
}

// promqlCause takes the file's name out of an error that will be shown with it.
func promqlCause(err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err
	}
	return err
}

func (c *promqlClient) close() { c.http.CloseIdleConnections() }

// Do sends the request and reads the whole answer.
func (c *promqlClient) Do(ctx context.Context, req *http.Request) (*http.Response, []byte, error) {
	resp, err := c.http.Do(req.WithContext(ctx))
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(io.LimitReader(resp.Body, c.max+1))
	if err == nil && int64(len(body)) > c.max {
		err = errPromqlTooLarge
	}
	c.contentType, c.body = resp.Header.Get("Content-Type"), body
	return resp, body, err
}

// ask returns the answer and what the server remarked about it.
func (c *promqlClient) ask(ctx context.Context, q promqlQuery, timeout time.Duration) (model.Value, []string, error) {
	var (
		value    model.Value
		warnings v1.Warnings
		infos    v1.Infos
		err      error
		papi     = v1.NewAPI(c)
	)
	if q.ranged {
		value, warnings, infos, err = papi.QueryRange(ctx, q.expr, q.over, v1.WithTimeout(timeout))
	} else {
		value, warnings, infos, err = papi.Query(ctx, q.expr, q.at, v1.WithTimeout(timeout))
	}
	var notes []string
	for _, w := range warnings {
		notes = append(notes, "promql: warning: "+strings.TrimPrefix(w, "PromQL warning: "))
	}
	for _, i := range infos {
		notes = append(notes, "promql: info: "+strings.TrimPrefix(i, "PromQL info: "))
	}
	if text, ok := c.text(err); ok {
		return text, notes, nil
	}
	if err == nil && value == nil { // JSON, but no answer
		err = &v1.Error{Type: v1.ErrBadResponse}
	}
	if err != nil {
		return nil, notes, c.explain(q.expr, timeout, err)
	}
	return promqlWithoutNulls(value), notes, nil
}

// promqlWithoutNulls drops the nil pointers that client_golang makes of "null" in a result.
func promqlWithoutNulls(value model.Value) model.Value {
	switch v := value.(type) {
	case model.Vector:
		return slices.DeleteFunc(v, func(s *model.Sample) bool { return s == nil })
	case model.Matrix:
		return slices.DeleteFunc(v, func(s *model.SampleStream) bool { return s == nil })
	}
	return value
}

// text is the answer to an expression that is a string, which client_golang does not decode.
func (c *promqlClient) text(err error) (*model.String, bool) {
	answer, ok := errors.AsType[*v1.Error](err)
	if !ok || answer.Type != v1.ErrBadResponse {
		return nil, false
	}
	var envelope struct {
		Status string
		Data   struct {
			ResultType string
			Result     model.String
		}
	}
	ok = json.Unmarshal(c.body, &envelope) == nil && envelope.Status == "success" && envelope.Data.ResultType == "string"
	return &envelope.Data.Result, ok
}

// explain says what went wrong in the user's words: the expression, the server or the way to it.
func (c *promqlClient) explain(expr string, timeout time.Duration, err error) error {
	if answer, ok := errors.AsType[*v1.Error](err); ok {
		return c.explainAnswer(expr, answer)
	}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err // the address is said by us
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no server at %s: start one with \"oriel serve\", or name it with --url", c.url)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("promql: no answer from %s within %v", c.url, timeout)
	case errors.Is(err, errPromqlTooLarge):
		return fmt.Errorf("promql: the answer of %s is larger than %d bytes: ask for fewer series or a longer step", c.url, c.max)
	}
	return fmt.Errorf("promql: ask %s: %w", c.url, err)
}

func (c *promqlClient) explainAnswer(expr string, answer *v1.Error) error {
	// client_golang decodes the server's errors only with status 400 and 422;
	// a query that timed out has 503.
	var envelope struct {
		Status, ErrorType, Error string
	}
	if json.Unmarshal(c.body, &envelope) == nil && envelope.Status == "error" && envelope.Error != "" {
		msg := envelope.Error
		return fmt.Errorf("promql: %s\n%s", promqlClean(msg), promqlPoint(expr, msg))
	}
	if answer.Type == v1.ErrBadResponse {
		return fmt.Errorf("promql: %s does not answer as Prometheus does: %s of type %q", c.url, promqlStart(c.body), c.contentType)
	}
	return fmt.Errorf("promql: %s: %s: %s", c.url, answer.Msg, promqlStart(c.body))
}

var promqlPosition = regexp.MustCompile(`(\d+):(\d+): parse error`)

// promqlPoint shows the expression, with a mark below the place that the message names.
func promqlPoint(expr, msg string) string {
	lines := strings.Split(expr, "\n")
	line, column := 0, 0
	if m := promqlPosition.FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[1]) // digits; too many of them are no line of ours
		column, _ = strconv.Atoi(m[2])
	}
	var b strings.Builder
	for i, l := range lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString("  " + promqlClean(l))
		if i+1 == line && column >= 1 && column <= len(l)+1 {
			b.WriteString("\n  " + strings.Repeat(" ", utf8.RuneCountInString(promqlClean(l[:column-1]))) + "^")
		}
	}
	return b.String()
}

// promqlStart quotes the beginning of an answer that is not understood.
func promqlStart(body []byte) string {
	const enough = 120
	if len(body) == 0 {
		return "nothing"
	}
	text := strings.TrimSpace(string(body[:min(len(body), enough)]))
	if len(body) > enough {
		return strconv.Quote(text) + "..."
	}
	return strconv.Quote(text)
}

// writeData prints the data of the answer as the server sent it, indented.
func (c *promqlClient) writeData(w io.Writer) error {
	var envelope struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(c.body, &envelope); err != nil {
		return fmt.Errorf("promql: read the answer of %s: %w", c.url, err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, envelope.Data, "", "  "); err != nil {
		return fmt.Errorf("promql: read the answer of %s: %w", c.url, err)
	}
	b.WriteByte('\n')
	_, err := w.Write(promqlPlainJSON(b.Bytes()))
	return err
}

// promqlPlainJSON escapes what a terminal might obey. JSON cannot hold the C0
// controls, so it is DEL and what is beyond ASCII; all of it stands in strings.
func promqlPlainJSON(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		switch {
		case r == '\n' || strconv.IsPrint(r) && (r != utf8.RuneError || size > 1):
			out = append(out, b[i:i+size]...)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		i += size
	}
	return out
}

// promqlClean escapes everything that is not plain text, so that a label value
// cannot move the cursor or end a line.
func promqlClean(s string) string {
	plain := true
	for i, r := range s {
		if !strconv.IsPrint(r) || r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD") {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
		i += size
	}
	return b.String()
}
