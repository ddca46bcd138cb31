package query

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxQueries bounds the queries of one request.
const maxQueries = 100

// Request is some queries about one range of time.
type Request struct {
	// ID lets somebody else cancel the request.
	ID string `json:"request_id,omitempty"`
	// From and To are times: RFC 3339, milliseconds since 1970, now, or now-6h.
	// A relative time is rounded outwards to the interval, so that the answer can be kept.
	From any `json:"from,omitempty"`
	To   any `json:"to,omitempty"`
	// Relative tells that From and To, though given as times, were relative to now.
	Relative   bool                `json:"relative,omitempty"`
	IntervalMS int64               `json:"interval_ms,omitempty"`
	MaxRows    int                 `json:"max_rows,omitempty"`
	Queries    []Query             `json:"queries"`
	Variables  map[string]Variable `json:"variables,omitempty"`
	// Source is the table that $__source means; the configuration's if empty.
	Source string `json:"source,omitempty"`
	// Dest is a folder below the destination that INTO $__dest writes to.
	Dest string `json:"dest,omitempty"`
	// Filters are conditions on the rows of the source, a view.
	Filters []Filter `json:"filters,omitempty"`
}

// Query is one query of a request.
type Query struct {
	RefID        string `json:"ref_id"`
	SQL          string `json:"sql"`
	Format       string `json:"format,omitempty"` // table (default), time_series (wide) or long
	TimeColumn   string `json:"time_column,omitempty"`
	MetricColumn string `json:"metric_column,omitempty"`
	Hide         bool   `json:"hide,omitempty"`
	ReturnResult *bool  `json:"return_result,omitempty"` // default true
}

// Variable is the values of a dashboard variable: in JSON a string, a number or a list of them.
type Variable []string

// UnmarshalJSON reads one value or a list.
func (v *Variable) UnmarshalJSON(b []byte) error {
	text := strings.TrimSpace(string(b))
	var list []any
	if !strings.HasPrefix(text, "[") {
		text = "[" + text + "]"
	}
	if err := decodeJSON([]byte(text), &list); err != nil {
		return err
	}
	*v = Variable{}
	for _, one := range list {
		switch one := one.(type) {
		case string:
			*v = append(*v, one)
		case fmt.Stringer: // json.Number
			*v = append(*v, one.String())
		case bool:
			*v = append(*v, strconv.FormatBool(one))
		default:
			return fmt.Errorf("a variable's value must be text or a number, not %T", one)
		}
	}
	return nil
}

// span returns the range of the request and its interval.
func (r *Request) span(now time.Time) (Range, time.Duration, error) {
	from, relFrom, err := parseTime(r.From, now)
	if err != nil {
		return Range{}, 0, fmt.Errorf("from: %w", err)
	}
	to, relTo, err := parseTime(r.To, now)
	if err != nil {
		return Range{}, 0, fmt.Errorf("to: %w", err)
	}
	switch {
	case from.IsZero() != to.IsZero():
		return Range{}, 0, errors.New("from and to: give both or none")
	case to.Before(from):
		return Range{}, 0, errors.New("from is after to")
	case r.IntervalMS < 0 || r.IntervalMS > int64(100*366*24*time.Hour/time.Millisecond):
		return Range{}, 0, fmt.Errorf("interval_ms: %d is out of range", r.IntervalMS)
	}
	every := time.Duration(r.IntervalMS) * time.Millisecond
	if every == 0 {
		every = max(time.Second, (to.Sub(from) / 500).Truncate(time.Second))
	}
	if (r.Relative || relFrom || relTo) && !from.IsZero() {
		step := max(every, time.Second)
		from = from.Truncate(step)
		if cut := to.Truncate(step); cut.Before(to) {
			to = cut.Add(step)
		}
	}
	return Range{from, to}, every, nil
}

// parseTime reads a time of a request.
func parseTime(v any, now time.Time) (at time.Time, relative bool, err error) {
	var text string
	switch v := v.(type) {
	case nil:
		return time.Time{}, false, nil
	case time.Time:
		return v.Truncate(time.Millisecond), false, nil
	case string:
		text = strings.TrimSpace(v)
	case fmt.Stringer:
		text = v.String()
	default:
		return time.Time{}, false, fmt.Errorf("%v: want a time", v)
	}
	if text == "" {
		return time.Time{}, false, nil
	}
	if rest, ok := strings.CutPrefix(text, "now"); ok {
		now = now.Truncate(time.Millisecond)
		if rest == "" {
			return now, true, nil
		}
		back, err := ParseInterval(rest[1:])
		if err != nil || rest[0] != '-' || back.Months > 0 {
			return time.Time{}, false, fmt.Errorf("%q: want now or now-6h", text)
		}
		return now.Add(-back.Every), true, nil
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		at = time.UnixMilli(ms)
	} else if at, err = time.Parse(time.RFC3339Nano, text); err != nil {
		return time.Time{}, false, fmt.Errorf("%q: want a time as 2006-01-02T15:04:05Z, milliseconds since 1970, or now-6h", text)
	}
	if y := at.UTC().Year(); y < 1 || y > 9999 {
		return time.Time{}, false, fmt.Errorf("%q: year %d", text, y)
	}
	return at.UTC().Truncate(time.Millisecond), false, nil
}

// check reports what is wrong with a request as such.
func (r *Request) check(maxQuery int) error {
	if len(r.Queries) == 0 {
		return errors.New("the request has no queries")
	}
	if len(r.Queries) > maxQueries {
		return fmt.Errorf("%d queries in one request, at most %d are answered", len(r.Queries), maxQueries)
	}
	seen := map[string]bool{}
	for i := range r.Queries {
		q := &r.Queries[i]
		if q.RefID == "" && len(r.Queries) == 1 {
			q.RefID = "A"
		}
		switch {
		case !refID.MatchString(q.RefID):
			return fmt.Errorf("queries[%d]: ref_id %q: want letters, digits and _", i, q.RefID)
		case seen[q.RefID]:
			return fmt.Errorf("queries[%d]: a second query %s", i, q.RefID)
		case len(q.SQL) > maxQuery:
			return fmt.Errorf("query %s: %d bytes, at most %d are read", q.RefID, len(q.SQL), maxQuery)
		}
		switch q.Format {
		case "", "table", "time_series", "timeseries", "long":
		default:
			return fmt.Errorf("query %s: format %q: want table, time_series or long", q.RefID, q.Format)
		}
		seen[q.RefID] = true
	}
	return nil
}
