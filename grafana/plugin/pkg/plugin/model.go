package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
)

// Formats of a query's answer.
const (
	formatTable      = "table"
	formatTimeSeries = "time_series" // a column for each series
	formatLong       = "long"        // a column that names the series
	formatLogs       = "logs"
)

// model is a query as a dashboard keeps it. The names in snake case are those
// of IBM's cloudsql-cos-ts plug-in, whose saved queries go on working.
type model struct {
	RawSQL       string            `json:"rawSql"`
	Format       string            `json:"format"`
	TimeColumn   string            `json:"timeColumn"`
	MetricColumn string            `json:"metricColumn"`
	ReturnResult *bool             `json:"returnResult"`
	Hide         bool              `json:"hide"`
	Relative     bool              `json:"relative"`  // the range was relative to now
	MaxRows      int               `json:"maxRows"`   // 0: as the settings say
	Variables    map[string]any    `json:"variables"` // a value, or a list, by name
	Filters      []filter          `json:"filters"`   // ad hoc
	Prev         map[string]string `json:"prev"`      // the SQL of the queries that this one reads by $__source_prev

	QueryText     string `json:"queryText"`
	IBMTimeColumn string `json:"time_column"`
	MetricsColumn string `json:"metrics_column"`
	GetResult     *bool  `json:"get_result"`
}

// filter is one ad hoc filter.
type filter struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"`
	Value    string   `json:"value"`
	Values   []string `json:"values,omitempty"`
}

var errNoSQL = errors.New("the query is empty")

// parseModel reads a query. A format that Grafana's SQL data sources have is understood too.
func parseModel(q backend.DataQuery) (model, error) {
	var m model
	var loose struct {
		Format any `json:"format"`
	}
	_ = json.Unmarshal(q.JSON, &loose) // what is wrong is said below
	if n, ok := loose.Format.(float64); ok {
		// sqlds: 0 time series, 1 table, 2 logs
		name := map[float64]string{0: formatTimeSeries, 2: formatLogs}[n]
		if name == "" {
			name = formatTable
		}
		var rest map[string]json.RawMessage
		if err := json.Unmarshal(q.JSON, &rest); err != nil {
			return m, fmt.Errorf("read query: %w", err)
		}
		rest["format"], _ = json.Marshal(name)
		q.JSON, _ = json.Marshal(rest)
	}
	if err := json.Unmarshal(q.JSON, &m); err != nil {
		return m, fmt.Errorf("read query: %w", err)
	}
	if m.RawSQL == "" {
		m.RawSQL = m.QueryText
	}
	if m.TimeColumn == "" {
		m.TimeColumn = m.IBMTimeColumn
	}
	if m.MetricColumn == "" {
		m.MetricColumn = m.MetricsColumn
	}
	if m.ReturnResult == nil {
		m.ReturnResult = m.GetResult
	}
	switch strings.ToLower(m.Format) {
	case "", formatTable:
		m.Format = formatTable
	case formatTimeSeries, "timeseries":
		m.Format = formatTimeSeries
	case formatLong, "multi":
		m.Format = formatLong
	case formatLogs:
		m.Format = formatLogs
	default:
		return m, fmt.Errorf("format %q: want table, time_series, long or logs", m.Format)
	}
	if strings.TrimSpace(m.RawSQL) == "" {
		return m, errNoSQL
	}
	return m, nil
}

// readPrev finds what a query reads; strings and comments match whole, so that what they say is not taken.
var readPrev = regexp.MustCompile(`(?is)'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/|\$__source_prev\s*\(\s*(\w+)\s*\)`)

// carry puts the SQL of all queries that m reads, directly or through others,
// into Prev. What stands beside it in a request is newer than what m was saved with.
func (m *model) carry(ref string, beside map[string]string) {
	prev := map[string]string{}
	var follow func(sql string)
	follow = func(sql string) {
		for _, match := range readPrev.FindAllStringSubmatch(sql, -1) {
			name := match[1]
			if _, done := prev[name]; name == "" || name == ref || done {
				continue // a cycle is the server's to name
			}
			text, ok := beside[name]
			if !ok {
				text, ok = m.Prev[name]
			}
			if ok {
				prev[name] = text
				follow(text)
			}
		}
	}
	follow(m.RawSQL)
	m.Prev = prev
}
