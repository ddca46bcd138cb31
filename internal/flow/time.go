package flow

import (
	"fmt"
	"time"
)

// maxYear is the last year whose times fit all readers of the lake's files.
const maxYear = 9999

// parseTime reads an RFC 3339 time, of up to nanoseconds. Without a zone it is UTC:
// IBM's documentation shows such.
func parseTime(b []byte) (Time, error) {
	bad := func() (Time, error) { return 0, fmt.Errorf("%q is not a time", excerpt(b)) }
	if len(b) < 19 || b[4] != '-' || b[7] != '-' || b[10] != 'T' && b[10] != 't' && b[10] != ' ' || b[13] != ':' || b[16] != ':' {
		return bad()
	}
	ok := true
	num := func(i, j int) int64 {
		var n int64
		for ; i < j; i++ {
			c := b[i] - '0'
			ok = ok && c <= 9
			n = n*10 + int64(c)
		}
		return n
	}
	y, mo, d, h, mi, s := num(0, 4), num(5, 7), num(8, 10), num(11, 13), num(14, 16), num(17, 19)
	if !ok || mo < 1 || mo > 12 || d < 1 || d > daysIn(y, mo) || h > 23 || mi > 59 || s > 60 {
		return bad()
	}
	micros := (daysBefore(y, mo, d)*86400+h*3600+mi*60+s)*1e6 + 0
	i := 19
	if i < len(b) && b[i] == '.' {
		unit := int64(100_000)
		start := i + 1
		for i++; i < len(b) && b[i]-'0' <= 9; i++ {
			micros += int64(b[i]-'0') * unit
			unit /= 10
		}
		if i == start || i-start > 12 {
			return bad()
		}
	}
	switch zone := b[i:]; {
	case len(zone) == 0 || len(zone) == 1 && (zone[0] == 'Z' || zone[0] == 'z'):
	case len(zone) == 6 && (zone[0] == '+' || zone[0] == '-') && zone[3] == ':':
		zh, zm := num(i+1, i+3), num(i+4, i+6)
		if !ok || zh > 23 || zm > 59 {
			return bad()
		}
		east := (zh*3600 + zm*60) * 1e6
		if zone[0] == '-' {
			east = -east
		}
		micros -= east
	default:
		return bad()
	}
	return Time(micros), nil
}

// unixTime is a time in seconds or milliseconds, told apart by their digits.
func unixTime(n int64) (Time, error) {
	switch {
	case n < 0:
		return 0, fmt.Errorf("time %d is before 1970", n)
	case n < 1e11:
		return Time(n * 1e6), nil
	case n < 1e14:
		return Time(n * 1e3), nil
	}
	return 0, fmt.Errorf("time %d is too far ahead", n)
}

// plausible refuses times that can only be a fault: such a row would make a partition of its own.
func plausible(t Time) error {
	if y := t.Std().Year(); t <= 0 || y > maxYear {
		return fmt.Errorf("start time %s makes no sense", t.Std().Format(time.RFC3339))
	}
	return nil
}

// daysBefore is the days from 1970 to a date.
func daysBefore(y, m, d int64) int64 {
	if m <= 2 {
		y--
	}
	era := y / 400
	if y < 0 {
		era = (y - 399) / 400
	}
	yoe := y - era*400
	mp := (m + 9) % 12
	return era*146097 + yoe*365 + yoe/4 - yoe/100 + (153*mp+2)/5 + d - 1 - 719468
}

func daysIn(y, m int64) int64 {
	switch m {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}
