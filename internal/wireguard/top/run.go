package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/orielhq/oriel/internal/wireguard"
)

// Source reads the peers; an error may come with rows.
type Source func(ctx context.Context) ([]wireguard.PeerRow, error)

// Run shows the table on the terminal until q is pressed or ctx is done. The
// terminal is left as it was found.
func (t *Table) Run(ctx context.Context, read Source, interval time.Duration) (err error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open terminal: %w", err)
	}
	defer func() { err = errors.Join(err, tty.Close()) }()
	restore, err := raw(tty)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, restore()) }()
	// The other screen, so that what was on this one comes back; no cursor.
	if _, err := io.WriteString(tty, "\x1b[?1049h\x1b[?25l"); err != nil {
		return fmt.Errorf("write terminal: %w", err)
	}
	defer func() { _, _ = io.WriteString(tty, "\x1b[?25h\x1b[?1049l") }()

	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer func() { _ = tty.SetReadDeadline(time.Now()) }() // ends the reading of keys
	defer stop()
	keys := make(chan []byte)
	wg.Go(func() { readKeys(ctx, tty, keys) })
	return t.loop(ctx, tty, read, interval, keys)
}

// result is one reading.
type result struct {
	rows []wireguard.PeerRow
	err  error
}

func (t *Table) loop(ctx context.Context, tty *os.File, read Source, interval time.Duration, keys <-chan []byte) error {
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	results := make(chan result, 1)
	reading := false
	ask := func() { // a device that hangs must not hang the keys
		if !reading && !t.paused {
			reading = true
			go func() {
				rows, err := read(ctx)
				results <- result{rows, err}
			}()
		}
	}
	ask()
	for {
		width, height := size(tty)
		if _, err := tty.Write(t.Screen(width, height)); err != nil {
			return fmt.Errorf("write terminal: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-resized:
		case <-tick.C:
			ask()
		case r := <-results:
			reading = false
			t.Update(r.rows, r.err, time.Now())
		case input, ok := <-keys:
			if !ok || !t.Press(input) {
				return nil
			}
		}
	}
}

// readKeys hands on what is typed, until ctx is done.
func readKeys(ctx context.Context, tty *os.File, keys chan<- []byte) {
	defer close(keys)
	for {
		b := make([]byte, 64)
		n, err := tty.Read(b)
		if err != nil {
			return
		}
		select {
		case keys <- b[:n]:
		case <-ctx.Done():
			return
		}
	}
}

// raw makes the terminal hand over each key, and returns how to undo that. Of
// the file only its descriptor is lent: File.Fd would make it blocking for good.
func raw(tty *os.File) (restore func() error, err error) {
	conn, err := tty.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("open terminal: %w", err)
	}
	var state *term.State
	if cerr := conn.Control(func(fd uintptr) { state, err = term.MakeRaw(int(fd)) }); cerr != nil || err != nil {
		return nil, fmt.Errorf("set terminal: %w", errors.Join(cerr, err))
	}
	return func() error {
		var err error
		cerr := conn.Control(func(fd uintptr) { err = term.Restore(int(fd), state) })
		return errors.Join(cerr, err)
	}, nil
}

// size of the terminal; 80 by 24 if it does not say.
func size(tty *os.File) (width, height int) {
	width, height = 80, 24
	if conn, err := tty.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) {
			if w, h, err := term.GetSize(int(fd)); err == nil && w > 0 && h > 0 {
				width, height = w, h
			}
		})
	}
	return width, height
}
