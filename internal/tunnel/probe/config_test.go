package probe

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/conf"
)

func TestValidateNamesTheField(t *testing.T) {
	for _, tt := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Interval = conf.Duration(time.Millisecond) }, "interval: "},
		{func(c *Config) { c.Timeout = c.Interval + 1 }, "timeout: "},
		{func(c *Config) { c.Concurrency = 0 }, "concurrency: "},
		{func(c *Config) { c.Families = []string{"x"} }, `families[0]: "x"`},
		{func(c *Config) { c.Status = []string{"http://u:p@h/"} }, "status[0]: "},
		{func(c *Config) { c.Targets[1].ID = c.Targets[0].ID }, `targets[1].id: "1001" is that of targets[0]`},
		{func(c *Config) { c.Targets[1].Name, c.Targets[1].Host = c.Targets[0].Name, c.Targets[0].Host }, "targets[1].name: "},
		{func(c *Config) { c.Targets[0].ID = "" }, "targets[0].id: is missing"},
		{func(c *Config) { c.Targets[0].Company = "" }, "targets[0].company: "},
		{func(c *Config) { c.Targets[0].Company = "a\nb" }, "targets[0].company: "},
		{func(c *Config) { c.Targets[0].Name = strings.Repeat("x", 129) }, "targets[0].name: "},
		{func(c *Config) { c.Targets[0].Host = "a b" }, "targets[0].host: "},
		{func(c *Config) { c.Targets[0].Port = 0 }, "targets[0].port: "},
		{func(c *Config) { c.Targets[0].Address = "x" }, "targets[0].address: "},
		{func(c *Config) { c.Targets[0].Transport = "udp" }, "targets[0].transport: "},
		{func(c *Config) { c.Targets[0].API = "soap" }, "targets[0].api: "},
		{func(c *Config) { c.Targets[0].TLS.CertFile = "x" }, "targets[0].tls: "},
		{func(c *Config) { c.Targets[0].Transport, c.Targets[0].CRLFile = "tcp", "x" }, "targets[0].tls: means nothing"},
		{func(c *Config) { c.Allow = []string{"*:22"} }, "allow[0]: "},
		{func(c *Config) { c.Modules = map[string]Module{"a b": newModule()} }, "modules: "},
		{func(c *Config) { c.Modules = map[string]Module{"m": {}} }, "modules.m.timeout: "},
	} {
		c := goldenConfig()
		tt.change(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("Validate() = %v; want %s...", err, tt.want)
		}
	}
	if err := goldenConfig().Validate(); err != nil {
		t.Errorf("good configuration: %v", err)
	}
	if err := Default().Validate(); err != nil {
		t.Errorf("default: %v", err)
	}
}

func TestAllow(t *testing.T) {
	for _, tt := range []struct {
		rule, host string
		port       int
		want       bool
	}{
		{"hsm.example.org:1102", "hsm.example.org", 1102, true},
		{"hsm.example.org:1102", "HSM.example.org.", 1102, true},
		{"hsm.example.org:1102", "hsm.example.org", 1103, false},
		{"*.example.org:*", "a.b.example.org", 1, true},
		{"*.example.org:*", "example.org", 1, false},
		{"*.example.org:*", "evilexample.org", 1, false},
		{"10.0.0.0/8:1100-1199", "10.9.9.9", 1150, true},
		{"10.0.0.0/8:1100-1199", "11.0.0.1", 1150, false},
		{"10.0.0.0/8:1100-1199", "10.9.9.9.example.org", 1150, false},
		{"[2001:db8::/32]:443", "2001:db8::1", 443, true},
		{"127.0.0.1:443", "::ffff:127.0.0.1", 443, false},
	} {
		a, err := parseAllow(tt.rule)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.has(tt.host, tt.port); got != tt.want {
			t.Errorf("%q has %s:%d = %v; want %v", tt.rule, tt.host, tt.port, got, tt.want)
		}
	}
	for _, bad := range []string{"", "x", ":1", "x:", "x:0", "x:70000", "x:9-1", "x:1-", "*:1", "*.*.org:1", "10.0.0.0/99:1", "a b:1", "x:-1"} {
		if a, err := parseAllow(bad); err == nil {
			t.Errorf("parseAllow(%q) = %+v; want an error", bad, a)
		}
	}
}

// FuzzAllow: a rule that is accepted never lets through what it does not spell:
// another port, or a host that is neither its own, nor below its domain, nor in its network.
func FuzzAllow(f *testing.F) {
	for _, seed := range []string{"hsm.example.org:1102", "*.example.org:*", "10.0.0.0/8:1100-1199", "[2001:db8::/32]:443"} {
		f.Add(seed, "a.example.org", 443)
	}
	f.Fuzz(func(t *testing.T, rule, host string, port int) {
		a, err := parseAllow(rule)
		if err != nil || !a.has(host, port) {
			return
		}
		if port < 1 || port > 65535 {
			t.Errorf("%q lets port %d through", rule, port)
		}
		lower := strings.ToLower(strings.TrimSuffix(host, "."))
		switch {
		case a.host != "" && lower == a.host:
		case a.suffix != "" && strings.HasSuffix(lower, a.suffix):
		case a.prefix.IsValid() && net.ParseIP(host) != nil || strings.Contains(host, "%"):
		default:
			t.Errorf("%q lets %q through", rule, host)
		}
	})
}

// FuzzFind: no target is found that neither the configuration names nor a rule allows.
func FuzzFind(f *testing.F) {
	c := Default()
	c.Targets = []TargetConfig{{ID: "1001", Company: "Acme", Host: "hsm.example.org", Port: 1102, Service: DefaultService()}}
	c.Allow = []string{"10.0.0.0/8:443"}
	p, err := New(c, nil, quiet)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"1001", "hsm.example.org:1102", "10.1.2.3:443", "10.1.2.3:443#@h:1", "[::1]:443", "h:https"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		host, port, own, err := p.find(text)
		if err != nil {
			return
		}
		if own != nil {
			if host != "hsm.example.org" || port != "1102" || !slices.Contains([]string{"1001", "hsm.example.org:1102"}, text) {
				t.Errorf("find(%q) = %s:%s", text, host, port)
			}
			return
		}
		ip := net.ParseIP(host)
		if n, _ := strconv.Atoi(port); ip == nil || ip.To4() == nil || ip.To4()[0] != 10 || n != 443 {
			t.Errorf("find(%q) = %q:%q, which nothing allows", text, host, port)
		}
	})
}

// FuzzStates: a page of states is bounded, or an error.
func FuzzStates(f *testing.F) {
	f.Add(`[{"name":"a","role":"gateway","connections":1,"max":2}]`)
	f.Add(`{}`)
	f.Fuzz(func(t *testing.T, text string) {
		if list, err := decodeStates(strings.NewReader(text)); err == nil && len(list) > maxTargets {
			t.Errorf("%d states", len(list))
		}
	})
}
