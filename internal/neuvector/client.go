package neuvector

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/orielhq/oriel/internal/conf"
)

// Bounds of what the controller may send.
const (
	maxBody      = 64 << 20
	maxErrorBody = 64 << 10
	maxRedundant = 256 << 10 // read behind what we want, so that the connection can be used again
)

// Why a request failed; values of the label reason beside those of decoding.
const (
	failAuth        = "unauthorized"
	failForbidden   = "forbidden"
	failNotFound    = "not_found"
	failUnsupported = "unsupported"
	failRate        = "rate_limited"
	failServer      = "server"
	failStatus      = "status"
	failTimeout     = "timeout"
	failTLS         = "tls"
	failConnection  = "connection"
)

// requestError is a request that failed. Its text holds nothing that the
// controller sent, which might be anything, a credential included.
type requestError struct {
	endpoint string
	reason   string
	status   int // 0 if there was no answer
	code     int // NeuVector's own
	after    time.Duration
	err      error
}

func (e *requestError) Error() string {
	switch {
	case e.err != nil:
		return fmt.Sprintf("%s: %s: %v", e.endpoint, e.reason, e.err)
	case e.code != 0:
		return fmt.Sprintf("%s: %s: status %d, code %d", e.endpoint, e.reason, e.status, e.code)
	}
	return fmt.Sprintf("%s: %s: status %d", e.endpoint, e.reason, e.status)
}

func (e *requestError) Unwrap() error { return e.err }

// client asks one controller.
type client struct {
	base    *url.URL
	http    *http.Client
	session *session
	log     *slog.Logger
	timeout time.Duration
	maxBody int64
	slots   chan struct{}

	mu    sync.Mutex // guards what follows
	count map[request]int
	date  time.Time // the controller's clock at its last answer
	last  error     // why the last request got no answer; nil if it got one
}

// request is what requests are counted by: both parts are from closed sets.
type request struct{ endpoint, code string }

func newTransport(cfg Config) (*http.Transport, error) {
	tlsConfig, err := cfg.TLS.Client()
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: tlsConfig, TLSHandshakeTimeout: cfg.Timeout.Std(),
		DialContext:         (&net.Dialer{Timeout: cfg.Timeout.Std(), KeepAlive: 30 * time.Second}).DialContext,
		MaxIdleConnsPerHost: concurrency(cfg), MaxConnsPerHost: 2 * concurrency(cfg), IdleConnTimeout: 2 * time.Minute,
		MaxResponseHeaderBytes: 256 << 10,
	}, nil
}

func concurrency(cfg Config) int {
	switch {
	case cfg.Concurrency > 0:
		return cfg.Concurrency
	case cfg.APIKey != "" || cfg.APIKeyFile != "":
		return 1
	}
	return 16
}

func newClient(cfg Config, address string, transport http.RoundTripper, log *slog.Logger) *client {
	c := &client{
		base: &url.URL{Scheme: "https", Host: address}, log: log, timeout: cfg.Timeout.Std(), maxBody: maxBody, slots: make(chan struct{}, concurrency(cfg)),
		count: map[request]int{}, session: newSession(cfg, log),
		// A redirect would carry the token to another server.
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	c.session.login = func(ctx context.Context, password conf.Secret) loginResult {
		return c.login(ctx, cfg.Username, password)
	}
	c.session.logout = c.logout
	return c
}

// get asks for a path and lets read have the body. endpoint is what the request is counted as.
// It waits for a free slot; a request that the controller does not let in is
// made once more after a login.
func (c *client) get(ctx context.Context, endpoint, path string, query url.Values, read func(io.Reader) error) error {
	var refused error
	for again := true; ; again = false {
		header, value, err := c.session.credential(ctx)
		if err != nil && refused != nil {
			return refused // and no other token is to be had now
		}
		if err != nil {
			return &requestError{endpoint: endpoint, reason: failAuth, err: err}
		}
		err = c.once(ctx, endpoint, path, query, header, value, read)
		var failed *requestError
		if err == nil || !errors.As(err, &failed) {
			return err
		}
		if failed.reason != failAuth || !again {
			return err
		}
		if failed.status != 0 {
			refused = err
		}
		if c.session.stale(value) {
			continue // another request has found out, and may have a new one
		}
		if !c.session.drop(value) {
			return err
		}
	}
}

func (c *client) once(ctx context.Context, endpoint, path string, query url.Values, header, value string, read func(io.Reader) error) error {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if c.session.stale(value) {
		return &requestError{endpoint: endpoint, reason: failAuth, err: errWait} // while we waited
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	u := *c.base
	u.Path, u.RawQuery = path, query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return &requestError{endpoint: endpoint, reason: failConnection, err: errors.New("make request")}
	}
	req.Header.Set(header, value)
	req.Header.Set("X-Nv-Page", "dashboard") // a 403 is no event of the audit log then
	resp, err := c.send(req, endpoint)       //nolint:bodyclose // finish closes it
	if err != nil {
		return err
	}
	defer finish(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return c.refuse(endpoint, resp)
	}
	c.session.worked(value)
	c.answered(resp)
	if err := read(&limited{resp.Body, c.maxBody}); err != nil {
		reason := reasonOf(err)
		if reason == "" {
			reason = network(err)
		}
		return &requestError{endpoint: endpoint, reason: reason, status: resp.StatusCode, err: safe(err)}
	}
	return nil
}

// send makes the request and counts it.
func (c *client) send(req *http.Request, endpoint string) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		reason := network(err)
		c.counted(endpoint, reason)
		failed := &requestError{endpoint: endpoint, reason: reason, err: safe(err)}
		if !errors.Is(err, context.Canceled) {
			c.mu.Lock()
			c.last = failed
			c.mu.Unlock()
		}
		return nil, failed
	}
	c.counted(endpoint, strconv.Itoa(resp.StatusCode))
	return resp, nil
}

func (c *client) counted(endpoint, code string) {
	if _, err := strconv.Atoi(code); err == nil && !slices.Contains(knownStatus, code) {
		code = "other"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count[request{endpoint, code}]++
}

var knownStatus = []string{"200", "301", "400", "401", "403", "404", "408", "412", "429", "500", "502", "503", "504"}

// answered notes the controller's clock.
func (c *client) answered(resp *http.Response) {
	date, err := http.ParseTime(resp.Header.Get("Date"))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = nil
	if err == nil {
		c.date = date
	}
}

// now is the controller's clock, or ours if it does not tell.
func (c *client) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.date.IsZero() {
		return time.Now()
	}
	return c.date
}

// refuse makes an error of an answer that is none.
func (c *client) refuse(endpoint string, resp *http.Response) error {
	e := &requestError{endpoint: endpoint, status: resp.StatusCode, code: code(resp.Body), reason: failStatus}
	switch {
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusRequestTimeout:
		e.reason = failAuth // before 5.4.1 a token that is over is a 408
	case resp.StatusCode == http.StatusForbidden:
		e.reason = failForbidden
	case resp.StatusCode == http.StatusNotFound:
		e.reason = failNotFound
	case resp.StatusCode == http.StatusPreconditionFailed:
		e.reason = failUnsupported
	case resp.StatusCode == http.StatusTooManyRequests:
		e.reason = failRate
		if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
			e.after = min(time.Duration(s)*time.Second, maxRest)
		}
	case resp.StatusCode >= 500:
		e.reason = failServer
	}
	return e
}

// code reads NeuVector's code from the body of an error.
func code(body io.Reader) int {
	var e struct {
		Code float64 `json:"code"`
	}
	b, err := io.ReadAll(io.LimitReader(body, maxErrorBody))
	if err != nil || json.Unmarshal(b, &e) != nil || !(e.Code > 0 && e.Code < 10000) {
		return 0
	}
	return int(e.Code)
}

func (c *client) login(ctx context.Context, user string, password conf.Secret) loginResult {
	body, err := json.Marshal(map[string]any{"password": map[string]string{"username": user, "password": password.Reveal()}})
	if err != nil {
		return loginResult{state: stateError, err: errors.New("login: make request")}
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	u := *c.base
	u.Path = "/v1/auth"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return loginResult{state: stateError, err: errors.New("login: make request")}
	}
	req.GetBody = nil // never twice by itself: the second might be the fifth wrong login
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.send(req, "login") //nolint:bodyclose // finish closes it
	if err != nil {
		return loginResult{state: stateError, err: err}
	}
	defer finish(resp.Body)
	if resp.StatusCode != http.StatusOK {
		e := c.refuse("login", resp)
		return loginResult{state: loginState(e), err: e}
	}
	var data struct {
		Token *struct {
			Token   string  `json:"token"`
			Timeout float64 `json:"timeout"`
		} `json:"token"`
		Days  *float64 `json:"password_days_until_expire"`
		Reset bool     `json:"need_to_reset_password"`
	}
	if err := object(&limited{resp.Body, maxErrorBody}, &data, func(string) {}); err != nil {
		return loginResult{state: stateError, err: &requestError{endpoint: "login", reason: badNotJSON, status: resp.StatusCode}}
	}
	switch {
	case data.Reset:
		return loginResult{state: stateReset, err: fmt.Errorf("login: %s", explain[stateReset])}
	case data.Token == nil || data.Token.Token == "" || strings.ContainsAny(data.Token.Token, "\r\n"):
		return loginResult{state: stateError, err: errors.New("login: the answer holds no token")}
	}
	c.answered(resp)
	r := loginResult{token: data.Token.Token, days: -1, timeout: time.Duration(min(max(data.Token.Timeout, 0), 1e6)) * time.Second}
	if data.Days != nil {
		r.days = *data.Days
	}
	return r
}

// loginState tells what a refused login says of the credential.
func loginState(err error) string {
	var e *requestError
	if !errors.As(err, &e) {
		return stateError
	}
	switch {
	case e.code == 47:
		return stateBlocked
	case e.code == 48:
		return stateExpired
	case e.status == http.StatusUnauthorized, e.status == http.StatusBadRequest, e.status == http.StatusForbidden:
		return stateRejected
	}
	return stateError
}

// logout is as good as it goes: a session that stays ends by itself.
func (c *client) logout(ctx context.Context, token string) {
	c.touch(ctx, http.MethodDelete, "logout", token)
}

// keepAlive renews a token before it ends, and uses a session that would end for want of use.
func (c *client) keepAlive(ctx context.Context) {
	if c.session.due() {
		_, _, _ = c.session.credential(ctx) // its state tells of an error
	}
	if token := c.session.idleToken(); token != "" && c.touch(ctx, http.MethodPatch, "keep_alive", token) {
		c.session.worked(token)
	}
}

func (c *client) touch(ctx context.Context, method, endpoint, token string) bool {
	ctx, cancel := context.WithTimeout(ctx, min(c.timeout, 5*time.Second))
	defer cancel()
	u := *c.base
	u.Path = "/v1/auth"
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return false
	}
	req.Header.Set("X-Auth-Token", token)
	resp, err := c.send(req, endpoint) //nolint:bodyclose // finish closes it
	if err != nil {
		return false
	}
	defer finish(resp.Body)
	return resp.StatusCode == http.StatusOK
}

// finish reads a little of what is left, so that the connection can be used again.
func finish(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, maxRedundant)
	_ = body.Close()
}

// network names the error of a connection.
func network(err error) string {
	var cert *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var timeout net.Error
	switch {
	case errors.As(err, &cert), errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &record), errors.As(err, &alert):
		return failTLS
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return failTimeout
	case errors.Is(err, io.ErrUnexpectedEOF):
		return badTruncated
	}
	return failConnection
}

// safe makes an error that can be shown: it keeps what this machine found out,
// and nothing of what the other side sent.
func safe(err error) error {
	var op *net.OpError
	switch reason := network(err); {
	case reason == failTLS:
		return errors.New("the server's certificate is not trusted, or it speaks no TLS (tls.ca_file names the CA, tls.server_name the name to expect)")
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case reason == failTimeout:
		return errors.New("no answer in time")
	case errors.As(err, &op) && op.Op == "dial":
		return op
	case reasonOf(err) != "":
		return errors.New("the answer is not what was asked for")
	}
	return errors.New("the connection broke")
}

// trouble is why the controller cannot be asked, or nil.
func (c *client) trouble() error {
	if err := c.session.trouble(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// collect adds how the requests went.
func (c *client) collect(p *page, cluster string) {
	c.session.collect(p, cluster)
	p.set(&up, truth(c.trouble() == nil && !c.silent()), "cluster", cluster)
	c.mu.Lock()
	count := maps.Clone(c.count)
	c.mu.Unlock()
	for r, n := range count {
		p.set(&requests, float64(n), "cluster", cluster, "endpoint", r.endpoint, "code", r.code)
	}
}

// silent tells whether there has been no answer at all.
func (c *client) silent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for r := range c.count {
		if r.code == "200" && r.endpoint != "login" {
			return false
		}
	}
	return true
}
