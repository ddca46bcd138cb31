package top

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/wireguard"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func somePeers() []wireguard.PeerRow {
	return []wireguard.PeerRow{
		{Time: start, Device: "wg0", PublicKey: "AAAA=", Name: "Ana's laptop", Endpoint: "192.0.2.7:51820", AllowedIPs: []string{"10.9.0.2/32"}, LastHandshake: new(start.Add(-65 * time.Second)), ReceiveBytes: 1000, TransmitBytes: 5e9, Up: true, LatencySeconds: new(0.0123), LossRatio: new(0.0)},
		{Time: start, Device: "wg1", PublicKey: "BBBB=", Name: "build server", LastHandshake: new(start.Add(-49 * time.Hour)), ReceiveBytes: 2e6, TransmitBytes: 300, LossRatio: new(1.0)},
		{Time: start, Device: "wg0", PublicKey: "CCCC=", AllowedIPs: []string{"10.9.0.9/32"}},
	}
}

func TestPlainTable(t *testing.T) {
	table := New()
	rows := somePeers()
	table.Update(rows, nil, start)
	for i := range rows {
		rows[i].Time = start.Add(2 * time.Second)
	}
	rows[0].ReceiveBytes += 4000
	rows[1].ReceiveBytes = 600 // began anew
	table.Update(rows, nil, start.Add(2*time.Second))
	proctest.Golden(t, "testdata/plain.txt", table.Plain(180))
}

func TestScreens(t *testing.T) {
	for _, tt := range []struct{ name, keys string }{{"table", ""}, {"details", "\x1b[B\r"}, {"help", "?"}, {"filter", "/ana\r"}, {"typing", "/ser"}} {
		t.Run(tt.name, func(t *testing.T) {
			table := New()
			table.Color = true
			table.Update(somePeers(), errors.New("device \"wg9\": no such device"), start)
			if tt.name != "table" {
				table.err = nil
			}
			if !table.Press([]byte(tt.keys)) {
				t.Fatal("it ended")
			}
			screen := table.Screen(100, 12)
			if n := strings.Count(string(screen), "\r\n"); n != 11 {
				t.Errorf("%d line ends; want 11 for a screen of 12", n)
			}
			local := regexp.MustCompile(`2026-\d\d-\d\d \d\d:\d\d:\d\d`).ReplaceAll(screen, []byte("DATE"))
			proctest.Golden(t, "testdata/screen-"+tt.name+".txt", local)
		})
	}
}

// order returns the keys' first letters, in the order shown.
func order(t *Table) string {
	var s string
	for _, i := range t.shown {
		s += t.rows[i].PublicKey[:1]
	}
	return s
}

func TestKeysSortAndFilter(t *testing.T) {
	tests := []struct{ keys, want string }{
		{"", "ABC"},
		{"r", "CBA"},
		{"n", "CBA"},
		{"d", "ACB"},
		{"a", "BAC"},
		{"ar", "CAB"},
		{"i", "BAC"},
		{"o", "ABC"},
		{"l", "ABC"},
		{"ssss", "ABC"},
		{"u", "A"},
		{"uu", "ABC"},
		{"/LAP\r", "A"},
		{"/wg0\r", "AC"},
		{"/wg0\x1b", "ABC"},
		{"/zzz\x7f\x7f\x7f10.9.0.9\r", "C"},
		{"/zz\x15bbbb", "B"},
		{"/wg0\r\x1b", "ABC"},
		{"/\x1b[A10.9\r", "AC"},
		{"/192.0.2.7", "A"},
		{"/nobody", ""},
	}
	for _, tt := range tests {
		table := New()
		table.Update(somePeers(), nil, start)
		if !table.Press([]byte(tt.keys)) {
			t.Errorf("%q: it ended", tt.keys)
		}
		if got := order(table); got != tt.want {
			t.Errorf("%q: order %s; want %s", tt.keys, got, tt.want)
		}
		table.Screen(80, 10) // whatever is chosen, there is a screen
	}
	for _, keys := range []string{"q", "\x03", "/ab\x03"} {
		if table := New(); table.Press([]byte(keys)) {
			t.Errorf("%q does not end it", keys)
		}
	}
}

func TestTheChosenPeerStaysChosen(t *testing.T) {
	table := New()
	table.Update(somePeers(), nil, start)
	table.Press([]byte("jj")) // CCCC=
	table.Press([]byte("r"))
	if got := table.rows[table.shown[table.cursor]].PublicKey; got != "CCCC=" {
		t.Errorf("chosen %s", got)
	}
	table.Press([]byte("\x1b[6~\x1b[F\x1b[H\x1b[5~"))
	if table.cursor != 0 {
		t.Errorf("cursor = %d", table.cursor)
	}
}

func TestScrolling(t *testing.T) {
	table := New()
	table.Update(manyPeers(100, start), nil, start)
	for _, tt := range []struct{ keys, want string }{{"", "peer 000"}, {"G", "peer 099"}, {"g", "peer 000"}, {"\x1b[6~\x1b[6~", "peer 040"}} {
		table.Press([]byte(tt.keys))
		if screen := string(table.Screen(80, 20)); !strings.Contains(screen, invert+"● "+tt.want) && !strings.Contains(screen, invert+"○ "+tt.want) {
			t.Errorf("%q: %s is not the chosen one on\n%s", tt.keys, tt.want, screen)
		}
	}
}

// A name must not reach the terminal as a command: names come from files and tools of others.
func TestNamesCannotCommandTheTerminal(t *testing.T) {
	rows := somePeers()
	for _, evil := range []string{"\x1b]0;owned\x07", "\x1b[2J", "\u009b31m", "a\r\nb", "\u202egnp.exe", "\xff\xfe", "tab\tx", "\u2028"} {
		rows[0].Name, rows[0].Endpoint, rows[0].Device, rows[0].AllowedIPs = evil, evil, evil, []string{evil}
		table := New()
		table.Update(rows[:1], errors.New(evil), start)
		table.Filter = ""
		for _, keys := range []string{"", "\r"} {
			table.Press([]byte(keys))
			screen := string(table.Screen(200, 30))
			own := regexp.MustCompile(`\x1b\[[0-9;]*[HKJm]|\r\n`).ReplaceAllString(screen, "")
			if i := strings.IndexFunc(own, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e' || r == '\u2028' }); i >= 0 || !utf8.ValidString(own) {
				t.Errorf("%q: the screen has %q", evil, own[max(i, 0):])
			}
			if strings.Contains(screen, "\x1b[2J") {
				t.Errorf("%q gets through", evil)
			}
		}
		if strings.ContainsAny(string(table.Plain(200)), "\x1b\r\t") {
			t.Errorf("%q gets through in plain text", evil)
		}
	}
}

func TestLinesFitTheScreen(t *testing.T) {
	rows := somePeers()
	rows[0].Name = strings.Repeat("名前", 60)
	rows[1].Name = strings.Repeat("e\u0301", 80)
	rows[2].AllowedIPs = slices.Repeat([]string{"fd00:1111:2222:3333:4444:5555:6666:7777/128"}, 100)
	rows[2].Endpoint = "[fd00:1111:2222:3333:4444:5555:6666:7777]:51820"
	table := New()
	table.Update(rows, errors.New(strings.Repeat("long ", 100)), start)
	for width := 40; width < 220; width += 7 {
		for _, keys := range []string{"", "\r", "\r"} {
			table.Press([]byte(keys))
			text := regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`).ReplaceAllString(string(table.Screen(width, 16)), "")
			for line := range strings.SplitSeq(text, "\r\n") {
				if w := textWidth(line); w > max(width, 60) {
					t.Errorf("width %d: a line of %d: %q", width, w, line)
				}
			}
		}
	}
}

func TestBytesAndAges(t *testing.T) {
	for n, want := range map[float64]string{0: "0 B", 999: "999 B", 999.6: "1.00 kB", 1234: "1.23 kB", 99_940: "99.9 kB", 99_960: "100 kB", 999_600: "1.00 MB", 5e9: "5.00 GB", 1.8e19: "18.0 EB"} {
		if got := string(appendBytes(nil, n)); got != want {
			t.Errorf("appendBytes(%v) = %q; want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", 59 * time.Second: "59s", 65 * time.Second: "1m05s", 3*time.Hour + 12*time.Minute: "3h12m", 100 * time.Hour: "4d04h"} {
		if got := string(appendAge(nil, d)); got != want {
			t.Errorf("appendAge(%s) = %q; want %q", d, got, want)
		}
	}
}

func FuzzPress(f *testing.F) {
	f.Add("jjG/ana\r\x1b[A", "name")
	f.Add("\x1b", "\x1b[2J")
	f.Fuzz(func(t *testing.T, keys, name string) {
		table := New()
		rows := somePeers()
		rows[0].Name = name
		table.Update(rows, nil, start)
		table.Press([]byte(keys))
		if len(table.Filter) > maxFilter+utf8.UTFMax {
			t.Errorf("a filter of %d bytes", len(table.Filter))
		}
		if screen := table.Screen(80, 10); strings.Count(string(screen), "\n") != 9 || !utf8.Valid(screen) {
			t.Errorf("screen = %q", screen)
		}
	})
}

func manyPeers(n int, at time.Time) []wireguard.PeerRow {
	rows := make([]wireguard.PeerRow, n)
	for i := range rows {
		rows[i] = wireguard.PeerRow{
			Time: at, Device: "wg0", PublicKey: proctest.PeerKeyText(i), Name: fmt.Sprintf("peer %03d", i), Endpoint: "192.0.2.7:51820",
			AllowedIPs: []string{"10.9.0.2/32", "fd00::1/128"}, LastHandshake: new(at.Add(-time.Duration(i) * time.Second)),
			ReceiveBytes: uint64(i * 7919 % 10007 * int(at.Unix()%1000)), TransmitBytes: uint64(i), Up: i < 300,
		}
	}
	return rows
}

// BenchmarkRedraw10kPeers is a reading taken in and the screen drawn.
func BenchmarkRedraw10kPeers(b *testing.B) {
	for _, by := range []Sort{ByName, ByReceive} {
		b.Run(string(by), func(b *testing.B) {
			readings := [][]wireguard.PeerRow{manyPeers(10_000, start), manyPeers(10_000, start.Add(2*time.Second))}
			table := New()
			table.Sort, table.Color, table.Filter = by, true, "peer"
			b.ReportAllocs()
			before := cpuTime(b)
			for i := 0; b.Loop(); i++ {
				table.Update(readings[i%2], nil, start)
				table.Screen(200, 60)
			}
			b.ReportMetric((cpuTime(b)-before).Seconds()*1000/float64(b.N), "cpu-ms/op")
		})
	}
}

// cpuTime is the processor time of this process, which a busy machine does not stretch.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkKey10kPeers is a key pressed and the screen drawn.
func BenchmarkKey10kPeers(b *testing.B) {
	table := New()
	table.Color = true
	table.Update(manyPeers(10_000, start), nil, start)
	b.ReportAllocs()
	for b.Loop() {
		table.Press([]byte("j"))
		table.Screen(200, 60)
	}
}
