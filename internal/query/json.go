package query

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
)

// decodeJSON reads one JSON value. Numbers stay as they are written; unknown keys are errors.
func decodeJSON(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

// Fault is an error as the API shows it.
type Fault struct {
	Message string `json:"message"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
}

func fault(err error) *Fault {
	f := &Fault{Message: err.Error()}
	f.Line, f.Column = position(err)
	return f
}

// tail is what follows the rows of an answer.
type tail struct {
	RefID     string  `json:"ref_id"`
	RowCount  int     `json:"row_count"`
	Truncated bool    `json:"truncated"`
	Cached    bool    `json:"cached"`
	ElapsedMS float64 `json:"elapsed_ms"`
	SQL       string  `json:"sql,omitempty"`
	Error     *Fault  `json:"error,omitempty"`
}

func (a *Answer) tail(rows int, err error) tail {
	t := tail{RefID: a.Query.RefID, RowCount: rows, Cached: a.Cached, SQL: a.SQL}
	if a.Result != nil {
		t.Truncated = a.Result.Truncated()
		t.ElapsedMS = float64(a.Result.Elapsed().Microseconds()) / 1000
	}
	if err != nil {
		t.Error = fault(err)
	}
	return t
}

// Batches returns the columns and rows of an answer in the format that its query
// wants. Errors have their place in the query's text, if the engine told one.
func (a *Answer) Batches(ctx context.Context) (columns []Column, rows func(func([][]any, error) bool), err error) {
	if a.view == nil {
		v := &view{}
		columns, rows, err := a.formatted(ctx)
		v.columns, v.err = columns, a.place(a.why(err))
		v.rows = func(yield func([][]any, error) bool) {
			for batch, err := range rows {
				if !yield(batch, a.place(a.why(err))) {
					return
				}
			}
		}
		a.view = v
	}
	return a.view.columns, a.view.rows, a.view.err
}

// why is the cause of an end that came because the request had ended: somebody cancelled it, perhaps.
func (a *Answer) why(err error) error {
	if errors.Is(err, errNoReader) && a.ctx.Err() != nil {
		return context.Cause(a.ctx)
	}
	return err
}

// view is an answer in the format that was asked for.
type view struct {
	columns []Column
	rows    func(func([][]any, error) bool)
	err     error
}

func (a *Answer) formatted(ctx context.Context) (columns []Column, rows func(func([][]any, error) bool), err error) {
	if a.Err != nil {
		return nil, nil, a.Err
	}
	if a.Query.Format == "" || a.Query.Format == "table" || (a.Query.ReturnResult != nil && !*a.Query.ReturnResult) {
		columns, err = a.Result.Columns(ctx)
		return columns, a.Result.Batches(ctx), err
	}
	t, err := a.Result.All(ctx)
	if err != nil {
		return nil, nil, err
	}
	if t, err = t.Series(&a.Query, a.Query.Format != "long", a.Fill, a.Range); err != nil {
		return nil, nil, err
	}
	return t.Columns, func(yield func([][]any, error) bool) {
		if len(t.Rows) > 0 {
			yield(t.Rows, nil)
		}
	}, nil
}

// writeJSON writes answers as they come: {"results": [{"columns": [...], "rows": [...], "ref_id": ...}]}.
// flush is called after each batch.
func writeJSON(ctx context.Context, w io.Writer, answers []*Answer, flush func()) error {
	b := []byte(`{"results":[`)
	for i, a := range answers {
		if i > 0 {
			b = append(b, ',')
		}
		columns, batches, err := a.Batches(ctx)
		b = append(b, '{')
		count := 0
		if err == nil {
			head, jerr := json.Marshal(columns)
			if jerr != nil {
				return jerr
			}
			b = append(append(append(b, `"columns":`...), head...), `,"rows":[`...)
			for rows, rerr := range batches {
				if rerr != nil {
					err = rerr
					break
				}
				for _, row := range rows {
					if count++; count > 1 {
						b = append(b, ',')
					}
					b = append(b, '\n')
					b = appendRow(b, row)
					if len(b) > 64<<10 {
						if _, werr := w.Write(b); werr != nil {
							return werr
						}
						b = b[:0]
					}
				}
				if _, werr := w.Write(b); werr != nil {
					return werr
				}
				b = b[:0]
				flush()
			}
			b = append(b, `],`...)
		}
		end, jerr := json.Marshal(a.tail(count, err))
		if jerr != nil {
			return jerr
		}
		b = append(append(b, end[1:]...), '\n')
	}
	_, err := w.Write(append(b, "]}\n"...))
	return err
}

func appendRow(b []byte, row []any) []byte {
	b = append(b, '[')
	for i, v := range row {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendValue(b, v)
	}
	return append(b, ']')
}

// AppendJSON appends a value of a result as the API writes it.
func AppendJSON(b []byte, v any) []byte {
	if n, ok := v.(json.Number); ok {
		return append(b, n...)
	}
	return appendValue(b, v)
}

// appendValue appends a value as JSON: a time as text, and what JSON has no
// number for as "NaN", "+Inf" or "-Inf", as Prometheus does.
func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return append(strconv.AppendFloat(append(b, '"'), v, 'g', -1, 64), '"')
		}
		if abs := math.Abs(v); abs < 1e21 && (abs >= 1e-6 || v == 0) {
			return strconv.AppendFloat(b, v, 'f', -1, 64)
		}
		return strconv.AppendFloat(b, v, 'e', -1, 64)
	case time.Time:
		return append(v.AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
	case string:
		text, err := json.Marshal(v)
		if err == nil {
			return append(b, text...)
		}
	}
	text, err := json.Marshal(fmt.Sprint(v))
	if err != nil {
		return append(b, "null"...)
	}
	return append(b, text...)
}
