// Package relay carries TCP through mutual TLS: guardians, which take plain
// connections on the customer's side, and gateways, which let known guardians
// through to what stands behind them. One engine does both, many tunnels in one process.
package relay

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/tunnel/trust"
)

// Config is the section tunnels.
type Config struct {
	Guardians []Tunnel      `yaml:"guardians"` // the clients' ends: plain in, TLS out
	Gateways  []Tunnel      `yaml:"gateways"`  // the services' ends: TLS in, plain out
	Drain     conf.Duration `yaml:"drain"`     // how long open connections may go on when the program stops
	Reload    conf.Duration `yaml:"reload"`    // how often certificate, key, CA and CRL files are looked at
}

// Tunnel is one listener and where it leads.
type Tunnel struct {
	Name           string        `yaml:"name"`              // in metrics, status and log
	Company        string        `yaml:"company"`           // of a guardian; a gateway's rules say whose a connection is
	Listen         string        `yaml:"listen"`            // host:port, unix:PATH or systemd:NAME
	Targets        []string      `yaml:"targets"`           // host:port or unix:PATH, the first that answers
	ServerName     string        `yaml:"server_name"`       // that the other end's certificate must have, if it is not the target's host
	Proxy          string        `yaml:"proxy"`             // http://HOST:PORT or socks5://HOST:PORT to get out by
	ProxyUser      string        `yaml:"proxy_user"`        // of the proxy
	ProxyPassword  conf.Secret   `yaml:"proxy_password"`    // of the proxy
	CertFile       string        `yaml:"cert_file"`         // with its chain
	KeyFile        string        `yaml:"key_file"`          // of cert_file
	CAFile         string        `yaml:"ca_file"`           // whose certificates the other end must have
	CRLFile        string        `yaml:"crl_file"`          // certificates that are no longer good
	MinVersion     string        `yaml:"min_version"`       // TLS13, or TLS12
	PostQuantum    bool          `yaml:"post_quantum"`      // offer the hybrid key exchange; it costs a third of a handshake
	Allow          []Rule        `yaml:"allow"`             // the certificates that the other end may have; a gateway needs some
	ProxyProtocol  ProxyProtocol `yaml:"proxy_protocol"`    // headers of version 2
	MaxConnections int           `yaml:"max_connections"`   // at once
	MaxPending     int           `yaml:"max_pending"`       // connections whose handshake is not done
	MaxPerCompany  int           `yaml:"max_per_company"`   // connections of one company
	ConnectTimeout conf.Duration `yaml:"connect_timeout"`   // of each target
	Handshake      conf.Duration `yaml:"handshake_timeout"` // of TLS and the acceptance
	IdleTimeout    conf.Duration `yaml:"idle_timeout"`      // 0: none
	TotalTimeout   conf.Duration `yaml:"total_timeout"`     // 0: none
	CloseTimeout   conf.Duration `yaml:"close_timeout"`     // after one side has ended
	Confirm        bool          `yaml:"confirm"`           // agree on the acceptance byte with our own other end
}

// ProxyProtocol says where PROXY protocol v2 headers are expected and sent.
type ProxyProtocol struct {
	In  bool `yaml:"in"`  // expect one from who connects
	Out bool `yaml:"out"` // send one to the target
}

// Rule allows a certificate, and says whose it is.
type Rule struct {
	trust.Identity `yaml:",inline"`
	Company        string `yaml:"company"`         // whose connections these are
	MaxConnections int    `yaml:"max_connections"` // of the company; 0: max_per_company
}

// Default is what a section starts from.
func Default() Config {
	return Config{Drain: conf.Duration(20 * time.Second), Reload: conf.Duration(time.Second)}
}

// DefaultTunnel is what a tunnel starts from.
func DefaultTunnel() Tunnel {
	return Tunnel{
		MinVersion: "TLS13", PostQuantum: true, MaxConnections: 1024, MaxPending: 128, Confirm: true,
		ConnectTimeout: conf.Duration(10 * time.Second), Handshake: conf.Duration(10 * time.Second),
		IdleTimeout: conf.Duration(time.Hour), CloseTimeout: conf.Duration(time.Minute),
	}
}

// UnmarshalYAML starts from the defaults.
func (c *Config) UnmarshalYAML(unmarshal func(any) error) error {
	type plain Config
	*c = Default()
	return unmarshal((*plain)(c))
}

// UnmarshalYAML starts from the defaults.
func (t *Tunnel) UnmarshalYAML(unmarshal func(any) error) error {
	type plain Tunnel
	*t = DefaultTunnel()
	return unmarshal((*plain)(t))
}

const maxTunnels = 10000

// Validate checks what can be known without opening a file or a socket.
func (c Config) Validate() error {
	if len(c.Guardians)+len(c.Gateways) > maxTunnels {
		return conf.Field("guardians", "more than %d tunnels", maxTunnels)
	}
	if c.Reload.Std() < 100*time.Millisecond {
		return conf.Field("reload", "%s is less than 100ms", c.Reload)
	}
	seen := map[string]bool{}
	for kind, list := range map[string][]Tunnel{"guardians": c.Guardians, "gateways": c.Gateways} {
		for i, t := range list {
			path := fmt.Sprintf("%s[%d].", kind, i)
			if err := t.validate(path, kind == "gateways"); err != nil {
				return err
			}
			if seen[kind+t.Name] {
				return conf.Field(path+"name", "%q is there twice", t.Name)
			}
			seen[kind+t.Name] = true
		}
	}
	return nil
}

func (t Tunnel) validate(path string, gateway bool) error {
	bad := func(key, format string, args ...any) error { return conf.Field(path+key, format, args...) }
	switch {
	case t.Name == "" || len(t.Name) > 64:
		return bad("name", "want 1 to 64 characters")
	case t.Listen == "":
		return bad("listen", "is missing")
	case len(t.Targets) == 0 || len(t.Targets) > 64:
		return bad("targets", "want 1 to 64")
	case t.CertFile == "" || t.KeyFile == "":
		return bad("cert_file", "certificate and key are needed: the tunnel is mutual")
	case t.CAFile == "":
		return bad("ca_file", "is missing")
	case t.MinVersion != "TLS13" && t.MinVersion != "TLS12":
		return bad("min_version", "%q: want TLS13 or TLS12", t.MinVersion)
	case t.MaxConnections < 1 || t.MaxPending < 1 || t.MaxPerCompany < 0:
		return bad("max_connections", "want at least 1")
	case t.ConnectTimeout <= 0 || t.Handshake <= 0 || t.CloseTimeout <= 0:
		return bad("connect_timeout", "connect, handshake and close time must have an end")
	case gateway && len(t.Allow) == 0:
		return bad("allow", "say who may come in; everybody of the CA is {uri: \"*\"}")
	case gateway && t.Proxy != "":
		return bad("proxy", "only a guardian dials out through one")
	}
	for i, target := range t.Targets {
		if !strings.HasPrefix(target, "unix:") {
			if _, _, err := net.SplitHostPort(target); err != nil {
				return bad(fmt.Sprintf("targets[%d]", i), "%q: want host:port or unix:PATH", target)
			}
		}
	}
	if t.Proxy != "" {
		u, err := url.Parse(t.Proxy)
		if err != nil || u.Scheme != "http" && u.Scheme != "socks5" || u.Port() == "" || u.User != nil {
			return bad("proxy", "want http://HOST:PORT or socks5://HOST:PORT; the user goes to proxy_user")
		}
		if len(t.ProxyUser) > 255 || len(t.ProxyPassword) > 255 {
			return bad("proxy_user", "is too long")
		}
	}
	for i, r := range t.Allow {
		if err := r.Validate(); err != nil {
			return bad(fmt.Sprintf("allow[%d]", i), "%w", err)
		}
	}
	return nil
}

// Addr is where a tunnel listens, once opened; empty if there is none of the name.
func (r *Relay) Addr(name string) string {
	for _, t := range r.all() {
		if t.cfg.Name == name && t.listener != nil {
			return t.listener.Addr().String()
		}
	}
	return ""
}

// Status is a tunnel as people see it. Times are RFC 3339.
type Status struct {
	Name        string     `json:"name"`
	Role        string     `json:"role"`
	Address     string     `json:"address"`
	Status      string     `json:"status"` // active, or inactive when draining
	Connections int        `json:"connections"`
	Pending     int        `json:"pending"`
	Max         int        `json:"max"`
	CertExpires time.Time  `json:"certificate_expires"`
	ReloadError string     `json:"reload_error,omitempty"`
	Refusals    []*Refusal `json:"refusals,omitempty"` // the last few
}

// Status returns all tunnels.
func (r *Relay) Status() []Status {
	tunnels := r.all()
	list := make([]Status, 0, len(tunnels))
	for _, t := range tunnels {
		list = append(list, t.status())
	}
	return list
}

// ServeHTTP shows Status as JSON.
func (r *Relay) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(r.Status())
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		p := t.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}
