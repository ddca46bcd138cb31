package top

import "unicode/utf8"

// maxFilter bounds what can be typed.
const maxFilter = 64

// page is how far PgUp and PgDn go.
const page = 20

// Press takes what a terminal sent for keys that were pressed, and tells
// whether to go on.
func (t *Table) Press(input []byte) (goOn bool) {
	for len(input) > 0 {
		key, size := firstKey(input)
		input = input[size:]
		if t.typing {
			t.typeFilter(key)
		} else if !t.command(key) {
			return false
		}
		if key == "\x03" {
			return false
		}
	}
	return true
}

// firstKey cuts one key off: a character or an escape sequence.
func firstKey(b []byte) (string, int) {
	if b[0] == '\x1b' && len(b) > 2 && (b[1] == '[' || b[1] == 'O') {
		n := 2
		for n < len(b) && n < 8 && (b[n] < '@' || b[n] > '~') {
			n++
		}
		n = min(n+1, len(b))
		return string(b[:n]), n
	}
	_, n := utf8.DecodeRune(b)
	return string(b[:n]), n
}

func (t *Table) typeFilter(key string) {
	switch key {
	case "\r", "\n":
		t.typing = false
	case "\x1b":
		t.typing, t.Filter = false, ""
	case "\x7f", "\b":
		_, n := utf8.DecodeLastRuneInString(t.Filter)
		t.Filter = t.Filter[:len(t.Filter)-n]
	case "\x15": // Ctrl-U
		t.Filter = ""
	default:
		if key >= " " && key[0] != '\x1b' && key[0] != '\x7f' && len(t.Filter) < maxFilter && utf8.ValidString(key) {
			t.Filter += key
		}
	}
	t.arrange()
}

// command obeys one key; false: the user has enough.
func (t *Table) command(key string) bool {
	switch key {
	case "q", "Q", "\x03":
		return false
	case "\x1b":
		if t.help || t.detail {
			t.help, t.detail = false, false
		} else {
			t.Filter = ""
		}
	case "?", "h":
		t.help = !t.help
	case "\r", "\n":
		t.detail = !t.detail
	case "\x1b[A", "\x1bOA", "k":
		t.move(-1)
	case "\x1b[B", "\x1bOB", "j":
		t.move(1)
	case "\x1b[5~":
		t.move(-page)
	case "\x1b[6~":
		t.move(page)
	case "\x1b[H", "\x1bOH", "\x1b[1~", "g":
		t.move(-len(t.shown))
	case "\x1b[F", "\x1bOF", "\x1b[4~", "G":
		t.move(len(t.shown))
	case "/":
		t.typing = true
	case "u":
		t.OnlyUp = !t.OnlyUp
	case " ":
		t.paused = !t.paused
	default:
		t.sortKey(key)
	}
	t.arrange()
	return true
}

func (t *Table) sortKey(key string) {
	by, ok := map[string]Sort{"n": ByName, "d": ByDevice, "a": ByAge, "i": ByReceive, "o": BySend, "l": ByLatency}[key]
	switch {
	case key == "r":
		t.Reverse = !t.Reverse
	case key == "s":
		all := Sorts()
		for i, s := range all {
			if s == t.Sort {
				t.Sort, t.Reverse = all[(i+1)%len(all)], false
				break
			}
		}
	case ok && by == t.Sort:
		t.Reverse = !t.Reverse
	case ok:
		t.Sort, t.Reverse = by, false
	}
}
