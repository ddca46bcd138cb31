//go:build unix && cgo

package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/orielhq/oriel/internal/query"
	"github.com/orielhq/oriel/internal/query/duckdb"
)

// Engine is a query.Engine whose work another process does. That is started by
// the first statement, and again after its end.
type Engine struct {
	cfg   duckdb.Config
	log   *slog.Logger
	alone *semaphore.Weighted // statements that saw an engine die are tried again one at a time

	starting chan struct{} // held by whoever looks for the process or starts one
	mu       sync.Mutex    // guards what follows
	current  *process
	retired  *process
	deaths   map[string]int // by cause
	inARow   int            // deaths since a statement ended well
	last     time.Time      // of a death
	closed   bool
}

// Open makes an engine. Its process is started when it is needed.
func Open(_ context.Context, cfg duckdb.Config, log *slog.Logger) (*Engine, error) {
	return &Engine{cfg: cfg, log: log, alone: semaphore.NewWeighted(1), starting: make(chan struct{}, 1), deaths: map[string]int{causeCrash: 0, causeTimeout: 0, causeMemory: 0}}, nil
}

// Close ends the process. Statements must have ended.
func (e *Engine) Close() error {
	e.mu.Lock()
	all := []*process{e.current, e.retired}
	e.current, e.retired, e.closed = nil, nil, true
	e.mu.Unlock()
	for _, p := range all {
		if p != nil {
			p.close()
		}
	}
	return nil
}

// Inspect is documented at query.Engine.
func (e *Engine) Inspect(ctx context.Context, sql string) (*query.Shape, error) {
	a, err := e.ask(ctx, frameInspect, &request{Statement: query.Statement{SQL: sql}})
	if err != nil {
		return nil, err
	}
	_ = a.close(true)
	shape := &query.Shape{}
	if err := json.Unmarshal(a.content, shape); err != nil {
		return nil, errors.Join(errGarbled, err)
	}
	return shape, nil
}

// Export is documented at query.Engine.
func (e *Engine) Export(ctx context.Context, st query.Statement, format, file string) error {
	a, err := e.ask(ctx, frameExport, &request{Statement: st, Format: format, File: file})
	if err == nil {
		_ = a.close(true)
	}
	return err
}

// Query is documented at query.Engine.
func (e *Engine) Query(ctx context.Context, st query.Statement) (query.Rows, error) {
	a, err := e.ask(ctx, frameQuery, &request{Statement: st})
	if err != nil {
		return nil, err
	}
	r := &rows{answer: a, ctx: ctx}
	if err := json.Unmarshal(a.content, &r.columns); err != nil {
		return nil, errors.Join(errGarbled, err, a.close(false))
	}
	r.stop = context.AfterFunc(ctx, func() { _ = a.conn.SetDeadline(time.Unix(1, 0)) })
	return r, nil
}

// answer is the first frame of one, and the connection on which more may follow.
type answer struct {
	process *process
	conn    net.Conn
	kind    byte
	content []byte
}

// close gives the connection back: whole after the last frame.
func (a *answer) close(whole bool) error { return a.process.release(a.conn, whole) }

// ask sends a statement and waits for the first of its answer. If the engine
// dies meanwhile, or has no memory left, it is asked again, once, and then beside
// no other that is in doubt: who takes the memory or kills engines does so alone.
func (e *Engine) ask(ctx context.Context, kind byte, r *request) (*answer, error) {
	content, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	for crashes, short, held := 0, 0, false; ; {
		p, err := e.process(ctx)
		if err != nil {
			return nil, err
		}
		a, err := p.ask(ctx, kind, content)
		switch {
		case err == nil:
			e.well(p)
			if a.kind != frameError {
				return a, nil
			}
			f := failed(a.content)
			others := p.others()
			if f.Allocation {
				e.retire(p)
			}
			_ = a.close(true)
			if short++; !f.Memory || !others || short == 2 {
				return nil, f.error()
			}
		case ctx.Err() != nil:
			if errors.Is(err, errStuck) {
				e.end(p)
			}
			return nil, ctx.Err()
		case errors.Is(err, errSpent):
			continue
		case !e.ended(p):
			return nil, err
		case p.killed.Load():
			continue // for another's sake
		default:
			if crashes++; crashes == 2 {
				return nil, &query.EngineError{Msg: "the SQL engine ended while it ran this query, twice: " + p.why(), Offset: -1}
			}
		}
		if !held {
			held = true
			if err := e.alone.Acquire(ctx, 1); err != nil {
				return nil, err
			}
			defer e.alone.Release(1)
		}
	}
}

var errStuck = errors.New("the SQL engine did not give a statement back")

// ask is one try.
func (p *process) ask(ctx context.Context, kind byte, content []byte) (*answer, error) {
	c, err := p.connect()
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() {
		// The engine sees the end of the connection and ends the statement.
		_ = c.(*net.UnixConn).CloseWrite()
		_ = c.SetReadDeadline(time.Now().Add(grace))
	})
	a := &answer{process: p, conn: c}
	if err = writeFrame(c, kind, content); err == nil {
		a.kind, a.content, err = readFrame(c, nil)
	}
	if !stop() {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = errStuck
		}
		err = errors.Join(ctx.Err(), err)
	}
	if err != nil {
		return nil, errors.Join(err, a.close(false))
	}
	return a, nil
}

// rows come as fast as they are read.
type rows struct {
	*answer
	ctx     context.Context //nolint:containedctx // of the query
	stop    func() bool
	columns []query.Column
	buf     []byte
	rest    []byte // of the rows that came last
	done    bool
}

// Columns is documented at query.Rows.
func (r *rows) Columns() []query.Column { return r.columns }

// Next is documented at query.Rows.
func (r *rows) Next(row []any) (err error) {
	for len(r.rest) == 0 {
		if r.done {
			return io.EOF
		}
		kind, content, err := readFrame(r.conn, r.buf)
		switch {
		case r.ctx.Err() != nil:
			return r.ctx.Err()
		case err != nil:
			return fmt.Errorf("the SQL engine ended while it sent rows: ask again (%w)", err)
		case kind == frameDone:
			r.done = true
		case kind == frameError:
			return failed(content).error()
		case kind != frameRows:
			return errGarbled
		default:
			r.buf, r.rest = content, content
		}
	}
	for i := range r.columns {
		if row[i], r.rest, err = takeValue(r.rest); err != nil {
			return err
		}
	}
	return nil
}

// Close is documented at query.Rows.
func (r *rows) Close() error {
	return r.close(r.stop() && r.done)
}

func failed(content []byte) *failure {
	f := &failure{Offset: -1}
	if err := json.Unmarshal(content, f); err != nil {
		f.Msg = errGarbled.Error()
	}
	return f
}
