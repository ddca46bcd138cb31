package top

import (
	"strconv"
	"strings"
	"time"
)

// Colours as a terminal understands them.
const (
	plain  = "\x1b[0m"
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	invert = "\x1b[7m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
)

// What is shown in which colour.
const (
	freshAge    = 185 * time.Second // up to here a tunnel that carries traffic is healthy
	slowLatency = 250 * time.Millisecond
)

// column is one column of the table.
type column struct {
	title string
	sort  Sort // "": none
	width int  // of a column of fixed width
	right bool
	need  int // the terminal's width from which it is there
	put   func(t *Table, b []byte, r *row) []byte
	color func(r *row) string
}

func columns() []column {
	return []column{
		{title: "HANDSHAKE", sort: ByAge, width: 9, right: true, color: ageColor, put: func(_ *Table, b []byte, r *row) []byte {
			if r.never {
				return append(b, "never"...)
			}
			return appendAge(b, r.age)
		}},
		{title: "RX/s", sort: ByReceive, width: 8, right: true, put: func(_ *Table, b []byte, r *row) []byte { return appendRate(b, r.rx, r.hasRates) }},
		{title: "TX/s", sort: BySend, width: 8, right: true, put: func(_ *Table, b []byte, r *row) []byte { return appendRate(b, r.tx, r.hasRates) }},
		{title: "LATENCY", sort: ByLatency, width: 8, right: true, need: 90, color: latencyColor, put: appendLatency},
		{title: "RX", width: 8, right: true, need: 100, put: func(_ *Table, b []byte, r *row) []byte { return appendBytes(b, float64(r.ReceiveBytes)) }},
		{title: "TX", width: 8, right: true, need: 110, put: func(_ *Table, b []byte, r *row) []byte { return appendBytes(b, float64(r.TransmitBytes)) }},
		{title: "DEVICE", sort: ByDevice, width: 10, need: 70, put: func(_ *Table, b []byte, r *row) []byte { return append(b, r.Device...) }},
		{title: "ENDPOINT", width: 22, need: 132, put: func(_ *Table, b []byte, r *row) []byte { return append(b, r.Endpoint...) }},
		{title: "ALLOWED IPS", width: 24, need: 158, put: func(_ *Table, b []byte, r *row) []byte {
			if len(r.AllowedIPs) == 0 {
				return append(b, "(none)"...)
			}
			return append(b, strings.Join(r.AllowedIPs[:min(len(r.AllowedIPs), 4)], ",")...)
		}},
	}
}

func appendRate(b []byte, rate float64, known bool) []byte {
	if !known {
		return append(b, '-')
	}
	return appendBytes(b, rate)
}

func appendLatency(_ *Table, b []byte, r *row) []byte {
	switch {
	case r.LatencySeconds != nil:
		ms := *r.LatencySeconds * 1000
		decimals := 0
		if ms < 9.95 {
			decimals = 1
		}
		return append(strconv.AppendFloat(b, ms, 'f', decimals, 64), " ms"...)
	case r.LossRatio != nil:
		return append(b, "lost"...)
	}
	return append(b, '-')
}

func ageColor(r *row) string {
	switch {
	case r.never:
		return dim
	case r.age <= freshAge:
		return green
	case r.Up:
		return yellow
	}
	return red
}

func latencyColor(r *row) string {
	switch {
	case r.LatencySeconds == nil && r.LossRatio == nil:
		return dim
	case r.LatencySeconds == nil || *r.LatencySeconds > slowLatency.Seconds():
		return red
	case *r.LossRatio > 0:
		return yellow
	}
	return ""
}

// paint appends a text in a colour, if there are colours.
func (t *Table) paint(b []byte, color string, put func([]byte) []byte) []byte {
	if !t.Color || color == "" {
		return put(b)
	}
	return append(put(append(b, color...)), plain...)
}

// widthOfPeer is what the other columns leave for the names.
func widthOfPeer(shown []column, width int) int {
	left := width - 2
	for _, c := range shown {
		left -= c.width + 2
	}
	return max(12, min(left, 48))
}

func fitting(width int) []column {
	var shown []column
	for _, c := range columns() {
		if width >= c.need {
			shown = append(shown, c)
		}
	}
	return shown
}

// header appends the titles; the one that the rows are sorted by is marked.
func (t *Table) header(b []byte, shown []column, peerWidth int) []byte {
	title := func(b []byte, c column, width int) []byte {
		text := c.title
		if c.sort != "" && c.sort == t.Sort {
			text += map[bool]string{false: "▾", true: "▴"}[t.Reverse]
		}
		if c.right {
			for n := textWidth(text); n < width; n++ {
				b = append(b, ' ')
			}
			return append(b, text...)
		}
		return appendText(b, text, width)
	}
	b = append(b, "  "...)
	b = title(b, column{title: "PEER", sort: ByName}, peerWidth)
	for _, c := range shown {
		b = title(append(b, "  "...), c, c.width)
	}
	return b
}

// line appends one peer.
func (t *Table) line(b []byte, r *row, shown []column, peerWidth int) []byte {
	mark, color := "○ ", red
	switch {
	case r.Up:
		mark, color = "● ", green
	case r.never:
		mark, color = "· ", dim
	}
	b = t.paint(b, color, func(b []byte) []byte { return append(b, mark...) })
	nameColor := ""
	if r.Name == "" {
		nameColor = dim
	}
	b = t.paint(b, nameColor, func(b []byte) []byte { return appendText(b, r.label, peerWidth) })
	for _, c := range shown {
		b = append(b, "  "...)
		t.scratch = c.put(t, t.scratch[:0], r)
		color := ""
		if c.color != nil {
			color = c.color(r)
		}
		if c.right {
			b = t.paint(b, color, func(b []byte) []byte { return appendRight(b, t.scratch, c.width) })
		} else {
			b = t.paint(b, color, func(b []byte) []byte { return appendText(b, string(t.scratch), c.width) })
		}
	}
	return b
}

// Plain returns the whole table as text for a pipe, so many columns wide.
func (t *Table) Plain(width int) []byte {
	shown := fitting(width)
	peerWidth := widthOfPeer(shown, width)
	b := append(trimRight(t.header(nil, shown, peerWidth)), '\n')
	for _, i := range t.shown {
		b = append(trimRight(t.line(b, &t.rows[i], shown, peerWidth)), '\n')
	}
	return b
}

func trimRight(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	return b
}

// Screen returns what to write to a terminal of that size to show the table.
// The bytes hold until the next call.
func (t *Table) Screen(width, height int) []byte {
	width, height = max(width, 40), max(height, 6)
	b := t.buffer[:0]
	b = append(b, "\x1b[H"...)
	newline := func() { b = append(b, "\x1b[K\r\n"...) }
	b = t.summary(b, width)
	newline()
	rows := height - 3
	switch {
	case t.help:
		b = lines(b, helpText, width, rows)
	case t.detail && len(t.shown) > 0:
		b = lines(b, t.details(&t.rows[t.shown[t.cursor]]), width, rows)
	default:
		shown := fitting(width)
		peerWidth := widthOfPeer(shown, width)
		b = t.paint(b, bold, func(b []byte) []byte { return t.header(b, shown, peerWidth) })
		newline()
		rows--
		t.first = max(0, min(t.first, t.cursor, len(t.shown)-rows))
		t.first = max(t.first, t.cursor-rows+1)
		for i := range rows {
			if at := t.first + i; at < len(t.shown) {
				if at == t.cursor {
					b = append(b, invert...)
					color := t.Color
					t.Color = false // or it would end the inversion
					b = t.line(b, &t.rows[t.shown[at]], shown, peerWidth)
					t.Color = color
					b = append(b, plain...)
				} else {
					b = t.line(b, &t.rows[t.shown[at]], shown, peerWidth)
				}
			}
			newline()
		}
	}
	b = t.status(b, width)
	newline()
	b = t.paint(b, dim, func(b []byte) []byte { return appendText(b, t.keys(), width) })
	b = append(b, "\x1b[K\x1b[J"...)
	t.buffer = b
	return b
}

// summary is the first line.
func (t *Table) summary(b []byte, width int) []byte {
	var s []byte
	s = append(s, "WireGuard: "...)
	s = append(strconv.AppendInt(s, int64(t.total.devices), 10), " devices, "...)
	s = append(strconv.AppendInt(s, int64(len(t.rows)), 10), " peers, "...)
	s = append(strconv.AppendInt(s, int64(t.total.up), 10), " up   rx "...)
	s = append(appendBytes(s, t.total.rx), "/s  tx "...)
	s = append(appendBytes(s, t.total.tx), "/s   "...)
	s = t.at.AppendFormat(s, time.TimeOnly)
	if t.paused {
		s = append(s, "  paused"...)
	}
	return t.paint(b, bold, func(b []byte) []byte { return appendText(b, string(s), width) })
}

// status is the line above the keys: what is wrong, or what is filtered.
func (t *Table) status(b []byte, width int) []byte {
	switch {
	case t.typing:
		return appendText(b, "filter: "+t.Filter+"█", width)
	case t.err != nil:
		text := strings.ReplaceAll(t.err.Error(), "\n", "; ")
		return t.paint(b, red, func(b []byte) []byte { return appendText(b, text, width) })
	case t.Filter != "" || t.OnlyUp:
		text := strconv.Itoa(len(t.shown)) + " shown"
		if t.Filter != "" {
			text += ", filter: " + t.Filter
		}
		if t.OnlyUp {
			text += ", only connected"
		}
		return t.paint(b, yellow, func(b []byte) []byte { return appendText(b, text, width) })
	}
	return b
}

func (t *Table) keys() string {
	if t.typing {
		return "enter keep  esc clear"
	}
	return "q quit  ↑↓ move  enter details  s sort  r reverse  / filter  u only up  space pause  ? help"
}

const helpText = `q, Ctrl-C       quit
↑ ↓, j k        choose a peer; PgUp, PgDn, Home, End go further
enter           all about the chosen peer; again, or esc: back
s               sort by the next column; n name, d device, a age,
                i received a second, o sent a second, l latency
r               reverse the order
/               filter by name, key, device, endpoint or allowed IP
u               only connected peers
space           pause

● connected   ○ its last handshake is too old   · never connected
Latency is there for peers that are probed (--probe).`

// details is all about one peer.
func (t *Table) details(r *row) string {
	var b []byte
	add := func(title, value string) {
		if value != "" {
			b = appendText(b, title, 20)
			b = append(appendText(b, value, 0), '\n')
		}
	}
	number := func(n uint64) string { return strconv.FormatUint(n, 10) }
	add("peer", r.Name)
	add("public key", r.PublicKey)
	add("replaced key", r.PreviousKey)
	add("device", r.Device)
	add("endpoint", r.Endpoint)
	add("endpoint changes", number(r.EndpointChanges))
	allowed := "(none)"
	if len(r.AllowedIPs) > 0 {
		allowed = strings.Join(r.AllowedIPs[:min(len(r.AllowedIPs), 16)], ", ")
	}
	add("allowed ips", allowed)
	if r.never {
		add("latest handshake", "never")
	} else {
		add("latest handshake", r.LastHandshake.Local().Format(time.DateTime)+", "+string(appendAge(nil, r.age))+" ago")
	}
	add("went up or down", number(r.StateChanges)+" times")
	if r.KeepaliveSeconds > 0 {
		add("keepalive", "every "+strconv.FormatFloat(r.KeepaliveSeconds, 'f', -1, 64)+"s")
	}
	add("received", string(appendBytes(nil, float64(r.ReceiveBytes)))+", "+string(appendRate(nil, r.rx, r.hasRates))+"/s")
	add("sent", string(appendBytes(nil, float64(r.TransmitBytes)))+", "+string(appendRate(nil, r.tx, r.hasRates))+"/s")
	add("latency", string(appendLatency(t, nil, r)))
	if r.LossRatio != nil {
		add("loss", strconv.FormatFloat(*r.LossRatio*100, 'f', 0, 64)+" %")
	}
	return string(b)
}

// lines appends a text of several lines, exactly so many, none wider than the screen.
func lines(b []byte, text string, width, rows int) []byte {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i := range rows {
		if i < len(all) {
			b = appendText(b, all[i], width)
		}
		b = append(b, "\x1b[K\r\n"...)
	}
	return b
}
