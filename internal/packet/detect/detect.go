// Package detect tells from what connections do whether somebody scans,
// guesses passwords, tunnels or calls home.
//
// It is told events and answers with alerts. It knows nothing of packets. All
// that it remembers is bounded: of each table the key that was quiet for
// longest makes room, so a flood costs the oldest memories and no memory.
package detect

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/orielhq/oriel/internal/conf"
)

// Rule is what an alert is about.
type Rule uint8

// The rules.
const (
	PortScan Rule = iota
	HostScan
	BruteForce
	DNSTunnel
	Beacon
	ClearText
	WeakTLS
	NewDevice
	NewService
	MovedAddress
	Rules
)

var rules = [Rules]struct{ name, severity, technique string }{
	PortScan:     {"port_scan", "warning", "T1046"},
	HostScan:     {"host_scan", "warning", "T1046"},
	BruteForce:   {"brute_force", "warning", "T1110"},
	DNSTunnel:    {"dns_tunnel", "critical", "T1071.004"},
	Beacon:       {"beacon", "warning", "T1071"},
	ClearText:    {"clear_text_credentials", "warning", "T1040"},
	WeakTLS:      {"weak_tls", "info", "T1557"},
	NewDevice:    {"new_device", "info", "T1200"},
	NewService:   {"new_service", "info", "T1543"},
	MovedAddress: {"moved_address", "warning", "T1557.002"},
}

// String is the rule's name in the configuration, in records and as a label.
func (r Rule) String() string { return rules[r].name }

// Severity is info, warning or critical.
func (r Rule) Severity() string { return rules[r].severity }

// Technique is its number in MITRE's ATT&CK.
func (r Rule) Technique() string { return rules[r].technique }

// Conn is the connection that an event is about. Orig began it.
type Conn struct {
	At         int64 // of the event, Unix nanoseconds
	Orig, Resp netip.Addr
	OrigPort   uint16
	RespPort   uint16
	Proto      uint8 // of IP
	Ref        any   // the caller's own, comes back with the alert
}

// Alert is what was found.
type Alert struct {
	Rule   Rule
	Conn   Conn   // the last event's
	Count  int    // of what the rule counts
	Detail string // a sentence without secrets
}

// maxPerMinute bounds the alerts of one rule: under a flood of forged
// addresses everything is new. More are counted as not told.
const maxPerMinute = 100

// Detector finds. Its methods may be called concurrently. Make one with New.
type Detector struct {
	cfg  Config
	off  [Rules]bool
	emit func(Alert)

	mu      sync.Mutex // guards all that follows
	now     int64      // the time of the events
	watched int64      // how long there was something to see
	told    *recent[told, int64]
	counts  [Rules]uint64
	quieted uint64 // alerts not told
	minute  int64
	inThis  [Rules]int // alerts of the minute

	ports    *recent[pair, spread[uint16]]
	hosts    *recent[sweep, spread[netip.Addr]]
	logins   *recent[login, tries]
	names    *recent[zone, tunnel]
	beats    *recent[pair3, beat]
	devices  *recent[string, struct{}]
	services *recent[server, struct{}]
	bindings *recent[netip.Addr, string]
}

// told is what an alert is told once of in a while.
type told struct {
	rule Rule
	a, b netip.Addr
	what string
}

// pair is who does something to whom.
type pair struct {
	orig, resp netip.Addr
	proto      uint8
}

type pair3 struct {
	pair
	port uint16
}

// New returns a detector that calls emit for each alert, with its lock held:
// emit must not call the detector.
func New(cfg Config, emit func(Alert)) *Detector {
	d := &Detector{cfg: cfg, emit: emit}
	for r := range Rules {
		d.off[r] = slices.Contains(cfg.Off, r.String())
	}
	n := cfg.Remember
	d.told = newRecent[told, int64](n)
	d.ports = newRecent[pair, spread[uint16]](n)
	d.hosts = newRecent[sweep, spread[netip.Addr]](n)
	d.logins = newRecent[login, tries](n)
	d.names = newRecent[zone, tunnel](n)
	d.beats = newRecent[pair3, beat](n)
	d.devices = newRecent[string, struct{}](16 * n)
	d.services = newRecent[server, struct{}](16 * n)
	d.bindings = newRecent[netip.Addr, string](16 * n)
	return d
}

// Counts returns how many alerts of each rule were found, and how many alerts
// were not told: again within Config.Repeat, or too many in a minute.
func (d *Detector) Counts() (counts [Rules]uint64, quieted uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts, d.quieted
}

// enter begins an event: it takes the lock and keeps the clock.
func (d *Detector) enter(at int64) {
	d.mu.Lock()
	if d.now != 0 && at > d.now {
		d.watched += min(at-d.now, int64(time.Minute))
	}
	// Workers are a little apart. More is a capture from before the last one.
	if at > d.now || at < d.now-int64(time.Minute) {
		d.now = at
	}
}

// past tells whether more than a span has passed since a time, or the clock was set back.
func (d *Detector) past(since int64, span conf.Duration) bool {
	return d.now < since-int64(time.Minute) || d.now-since > int64(span)
}

// learning tells whether what is new is still ordinary. Hours without traffic,
// as between two captures, teach nothing.
func (d *Detector) learning() bool { return d.watched < int64(d.cfg.Learn) }

// trusted tells whether an address may do what it does.
func (d *Detector) trusted(a netip.Addr) bool {
	for _, p := range d.cfg.Trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// alert tells of what was found, unless it has been told already.
func (d *Detector) alert(r Rule, c *Conn, what string, count int, detail string) {
	key := told{r, c.Orig, c.Resp, what}
	if r == HostScan {
		key.b = netip.Addr{}
	}
	last, known := d.told.get(key)
	if known && !d.past(*last, d.cfg.Repeat) {
		d.quieted++
		return
	}
	*last = d.now
	if minute := d.now / int64(time.Minute); minute != d.minute {
		d.minute, d.inThis = minute, [Rules]int{}
	}
	d.counts[r]++
	if d.inThis[r]++; d.inThis[r] > maxPerMinute {
		d.quieted++
		return
	}
	if d.emit != nil {
		d.emit(Alert{Rule: r, Conn: *c, Count: count, Detail: detail})
	}
}

// inside tells whether an address belongs to the network that is watched.
func (d *Detector) inside(a netip.Addr) bool {
	if a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return true
	}
	for _, p := range d.cfg.Inside {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// toMany tells whether an address is of a group, or of everybody.
func toMany(a netip.Addr) bool {
	if a.IsMulticast() || a.IsUnspecified() {
		return true
	}
	if !a.Is4() {
		return false
	}
	b := a.As4()
	return b[3] == 255 || b[0] >= 240
}

func seconds(nanos int64) string { return time.Duration(nanos).Round(time.Second).String() }
