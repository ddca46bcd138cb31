package query

import (
	"context"
	"iter"
	"sync"
	"time"
)

// Result is the rows of one query. They can be read while they come, by many readers at once.
type Result struct {
	mu        sync.Mutex // guards what follows
	changed   chan struct{}
	columns   []Column
	rows      [][]any
	bytes     int64
	truncated bool
	done      bool
	err       error
	elapsed   time.Duration
}

func newResult() *Result { return &Result{changed: make(chan struct{})} }

// update changes the result and wakes the readers.
func (r *Result) update(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	close(r.changed)
	r.changed = make(chan struct{})
}

// Columns waits until the columns are known.
func (r *Result) Columns(ctx context.Context) ([]Column, error) {
	for {
		r.mu.Lock()
		columns, done, err, changed := r.columns, r.done, r.err, r.changed
		r.mu.Unlock()
		if columns != nil || done {
			return columns, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Batches yields the rows as they come. An error is the last that it yields.
// The rows belong to the result and must not be changed.
func (r *Result) Batches(ctx context.Context) iter.Seq2[[][]any, error] {
	return func(yield func([][]any, error) bool) {
		for from := 0; ; {
			r.mu.Lock()
			rows, done, err, changed := r.rows[from:], r.done, r.err, r.changed
			r.mu.Unlock()
			if len(rows) > 0 {
				from += len(rows)
				if !yield(rows, nil) {
					return
				}
				continue
			}
			if done {
				if err != nil {
					yield(nil, err)
				}
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				yield(nil, context.Cause(ctx))
				return
			}
		}
	}
}

// All waits for all rows.
func (r *Result) All(ctx context.Context) (*Sheet, error) {
	columns, err := r.Columns(ctx)
	if err != nil {
		return nil, err
	}
	t := &Sheet{Columns: columns}
	for rows, err := range r.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		t.Rows = append(t.Rows, rows...)
	}
	return t, nil
}

// Truncated tells whether rows were left out because of the limit. Elapsed is
// how long the engine took. Both are known at the end.
func (r *Result) Truncated() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.truncated
}

// Elapsed is documented at Truncated.
func (r *Result) Elapsed() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.elapsed
}

// Sheet is a result as a whole.
type Sheet struct {
	Columns []Column
	Rows    [][]any
}

// sizeOf estimates the memory of a row.
func sizeOf(row []any) int64 {
	n := int64(24 + 16*len(row))
	for _, v := range row {
		switch v := v.(type) {
		case string:
			n += int64(16 + len(v))
		case time.Time:
			n += 24
		case nil, bool:
		default:
			n += 8
		}
	}
	return n
}
