package influx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	maxAnswer   = 64 << 10 // bytes read of an answer
	maxLogged   = 300      // characters of an answer in the log
	maxUnpacked = 2 * (maxBatchBytes + 2*maxString)
	// minWait is the shortest pause before a try after one that went wrong.
	minWait = 250 * time.Millisecond
)

// output delivers to one server what its buffer holds.
type output struct {
	cfg       Output
	dir       string
	limit     int64
	batchSize int
	metrics   *outputMetrics
	log       *slog.Logger
	client    *http.Client
	gzip      *compressor
	buffer    *buffer // nil before open
	attempt   int     // tries without success in a row; only run's goroutine uses it

	mu      sync.Mutex // guards failing, and buffer between open and collect
	failing string     // the result that is logged already
}

func newOutput(cfg Output, dir string, limit int64, batchSize int, m *metrics, log *slog.Logger) *output {
	return &output{
		cfg: cfg, dir: dir, limit: limit, batchSize: batchSize, metrics: m.of(cfg.Name), log: log, gzip: newCompressor(),
	}
}

// open makes the client and takes the buffer.
func (o *output) open() error {
	tlsConfig, err := o.cfg.TLS.Client()
	if err != nil {
		return err
	}
	o.client = &http.Client{
		Timeout: o.cfg.Timeout.Std(),
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: tlsConfig, ForceAttemptHTTP2: true,
			DialContext:         (&net.Dialer{Timeout: o.cfg.Timeout.Std()}).DialContext,
			MaxIdleConnsPerHost: 1, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	b, err := openBuffer(o.dir, o.limit)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buffer = b
	return nil
}

func (o *output) close() {
	o.client.CloseIdleConnections()
	o.buffer.close()
}

// put hands over a batch.
func (o *output) put(packed []byte, lines int) {
	dropped, err := o.buffer.put(packed, lines)
	if dropped > 0 {
		o.metrics.drop("buffer_full", dropped)
	}
	if err != nil {
		o.metrics.drop("buffer_error", lines)
		o.complain("buffer_error", err.Error())
	}
}

// run sends until ctx is done.
func (o *output) run(ctx context.Context) {
	for ctx.Err() == nil {
		batches := o.buffer.take(o.batchSize)
		if len(batches) == 0 {
			select {
			case <-o.buffer.wake:
			case <-ctx.Done():
			}
			continue
		}
		wait, ok := o.deliver(ctx, batches)
		if ok {
			o.buffer.done(batches)
			continue
		}
		o.buffer.release(batches)
		timer := time.NewTimer(max(wait, minWait))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// deliver sends batches as one request. It returns false if they have to be sent again, and when.
func (o *output) deliver(ctx context.Context, batches []*entry) (time.Duration, bool) {
	var lines []byte
	n := 0
	for _, e := range batches {
		packed, err := o.buffer.read(e)
		switch {
		case errors.Is(err, fs.ErrNotExist): // somebody removed it
		case err != nil:
			o.complain("buffer_error", err.Error())
			return time.Second, false
		case len(batches) == 1 && o.cfg.Gzip && !e.recovered:
			return o.handle(ctx, packed, nil, e.lines) // the usual case: what lies on disk is what goes out
		default:
			lines, err = o.gzip.unpack(lines, packed, len(lines)+maxUnpacked)
		}
		if err != nil {
			o.metrics.drop("corrupt", e.lines)
			o.log.Error("drop a batch that cannot be read", "file", e.file(), "err", err)
			continue
		}
		n += e.lines
	}
	if n == 0 {
		return 0, true
	}
	return o.handle(ctx, nil, lines, n)
}

// handle sends a batch, given packed or as it is, and does what the answer asks for.
func (o *output) handle(ctx context.Context, packed, lines []byte, n int) (time.Duration, bool) {
	a := o.send(ctx, packed, lines, n)
	if ctx.Err() != nil && a.verdict == keep {
		return 0, false // we were told to stop, which is nobody's fault
	}
	if a.verdict == create && !o.cfg.SkipDatabaseCreation && o.createDatabase(ctx) {
		a = o.send(ctx, packed, lines, n)
	}
	switch a.verdict {
	case delivered:
		o.recovered()
		o.metrics.deliver(n - a.dropped)
		if a.dropped > 0 {
			o.metrics.drop("rejected", a.dropped)
			o.complain(a.result, a.text)
		}
		return 0, true
	case rejected:
		o.attempt = 0
		o.metrics.drop("rejected", n)
		o.complain(a.result, a.text)
		return 0, true
	case split:
		return o.halve(ctx, packed, lines, n)
	default:
		o.attempt++
		o.complain(a.result, a.text)
		return a.wait, false
	}
}

// halve sends the two halves of a batch that is too large; a single line that is too large goes.
func (o *output) halve(ctx context.Context, packed, lines []byte, n int) (time.Duration, bool) {
	if lines == nil {
		var err error
		if lines, err = o.gzip.unpack(nil, packed, maxUnpacked); err != nil {
			o.metrics.drop("corrupt", n)
			return 0, true
		}
	}
	if n <= 1 {
		o.metrics.drop("too_large", n)
		o.complain("too_large", "a single line is too large for the server")
		return 0, true
	}
	at, left := 0, n/2
	for ; left > 0; left-- {
		next := bytes.IndexByte(lines[at:], '\n')
		if next < 0 {
			break
		}
		at += next + 1
	}
	first := n/2 - left
	if wait, ok := o.handle(ctx, nil, lines[:at], first); !ok {
		return wait, false // the first half may be sent again with the second: no harm in that
	}
	return o.handle(ctx, nil, lines[at:], n-first)
}

// send makes one request.
func (o *output) send(ctx context.Context, packed, lines []byte, n int) answer {
	body := lines
	if packed == nil && o.cfg.Gzip {
		// A copy: the client may still be reading a body whose answer is there already.
		packed = bytes.Clone(o.gzip.pack(lines))
	}
	if packed != nil {
		body = packed
	}
	header := http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
	if packed != nil {
		header.Set("Content-Encoding", "gzip")
	}
	start := time.Now()
	status, answerHeader, text, err := o.post(ctx, o.cfg.writeURL(), header, body)
	a := answer{verdict: keep, wait: backoff(o.attempt+1, "")}
	switch {
	case errors.Is(err, errCredentials):
		a.result, a.text = "credentials", err.Error()
	case err != nil:
		a.result, a.text = networkResult(err), err.Error()
	default:
		a = classify(o.cfg.Version, status, answerHeader, text, n, o.attempt+1)
	}
	if ctx.Err() == nil {
		o.metrics.request(a.result, time.Since(start), len(body))
	}
	return a
}

var errCredentials = errors.New("read credentials")

// post sends a body and reads the answer, up to a bound.
func (o *output) post(ctx context.Context, address string, header http.Header, body []byte) (int, http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header = header
	req.Header.Set("User-Agent", "oriel")
	if err := o.cfg.authorize(req); err != nil {
		return 0, nil, nil, fmt.Errorf("%w: %w", errCredentials, err)
	}
	resp, err := o.client.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil && resp.StatusCode/100 != 2 {
		return 0, nil, nil, err
	}
	return resp.StatusCode, resp.Header, text, nil // a 2xx stands, whatever becomes of its body
}

// createDatabase makes the database of a version 1 server.
func (o *output) createDatabase(ctx context.Context) bool {
	quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(o.cfg.Database) + `"`
	body := url.Values{"q": {"CREATE DATABASE " + quoted}}.Encode()
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	status, h, text, err := o.post(ctx, strings.TrimSuffix(o.cfg.URL, "/")+"/query", header, []byte(body))
	if err != nil || status != http.StatusOK || bytes.Contains(text, []byte(`"error"`)) {
		if err == nil {
			err = fmt.Errorf("status %d: %q", status, short(message(h, text)))
		}
		o.log.Warn("create database", "database", o.cfg.Database, "err", err)
		return false
	}
	o.log.Info("created database", "database", o.cfg.Database)
	return true
}

// complain logs a trouble when it begins or becomes another.
func (o *output) complain(result, text string) {
	o.mu.Lock()
	same := o.failing == result
	o.failing = result
	o.mu.Unlock()
	if same {
		return
	}
	bytes, lines := o.buffer.size()
	o.log.Warn("write lines", "result", result, "answer", short(text), "buffered_lines", lines, "buffered_bytes", bytes)
}

func (o *output) recovered() {
	o.attempt = 0
	o.mu.Lock()
	failed := o.failing != "" && o.failing != "partial"
	if failed {
		o.failing = ""
	}
	o.mu.Unlock()
	if failed {
		o.log.Info("server takes lines again")
	}
}

func short(s string) string {
	if len(s) > maxLogged {
		s = strings.ToValidUTF8(s[:maxLogged], "") + "..."
	}
	return s
}

func networkResult(err error) string {
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return "timeout"
	}
	return "network"
}

func (o *output) collect(ch chan<- prometheus.Metric) {
	var bytes int64
	var lines int
	o.mu.Lock()
	b := o.buffer
	o.mu.Unlock()
	if b != nil {
		bytes, lines = b.size()
	}
	o.metrics.collectBuffer(ch, bytes, o.limit, lines)
}
