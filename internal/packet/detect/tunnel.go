package detect

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// zone is who asks for names below what. Zone is empty for all names of a client.
type zone struct {
	client netip.Addr
	zone   string
}

// tunnel is the score of the names asked for in a window.
type tunnel struct {
	since  int64
	score  int
	fresh  int
	names  map[uint64]bool // hashes of names seen
	length int             // of the names below the zone
}

// maxNames bounds the names of a zone that are remembered; more are all fresh.
const maxNames = 512

var seed = maphash.MakeSeed()

// Query tells that Orig asks a DNS server for a name. kind is the type's name.
func (d *Detector) Query(c *Conn, query, kind string) {
	d.enter(c.At)
	defer d.mu.Unlock()
	if d.off[DNSTunnel] || len(query) < 2 || d.trusted(c.Orig) || strings.HasSuffix(query, ".arpa") || strings.HasSuffix(query, ".local") {
		return
	}
	base, below := split(query)
	if slices.ContainsFunc(d.cfg.TrustedDomains, func(t string) bool { return query == t || strings.HasSuffix(query, "."+t) }) {
		return
	}
	odd := random(query)
	score := 0
	switch kind {
	case "NULL", "KEY", "TYPE65399": // nobody else asks for these
		score = 3
	case "TXT", "MX", "CNAME", "SRV", "PTR":
		score = 1
	}
	if odd {
		score += 2
	}
	if len(query) > 100 {
		score++
	}
	if below != "" {
		d.score(c, base, query, below, score)
	}
	// A tunnel may do without a zone of its own: the resolver is the other end.
	if odd {
		d.score(c, "", query, query, score)
	}
}

func (d *Detector) score(c *Conn, base, query, below string, score int) {
	t, _ := d.names.get(zone{c.Orig, base})
	if t.names == nil || d.past(t.since, d.cfg.Window) {
		*t = tunnel{since: d.now, names: map[uint64]bool{}}
	}
	h := maphash.String(seed, query)
	if t.names[h] {
		return
	}
	if len(t.names) < maxNames {
		t.names[h] = true
	}
	t.fresh++
	t.score += score
	t.length += len(below)
	if t.score >= d.cfg.TunnelScore {
		what := "below " + base
		if base == "" {
			what = "in all"
		}
		d.alert(DNSTunnel, c, base, t.fresh, strconv.Itoa(t.fresh)+" different names "+what+", "+strconv.Itoa(t.length)+" characters of data, in "+seconds(d.now-t.since))
		t.names = nil
	}
}

// split cuts a name into the domain that somebody registered, as far as that
// can be told without a list of suffixes, and what is below it.
func split(query string) (base, below string) {
	last := strings.LastIndexByte(query, '.')
	if last <= 0 {
		return query, ""
	}
	second := strings.LastIndexByte(query[:last], '.')
	if second < 0 {
		return query, ""
	}
	// co.uk, com.au, ac.jp: a short label before a country is not one's own.
	if len(query)-last == 3 && last-second-1 <= 3 {
		second = strings.LastIndexByte(query[:second], '.')
		if second < 0 {
			return query, ""
		}
	}
	if second == 0 {
		return query, ""
	}
	return query[second+1:], query[:second]
}

// random tells whether a label looks like encoded data: long, letters mixed with digits.
func random(query string) bool {
	for label := range strings.SplitSeq(query, ".") {
		if len(label) < 24 || strings.HasPrefix(label, "xn--") {
			continue
		}
		digits, changes, last := 0, 0, byte(0)
		for i := range len(label) {
			class := byte(1)
			if c := label[i]; c >= '0' && c <= '9' {
				class = 2
				digits++
			} else if c == '-' {
				class = last
			} else if c == '\\' {
				class = 3 // an octet that no name has
				digits++
			}
			if class != last && last != 0 {
				changes++
			}
			last = class
		}
		if digits*8 >= len(label) && changes*6 >= len(label) {
			return true
		}
	}
	return false
}
