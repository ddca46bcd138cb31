// Package top shows WireGuard's peers as a table on a terminal, live.
package top

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/orielhq/oriel/internal/wireguard"
)

// Sort is a column to sort by.
type Sort string

// The columns that the table can be sorted by.
const (
	ByName    Sort = "name"
	ByDevice  Sort = "device"
	ByAge     Sort = "age"
	ByReceive Sort = "rx"
	BySend    Sort = "tx"
	ByLatency Sort = "latency"
)

// Sorts are all of them, in the order in which a key goes through them.
func Sorts() []Sort { return []Sort{ByName, ByDevice, ByAge, ByReceive, BySend, ByLatency} }

// Table is the peers with what can be seen of them over time. It is for one goroutine.
type Table struct {
	// Sort and Reverse order the rows, Filter is a text that name, key, device,
	// endpoint or an allowed IP must hold, and OnlyUp hides who is not connected.
	Sort    Sort
	Reverse bool
	Filter  string
	OnlyUp  bool
	// Color draws with colours.
	Color bool

	rows   []row
	shown  []int // indices of rows: filtered and sorted
	before map[peer]counters
	err    error
	total  totals

	at      time.Time
	first   int // the first row on the screen
	cursor  int // the chosen row, in shown
	chosen  peer
	typing  bool // the filter
	paused  bool
	detail  bool
	help    bool
	buffer  []byte
	scratch []byte
}

type peer struct{ device, key string }

type counters struct {
	received, transmitted uint64
	at                    time.Time
}

type totals struct {
	devices, up int
	rx, tx      float64
}

type row struct {
	wireguard.PeerRow
	label    string // the name, or the key
	folded   string // to sort by: in lower case, and those without a name last
	age      time.Duration
	never    bool
	rx, tx   float64 // bytes a second
	hasRates bool
}

// New returns an empty table, sorted by name.
func New() *Table { return &Table{Sort: ByName, before: map[peer]counters{}} }

// Update takes a reading in; err is shown beside what could be read.
func (t *Table) Update(rows []wireguard.PeerRow, err error, now time.Time) {
	next := make(map[peer]counters, len(rows))
	t.rows = slices.Grow(t.rows[:0], len(rows))
	t.err, t.at, t.total = err, now, totals{}
	devices := map[string]struct{}{}
	for i := range rows {
		r := row{PeerRow: rows[i], never: rows[i].LastHandshake == nil}
		if r.label = r.Name; r.label == "" {
			r.label = r.PublicKey
			r.folded = "\U0010ffff" + r.PublicKey
		} else {
			r.folded = strings.ToLower(r.label)
		}
		if !r.never {
			r.age = max(0, now.Sub(*r.LastHandshake))
		}
		id := peer{r.Device, r.PublicKey}
		if old, ok := t.before[id]; ok {
			if seconds := r.Time.Sub(old.at).Seconds(); seconds > 0 {
				r.rx, r.tx, r.hasRates = rate(old.received, r.ReceiveBytes, seconds), rate(old.transmitted, r.TransmitBytes, seconds), true
			}
		}
		next[id] = counters{r.ReceiveBytes, r.TransmitBytes, r.Time}
		devices[r.Device] = struct{}{}
		t.total.rx, t.total.tx = t.total.rx+r.rx, t.total.tx+r.tx
		if r.Up {
			t.total.up++
		}
		t.rows = append(t.rows, r)
	}
	t.total.devices, t.before = len(devices), next
	t.arrange()
}

// rate of a counter; one that is less than before began anew.
func rate(before, now uint64, seconds float64) float64 {
	if now < before {
		before = 0
	}
	return float64(now-before) / seconds
}

// arrange filters and sorts, and keeps the chosen peer chosen.
func (t *Table) arrange() {
	t.shown = t.shown[:0]
	filter := strings.ToLower(t.Filter)
	for i := range t.rows {
		if r := &t.rows[i]; (!t.OnlyUp || r.Up) && r.holds(filter) {
			t.shown = append(t.shown, i)
		}
	}
	slices.SortFunc(t.shown, func(a, b int) int {
		x, y := &t.rows[a], &t.rows[b]
		order := t.compare(x, y)
		if t.Reverse {
			order = -order
		}
		return cmp.Or(order, strings.Compare(x.folded, y.folded), strings.Compare(x.Device, y.Device), strings.Compare(x.PublicKey, y.PublicKey))
	})
	for i, at := range t.shown {
		if r := &t.rows[at]; r.PublicKey == t.chosen.key && r.Device == t.chosen.device {
			t.cursor = i
			break
		}
	}
	t.move(0)
}

// compare puts first what one looks for first: names from A, large rates and
// latencies, and the oldest handshakes; never comes after all of them.
func (t *Table) compare(x, y *row) int {
	switch t.Sort {
	case ByDevice:
		return strings.Compare(x.Device, y.Device)
	case ByAge:
		if x.never != y.never {
			return truth(x.never) - truth(y.never)
		}
		return cmp.Compare(y.age, x.age)
	case ByReceive:
		return cmp.Or(cmp.Compare(y.rx, x.rx), cmp.Compare(y.ReceiveBytes, x.ReceiveBytes))
	case BySend:
		return cmp.Or(cmp.Compare(y.tx, x.tx), cmp.Compare(y.TransmitBytes, x.TransmitBytes))
	case ByLatency:
		return cmp.Compare(latency(y), latency(x))
	default:
		return strings.Compare(x.folded, y.folded)
	}
}

func latency(r *row) float64 {
	if r.LatencySeconds == nil {
		return -1
	}
	return *r.LatencySeconds
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (r *row) holds(filter string) bool {
	if filter == "" {
		return true
	}
	for _, text := range []string{r.Name, r.PublicKey, r.Device, r.Endpoint} {
		if strings.Contains(strings.ToLower(text), filter) {
			return true
		}
	}
	return slices.ContainsFunc(r.AllowedIPs, func(ip string) bool { return strings.Contains(ip, filter) })
}

// move moves the choice by so many rows.
func (t *Table) move(by int) {
	t.cursor = max(0, min(t.cursor+by, len(t.shown)-1))
	if by != 0 && len(t.shown) > 0 {
		r := &t.rows[t.shown[t.cursor]]
		t.chosen = peer{r.Device, r.PublicKey}
	}
}
