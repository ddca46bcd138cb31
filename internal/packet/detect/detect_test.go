package detect

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orielhq/oriel/internal/conf"
)

// watch returns a detector and what it told.
func watch(change func(*Config)) (*Detector, *[]Alert) {
	cfg := Default()
	if change != nil {
		change(&cfg)
	}
	var told []Alert
	return New(cfg, func(a Alert) { told = append(told, a) }), &told
}

func names(told []Alert) []string {
	var list []string
	for _, a := range told {
		list = append(list, a.Rule.String())
	}
	return list
}

const start = int64(1.7e18)

var (
	alice = netip.MustParseAddr("192.168.1.2")
	bob   = netip.MustParseAddr("192.168.1.3")
	shop  = netip.MustParseAddr("203.0.113.9")
)

func host(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
}

func open(at time.Duration, from, to netip.Addr, port int, proto uint8) *Conn {
	return &Conn{At: start + int64(at), Orig: from, Resp: to, OrigPort: 40000, RespPort: uint16(port), Proto: proto}
}

func TestScans(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Config)
		events func(d *Detector)
		want   []string
	}{
		{"ports of a host", nil, func(d *Detector) {
			for i := range 200 {
				d.Opened(open(time.Duration(i)*time.Second, alice, bob, 1000+i, tcp))
			}
		}, []string{"port_scan"}},
		{"ports that answer", nil, func(d *Detector) {
			for i := range 200 {
				c := open(time.Duration(i)*time.Second, alice, bob, 1000+i, tcp)
				d.Opened(c)
				d.Answered(c)
			}
		}, nil},
		{"ports over hours", nil, func(d *Detector) {
			for i := range 200 {
				d.Opened(open(time.Duration(i)*time.Minute, alice, bob, 1000+i, tcp))
			}
		}, nil},
		{"one port again and again", nil, func(d *Detector) {
			for range 1000 {
				d.Opened(open(0, alice, bob, 80, tcp))
			}
		}, nil},
		{"traceroute", nil, func(d *Detector) {
			for i := range 90 {
				d.Opened(open(0, alice, shop, 33434+i, udp))
			}
		}, nil},
		{"ports of a host by a trusted one", func(c *Config) { c.Trusted = []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16")} }, func(d *Detector) {
			for i := range 200 {
				d.Opened(open(0, alice, host(i), 1000+i, tcp))
			}
		}, nil},
		{"hosts on a port", nil, func(d *Detector) {
			for i := range 200 {
				d.Opened(open(0, alice, host(i), 22, tcp))
			}
		}, []string{"host_scan"}},
		{"hosts that ping", nil, func(d *Detector) {
			for i := range 200 {
				d.Opened(open(0, alice, host(i), 0, icmp))
			}
		}, []string{"host_scan"}},
		{"multicast", nil, func(d *Detector) {
			for i := range 200 {
				d.Opened(open(0, host(i), netip.MustParseAddr("224.0.0.251"), 5353+i, udp))
			}
		}, nil},
		{"rule that is off", func(c *Config) { c.Off = []string{"host_scan", "port_scan"} }, func(d *Detector) {
			for i := range 200 {
				d.Opened(open(0, alice, host(i), 22, tcp))
				d.Opened(open(0, alice, bob, i, tcp))
			}
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, told := watch(tt.change)
			tt.events(d)
			if diff := cmp.Diff(tt.want, names(*told)); diff != "" {
				t.Errorf("alerts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAlertIsToldAgainAfterRepeat(t *testing.T) {
	d, told := watch(nil)
	for _, at := range []time.Duration{0, 30 * time.Minute, 61 * time.Minute} {
		for i := range 60 {
			d.Opened(open(at, alice, bob, 1000+i, tcp))
		}
	}
	counts, quieted := d.Counts()
	if len(*told) != 2 || counts[PortScan] != 2 || quieted == 0 {
		t.Errorf("%d alerts, counts %v, %d quieted; want 2 told", len(*told), counts, quieted)
	}
}

func TestClockSetBackBeginsAnew(t *testing.T) {
	d, told := watch(nil)
	d.Opened(open(24*time.Hour, alice, host(1), 1, tcp))
	for i := range 40 {
		d.Opened(open(time.Hour, alice, bob, 1000+i, tcp))
	}
	for i := range 40 {
		d.Opened(open(time.Duration(i)*time.Second, alice, bob, 2000+i, tcp)) // an hour earlier: another capture
	}
	if len(*told) != 0 {
		t.Errorf("alerts %v; want none: neither capture has 50 ports", *told)
	}
	for i := range 20 {
		d.Opened(open(time.Minute+time.Duration(i)*time.Second, alice, bob, 3000+i, tcp))
	}
	if len(*told) != 1 || !strings.Contains((*told)[0].Detail, "in 1m") {
		t.Errorf("alerts %v; want one scan of a minute", *told)
	}
}

func TestGuesses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		events func(d *Detector)
		want   []string
	}{
		{"refused", func(d *Detector) {
			for range 15 {
				d.LoginFailed(open(0, alice, bob, 21, tcp), "ftp")
			}
		}, []string{"brute_force"}},
		{"typist", func(d *Detector) {
			for range 5 {
				d.LoginFailed(open(0, alice, bob, 21, tcp), "ftp")
				d.LoginFailed(open(0, alice, bob, 21, tcp), "ftp")
				d.LoginFailed(open(0, alice, bob, 21, tcp), "ftp")
				d.LoginOK(open(0, alice, bob, 21, tcp), "ftp")
			}
		}, nil},
		{"short SSH", func(d *Detector) {
			for i := range 12 {
				d.Ended(open(time.Duration(i)*time.Second, alice, bob, 22, tcp), "ssh", 2600, 2500)
			}
		}, []string{"brute_force"}},
		{"SSH with work", func(d *Detector) {
			for range 50 {
				d.Ended(open(0, alice, bob, 22, tcp), "ssh", 3000, 90000)
			}
		}, nil},
		{"port 22 of another protocol", func(d *Detector) {
			for range 50 {
				d.Ended(open(0, alice, bob, 22, tcp), "http", 2600, 2500)
			}
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, told := watch(nil)
			tt.events(d)
			if diff := cmp.Diff(tt.want, names(*told)); diff != "" {
				t.Errorf("alerts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTunnels(t *testing.T) {
	ask := func(d *Detector, n int, kind string, name func(i int) string) {
		for i := range n {
			d.Query(open(time.Duration(i)*time.Second/5, alice, bob, 53, udp), name(i), kind)
		}
	}
	for _, tt := range []struct {
		name   string
		kind   string
		query  func(i int) string
		alerts bool
	}{
		{"data below a zone", "A", func(i int) string { return fmt.Sprintf("%032x.t.example.com", i*0x9e3779b97f4a7c1) }, true},
		{"data below nothing", "A", func(i int) string { return fmt.Sprintf("dnscat.%032x", i*0x9e3779b97f4a7c1) }, true},
		{"null", "NULL", func(i int) string { return fmt.Sprintf("x%d.t.sea", i) }, true},
		{"pages", "A", func(i int) string { return fmt.Sprintf("www%d.example%d.com", i, i%70) }, false},
		{"content network", "AAAA", func(i int) string { return fmt.Sprintf("d%dabcdef2k9.cloudfront.net", i) }, false},
		{"mail", "TXT", func(i int) string { return fmt.Sprintf("_dmarc.example%d.com", i) }, false},
		{"reverse", "PTR", func(i int) string { return fmt.Sprintf("%d.1.1.10.in-addr.arpa", i) }, false},
		{"the same name", "TXT", func(int) string { return "0123456789abcdef0123456789abcdef.t.example.com" }, false},
		{"long words", "A", func(i int) string {
			return fmt.Sprintf("ec%d-compute-internal-production-frontend.region.example.com", i%9)
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, told := watch(nil)
			ask(d, 300, tt.kind, tt.query)
			if got := len(*told) > 0; got != tt.alerts {
				t.Errorf("alerts %v; want any: %v", *told, tt.alerts)
			}
		})
	}
}

func TestBeacons(t *testing.T) {
	for _, tt := range []struct {
		name string
		to   netip.Addr
		port int
		gap  func(i int) time.Duration
		want []string
	}{
		{"every minute", shop, 443, func(int) time.Duration { return time.Minute }, []string{"beacon"}},
		{"every minute or so", shop, 443, func(i int) time.Duration { return time.Minute + time.Duration(i%3)*time.Second }, []string{"beacon"}},
		{"as people do", shop, 443, func(i int) time.Duration { return time.Minute * time.Duration(1+i*i%7) }, nil},
		{"inside", bob, 443, func(int) time.Duration { return time.Minute }, nil},
		{"clocks", shop, 123, func(int) time.Duration { return time.Minute }, nil},
		{"at once", shop, 443, func(int) time.Duration { return time.Millisecond }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, told := watch(nil)
			at := time.Duration(0)
			for i := range 40 {
				at += tt.gap(i)
				c := open(at, alice, tt.to, tt.port, tcp)
				d.Opened(c)
				d.Answered(c)
			}
			if diff := cmp.Diff(tt.want, names(*told)); diff != "" {
				t.Errorf("alerts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsNewIsToldAfterLearning(t *testing.T) {
	d, told := watch(nil)
	see := func(at time.Duration, mac string, addr netip.Addr, port int) {
		d.Device(start+int64(at), mac, addr)
		c := open(at, bob, addr, port, tcp)
		d.Opened(c)
		d.Answered(c)
	}
	see(0, "02:00:00:00:00:01", alice, 80)
	see(30*time.Minute, "02:00:00:00:00:02", bob, 443)
	see(2*time.Hour, "02:00:00:00:00:07", alice, 8081) // after hours of silence
	for i := range 70 {
		see(2*time.Hour+time.Duration(i)*time.Minute, "02:00:00:00:00:01", alice, 80)
	}
	if len(*told) != 0 {
		t.Errorf("alerts %v; want none of what was learned", *told)
	}
	see(4*time.Hour, "02:00:00:00:00:03", alice, 8080)
	if diff := cmp.Diff([]string{"new_device", "moved_address", "new_service"}, names(*told)); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
}

func TestCredentialsAndTLS(t *testing.T) {
	d, told := watch(nil)
	c := open(0, alice, shop, 21, tcp)
	d.Credentials(c, "ftp", "alice")
	d.Credentials(c, "ftp", "alice")
	d.Weak(c, "the server chose TLS 1.0")
	d.Weak(c, "the server chose TLS 1.0")
	var details []string
	for _, a := range *told {
		details = append(details, a.Detail)
	}
	want := []string{
		"a password was sent in clear text by ftp for user alice", "the server chose TLS 1.0",
	}
	if diff := cmp.Diff(want, details); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
}

func TestMemoryIsBoundedUnderFlood(t *testing.T) {
	d, told := watch(func(c *Config) { c.Remember, c.Learn = 64, 0 })
	for i := range 100_000 {
		from := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		c := &Conn{At: start + int64(i)*1000, Orig: from, Resp: shop, RespPort: uint16(i), Proto: tcp}
		d.Opened(c)
		c.Resp = from
		d.Answered(c)
		d.LoginFailed(c, "ftp")
		d.Query(c, fmt.Sprintf("%x.example%d.com", i, i), "TXT")
		d.Device(c.At, fmt.Sprintf("02:00:00:%02x:%02x:%02x", i>>16, i>>8&255, i&255), from)
	}
	if a, b, c, e, f := len(d.ports.m), len(d.hosts.m), len(d.logins.m), len(d.names.m), len(d.beats.m); a > 64 || b > 64 || c > 64 || e > 64 || f > 64 ||
		len(d.devices.m) > 1024 || len(d.services.m) > 1024 || len(d.bindings.m) > 1024 || len(d.told.m) > 64 {
		t.Errorf("tables of %d, %d, %d, %d, %d, %d, %d, %d; want at most 64 and 1024", a, b, c, e, f, len(d.devices.m), len(d.services.m), len(d.bindings.m))
	}
	if _, quieted := d.Counts(); len(*told) > int(Rules)*maxPerMinute || quieted == 0 {
		t.Errorf("%d alerts told, %d not; want few of a flood", len(*told), quieted)
	}
}

func TestRecentForgetsTheLongestQuiet(t *testing.T) {
	r := newRecent[int, int](2)
	for _, k := range []int{1, 2, 1, 3} {
		r.get(k)
	}
	if r.peek(2) != nil || r.peek(1) == nil || r.peek(3) == nil {
		t.Errorf("keys %v; want 1 and 3", r.m)
	}
}

func TestSplit(t *testing.T) {
	for _, tt := range []struct{ in, base, below string }{
		{"a.b.example.com", "example.com", "a.b"},
		{"a.example.co.uk", "example.co.uk", "a"},
		{"example.co.uk", "example.co.uk", ""},
		{"co.uk", "co.uk", ""},
		{"x.pirate.sea", "pirate.sea", "x"},
		{"com", "com", ""},
		{".", ".", ""},
		{"example.com", "example.com", ""},
	} {
		if base, below := split(tt.in); base != tt.base || below != tt.below {
			t.Errorf("split(%q) = %q, %q; want %q, %q", tt.in, base, below, tt.base, tt.below)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		change func(*Config)
		want   string
	}{
		{func(*Config) {}, ""},
		{func(c *Config) { c.Off = []string{"dns_tunnel", "no_rule"} }, "off[1]"},
		{func(c *Config) { c.Window = 0 }, "window"},
		{func(c *Config) { c.Learn = -conf.Duration(time.Second) }, "learn"},
		{func(c *Config) { c.Ports = 1 }, "ports"},
		{func(c *Config) { c.Beats = 1000 }, "beats"},
		{func(c *Config) { c.Remember = 0 }, "remember"},
	} {
		cfg := Default()
		tt.change(&cfg)
		err := cfg.Validate()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Validate = %v; want %q", err, tt.want)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"a.b.example.com", "x.co.uk", ".", "", `\255\001.a`, "..", "xn--a.b"} {
		f.Add(s, "TXT")
	}
	f.Fuzz(func(t *testing.T, query, kind string) {
		base, below := split(query)
		if below == "" && base != query || below != "" && below+"."+base != query {
			t.Errorf("split(%q) = %q, %q", query, base, below)
		}
		d, told := watch(nil)
		for i := range 200 {
			d.Query(open(time.Duration(i), alice, bob, 53, udp), query, kind)
		}
		if len(*told) != 0 {
			t.Errorf("one name is a tunnel: %v", *told)
		}
	})
}
