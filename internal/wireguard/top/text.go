package top

import (
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// appendText appends a text in so many columns, cut with an ellipsis or filled
// with blanks; of 0 columns, all of it. Names come from files that others
// write: what a terminal would obey is replaced.
func appendText(b []byte, s string, columns int) []byte {
	used, total := 0, 0
	if columns > 0 {
		total = textWidth(s)
	}
	for _, r := range s {
		r, w := printable(r)
		if columns > 0 && total > columns && used+w > columns-1 {
			b = append(b, "…"...)
			used++
			break
		}
		b = utf8.AppendRune(b, r)
		used += w
	}
	for ; used < columns; used++ {
		b = append(b, ' ')
	}
	return b
}

// printable returns what to show for a character and how many columns that takes.
func printable(r rune) (rune, int) {
	switch {
	case r >= ' ' && r < 0x7f:
		return r, 1
	case r == utf8.RuneError, unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp):
		return '?', 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return r, 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return r, 2
	}
	return r, 1
}

func textWidth(s string) int {
	n := 0
	for _, r := range s {
		_, w := printable(r)
		n += w
	}
	return n
}

// appendRight appends an ASCII text at the right of so many columns.
func appendRight(b, text []byte, columns int) []byte {
	for n := len(text); n < columns; n++ {
		b = append(b, ' ')
	}
	return append(b, text...)
}

// appendBytes appends a number of bytes in four digits at most: 1.23 MB.
func appendBytes(b []byte, n float64) []byte {
	const units = " kMGTPE"
	unit := 0
	for n >= 999.5 && unit < len(units)-1 {
		n /= 1000
		unit++
	}
	decimals := 0
	if unit > 0 && n < 9.995 {
		decimals = 2
	} else if unit > 0 && n < 99.95 {
		decimals = 1
	}
	b = strconv.AppendFloat(b, n, 'f', decimals, 64)
	b = append(b, ' ')
	if unit > 0 {
		b = append(b, units[unit])
	}
	return append(b, 'B')
}

// appendAge appends a duration by its two largest units: 2m05s, 3h12m, 5d04h.
func appendAge(b []byte, d time.Duration) []byte {
	two := func(n int64, unit byte) {
		if n < 10 {
			b = append(b, '0')
		}
		b = append(strconv.AppendInt(b, n, 10), unit)
	}
	seconds := int64(d / time.Second)
	switch {
	case seconds < 60:
		b = append(strconv.AppendInt(b, seconds, 10), 's')
	case seconds < 3600:
		b = append(strconv.AppendInt(b, seconds/60, 10), 'm')
		two(seconds%60, 's')
	case seconds < 86400:
		b = append(strconv.AppendInt(b, seconds/3600, 10), 'h')
		two(seconds/60%60, 'm')
	default:
		b = append(strconv.AppendInt(b, seconds/86400, 10), 'd')
		two(seconds/3600%24, 'h')
	}
	return b
}
