package neuvector

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/orielhq/oriel/internal/conf"
)

// States of the credential; values of the label state.
const (
	stateNone     = "none"     // not tried yet
	stateOK       = "ok"       // it works
	stateError    = "error"    // the controller could not be asked
	stateRejected = "rejected" // user, password or key is wrong, or too many sessions are open
	stateBlocked  = "blocked"  // the account is locked for a while
	stateExpired  = "expired"  // the password has expired
	stateReset    = "reset"    // the password must be set anew
)

var states = []string{stateNone, stateOK, stateError, stateRejected, stateBlocked, stateExpired, stateReset}

// What keeps us far from the lockout: the controller blocks an account for an
// hour after five wrong logins in a row, and each attempt while it is blocked
// begins that hour anew.
const (
	maxRefusals    = 3
	firstRetry     = time.Minute
	secondRetry    = 6 * time.Minute // sessions that were left behind have ended by then
	blockedWait    = 70 * time.Minute
	errorRetry     = 5 * time.Second
	maxRetry       = 15 * time.Minute
	minLogin       = 30 * time.Second // between two logins that succeed
	renewBefore    = 10 * time.Minute
	tokenLife      = 6 * time.Hour // where the token does not say
	rereadInterval = 10 * time.Second
)

// errWait is the error of a credential that is not to be tried now.
var errWait = errors.New("not logged in")

// loginResult is what the controller said to a login.
type loginResult struct {
	token   string
	timeout time.Duration // unused for so long, the session ends
	days    float64       // until the password expires; -1: never or not known
	state   string        // if there is no token
	err     error
}

// session holds the token, or the key. There is one login at a time, for all requests.
type session struct {
	log    *slog.Logger
	key    bool
	value  conf.Secret
	file   string
	login  func(ctx context.Context, password conf.Secret) loginResult
	logout func(ctx context.Context, token string)

	turn chan struct{} // held by who logs in

	mu       sync.Mutex // guards what follows
	token    string
	dropped  string    // the token before, which was refused
	began    time.Time // of the token
	renew    time.Time
	proven   bool // a request with the token has succeeded
	state    string
	cause    error       // of stateError
	refused  conf.Secret // what the controller did not take; not to be tried for ever
	refusals int
	failures int // that say nothing of the credential
	idle     int // tokens in a row that did not work
	stopped  bool
	next     time.Time // no login before
	reread   time.Time
	logins   map[string]int
	ends     time.Time // of the password; zero if it never does
	used     time.Time
	timeout  time.Duration
}

func newSession(cfg Config, log *slog.Logger) *session {
	s := &session{log: log, value: cfg.Password, file: cfg.PasswordFile, turn: make(chan struct{}, 1), state: stateNone, logins: map[string]int{}}
	if cfg.APIKey != "" || cfg.APIKeyFile != "" {
		s.key, s.value, s.file = true, cfg.APIKey, cfg.APIKeyFile
	}
	return s
}

// credential returns the header that a request needs, after a login if there is no token.
func (s *session) credential(ctx context.Context) (header, value string, err error) {
	if s.key {
		return s.apiKey()
	}
	if token, ok := s.current(); ok {
		return "X-Auth-Token", token, nil
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return "", "", ctx.Err()
	}
	if token, ok := s.current(); ok { // another one has logged in meanwhile
		return "X-Auth-Token", token, nil
	}
	token, err := s.logIn(ctx)
	return "X-Auth-Token", token, err
}

func (s *session) apiKey() (string, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, err := s.secret()
	if err != nil {
		return "", "", err
	}
	if key == s.refused && time.Now().Before(s.next) {
		return "", "", s.waiting()
	}
	return "X-Auth-Apikey", key.Reveal(), nil
}

func (s *session) current() (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token, s.token != "" && time.Now().Before(s.renew)
}

// secret reads the credential; the caller holds the lock.
func (s *session) secret() (conf.Secret, error) {
	v, err := s.value.Or(s.file)
	if err != nil {
		s.state = stateError
		return "", err
	}
	return v, nil
}

// waiting says why there is no login now. The caller holds the lock.
func (s *session) waiting() error {
	if s.state == stateError && s.cause != nil {
		return fmt.Errorf("%w: %s: %w", errWait, explain[s.state], s.cause)
	}
	return fmt.Errorf("%w: %s", errWait, explain[s.state])
}

// explain tells a person what to do about a state.
var explain = map[string]string{
	stateNone:     "the credential has not been tried yet",
	stateError:    "the controller could not be asked",
	stateRejected: "the controller refuses the credential, or too many sessions of this user are open; no further attempts are made with it, so that the account is not locked",
	stateBlocked:  "the account is blocked after too many wrong logins; the next attempt is in 70 minutes, as each one sooner would block it for another hour",
	stateExpired:  "the password has expired; set a new one in NeuVector and give it here",
	stateReset:    "NeuVector demands a new password for this account; log in to its console once to set one, and give it here",
}

// logIn gets a token. The caller has the turn.
func (s *session) logIn(ctx context.Context) (string, error) {
	s.mu.Lock()
	now := time.Now()
	if s.stopped && now.Before(s.reread) {
		defer s.mu.Unlock()
		return "", s.waiting()
	}
	password, err := s.secret()
	if err != nil {
		s.mu.Unlock()
		return "", err
	}
	if s.refusals > 0 || s.stopped {
		if password != s.refused { // it was corrected
			s.refusals, s.stopped, s.next = 0, false, time.Time{}
		}
	}
	if s.stopped || now.Before(s.next) {
		s.reread = now.Add(rereadInterval)
		defer s.mu.Unlock()
		return "", s.waiting()
	}
	old := s.token
	if old == "" {
		old = s.dropped
	}
	s.mu.Unlock()

	r := s.login(ctx, password)

	s.mu.Lock()
	if r.token == "" {
		defer s.mu.Unlock()
		s.lost(r, password)
		return "", r.err
	}
	s.won(r)
	s.mu.Unlock()
	if old != "" {
		s.logout(ctx, old) // it was renewed before its time, or refused by one controller of several
	}
	return r.token, nil
}

func (s *session) won(r loginResult) {
	now := time.Now()
	if s.state != stateOK {
		s.log.Info("logged in to the controller")
	}
	s.token, s.began, s.proven, s.state, s.ends, s.timeout, s.used = r.token, now, false, stateOK, time.Time{}, r.timeout, now
	if r.days >= 0 && r.days < 1e5 {
		s.ends = now.Add(time.Duration(r.days * 24 * float64(time.Hour)))
	}
	s.refusals, s.failures, s.refused, s.dropped = 0, 0, "", ""
	s.next = now.Add(min(minLogin<<min(s.idle, 5), maxRetry))
	life := tokenLife
	if exp, ok := expiry(r.token); ok && exp.After(now) {
		life = min(exp.Sub(now), 24*time.Hour)
	}
	s.renew = now.Add(max(life-renewBefore, life/2))
	s.logins[stateOK]++
}

func (s *session) lost(r loginResult, password conf.Secret) {
	now := time.Now()
	changed := s.state != r.state
	s.token, s.state = "", r.state
	s.logins[r.state]++
	switch r.state {
	case stateError:
		s.failures++
		s.cause = r.err
		s.next = now.Add(min(errorRetry<<min(s.failures-1, 8), maxRetry))
	case stateBlocked:
		// One attempt is left when the hour is over.
		s.refused, s.refusals, s.next = password, maxRefusals-1, now.Add(blockedWait)
	case stateExpired, stateReset:
		s.refused, s.stopped = password, true
	default:
		s.refused = password
		s.refusals++
		s.stopped = s.refusals >= maxRefusals
		s.next = now.Add([]time.Duration{firstRetry, firstRetry, secondRetry}[min(s.refusals, 2)])
	}
	if changed || s.stopped {
		s.log.Error("log in to the controller", "state", r.state, "meaning", explain[r.state])
	}
}

// worked notes that a request was let in.
func (s *session) worked(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = time.Now()
	if s.key {
		s.state, s.refused, s.refusals = stateOK, "", 0
	} else if value == s.token && !s.proven {
		s.proven, s.idle, s.next = true, 0, s.began.Add(minLogin)
	}
}

// drop notes that the controller did not let a request in. It tells whether
// there is any use in asking for another credential.
func (s *session) drop(value string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key {
		if s.state != stateRejected {
			s.log.Error("use the API key", "state", stateRejected, "meaning", "the controller does not know the key, or it has expired")
		}
		s.state, s.refused = stateRejected, conf.Secret(value)
		s.next = time.Now().Add(min(firstRetry<<min(s.refusals, 4), maxRetry))
		s.refusals++
		return false
	}
	if value == s.token {
		if !s.proven {
			s.idle++
		}
		s.token, s.dropped = "", value
	}
	return true
}

// stale tells whether a credential has been found to be no good since it was given out.
func (s *session) stale(value string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key {
		return s.refused.Reveal() == value && time.Now().Before(s.next)
	}
	return s.token != value
}

// due tells whether the token is to be renewed.
func (s *session) due() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token != "" && !time.Now().Before(s.renew)
}

// idleToken returns a token that would soon end for want of use.
func (s *session) idleToken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == "" || s.timeout <= 0 || time.Since(s.used) < s.timeout/2 {
		return ""
	}
	return s.token
}

// end logs out.
func (s *session) end(ctx context.Context) {
	s.mu.Lock()
	tokens := []string{s.token, s.dropped}
	s.token, s.dropped = "", ""
	s.mu.Unlock()
	for _, token := range tokens {
		if token != "" {
			s.logout(ctx, token)
		}
	}
}

// collect adds the state of the credential.
func (s *session) collect(p *page, cluster string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, state := range states {
		p.set(&credentialState, truth(s.state == state), "cluster", cluster, "state", state)
	}
	if s.key {
		return
	}
	for _, state := range states[1:] {
		p.set(&logins, float64(s.logins[state]), "cluster", cluster, "result", state)
	}
	if !s.ends.IsZero() {
		p.set(&passwordExpiry, float64(s.ends.Unix()), "cluster", cluster)
	}
}

// trouble is why nothing can be asked now, or nil.
func (s *session) trouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateOK || s.state == stateNone {
		return nil
	}
	return s.waiting()
}

// expiry reads the claim exp of a JWT. The controller checks the token, not we.
func expiry(token string) (time.Time, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}, false
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}, false
	}
	var claims struct {
		Exp float64 `json:"exp"`
	}
	if json.Unmarshal(b, &claims) != nil || claims.Exp <= 0 || claims.Exp > 1e11 {
		return time.Time{}, false
	}
	return time.Unix(int64(claims.Exp), 0), true
}
