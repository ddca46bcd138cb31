// Package neuvector is the demo's NeuVector controller: its REST API with the
// shapes, sessions, lockout and oddities of the real one over data that moves.
// Faults can be switched on, path by path.
package neuvector

import (
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"
)

// Config says what the controller is like. A field without a value takes the one named.
type Config struct {
	// Address to listen on: 127.0.0.1:0.
	Address string
	// Dir is where Open leaves the certificate. Needed by Open only.
	Dir string
	// ClientCAs is who must have signed a client's certificate: none is asked for.
	ClientCAs *x509.CertPool
	// Version of the API, 5.3, 5.4 or 5.6: 5.6.
	Version string
	// Username and Password of the one account: monitor, and none works without a password.
	Username, Password string
	// APIKey is the name and the secret of the one key, with a colon between. None.
	APIKey string
	// APIKeyCost is how long a request with a key holds the lock that all need: none.
	APIKeyCost time.Duration
	// Role of the account: reader. Any other sees no pods of NeuVector itself.
	Role string
	// TokenLife is when a token ends in any case: 6 h. IdleTimeout is when it ends unused: 300 s.
	TokenLife, IdleTimeout time.Duration
	// PasswordDays until the password expires: it never does.
	PasswordDays int
	// Latency of each call: none.
	Latency time.Duration
	// Step is how often Run moves the data: 2 s.
	Step time.Duration
}

// Default returns the configuration of the demo, which lacks directory and password.
func Default() Config {
	return Config{
		Address: "127.0.0.1:0", Version: "5.6", Username: "monitor", Role: "reader",
		TokenLife: 6 * time.Hour, IdleTimeout: 5 * time.Minute, Step: 2 * time.Second,
	}
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	switch {
	case c.Version != "5.3" && c.Version != "5.4" && c.Version != "5.6":
		return errors.New("version: want 5.3, 5.4 or 5.6")
	case c.TokenLife < 0 || c.IdleTimeout < 0 || c.Step < 0 || c.Latency < 0:
		return errors.New("negative duration")
	}
	return nil
}

func (c Config) withDefaults() Config {
	d := Default()
	for _, f := range []struct{ to, from *string }{
		{&c.Address, &d.Address}, {&c.Version, &d.Version}, {&c.Username, &d.Username}, {&c.Role, &d.Role},
	} {
		if *f.to == "" {
			*f.to = *f.from
		}
	}
	for _, f := range []struct{ to, from *time.Duration }{{&c.TokenLife, &d.TokenLife}, {&c.IdleTimeout, &d.IdleTimeout}, {&c.Step, &d.Step}} {
		if *f.to == 0 {
			*f.to = *f.from
		}
	}
	return c
}

// Controller is the simulated controller, an http.Handler. All methods may be called concurrently.
type Controller struct {
	cfg  Config
	log  *slog.Logger
	mux  *http.ServeMux
	auth *accounts

	keyMu sync.Mutex // held while a request with an API key hashes, as in the real one

	mu     sync.Mutex // guards what follows
	world  *World
	faults map[string]*Fault
	calls  map[string]int
	joints map[string]*Controller
	bodies map[string][]byte // answers as they were last made, until the data changes

	listener net.Listener
	caFile   string
}

// New returns a controller that does not listen yet, over the given world.
func New(cfg Config, world *World, log *slog.Logger) (*Controller, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Controller{cfg: cfg, log: log, world: world, auth: newAccounts(cfg), faults: map[string]*Fault{}, calls: map[string]int{}, joints: map[string]*Controller{}, bodies: map[string][]byte{}}
	c.mux = c.routes()
	return c, nil
}

// Join makes other a managed cluster of this one, the primary of the federation.
// id is how it is named in paths, name how people call it.
func (c *Controller) Join(id, name, status string, other *Controller) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.joints[id] = other
	fed := &c.world.Fed
	if fed.FedRole != "master" {
		fed.FedRole = "master"
		fed.MasterCluster = &MasterCluster{Name: "primary", ID: "m1", Status: "active", RestVersion: c.cfg.Version + ".0", RestInfo: RestInfo{Server: "10.1.1.1", Port: 11443}}
	}
	clear(c.bodies)
	fed.JointClusters = append(fed.JointClusters, JointCluster{
		Name: name, ID: id, Status: status, RestVersion: c.cfg.Version + ".0", RestInfo: RestInfo{Server: "10.1.1.2", Port: 10443},
	})
}

// Update changes the data. It must not keep w.
func (c *Controller) Update(change func(w *World)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c.world)
	clear(c.bodies)
}

// Calls returns how often each path has been asked for, without queries.
func (c *Controller) Calls() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.calls)
}

// Locked tells whether the account has ever been locked out.
func (c *Controller) Locked() bool { return c.auth.wasLocked() }

// Sessions returns how many sessions are open.
func (c *Controller) Sessions() int { return c.auth.open() }

// Expire ends all sessions, as a restart of the controller with new keys does.
func (c *Controller) Expire() { c.auth.expire() }

// Account changes what a login meets.
func (c *Controller) Account(password string, state AccountState) { c.auth.set(password, state) }

// ServeHTTP answers as the controller's REST server does.
func (c *Controller) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.calls[r.URL.Path]++
	fault := c.fault(r.URL.Path)
	c.mu.Unlock()
	if c.cfg.Latency > 0 && !sleep(r.Context(), c.cfg.Latency) {
		return
	}
	if fault != nil {
		var done bool
		if w, done = fault.apply(w, r); done {
			return
		}
		if cut, ok := w.(*truncated); ok {
			defer cut.hangUp()
		}
	}
	if r.URL.Path == "/v1/auth" || r.URL.Path == "/v1/eula" {
		c.mux.ServeHTTP(w, r)
		return
	}
	if !c.allow(w, r) {
		return
	}
	c.mux.ServeHTTP(w, r)
}

// allow checks the token or the key of a request.
func (c *Controller) allow(w http.ResponseWriter, r *http.Request) bool {
	if token := r.Header.Get("X-Auth-Token"); token != "" {
		if c.auth.use(token) {
			return true
		}
	} else if key := r.Header.Get("X-Auth-Apikey"); key != "" && c.cfg.APIKey != "" {
		c.keyMu.Lock()
		slept := c.cfg.APIKeyCost == 0 || sleep(r.Context(), c.cfg.APIKeyCost)
		c.keyMu.Unlock()
		if slept && subtle.ConstantTimeCompare([]byte(key), []byte(c.cfg.APIKey)) == 1 {
			return true
		}
	}
	if c.cfg.Version == "5.3" {
		fail(w, http.StatusRequestTimeout, 3, "Authentication failed") // before 5.4.1
		return false
	}
	fail(w, http.StatusUnauthorized, 3, "Authentication failed")
	return false
}
