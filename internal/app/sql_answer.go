package app

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/prometheus/common/model"
	"golang.org/x/text/width"

	"github.com/orielhq/oriel/internal/query"
)

// sqlAnswer is the answer to one query.
type sqlAnswer struct {
	Columns   []query.Column `json:"columns"`
	Rows      [][]any        `json:"rows"`
	Truncated bool           `json:"truncated"`
	SQL       string         `json:"sql"`
	Error     *query.Fault   `json:"error,omitempty"`
}

// askServer sends the request to a server.
func (f *sqlFlags) askServer(ctx context.Context, req *query.Request) (*sqlAnswer, error) {
	client, err := newPromqlClient(f.url, f.configFile)
	if err != nil {
		return nil, err
	}
	defer client.close()
	body, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	hr, err := http.NewRequestWithContext(ctx, http.MethodPost, client.URL("/api/sql/query", nil).String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	hr.Header.Set("Content-Type", "application/json")
	resp, b, err := client.Do(ctx, hr) //nolint:bodyclose // the client has read and closed it
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("no server at %s: start one with \"oriel serve\", name it with --url, or read a directory with --lake", client.url)
	case errors.Is(err, errPromqlTooLarge):
		return nil, fmt.Errorf("the answer is larger than %d bytes: ask for fewer rows", client.max)
	case err != nil:
		return nil, fmt.Errorf("ask %s: %w", client.url, err)
	}
	var out struct {
		Results []*sqlAnswer
		Error   *query.Fault
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	switch err := d.Decode(&out); {
	case err != nil:
		return nil, fmt.Errorf("%s: %s: %s", client.url, resp.Status, promqlStart(b))
	case out.Error != nil:
		return nil, faultText(out.Error)
	case len(out.Results) != 1:
		return nil, fmt.Errorf("%s: %d results, want 1", client.url, len(out.Results))
	case out.Results[0].Error != nil:
		return nil, faultText(out.Results[0].Error)
	}
	return out.Results[0], nil
}

func faultText(f *query.Fault) error { return errors.New(strings.TrimSpace(f.Message)) }

// cell is a value as text; NULL is what null says.
func cell(v any, null string, zone *time.Location) string {
	switch v := v.(type) {
	case nil:
		return null
	case time.Time:
		return v.In(zone).Format(promqlTimeLayout)
	case float64:
		return promqlNumber(v)
	case string:
		return v
	}
	return fmt.Sprint(v)
}

// shown is a value for a terminal: a server's times come as text.
func (a *sqlAnswer) shown(column int, v any, null string, zone *time.Location) string {
	if text, ok := v.(string); ok {
		if a.Columns[column].Kind == query.Time {
			if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
				return cell(at, null, zone)
			}
		}
		return promqlClean(text)
	}
	return cell(v, null, zone)
}

// cells is how many of a terminal's columns a text takes: two for a Chinese character
// or an emoji, none for an accent that joins the letter before it.
func cells(text string) int {
	n := 0
	for _, r := range text {
		switch kind := width.LookupRune(r).Kind(); {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case kind == width.EastAsianWide || kind == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}

func (a *sqlAnswer) table(stdout, stderr io.Writer, zone *time.Location) error {
	if len(a.Rows) == 0 {
		_, _ = fmt.Fprintln(stderr, "sql: no rows")
		return nil
	}
	lines := make([][]string, 1, len(a.Rows)+1)
	wide := make([]int, len(a.Columns))
	for i, c := range a.Columns {
		lines[0] = append(lines[0], promqlClean(c.Name))
		wide[i] = cells(lines[0][i])
	}
	for _, row := range a.Rows {
		line := make([]string, len(row))
		for i, v := range row {
			line[i] = strings.ReplaceAll(a.shown(i, v, "-", zone), "\t", " ")
			wide[i] = max(wide[i], cells(line[i]))
		}
		lines = append(lines, line)
	}
	var b bytes.Buffer
	for _, line := range lines {
		start := b.Len()
		for i, text := range line {
			pad := strings.Repeat(" ", wide[i]-cells(text))
			if kind := a.Columns[i].Kind; kind == query.Int || kind == query.Float {
				text = pad + text
			} else {
				text += pad
			}
			if i > 0 {
				b.WriteString("  ")
			}
			b.WriteString(text)
		}
		b.Truncate(start + len(bytes.TrimRight(b.Bytes()[start:], " ")))
		b.WriteByte('\n')
	}
	_, err := stdout.Write(b.Bytes())
	return err
}

// vertical prints a line for each value: for rows wider than a screen.
func (a *sqlAnswer) vertical(stdout, stderr io.Writer, zone *time.Location) error {
	if len(a.Rows) == 0 {
		_, _ = fmt.Fprintln(stderr, "sql: no rows")
		return nil
	}
	wide := 0
	for _, c := range a.Columns {
		wide = max(wide, cells(promqlClean(c.Name)))
	}
	var b bytes.Buffer
	for n, row := range a.Rows {
		_, _ = fmt.Fprintf(&b, "row %d\n", n+1)
		for i, v := range row {
			name := promqlClean(a.Columns[i].Name)
			_, _ = fmt.Fprintf(&b, "%s%s  %s\n", strings.Repeat(" ", wide-cells(name)), name, a.shown(i, v, "-", zone))
		}
	}
	_, err := stdout.Write(b.Bytes())
	return err
}

func (a *sqlAnswer) csv(w io.Writer) error {
	out := csv.NewWriter(w)
	record := make([]string, len(a.Columns))
	for i, c := range a.Columns {
		record[i] = c.Name
	}
	if err := out.Write(record); err != nil {
		return err
	}
	for _, row := range a.Rows {
		for i, v := range row {
			record[i] = cell(v, "", time.UTC)
		}
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// json prints an object for each row.
func (a *sqlAnswer) json(w io.Writer) error {
	var b bytes.Buffer
	b.WriteByte('[')
	for i, row := range a.Rows {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n  {")
		for j, v := range row {
			if j > 0 {
				b.WriteString(", ")
			}
			name, err := json.Marshal(a.Columns[j].Name)
			if err != nil {
				return err
			}
			b.Write(name)
			b.WriteString(": ")
			b.Write(query.AppendJSON(nil, v))
		}
		b.WriteByte('}')
	}
	b.WriteString("\n]\n")
	_, err := w.Write(b.Bytes())
	return err
}

// plot draws a wide time series as `oriel promql` draws its own.
func (a *sqlAnswer) plot(stdout, stderr io.Writer, screen promqlScreen) error {
	if len(a.Rows) == 0 {
		_, _ = fmt.Fprintln(stderr, "sql: no rows")
		return nil
	}
	if len(a.Columns) < 2 || a.Columns[0].Kind != query.Time {
		return errors.New("sql: a plot needs a time in the first column: name it by --time-column")
	}
	times := make([]time.Time, len(a.Rows))
	step := time.Duration(math.MaxInt64)
	for i, row := range a.Rows {
		at, ok := row[0].(time.Time)
		if text, isText := row[0].(string); isText {
			var err error
			at, err = time.Parse(time.RFC3339Nano, text)
			ok = err == nil
		}
		if !ok {
			return fmt.Errorf("sql: row %d: %v is not a time", i, row[0])
		}
		if times[i] = at; i > 0 {
			step = min(step, at.Sub(times[i-1]))
		}
	}
	if len(times) == 1 {
		step = time.Minute
	}
	var matrix model.Matrix
	for c := 1; c < len(a.Columns); c++ {
		labels := model.Metric{}
		for name, value := range a.Columns[c].Labels {
			labels[model.LabelName(name)] = model.LabelValue(value)
		}
		if len(labels) == 0 {
			labels[model.MetricNameLabel] = model.LabelValue(a.Columns[c].Name)
		}
		s := &model.SampleStream{Metric: labels}
		for i, row := range a.Rows {
			if v, ok := number(row[c]); ok {
				s.Values = append(s.Values, model.SamplePair{Timestamp: model.TimeFromUnixNano(times[i].UnixNano()), Value: model.SampleValue(v)})
			}
		}
		matrix = append(matrix, s)
	}
	q := promqlQuery{ranged: true}
	q.over.Start, q.over.End, q.over.Step = times[0], times[len(times)-1], step
	return promqlPlot(stdout, stderr, matrix, q, screen)
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int64:
		return float64(v), true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case string:
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil
	}
	return 0, false
}
