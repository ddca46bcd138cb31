//go:build unix && cgo

package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/orielhq/oriel/internal/query"
	"github.com/orielhq/oriel/internal/query/duckdb"
)

// Serve is the process of the engine: a program that is started with Argument
// alone does this and nothing else. It runs what comes through its standard input,
// a socket, and ends with it, so also when the program that started it was
// killed. ready is called when the engine is.
func Serve(ctx context.Context, ready func()) error {
	// The signals of a terminal or a service manager are for the program, which ends this one.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	c, err := net.FileConn(os.Stdin)
	if err != nil {
		return fmt.Errorf("%s is started by the program itself: %w", Argument, err)
	}
	control, ok := c.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("%s is started by the program itself", Argument)
	}
	_, content, err := readFrame(control, nil)
	if err != nil {
		return err
	}
	var s settings
	if err := json.Unmarshal(content, &s); err != nil {
		return err
	}
	cfg := s.config()
	confine(cfg)
	engine, err := duckdb.Open(ctx, cfg)
	if err != nil {
		return errors.Join(err, writeJSON(control, frameError, fail(err)))
	}
	ready()
	if err := writeFrame(control, frameDone, nil); err != nil {
		return err
	}
	for {
		c, err := receive(control)
		if err != nil {
			return nil //nolint:nilerr // the program has ended, or wants this process to
		}
		go serve(ctx, engine, c)
	}
}

// receive takes the other end of a connection that the program has made.
func receive(control *net.UnixConn) (net.Conn, error) {
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := control.ReadMsgUnix(make([]byte, 1), oob)
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) != 1 {
		return nil, io.EOF
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, io.EOF
	}
	return connOf(fds[0])
}

// serve answers the requests of one connection, one after the other. Its end is that of the statement too.
func serve(ctx context.Context, engine query.Engine, c net.Conn) {
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type incoming struct {
		kind    byte
		content []byte
	}
	requests := make(chan incoming)
	go func() {
		defer cancel()
		for {
			kind, content, err := readFrame(c, nil)
			if err != nil {
				return
			}
			select {
			case requests <- incoming{kind, content}:
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case r := <-requests:
			if err := respond(ctx, engine, c, r.kind, r.content); err != nil {
				if writeJSON(c, frameError, fail(err)) != nil {
					return
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

func respond(ctx context.Context, engine query.Engine, c net.Conn, kind byte, content []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the SQL engine failed: %v", p)
		}
	}()
	var r request
	if err := json.Unmarshal(content, &r); err != nil {
		return err
	}
	switch kind {
	case frameInspect:
		shape, err := engine.Inspect(ctx, r.SQL)
		if err != nil {
			return err
		}
		return writeJSON(c, frameShape, shape)
	case frameExport:
		if err := engine.Export(ctx, r.Statement, r.Format, r.File); err != nil {
			return err
		}
		return writeFrame(c, frameDone, nil)
	case frameQuery:
		rows, err := engine.Query(ctx, r.Statement)
		if err != nil {
			return err
		}
		err = send(c, rows)
		_ = rows.Close() // nothing was written, and whoever asked has his answer
		return err
	}
	return fmt.Errorf("a request of kind %q", kind)
}

// send writes the columns, and the rows as they can be had and the reader takes them.
func send(c net.Conn, rows query.Rows) error {
	columns := rows.Columns()
	var out bytes.Buffer // the columns and the first rows go together
	if err := writeJSON(&out, frameColumns, columns); err != nil {
		return err
	}
	row, b := make([]any, len(columns)), make([]byte, 0, batch+batch/4)
	flush := func() error {
		if len(b) > 0 {
			if err := writeFrame(&out, frameRows, b); err != nil {
				return err
			}
		}
		b = b[:0]
		_, err := out.WriteTo(c)
		return err
	}
	for {
		err := rows.Next(row)
		if errors.Is(err, io.EOF) {
			if err := writeFrame(&out, frameRows, b); err != nil {
				return err
			}
			b = b[:0]
			if err := writeFrame(&out, frameDone, nil); err != nil {
				return err
			}
			return flush()
		}
		from := len(b)
		for _, v := range row {
			if err != nil {
				break
			}
			b, err = appendValue(b, v)
		}
		if err == nil && len(b)-from > maxRow {
			err = errLargeRow
		}
		if err != nil {
			b = b[:from]
			return errors.Join(err, flush())
		}
		if len(b) >= batch {
			if err := flush(); err != nil {
				return err
			}
			if cap(b) > 4*batch { // not a large one for ever
				b = make([]byte, 0, batch+batch/4)
			}
		}
	}
}

func fail(err error) *failure {
	f := &failure{Msg: err.Error(), Offset: -1}
	if e, ok := errors.AsType[*query.EngineError](err); ok {
		f.Msg, f.Offset, f.Engine = e.Msg, e.Offset, true
	}
	f.Memory = strings.HasPrefix(f.Msg, "Out of Memory")
	f.Allocation = f.Memory && (strings.Contains(f.Msg, "bad allocation") || strings.Contains(f.Msg, "Allocation failure"))
	return f
}
