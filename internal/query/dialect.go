package query

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Dialect writes the pieces of SQL in which engines differ.
type Dialect interface {
	// Filter is true for rows whose column, an expression, is in the range.
	Filter(column string, kind TimeKind, r Range) string
	// Compare is one half of Filter, for op >= or <=.
	Compare(column, op string, kind TimeKind, at time.Time) string
	// Timestamp is the literal of a time.
	Timestamp(at time.Time) string
	// Interval is the literal of a duration.
	Interval(i Interval) string
	// Group cuts the column's time down to a multiple of the interval since 1970.
	Group(column string, i Interval) string
	// Sample is a sub-select with one made-up series, or with three: columns
	// col1 (epoch in ms), col2 (value) and for three col3 (key).
	Sample(r Range, several bool) string
}

// TimeKind is how a column holds a time.
type TimeKind struct {
	Name   string // timestamp, timestamptz, date, string, epoch_s, epoch_ms, epoch_us or epoch_ns
	Format string // of a string, in the engine's own letters; empty: ISO 8601
}

// perSecond is how many units of an epoch are in a second.
var perSecond = map[string]int64{"epoch_s": 1, "epoch_ms": 1e3, "epoch_us": 1e6, "epoch_ns": 1e9}

// parseTimeKind reads the type argument of a macro. The empty one is timestamp.
func parseTimeKind(word string) (TimeKind, bool) {
	switch w := strings.ToLower(word); w {
	case "", "timestamp", "datetime":
		return TimeKind{Name: "timestamp"}, true
	case "timestamptz", "date", "string", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns":
		return TimeKind{Name: w}, true
	case "long": // IBM's word
		return TimeKind{Name: "epoch_ms"}, true
	}
	return TimeKind{}, false
}

// Interval is a duration or a number of months.
type Interval struct {
	Months int
	Every  time.Duration
}

func (i Interval) String() string {
	if i.Months > 0 {
		return strconv.Itoa(i.Months) + "M"
	}
	return i.Every.String()
}

var units = map[string]Interval{
	"ms": {Every: time.Millisecond}, "millisecond": {Every: time.Millisecond},
	"s": {Every: time.Second}, "sec": {Every: time.Second}, "second": {Every: time.Second},
	"m": {Every: time.Minute}, "min": {Every: time.Minute}, "minute": {Every: time.Minute},
	"h": {Every: time.Hour}, "hour": {Every: time.Hour},
	"d": {Every: 24 * time.Hour}, "day": {Every: 24 * time.Hour},
	"w": {Every: 7 * 24 * time.Hour}, "week": {Every: 7 * 24 * time.Hour},
	"M": {Months: 1}, "month": {Months: 1}, "y": {Months: 12}, "year": {Months: 12},
}

// ParseInterval reads what people write for an interval: 15m, 1h, "2 days",
// hour, per_hour, PT15M, 1M (a month). A bare number is in milliseconds.
func ParseInterval(text string) (Interval, error) {
	bad := fmt.Errorf("interval %q: want one as 15m, 1h, 1d or PT15M", text)
	s := strings.Trim(strings.TrimSpace(text), `'"`)
	s = strings.TrimPrefix(s, "per_")
	if iso, ok := strings.CutPrefix(strings.ToUpper(s), "P"); ok {
		return parseISO(iso, bad)
	}
	var sum Interval
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		end := 0
		for end < len(s) && (s[end] >= '0' && s[end] <= '9') {
			end++
		}
		n, err := 1, error(nil)
		if end > 0 {
			if n, err = strconv.Atoi(s[:end]); err != nil || n > 1e9 {
				return Interval{}, bad
			}
		}
		s = strings.TrimSpace(s[end:])
		end = 0
		for end < len(s) && (s[end]|32 >= 'a' && s[end]|32 <= 'z') {
			end++
		}
		word := s[:end]
		s = s[end:]
		u, ok := units[word]
		if !ok {
			u, ok = units[strings.TrimSuffix(strings.ToLower(word), "s")]
		}
		if word == "" && s == "" && sum == (Interval{}) {
			u, ok = units["ms"], true
		}
		if !ok {
			return Interval{}, bad
		}
		sum.Months += u.Months * n
		sum.Every += u.Every * time.Duration(n)
	}
	return sum.check(bad)
}

func (i Interval) check(bad error) (Interval, error) {
	const most = 100 * 366 * 24 * time.Hour
	if i.Months < 0 || i.Every < 0 || i.Months > 1200 || i.Every > most || (i.Months > 0) == (i.Every > 0) || i.Every%time.Millisecond != 0 {
		return Interval{}, bad
	}
	return i, nil
}

// parseISO reads an ISO 8601 duration behind its P.
func parseISO(s string, bad error) (Interval, error) {
	var sum Interval
	inTime, digits := false, 0
	for i := range len(s) {
		c := s[i]
		if c >= '0' && c <= '9' {
			digits++
			continue
		}
		if c == 'T' && digits == 0 && !inTime {
			inTime = true
			continue
		}
		n, err := strconv.Atoi(s[i-digits : i])
		if err != nil || n > 1e6 {
			return Interval{}, bad
		}
		digits = 0
		switch {
		case c == 'S' && inTime:
			sum.Every += time.Duration(n) * time.Second
		case c == 'M' && inTime:
			sum.Every += time.Duration(n) * time.Minute
		case c == 'H' && inTime:
			sum.Every += time.Duration(n) * time.Hour
		case c == 'D' && !inTime:
			sum.Every += time.Duration(n) * 24 * time.Hour
		case c == 'W' && !inTime:
			sum.Every += time.Duration(n) * 7 * 24 * time.Hour
		case c == 'M' && !inTime:
			sum.Months += n
		case c == 'Y' && !inTime:
			sum.Months += 12 * n
		default:
			return Interval{}, bad
		}
	}
	if digits > 0 {
		return Interval{}, bad
	}
	return sum.check(bad)
}

// DuckDB is the dialect of DuckDB with its time zone set to UTC.
type DuckDB struct{}

const duckTime = "2006-01-02 15:04:05.000"

// Filter is documented at Dialect.
func (d DuckDB) Filter(column string, kind TimeKind, r Range) string {
	return "(" + d.Compare(column, ">=", kind, r.From) + " AND " + d.Compare(column, "<=", kind, r.To) + ")"
}

// Compare is documented at Dialect.
func (d DuckDB) Compare(column, op string, kind TimeKind, at time.Time) string {
	at = at.UTC()
	zoned := "TIMESTAMPTZ '" + at.Format(duckTime) + "Z'"
	switch kind.Name {
	case "timestamptz":
		return column + " " + op + " " + zoned
	case "date":
		return column + " " + op + " DATE '" + at.Format(time.DateOnly) + "'"
	case "string":
		if kind.Format != "" {
			return "try_strptime(" + column + ", " + quoteString(kind.Format) + ") " + op + " " + d.Timestamp(at)
		}
		return "TRY_CAST(" + column + " AS TIMESTAMPTZ) " + op + " " + zoned
	case "timestamp":
		return column + " " + op + " " + d.Timestamp(at)
	}
	return column + " " + op + " " + epoch(at, perSecond[kind.Name])
}

// epoch is the time in units, with a fraction if there is one.
func epoch(at time.Time, perSecond int64) string {
	ms := at.UnixMilli()
	if perSecond >= 1000 {
		return strconv.FormatInt(ms*(perSecond/1000), 10)
	}
	if ms%1000 == 0 {
		return strconv.FormatInt(ms/1000, 10)
	}
	return strconv.FormatFloat(float64(ms)/1000, 'f', 3, 64)
}

// Timestamp is documented at Dialect.
func (DuckDB) Timestamp(at time.Time) string {
	return "TIMESTAMP '" + at.UTC().Format(duckTime) + "'"
}

// Interval is documented at Dialect. '1M' would be a minute, so units are spelt out.
func (DuckDB) Interval(i Interval) string {
	if i.Months > 0 {
		return fmt.Sprintf("INTERVAL '%d months'", i.Months)
	}
	return fmt.Sprintf("INTERVAL '%d milliseconds'", i.Every.Milliseconds())
}

// Group is documented at Dialect. The origin is given because DuckDB counts
// intervals of a day and more from 2000-01-03.
func (d DuckDB) Group(column string, i Interval) string {
	return "time_bucket(" + d.Interval(i) + ", CAST(" + column + " AS TIMESTAMP), TIMESTAMP '1970-01-01')"
}

// Sample is documented at Dialect. The values look random, but are the same at every call.
func (DuckDB) Sample(r Range, several bool) string {
	from, to := r.From.UnixMilli(), r.To.UnixMilli()
	if several {
		return fmt.Sprintf("(SELECT %d + ((%d) * i) // 23 AS col1, CAST(hash(i * 3 + k) %% 20 AS INTEGER) AS col2, CAST(k AS INTEGER) AS col3 FROM range(3) ks(k), range(24) s(i))", from, to-from)
	}
	return fmt.Sprintf("(SELECT %d + ((%d) * i) // 29 AS col1, CAST(hash(i) %% 20 AS INTEGER) AS col2 FROM range(30) s(i))", from, to-from)
}

func quoteString(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
func quoteName(s string) string   { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
