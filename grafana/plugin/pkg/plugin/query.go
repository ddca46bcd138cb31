package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/backend/httpclient"
	"github.com/grafana/grafana-plugin-sdk-go/data"
)

func equal(a, b any) bool { return reflect.DeepEqual(a, b) }

// QueryData answers the queries of one request. Those that belong together go
// to the server together, so that chains run once; what fails costs its own query.
func (d *Datasource) QueryData(ctx context.Context, req *backend.QueryDataRequest) (*backend.QueryDataResponse, error) {
	groups, answers := d.plan(req.Queries)
	out := &backend.QueryDataResponse{Responses: answers}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, g := range groups {
		wg.Go(func() {
			done := map[string]backend.DataResponse{}
			var s sink = newFrames(g, done)
			if p, ok := ctx.Value(passedKey{}).(*passed); ok {
				s = newAsArrow(g, p, done)
			}
			err := calm(ctx, func() error { return d.ask(ctx, g, s) })
			mu.Lock()
			defer mu.Unlock()
			for ref := range g.formats {
				answer, ok := done[ref]
				if !ok {
					if err == nil {
						err = errors.New("the server did not answer this query")
					}
					answer = failed(err)
				}
				out.Responses[ref] = answer
			}
		})
	}
	wg.Wait()
	return out, nil
}

// QueryChunkedData sends rows as they come.
func (d *Datasource) QueryChunkedData(ctx context.Context, req *backend.QueryChunkedDataRequest, w backend.ChunkedDataWriter) error {
	groups, failed := d.plan(req.Queries)
	for ref, answer := range failed {
		if answer.Error != nil {
			if err := w.WriteError(ctx, ref, answer.Status, answer.Error); err != nil {
				return err
			}
		}
	}
	for _, g := range groups {
		s := &chunks{ctx: ctx, w: w, group: g, ended: map[string]bool{}}
		if err := d.ask(ctx, g, s); err != nil {
			for ref := range g.formats {
				if s.ended[ref] {
					continue
				}
				if werr := w.WriteError(ctx, ref, statusOf(err), err); werr != nil {
					return werr
				}
			}
		}
	}
	return nil
}

// ask sends a group to the server and hands the answer to s.
func (d *Datasource) ask(ctx context.Context, g *group, s sink) error {
	body, err := json.Marshal(g.request)
	if err != nil {
		return fmt.Errorf("write request: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url("query").String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", arrowType)
	resp, err := d.client.Do(r)
	if err != nil {
		return explain(err)
	}
	defer func() {
		_, _ = io.CopyN(io.Discard, resp.Body, maxError) // so that the connection can be used again
		_ = resp.Body.Close()
	}()
	err = read(resp, s)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, httpclient.ErrResponseBodyTooLarge):
		return fmt.Errorf("the answer is larger than Grafana's response_limit in [dataproxy] allows: %w", err)
	}
	return err
}

// failure is an answer that is an error of the server or the query, not of the plug-in.
func failure(status backend.Status, text string) backend.DataResponse {
	return backend.DataResponse{Error: errors.New(text), Status: status, ErrorSource: backend.ErrorSourceDownstream}
}

// failed is the answer to a query whose answer as a whole is an error.
func failed(err error) backend.DataResponse {
	if backend.IsPluginError(err) {
		return backend.DataResponse{Error: err, Status: backend.StatusInternal, ErrorSource: backend.ErrorSourcePlugin}
	}
	return failure(statusOf(err), err.Error())
}

func statusOf(err error) backend.Status {
	var f *fault
	switch {
	case errors.As(err, &f):
		return backend.StatusBadRequest
	case errors.Is(err, context.Canceled):
		return backend.Status(499) // the client has gone, as nginx says it
	case errors.Is(err, context.DeadlineExceeded):
		return backend.StatusTimeout
	}
	return backend.StatusBadGateway
}

// frames gathers whole frames.
type frames struct {
	group    *group
	building map[string]*frameBuilder
	rows     map[string]int64
	done     map[string]backend.DataResponse
}

func newFrames(g *group, done map[string]backend.DataResponse) *frames {
	return &frames{group: g, building: map[string]*frameBuilder{}, rows: map[string]int64{}, done: done}
}

func (s *frames) begin(ref string, schema *arrow.Schema) (err error) {
	s.building[ref], err = newFrameBuilder(schema, false)
	return err
}

func (s *frames) batch(ref string, batch arrow.RecordBatch) error {
	s.rows[ref] += batch.NumRows()
	if err := s.group.tooMany(s.rows[ref]); err != nil {
		return err
	}
	return s.building[ref].add(batch)
}

// allocator: what is in a frame stays after the answer.
func (s *frames) allocator(string) memory.Allocator { return memory.DefaultAllocator }

func (s *frames) end(ref string, t tail) error {
	if t.Error != nil {
		s.done[ref] = failure(backend.StatusBadRequest, t.Error.Error())
		return nil //nolint:nilerr // it is the query's, not the stream's
	}
	answer := backend.DataResponse{Status: backend.StatusOK}
	if b := s.building[ref]; b != nil && len(b.columns) > 0 { // without a result, as the query may want it, there are none
		f := b.frame(ref)
		finish(f, s.group.formats[ref], t.SQL, notices(t))
		answer.Frames = data.Frames{f}
	}
	s.done[ref] = answer
	delete(s.building, ref)
	return nil
}

func notices(t tail) []data.Notice {
	if !t.Truncated {
		return nil
	}
	return []data.Notice{{Severity: data.NoticeSeverityWarning, Text: fmt.Sprintf("There are more than these %d rows: narrow the query, or raise the data source's limit.", t.RowCount)}}
}

// chunks passes each batch on as a frame.
type chunks struct {
	ctx    context.Context //nolint:containedctx // of the one call that it lives in
	w      backend.ChunkedDataWriter
	group  *group
	schema *arrow.Schema
	sent   bool
	ended  map[string]bool
}

func (s *chunks) begin(_ string, schema *arrow.Schema) error {
	s.schema, s.sent = schema, false
	return nil
}

func (s *chunks) write(ref string, batch arrow.RecordBatch) error {
	b, err := newFrameBuilder(s.schema, true)
	if err != nil {
		return err
	}
	if batch != nil {
		if err := b.add(batch); err != nil {
			return err
		}
	}
	f := b.frame(ref)
	finish(f, s.group.formats[ref], "", nil)
	s.sent = true
	return s.w.WriteFrame(s.ctx, ref, ref, f)
}

func (s *chunks) allocator(string) memory.Allocator { return memory.DefaultAllocator }

func (s *chunks) batch(ref string, batch arrow.RecordBatch) error { return s.write(ref, batch) }

func (s *chunks) end(ref string, t tail) error {
	s.ended[ref] = true
	if t.Error != nil {
		return s.w.WriteError(s.ctx, ref, backend.StatusBadRequest, t.Error)
	}
	if !s.sent && s.schema != nil && s.schema.NumFields() > 0 {
		return s.write(ref, nil) // the columns of an empty answer
	}
	s.schema = nil
	return nil
}

func jsonError(text string) []byte {
	b, _ := json.Marshal(map[string]any{"error": fault{Message: text}}) // text always marshals
	return b
}
