package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

const (
	arrowType = "application/vnd.apache.arrow.stream"
	// maxError bounds what is read of an answer that is not a result.
	maxError = 64 << 10
	// maxTail bounds what stands behind the rows of a query: the expanded SQL is the most of it.
	maxTail = 64 << 20
)

// fault is an error as /api/sql tells it.
type fault struct {
	Message string `json:"message"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
}

func (f *fault) Error() string {
	if f.Line > 0 && !strings.Contains(f.Message, "line ") {
		return fmt.Sprintf("line %d, column %d: %s", f.Line, f.Column, f.Message)
	}
	return f.Message
}

// tail is what follows a query's rows.
type tail struct {
	RefID     string  `json:"ref_id"`
	RowCount  int     `json:"row_count"`
	Truncated bool    `json:"truncated"`
	Cached    bool    `json:"cached"`
	ElapsedMS float64 `json:"elapsed_ms"`
	SQL       string  `json:"sql"`
	Error     *fault  `json:"error"`
}

// sink takes an answer as it comes.
type sink interface {
	begin(ref string, schema *arrow.Schema) error
	batch(ref string, batch arrow.RecordBatch) error
	end(ref string, t tail) error
	// allocator gives the memory that the batches of an answer are read into; begin follows.
	allocator(ref string) memory.Allocator
}

// read hands an answer to a sink. The error is of the answer as a whole.
func read(resp *http.Response, to sink) error {
	p, ok := newParts(resp)
	if !ok {
		return notAnAnswer(resp)
	}
	for {
		head, err := p.next()
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the answer broke off: %w", err)
		}
		if head.contentType == arrowType {
			if err := readRows(p.r, head.ref, to); err != nil {
				return fmt.Errorf("query %s: %w", head.ref, err)
			}
			continue
		}
		var t tail
		text, err := p.text(maxTail)
		if err == nil {
			err = json.Unmarshal(text, &t)
		}
		if err != nil {
			return fmt.Errorf("query %s: the answer broke off: %w", head.ref, err)
		}
		if err := to.end(head.ref, t); err != nil {
			return err
		}
	}
}

// readRows reads one Arrow stream, and not a byte behind its end.
func readRows(part io.Reader, ref string, to sink) (err error) {
	defer func() {
		if r := recover(); r != nil { // the reader panics at some malformed buffers
			err = fmt.Errorf("malformed Arrow stream: %v", r)
		}
	}()
	rows, err := ipc.NewReaderFromMessageReader(&messages{r: part, mem: to.allocator(ref)})
	if err != nil {
		return fmt.Errorf("read Arrow stream: %w", err)
	}
	defer rows.Release()
	if err := to.begin(ref, rows.Schema()); err != nil {
		return err
	}
	for rows.Next() {
		if err := to.batch(ref, rows.RecordBatch()); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("the rows broke off: %w", err)
	}
	return nil
}

// notAnAnswer says what came instead of one.
func notAnAnswer(resp *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	var v struct {
		Error *fault `json:"error"`
	}
	if json.Unmarshal(body, &v) == nil && v.Error != nil && v.Error.Message != "" {
		if strings.Contains(v.Error.Message, "unknown field") {
			return fmt.Errorf("the server is older than the plug-in: %w", v.Error)
		}
		return v.Error
	}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return errors.New("the server refuses the credentials (401): see the data source's settings")
	case http.StatusForbidden:
		return errors.New("the server does not allow it (403)")
	case http.StatusNotFound:
		return errors.New("there is no SQL at this address (404): is it Oriel, with a section query?")
	case http.StatusServiceUnavailable:
		return errors.New("the server is not ready (503)")
	}
	if resp.StatusCode/100 == 3 {
		return fmt.Errorf("the server sends elsewhere (%s): set its final address", resp.Status)
	}
	return fmt.Errorf("%s: this is not an answer of Oriel's SQL: %.200q", resp.Status, body)
}
