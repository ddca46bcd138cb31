package plugin

import (
	"fmt"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
)

// request is what /api/sql/query takes.
type request struct {
	From       time.Time      `json:"from"`
	To         time.Time      `json:"to"`
	Relative   bool           `json:"relative,omitempty"`
	IntervalMS int64          `json:"interval_ms,omitempty"`
	MaxRows    int            `json:"max_rows,omitempty"`
	Queries    []query        `json:"queries"`
	Variables  map[string]any `json:"variables,omitempty"`
	Source     string         `json:"source,omitempty"`
	Dest       string         `json:"dest,omitempty"`
	Filters    []filter       `json:"filters,omitempty"`
}

type query struct {
	RefID        string `json:"ref_id"`
	SQL          string `json:"sql"`
	Format       string `json:"format,omitempty"`
	TimeColumn   string `json:"time_column,omitempty"`
	MetricColumn string `json:"metric_column,omitempty"`
	Hide         bool   `json:"hide,omitempty"`
	ReturnResult *bool  `json:"return_result,omitempty"`
}

// group is queries that one request can ask: of one range, with the same
// variables, and without two queries of one name.
type group struct {
	request
	formats map[string]string // as the queries want them, by reference
	hidden  map[string]bool   // those that only others read
}

// plan puts queries into groups, in their order. A query that is wrong in
// itself gets its answer in failed, and the others go on.
func (d *Datasource) plan(queries []backend.DataQuery) (groups []*group, failed map[string]backend.DataResponse) {
	failed = map[string]backend.DataResponse{}
	models, texts := make([]model, len(queries)), map[string]string{}
	errs := make([]error, len(queries))
	for i, q := range queries {
		if models[i], errs[i] = parseModel(q); errs[i] == nil {
			texts[q.RefID] = models[i].RawSQL
		}
	}
	for i, q := range queries {
		m, err := models[i], errs[i]
		m.carry(q.RefID, texts)
		switch {
		case err == errNoSQL: //nolint:errorlint // it is never wrapped
			failed[q.RefID] = backend.DataResponse{} // an empty query is not an error while it is written
			continue
		case err != nil:
			failed[q.RefID] = failure(backend.StatusBadRequest, err.Error())
			continue
		case m.Hide:
			continue // those who read it carry its SQL
		}
		found := false
		for _, g := range groups {
			if found = g.add(d, q, m); found {
				break
			}
		}
		if !found {
			g := &group{formats: map[string]string{}, hidden: map[string]bool{}}
			g.add(d, q, m)
			groups = append(groups, g)
		}
	}
	return groups, failed
}

// add adds a query, unless it does not go with those that are there.
func (g *group) add(d *Datasource, q backend.DataQuery, m model) bool {
	r := request{
		From: q.TimeRange.From.UTC(), To: q.TimeRange.To.UTC(), Relative: m.Relative, IntervalMS: q.Interval.Milliseconds(),
		MaxRows: m.MaxRows, Source: d.settings.Source, Dest: d.settings.Destination, Filters: m.Filters, Variables: m.Variables,
	}
	if r.MaxRows <= 0 || r.MaxRows > d.settings.MaxRows {
		r.MaxRows = d.settings.MaxRows
	}
	if len(g.Queries) > 0 && !g.fits(&r) {
		return false
	}
	if _, taken := g.text(q.RefID); taken && (!g.hidden[q.RefID] || !g.same(q.RefID, m.RawSQL)) {
		return false
	}
	for ref, sql := range m.Prev {
		if text, there := g.text(ref); there && text != sql || ref == q.RefID {
			return false
		}
	}
	if len(g.Queries) == 0 {
		g.request = r
	}
	for name, value := range m.Variables {
		if g.Variables == nil {
			g.Variables = map[string]any{}
		}
		g.Variables[name] = value
	}
	for ref, sql := range m.Prev {
		if _, there := g.text(ref); !there {
			g.Queries = append(g.Queries, query{RefID: ref, SQL: sql, Hide: true})
			g.hidden[ref] = true
		}
	}
	format := m.Format
	if format == formatLogs {
		format = formatTable
	}
	asked := query{RefID: q.RefID, SQL: m.RawSQL, Format: format, TimeColumn: m.TimeColumn, MetricColumn: m.MetricColumn, ReturnResult: m.ReturnResult}
	g.formats[q.RefID] = m.Format
	for i := range g.Queries {
		if g.Queries[i].RefID == q.RefID { // it was there for another one
			g.Queries[i] = asked
			delete(g.hidden, q.RefID)
			return true
		}
	}
	g.Queries = append(g.Queries, asked)
	return true
}

// tooMany tells whether a server sends more rows than it was asked for.
func (g *group) tooMany(rows int64) error {
	if g.MaxRows > 0 && rows > int64(g.MaxRows) {
		return fmt.Errorf("the server sends more than the %d rows that were asked for", g.MaxRows)
	}
	return nil
}

func (g *group) text(ref string) (string, bool) {
	for i := range g.Queries {
		if g.Queries[i].RefID == ref {
			return g.Queries[i].SQL, true
		}
	}
	return "", false
}

func (g *group) same(ref, sql string) bool {
	text, _ := g.text(ref)
	return text == sql
}

// fits tells whether a query with r can be asked together with the group's.
func (g *group) fits(r *request) bool {
	if !g.From.Equal(r.From) || !g.To.Equal(r.To) || g.Relative != r.Relative || g.IntervalMS != r.IntervalMS || g.MaxRows != r.MaxRows {
		return false
	}
	return equal(g.Filters, r.Filters) && compatible(g.Variables, r.Variables)
}

// compatible tells whether no variable has two values.
func compatible(a, b map[string]any) bool {
	for name, value := range a {
		if other, ok := b[name]; ok && !equal(value, other) {
			return false
		}
	}
	return true
}
