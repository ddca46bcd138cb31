package query

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/orielhq/oriel/internal/query/lex"
)

// maxBody bounds what is read of a request.
const maxBody = 32 << 20

// ServeHTTP answers the paths that end in query, cancel, tables, columns and complete.
// Only application/json is taken by POST, which no page of another site can send unasked.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handlers := map[string]struct {
		method string
		serve  func(http.ResponseWriter, *http.Request)
	}{
		"query":    {http.MethodPost, s.serveQuery},
		"cancel":   {http.MethodPost, s.serveCancel},
		"tables":   {http.MethodGet, s.serveTables},
		"columns":  {http.MethodGet, s.serveColumns},
		"complete": {http.MethodPost, s.serveComplete},
	}
	h, ok := handlers[path.Base(r.URL.Path)]
	switch {
	case !ok:
		refuse(w, http.StatusNotFound, errors.New("there are: query, tables, columns, complete, cancel"))
	case r.Method != h.method:
		w.Header().Set("Allow", h.method)
		refuse(w, http.StatusMethodNotAllowed, errors.New("the method must be "+h.method))
	case r.Method == http.MethodPost && !isJSON(r):
		refuse(w, http.StatusUnsupportedMediaType, errors.New("the body must be application/json"))
	default:
		h.serve(w, r)
	}
}

func isJSON(r *http.Request) bool {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && t == "application/json"
}

func refuse(w http.ResponseWriter, status int, err error) {
	reply(w, status, map[string]any{"error": fault(err)})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may have gone
}

// body reads the request into v.
func body(w http.ResponseWriter, r *http.Request, v any) bool {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, err)
		return false
	}
	if err := decodeJSON(b, v); err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("read the request: %w", err))
		return false
	}
	return true
}

func (s *Service) serveQuery(w http.ResponseWriter, r *http.Request) {
	var req Request
	if !body(w, r, &req) {
		return
	}
	ctx := r.Context()
	answers, done, err := s.Do(ctx, &req)
	if err != nil {
		status := http.StatusBadRequest
		if errors.Is(err, ErrNoEngine) {
			status = http.StatusNotImplemented
		}
		refuse(w, status, err)
		return
	}
	defer done()
	rc := http.NewResponseController(w)
	flush := func() { _ = rc.Flush() }
	status := http.StatusOK
	if len(answers) == 1 { // one query that fails is a request that fails
		if _, _, err := answers[0].Batches(ctx); err != nil {
			status = http.StatusUnprocessableEntity
		}
	}
	if strings.Contains(r.Header.Get("Accept"), arrowType) {
		mw := multipart.NewWriter(w)
		w.Header().Set("Content-Type", "multipart/mixed; boundary="+mw.Boundary())
		w.WriteHeader(status)
		err = writeArrow(ctx, mw, answers, flush)
	} else {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		err = writeJSON(ctx, w, answers, flush)
	}
	if err != nil && ctx.Err() == nil {
		s.log.Debug("write answer", "err", err)
	}
}

func (s *Service) serveCancel(w http.ResponseWriter, r *http.Request) {
	var req struct {
		ID string `json:"request_id"`
	}
	if body(w, r, &req) {
		reply(w, http.StatusOK, map[string]bool{"cancelled": s.Cancel(req.ID)})
	}
}

// tableInfo is a table as the API lists it.
type tableInfo struct {
	Name       string   `json:"name"`
	View       bool     `json:"view"`
	Source     bool     `json:"source"` // what $__source means
	TimeColumn string   `json:"time_column,omitempty"`
	Columns    []Column `json:"columns,omitempty"`
}

func (s *Service) list(w http.ResponseWriter, r *http.Request) ([]tableInfo, bool) {
	tables, err := s.Tables(r.Context())
	if err != nil {
		refuse(w, http.StatusBadGateway, err)
		return nil, false
	}
	list := make([]tableInfo, 0, len(tables))
	for _, t := range tables {
		info := tableInfo{Name: t.Name, View: t.View != "", Source: t.Name == s.cfg.Source, Columns: t.Columns}
		if len(t.Times) > 0 {
			info.TimeColumn = t.Times[0].Name
		}
		list = append(list, info)
	}
	return list, true
}

func (s *Service) serveTables(w http.ResponseWriter, r *http.Request) {
	if list, ok := s.list(w, r); ok {
		for i := range list {
			list[i].Columns = nil
		}
		reply(w, http.StatusOK, map[string]any{"tables": list})
	}
}

func (s *Service) serveColumns(w http.ResponseWriter, r *http.Request) {
	list, ok := s.list(w, r)
	if !ok {
		return
	}
	name := r.URL.Query().Get("table")
	i := slices.IndexFunc(list, func(t tableInfo) bool { return t.Name == name })
	if i < 0 {
		refuse(w, http.StatusNotFound, errors.New("there is no table of this name"))
		return
	}
	reply(w, http.StatusOK, map[string]any{"columns": list[i].Columns})
}

// Suggestion is one way to go on with a query.
type Suggestion struct {
	Text string `json:"text"`
	Kind string `json:"kind"` // macro, table, column, function or keyword
	Note string `json:"note,omitempty"`
}

func (s *Service) serveComplete(w http.ResponseWriter, r *http.Request) {
	var req struct {
		SQL      string `json:"sql"`
		Position *int   `json:"position"` // bytes before the cursor; none: at the end
	}
	if !body(w, r, &req) {
		return
	}
	if req.Position != nil && *req.Position >= 0 && *req.Position < len(req.SQL) {
		req.SQL = req.SQL[:*req.Position]
	}
	list, ok := s.list(w, r)
	if ok {
		start, found := complete(req.SQL, list)
		reply(w, http.StatusOK, map[string]any{"start": start, "suggestions": found})
	}
}

var keywords = strings.Fields(`SELECT FROM WHERE GROUP ORDER BY HAVING LIMIT OFFSET JOIN LEFT INNER OUTER FULL ON USING AS AND OR NOT IN IS NULL LIKE BETWEEN CASE WHEN
	THEN ELSE END DISTINCT UNION ALL WITH VALUES ASC DESC CAST INTERVAL TIMESTAMP QUALIFY WINDOW OVER PARTITION EXISTS DESCRIBE`)

var functions = strings.Fields(`count sum avg min max median quantile_cont approx_count_distinct stddev_pop var_pop corr list string_agg first last arg_min arg_max row_number
	rank lag lead date_trunc time_bucket epoch_ms make_timestamp_ms coalesce nullif greatest least round abs floor ceil lower upper length substr replace regexp_matches
	regexp_extract split_part concat starts_with contains generate_series range unnest TS_EXPLODE TS_SEGMENT_BY_TIME TS_SEG_AVG TS_SEG_COUNT TS_SEG_SUM TS_RESAMPLE TS_FILLNA TS_DIFF`)

// complete finds what the word before the cursor may become, and where that word begins.
func complete(sql string, tables []tableInfo) (start int, found []Suggestion) {
	start = len(sql)
	if tokens, err := lex.Tokens(sql); err == nil && len(tokens) > 0 {
		last := tokens[len(tokens)-1]
		switch last.Kind {
		case lex.Name, lex.Macro, lex.Variable:
			start = last.Pos
		case lex.Other:
			if last.Text == "$" {
				start = last.Pos
			}
		case lex.Comment:
			return start, []Suggestion{}
		}
	} else if err != nil {
		return start, []Suggestion{} // inside of a string, most likely
	}
	prefix := strings.ToLower(sql[start:])
	found = []Suggestion{}
	seen := map[string]bool{}
	add := func(text, kind, note string) {
		if strings.HasPrefix(strings.ToLower(text), prefix) && !seen[text] && len(found) < 200 {
			seen[text] = true
			found = append(found, Suggestion{text, kind, note})
		}
	}
	for _, m := range Macros() {
		add(m, "macro", "")
	}
	for _, t := range tables {
		add(t.Name, "table", "")
	}
	mentioned := strings.ToLower(sql[:start])
	for _, t := range tables {
		if strings.Contains(mentioned, strings.ToLower(t.Name)) || t.Source {
			for _, c := range t.Columns {
				name := c.Name
				if !plainColumn.MatchString(name) {
					name = quoteName(name)
				}
				add(name, "column", c.Type)
			}
		}
	}
	for _, f := range functions {
		add(f, "function", "")
	}
	for _, k := range keywords {
		add(k, "keyword", "")
	}
	return start, found
}
