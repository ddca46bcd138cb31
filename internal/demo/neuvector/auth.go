package neuvector

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// What the controller's default password profile and its sessions allow.
const (
	maxSessions  = 32
	maxFailures  = 5
	blockedFor   = time.Hour
	maxLoginBody = 64 << 10
)

// AccountState is what a login with the right password meets.
type AccountState int

// States of an account.
const (
	AccountFine    AccountState = iota
	AccountExpired              // the password has expired (code 48)
	AccountReset                // a new password must be set first
	AccountFull                 // too many sessions are open
)

// accounts is the one account of the controller, with its sessions.
type accounts struct {
	cfg Config

	mu           sync.Mutex // guards what follows
	password     string
	state        AccountState
	failures     int
	blockedUntil time.Time
	locked       bool
	sessions     map[string]*session
	logins       int
}

type session struct{ started, used time.Time }

func newAccounts(cfg Config) *accounts {
	return &accounts{cfg: cfg, password: cfg.Password, sessions: map[string]*session{}}
}

func (a *accounts) wasLocked() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.locked
}

func (a *accounts) open() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sweep()
	return len(a.sessions)
}

func (a *accounts) expire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.sessions)
}

func (a *accounts) set(password string, state AccountState) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.password, a.state = password, state
}

// sweep forgets sessions that are over. The caller holds the lock.
func (a *accounts) sweep() {
	for token, s := range a.sessions {
		if time.Since(s.started) >= a.cfg.TokenLife || time.Since(s.used) >= a.cfg.IdleTimeout {
			delete(a.sessions, token)
		}
	}
}

// use notes that a token was used, if it is one.
func (a *accounts) use(token string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sweep()
	s, ok := a.sessions[token]
	if ok {
		s.used = time.Now()
	}
	return ok
}

// login is POST /v1/auth.
func (a *accounts) login(w http.ResponseWriter, r *http.Request) {
	var body struct {
		ClientIP string `json:"client_ip"`
		Password *struct {
			Username    string  `json:"username"`
			Password    string  `json:"password"`
			NewPassword *string `json:"new_password"`
		} `json:"password"`
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLoginBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&body); err != nil || body.Password == nil {
		fail(w, http.StatusBadRequest, 6, "Request in wrong format")
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sweep()
	now := time.Now()
	if now.Before(a.blockedUntil) {
		a.blockedUntil = now.Add(blockedFor) // each attempt begins it anew
		fail(w, http.StatusUnauthorized, 47, "Temporarily blocked because of too many login failures")
		return
	}
	if body.Password.Username != a.cfg.Username || body.Password.Password != a.password || a.password == "" {
		a.failures++
		if a.failures >= maxFailures {
			a.blockedUntil, a.locked, a.failures = now.Add(blockedFor), true, 0
		}
		fail(w, http.StatusUnauthorized, 3, "Authentication failed")
		return
	}
	a.failures = 0
	switch {
	case a.state == AccountExpired:
		fail(w, http.StatusUnauthorized, 48, "Password expired")
		return
	case a.state == AccountReset:
		answer(w, r, TokenData{NeedToResetPassword: true})
		return
	case a.state == AccountFull || len(a.sessions) >= maxSessions:
		fail(w, http.StatusUnauthorized, 3, "Authentication failed")
		return
	}
	a.logins++
	token := newToken(now.Add(a.cfg.TokenLife))
	a.sessions[token] = &session{started: now, used: now}
	days := a.cfg.PasswordDays
	if days == 0 {
		days = -1
	}
	answer(w, r, TokenData{PasswordDaysUntilExpire: days, Token: &Token{
		Token: token, Fullname: a.cfg.Username, Username: a.cfg.Username, Role: a.cfg.Role, Locale: "en",
		GlobalPermissions: []Permission{{ID: "config", Read: true}}, DomainPermissions: map[string][]string{},
		Timeout: int(a.cfg.IdleTimeout.Seconds()), LastLoginTimestamp: now.Unix(), LastLoginAt: stamp(now), LoginCount: a.logins,
	}})
}

// newToken makes a token of the shape of a JWT, with the claim exp.
func newToken(expires time.Time) string {
	part := func(v any) string {
		b, _ := json.Marshal(v) // maps of texts and numbers
		return base64.RawURLEncoding.EncodeToString(b)
	}
	return part(map[string]any{"alg": "RS256", "typ": "JWT"}) + "." + part(map[string]any{"exp": expires.Unix(), "jti": rand.Text()}) + "." + rand.Text()
}

// keepAlive is PATCH /v1/auth, logout is DELETE.
func (a *accounts) keepAlive(w http.ResponseWriter, r *http.Request) {
	if !a.use(r.Header.Get("X-Auth-Token")) {
		fail(w, http.StatusUnauthorized, 3, "Authentication failed")
	}
}

func (a *accounts) logout(w http.ResponseWriter, r *http.Request) {
	if !a.use(r.Header.Get("X-Auth-Token")) {
		fail(w, http.StatusUnauthorized, 3, "Authentication failed")
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.sessions, r.Header.Get("X-Auth-Token"))
}
