package query

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxSeries = 10_000
	maxTicks  = 1_000_000
)

// Series sorts a result by time. Long: the time first, then the columns of text
// that name the series, then the values. Wide: the time, and a column for each
// series; a hole is nil, or what fill says.
func (t *Sheet) Series(q *Query, wide bool, fill *Fill, span Range) (*Sheet, error) {
	s, err := t.roles(q)
	if err != nil {
		return nil, err
	}
	type point struct {
		at  time.Time
		row []any
	}
	points := make([]point, 0, len(t.Rows))
	for _, row := range t.Rows {
		at, ok := asTime(row[s.time])
		if !ok {
			if row[s.time] != nil {
				return nil, fmt.Errorf("time column %q: %v is not a time", t.Columns[s.time].Name, row[s.time])
			}
			continue
		}
		points = append(points, point{at, row})
	}
	slices.SortStableFunc(points, func(a, b point) int { return a.at.Compare(b.at) })
	timeColumn := Column{Name: t.Columns[s.time].Name, Type: "TIMESTAMP", Kind: Time}
	out := &Sheet{Columns: []Column{timeColumn}}
	if !wide {
		order := append(slices.Clone(s.metrics), s.values...)
		for _, i := range order {
			out.Columns = append(out.Columns, t.Columns[i])
		}
		for _, p := range points {
			row := []any{p.at}
			for _, i := range order {
				row = append(row, p.row[i])
			}
			out.Rows = append(out.Rows, row)
		}
		return out, nil
	}
	index := map[string]int{} // of a series' first column
	var key strings.Builder
	for _, p := range points {
		key.Reset()
		for _, i := range s.metrics {
			fmt.Fprintf(&key, "%T%v\x00", p.row[i], p.row[i])
		}
		first, ok := index[key.String()]
		if !ok {
			if len(index)*len(s.values) >= maxSeries {
				return nil, fmt.Errorf("more than %d series: group by fewer columns", maxSeries)
			}
			first = len(out.Columns)
			index[key.String()] = first
			out.Columns = append(out.Columns, t.seriesColumns(s, p.row)...)
		}
		n := len(out.Rows)
		if n == 0 || !out.Rows[n-1][0].(time.Time).Equal(p.at) {
			out.Rows = append(out.Rows, []any{p.at})
			n++
		}
		row := out.Rows[n-1]
		for len(row) < first+len(s.values) {
			row = append(row, nil)
		}
		for i, v := range s.values {
			row[first+i] = p.row[v]
		}
		out.Rows[n-1] = row
	}
	for i, row := range out.Rows {
		for len(row) < len(out.Columns) {
			row = append(row, nil)
		}
		out.Rows[i] = row
	}
	if fill != nil {
		return out, out.fill(fill, span)
	}
	return out, nil
}

// roles is which column is what.
type roles struct {
	time    int
	metrics []int
	values  []int
}

func (t *Sheet) roles(q *Query) (roles, error) {
	r := roles{time: -1}
	named := func(name string) int {
		return slices.IndexFunc(t.Columns, func(c Column) bool { return strings.EqualFold(c.Name, name) })
	}
	if q.TimeColumn != "" {
		r.time = named(q.TimeColumn)
	}
	if r.time < 0 {
		r.time = slices.IndexFunc(t.Columns, func(c Column) bool { return c.Kind == Time })
	}
	if r.time < 0 {
		r.time = 0
	}
	if len(t.Columns) < 2 {
		return r, fmt.Errorf("a time series needs a time and a value, the result has %d columns", len(t.Columns))
	}
	metric := -1
	if q.MetricColumn != "" {
		if metric = named(q.MetricColumn); metric < 0 {
			return r, fmt.Errorf("metric column %q: the result has no such column", q.MetricColumn)
		}
	}
	for i, c := range t.Columns {
		switch {
		case i == r.time:
		case i == metric, c.Kind == String || c.Kind == Bool:
			r.metrics = append(r.metrics, i)
		case c.Kind == Int || c.Kind == Float:
			r.values = append(r.values, i)
		}
	}
	if len(r.values) == 0 {
		return r, fmt.Errorf("a time series needs a column of numbers beside the time %q", t.Columns[r.time].Name)
	}
	return r, nil
}

// seriesColumns names the columns of the series that a row belongs to.
func (t *Sheet) seriesColumns(s roles, row []any) []Column {
	labels := map[string]string{}
	var names []string
	for _, i := range s.metrics {
		text := ""
		if row[i] != nil {
			text = fmt.Sprint(row[i])
		}
		labels[t.Columns[i].Name] = text
		names = append(names, text)
	}
	var columns []Column
	for _, v := range s.values {
		c := t.Columns[v]
		switch {
		case len(names) > 0 && len(s.values) == 1:
			c.Name = strings.Join(names, " ")
		case len(names) > 0:
			c.Name += " " + strings.Join(names, " ")
		}
		if len(labels) > 0 {
			c.Labels = labels
		}
		columns = append(columns, c)
	}
	return columns
}

// fill puts a row at each interval of the span, and a value into each hole.
func (t *Sheet) fill(f *Fill, span Range) error {
	next := func(at time.Time) time.Time {
		if f.Interval.Months > 0 {
			return at.AddDate(0, f.Interval.Months, 0)
		}
		return at.Add(f.Interval.Every)
	}
	var first time.Time
	switch {
	case !span.From.IsZero():
		first = f.Interval.floor(span.From)
	case len(t.Rows) > 0:
		first = t.Rows[0][0].(time.Time)
	default:
		return nil
	}
	last := span.To
	if n := len(t.Rows); last.IsZero() && n > 0 {
		last = t.Rows[n-1][0].(time.Time)
	}
	var rows [][]any
	have := t.Rows
	take := func(until time.Time) {
		for len(have) > 0 && have[0][0].(time.Time).Before(until) {
			rows = append(rows, have[0])
			have = have[1:]
		}
	}
	for at := first; !at.After(last); at = next(at) {
		take(at)
		if len(have) > 0 && have[0][0].(time.Time).Equal(at) {
			continue
		}
		if len(rows) >= maxTicks {
			return fmt.Errorf("filling makes more than %d rows: use a longer interval", maxTicks)
		}
		row := make([]any, len(t.Columns))
		row[0] = at
		rows = append(rows, row)
	}
	t.Rows = slices.Concat(rows, have)
	for i, row := range t.Rows {
		for c := 1; c < len(row); c++ {
			switch {
			case row[c] != nil || f.Mode == "null":
			case f.Mode == "value":
				row[c] = f.Value
			case i > 0:
				row[c] = t.Rows[i-1][c]
			}
		}
	}
	if f.Mode == "value" {
		for c := 1; c < len(t.Columns); c++ {
			t.Columns[c].Kind = Float
		}
	}
	return nil
}

// floor is the start of the interval that at lies in, counted from 1970 (UTC).
func (i Interval) floor(at time.Time) time.Time {
	at = at.UTC()
	if i.Months > 0 {
		months := (at.Year()-1970)*12 + int(at.Month()) - 1
		months -= ((months % i.Months) + i.Months) % i.Months
		return time.Date(1970, time.Month(months+1), 1, 0, 0, 0, 0, time.UTC)
	}
	ms, every := at.UnixMilli(), i.Every.Milliseconds()
	return time.UnixMilli(ms - ((ms%every)+every)%every).UTC()
}

// asTime takes a time, a number since 1970 (seconds, or finer if it is large) or text.
func asTime(v any) (time.Time, bool) {
	switch v := v.(type) {
	case time.Time:
		return v, true
	case int64:
		return asTime(float64(v))
	case float64:
		if math.IsNaN(v) || math.Abs(v) > 1e19 {
			return time.Time{}, false
		}
		unit := 1e9
		for _, u := range []struct{ from, unit float64 }{{1e17, 1}, {1e14, 1e3}, {1e11, 1e6}} {
			if math.Abs(v) >= u.from {
				unit = u.unit
				break
			}
		}
		if math.Abs(v*unit) > math.MaxInt64/2 {
			return time.Time{}, false
		}
		return time.Unix(0, int64(math.Round(v*unit))).UTC(), true
	case string:
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02T15:04:05", time.DateOnly} {
			if at, err := time.Parse(layout, v); err == nil {
				return at.UTC(), true
			}
		}
		if f, err := strconv.ParseFloat(v, 64); err == nil {
			return asTime(f)
		}
	}
	return time.Time{}, false
}
