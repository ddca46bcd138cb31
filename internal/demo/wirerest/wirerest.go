// Package wirerest simulates WireRest 0.7, a REST API for one WireGuard
// interface, as far as its clients can tell: its paths, answers and refusals,
// the metrics of its actuator in Micrometer's spelling, and the errors of its
// arithmetic. It serves the demo and tests; it changes no interface.
package wirerest

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// maxLogs is WireRest's logging.api.max-elements.
const maxLogs = 1000

// Config is what WireRest is started with.
type Config struct {
	// Interface it serves; its metrics carry application="WireRest-<Interface>".
	Interface string
	// Token of an administrator; empty leaves everything open.
	Token string
	// Address of the interface with its mask: the pool of addresses.
	Address netip.Prefix
	// ListenPort of the interface.
	ListenPort int
	// Peers returns what `wg show dump` would; nil means that only the peers
	// made through the API exist.
	Peers func(context.Context) ([]Peer, error)
}

// Peer is a peer as `wg show dump` has it.
type Peer struct {
	PublicKey       string
	PresharedKey    string
	Endpoint        string // empty if unknown
	AllowedSubnets  []netip.Prefix
	LatestHandshake time.Time // zero if never
	TransferRx      int64
	TransferTx      int64
	Keepalive       int
}

// Server is a running WireRest: an http.Handler.
type Server struct {
	cfg        Config
	privateKey string
	publicKey  string
	started    time.Time
	mux        *http.ServeMux

	mu       sync.Mutex // guards what follows
	order    []string   // public keys, oldest first
	peers    map[string]*Peer
	free     int64
	requests map[requestKey]*requestStats
	logs     []logEvent
	fault    int           // status of every answer of /v1, if not 0
	delay    time.Duration // of every answer of /v1
}

// New starts a WireRest. As the real one it refuses to start when a peer has
// an allowed IP outside of the interface's network.
func New(ctx context.Context, cfg Config) (*Server, error) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	s := &Server{
		cfg: cfg, started: time.Now(), peers: map[string]*Peer{}, requests: map[requestKey]*requestStats{},
		privateKey: base64.StdEncoding.EncodeToString(key.Bytes()), publicKey: base64.StdEncoding.EncodeToString(key.PublicKey().Bytes()),
	}
	s.free = s.total()
	if cfg.Address.Bits() <= 30 {
		s.free -= 3 // network, broadcast, the interface itself
	}
	if cfg.Peers != nil {
		peers, err := cfg.Peers(ctx)
		if err != nil {
			return nil, fmt.Errorf("wg show dump: %w", err)
		}
		for _, p := range peers {
			for _, subnet := range p.AllowedSubnets {
				if subnet.Addr().Is4() {
					if !cfg.Address.Contains(subnet.Addr()) || subnet.Bits() < cfg.Address.Bits() {
						return nil, fmt.Errorf("subnet %s is not in allowed ips range %s", subnet, cfg.Address.Masked())
					}
					s.free-- // whatever its size: an error of the real one
				}
			}
			s.remember(p)
		}
	}
	s.log("INFO", "Started WireRest for "+cfg.Interface)
	s.mux = s.routes()
	return s, nil
}

func (s *Server) total() int64 { return 1 << (32 - s.cfg.Address.Bits()) }

// Fail makes every answer of the API have this status; 0 ends it.
func (s *Server) Fail(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = status
}

// Delay makes every answer of the API wait.
func (s *Server) Delay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

// Grow adds traffic to a peer made through the API.
func (s *Server) Grow(publicKey string, rx, tx int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.peers[publicKey]; p != nil {
		p.TransferRx += rx
		p.TransferTx += tx
	}
}

// Secrets returns what must never be seen elsewhere: the token and all secret keys.
func (s *Server) Secrets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []string{s.privateKey}
	if s.cfg.Token != "" {
		all = append(all, s.cfg.Token)
	}
	for _, p := range s.peers {
		if p.PresharedKey != "" {
			all = append(all, p.PresharedKey)
		}
	}
	return all
}

// remember takes a peer into the cache, in which peers that vanish from the
// interface stay for ever, as in the real one. The caller holds mu or is New.
func (s *Server) remember(p Peer) {
	if _, known := s.peers[p.PublicKey]; !known {
		s.order = append(s.order, p.PublicKey)
	}
	s.peers[p.PublicKey] = &p
}

// refresh reads the interface again. The caller holds mu.
func (s *Server) refresh(ctx context.Context) {
	if s.cfg.Peers == nil {
		return
	}
	peers, err := s.cfg.Peers(ctx)
	if err != nil {
		s.log("ERROR", "wg show dump: "+err.Error())
		return
	}
	for _, p := range peers {
		s.remember(p)
	}
}

// ServeHTTP answers as WireRest does, and counts the request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	rec := &recorder{ResponseWriter: w, status: http.StatusOK}
	_, pattern := s.mux.Handler(r)
	s.mu.Lock()
	fault, delay := s.fault, s.delay
	s.mu.Unlock()
	api := strings.HasPrefix(r.URL.Path, "/v1/")
	if api && delay > 0 {
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
		}
	}
	switch {
	case !s.open(r):
		pattern = ""
		refuse(rec, http.StatusForbidden, "Token is invalid or not provided")
	case api && fault != 0:
		refuse(rec, fault, "Internal Server Error")
	default:
		s.mux.ServeHTTP(rec, r)
	}
	s.count(r.Method, uri(pattern), rec.status, time.Since(start))
}

// open tells whether the request may pass. The real one takes what follows the
// seventh character of the header, whatever word comes before.
func (s *Server) open(r *http.Request) bool {
	if s.cfg.Token == "" || strings.HasPrefix(r.URL.Path, "/swagger-ui") || strings.HasPrefix(r.URL.Path, "/v3/api-docs") {
		return true
	}
	const scheme = len("Bearer ")
	if h := r.Header.Get("Authorization"); len(h) > scheme && h[scheme:] == s.cfg.Token {
		return true
	}
	return r.URL.Query().Get("token") == s.cfg.Token
}

// uri is the label: the pattern of the path, UNKNOWN where there is none.
func uri(pattern string) string {
	if _, path, ok := strings.Cut(pattern, " "); ok {
		return strings.TrimSuffix(path, "/{$}")
	}
	return "UNKNOWN"
}

func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]any{"code": status, "message": message})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader remembers the status.
func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

type logEvent struct {
	Timestamp int64  `json:"timestamp"`
	Level     string `json:"level"`
	Message   string `json:"message"`
}

// log keeps an event for /v1/service/logs. The caller holds mu or is New.
func (s *Server) log(level, message string) {
	s.logs = append(s.logs, logEvent{time.Now().UnixMilli(), level, message})
	if len(s.logs) > maxLogs {
		s.logs = s.logs[1:]
	}
}
