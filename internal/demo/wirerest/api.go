package wirerest

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/peers", s.list)
	mux.HandleFunc("POST /v1/peers", s.create)
	mux.HandleFunc("PATCH /v1/peers", s.update)
	mux.HandleFunc("DELETE /v1/peers", s.remove)
	mux.HandleFunc("GET /v1/peers/find", s.find)
	mux.HandleFunc("GET /v1/interface", s.iface)
	mux.HandleFunc("GET /v1/service/stats", s.stats)
	mux.HandleFunc("GET /v1/service/logs", s.events)
	mux.HandleFunc("GET /actuator/prometheus", s.metrics)
	mux.HandleFunc("GET /swagger-ui", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>Swagger UI</html>") })
	mux.HandleFunc("GET /v3/api-docs", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"openapi": "3.0.1", "info": map[string]string{"title": "WireRest"}})
	})
	return mux
}

// peerDTO is a peer as the API shows it, its preshared key included.
type peerDTO struct {
	PublicKey           string   `json:"publicKey"`
	PresharedKey        string   `json:"presharedKey"`
	Endpoint            *string  `json:"endpoint"`
	AllowedSubnets      []string `json:"allowedSubnets"`
	LatestHandshake     int64    `json:"latestHandshake"`
	TransferRx          int64    `json:"transferRx"`
	TransferTx          int64    `json:"transferTx"`
	PersistentKeepalive int      `json:"persistentKeepalive"`
}

func dto(p *Peer) peerDTO {
	d := peerDTO{
		PublicKey: p.PublicKey, PresharedKey: p.PresharedKey, AllowedSubnets: []string{},
		TransferRx: p.TransferRx, TransferTx: p.TransferTx, PersistentKeepalive: p.Keepalive,
	}
	if p.Endpoint != "" {
		d.Endpoint = &p.Endpoint
	}
	for _, subnet := range p.AllowedSubnets {
		d.AllowedSubnets = append(d.AllowedSubnets, subnet.String())
	}
	if !p.LatestHandshake.IsZero() {
		d.LatestHandshake = p.LatestHandshake.Unix()
	}
	return d
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	page, limit := number(q, "page"), number(q, "limit")
	if page < 0 || limit < 0 {
		refuse(w, http.StatusBadRequest, "page and limit must not be negative")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh(r.Context())
	keys := slices.Clone(s.order)
	switch field, direction, _ := strings.Cut(q.Get("sort"), "."); field {
	case "":
	case "publicKey":
		slices.Sort(keys)
		if direction == "desc" {
			slices.Reverse(keys)
		}
	case "transferRx":
		slices.SortFunc(keys, func(a, b string) int { return int(s.peers[a].TransferRx - s.peers[b].TransferRx) })
	default:
		refuse(w, http.StatusBadRequest, fmt.Sprintf("Sort key %s is not supported", field))
		return
	}
	pages := 1
	if limit > 0 {
		pages = max(1, (len(keys)+limit-1)/limit)
		if page >= pages {
			refuse(w, http.StatusBadRequest, fmt.Sprintf("Page %d is out of range", page))
			return
		}
		keys = keys[page*limit : min(len(keys), (page+1)*limit)]
	}
	content := make([]peerDTO, len(keys))
	for i, key := range keys {
		content[i] = dto(s.peers[key])
	}
	answer(w, http.StatusOK, map[string]any{"totalPages": pages, "currentPage": page, "content": content})
}

func number(q url.Values, key string) int {
	if q.Get(key) == "" {
		return 0
	}
	n, err := strconv.Atoi(q.Get(key))
	if err != nil || n > 1<<20 {
		return -1
	}
	return n
}

// creation is the body of POST, which may be empty.
type creation struct {
	PublicKey           string   `json:"publicKey"`
	PresharedKey        string   `json:"presharedKey"`
	PrivateKey          string   `json:"privateKey"`
	AllowedIPs          []string `json:"allowedIps"`
	PersistentKeepalive int      `json:"persistentKeepalive"`
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	var c creation
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		refuse(w, http.StatusBadRequest, "Malformed JSON")
		return
	}
	if c.PublicKey == "" {
		key, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			refuse(w, http.StatusInternalServerError, "no randomness")
			return
		}
		c.PrivateKey = base64.StdEncoding.EncodeToString(key.Bytes())
		c.PublicKey = base64.StdEncoding.EncodeToString(key.PublicKey().Bytes())
	}
	if c.PresharedKey == "" {
		psk := make([]byte, 32)
		_, _ = rand.Read(psk) // never fails
		c.PresharedKey = base64.StdEncoding.EncodeToString(psk)
	}
	if !isKey(c.PublicKey) || !isKey(c.PresharedKey) {
		refuse(w, http.StatusBadRequest, "Invalid key")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peers[c.PublicKey] != nil {
		refuse(w, http.StatusConflict, "Peer already exists")
		return
	}
	allowed, err := parseSubnets(c.AllowedIPs)
	if err == nil && len(allowed) == 0 {
		allowed, err = s.nextAddress()
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	s.free -= size(allowed)
	s.remember(Peer{PublicKey: c.PublicKey, PresharedKey: c.PresharedKey, AllowedSubnets: allowed, Keepalive: c.PersistentKeepalive})
	s.log("INFO", "Peer created: "+c.PublicKey)
	answer(w, http.StatusCreated, map[string]any{
		"publicKey": c.PublicKey, "presharedKey": c.PresharedKey, "privateKey": c.PrivateKey,
		"allowedSubnets": dto(s.peers[c.PublicKey]).AllowedSubnets, "persistentKeepalive": c.PersistentKeepalive,
	})
}

// nextAddress is the first address of the pool that no peer has.
func (s *Server) nextAddress() ([]netip.Prefix, error) {
	for a := s.cfg.Address.Masked().Addr().Next(); s.cfg.Address.Contains(a.Next()); a = a.Next() {
		taken := a == s.cfg.Address.Addr()
		for _, p := range s.peers {
			taken = taken || slices.ContainsFunc(p.AllowedSubnets, func(n netip.Prefix) bool { return n.Contains(a) })
		}
		if !taken {
			return []netip.Prefix{netip.PrefixFrom(a, 32)}, nil
		}
	}
	return nil, fmt.Errorf("no free ip left in %s", s.cfg.Address.Masked())
}

func (s *Server) update(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.named(w, q)
	if !ok {
		return
	}
	if q.Has("allowedIps") {
		allowed, err := parseSubnets(strings.Split(q.Get("allowedIps"), ","))
		if err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		s.free += size(allowed) - size(p.AllowedSubnets) // the sign is wrong in the real one too
		p.AllowedSubnets = allowed
	}
	if key := q.Get("newPublicKey"); key != "" && isKey(key) {
		s.order[slices.Index(s.order, p.PublicKey)] = key
		delete(s.peers, p.PublicKey)
		p.PublicKey, s.peers[key] = key, p
	}
	if key := q.Get("presharedKey"); key != "" && isKey(key) {
		p.PresharedKey = key
	}
	if q.Has("endpoint") {
		p.Endpoint = q.Get("endpoint")
	}
	if q.Has("persistentKeepalive") {
		p.Keepalive = max(0, number(q, "persistentKeepalive"))
	}
	s.log("INFO", "Peer updated: "+p.PublicKey)
	answer(w, http.StatusOK, dto(p))
}

func (s *Server) remove(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.named(w, r.URL.Query())
	if !ok {
		return
	}
	s.free += size(p.AllowedSubnets)
	delete(s.peers, p.PublicKey)
	s.order = slices.DeleteFunc(s.order, func(key string) bool { return key == p.PublicKey })
	s.log("INFO", "Peer deleted: "+p.PublicKey)
	answer(w, http.StatusOK, dto(p))
}

func (s *Server) find(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh(r.Context())
	if p, ok := s.named(w, r.URL.Query()); ok {
		answer(w, http.StatusOK, dto(p))
	}
}

// named returns the peer of the parameter publicKey, or answers that there is none.
func (s *Server) named(w http.ResponseWriter, q url.Values) (*Peer, bool) {
	key := q.Get("publicKey")
	if !isKey(key) {
		refuse(w, http.StatusBadRequest, "publicKey is not a key")
		return nil, false
	}
	p, ok := s.peers[key]
	if !ok {
		refuse(w, http.StatusNotFound, "Peer not found")
	}
	return p, ok
}

// iface shows the interface's private key to whoever has the token: this is
// what the real one does.
func (s *Server) iface(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"privateKey": s.privateKey, "publicKey": s.publicKey, "listenPort": s.cfg.ListenPort, "fwMark": "off"})
}

func (s *Server) stats(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh(r.Context())
	rx, tx := s.transfer()
	answer(w, http.StatusOK, map[string]any{
		"timestamp": time.Now().UnixMilli(), "peers": len(s.peers), "totalV4Ips": s.total(), "freeV4Ips": s.free, "transferTx": tx, "transferRx": rx,
	})
}

func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	from, limit, levels := number(q, "from"), number(q, "limit"), q.Get("levels")
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []logEvent{}
	for _, e := range s.logs {
		if e.Timestamp >= int64(max(0, from)) && (levels == "" || slices.Contains(strings.Split(levels, ","), e.Level)) && (limit <= 0 || len(found) < limit) {
			found = append(found, e)
		}
	}
	answer(w, http.StatusOK, found)
}

// transfer sums over the peers that the cache has now.
func (s *Server) transfer() (rx, tx int64) {
	for _, p := range s.peers {
		rx, tx = rx+p.TransferRx, tx+p.TransferTx
	}
	return rx, tx
}

func isKey(text string) bool {
	b, err := base64.StdEncoding.DecodeString(text)
	return err == nil && len(b) == 32
}

func parseSubnets(texts []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("subnet %q is not valid", text)
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// size is the number of IPv4 addresses.
func size(subnets []netip.Prefix) (n int64) {
	for _, p := range subnets {
		if p.Addr().Is4() {
			n += 1 << (32 - p.Bits())
		}
	}
	return n
}
