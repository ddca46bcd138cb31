//go:build unix && cgo

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/orielhq/oriel/internal/query/duckdb"
)

// process is a running engine.
type process struct {
	cmd     *exec.Cmd
	control *net.UnixConn
	mu      sync.Mutex    // guards what follows; one connection is passed on at a time
	users   int           // connections in use
	spent   bool          // to be ended when nobody uses it
	idle    chan net.Conn // whose last statement has ended well
	ended   chan struct{} // closed when it is no more
	words   head          // the first it said; to be read when it has ended
	killed  atomic.Bool   // by us, for a statement that did not end
}

// marked is in the environment of an engine: a program that does not know
// Argument would start itself again and again.
const marked = "ORIEL_SQL_ENGINE"

// launch starts an engine and waits until it takes statements.
func launch(ctx context.Context, cfg duckdb.Config) (*process, error) {
	if os.Getenv(marked) != "" {
		return nil, fmt.Errorf("start the SQL engine: %s does not take %s", os.Args[0], Argument)
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start the SQL engine: %w", err)
	}
	if runtime.GOOS == "linux" {
		exe = "/proc/self/exe" // this very program, also when its file has been replaced
	}
	mine, theirs, err := pair()
	if err != nil {
		return nil, fmt.Errorf("start the SQL engine: %w", err)
	}
	p := &process{idle: make(chan net.Conn, 8), ended: make(chan struct{}), control: mine}
	stdin := os.NewFile(uintptr(theirs), "engine")
	// Nothing of the program's environment, which may hold secrets.
	p.cmd = &exec.Cmd{Path: exe, Args: []string{os.Args[0], Argument}, Env: []string{marked + "=1", "GOTRACEBACK=single"}, Stdin: stdin, Stderr: &p.words, WaitDelay: time.Second}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // ctrl-C is for the program
	err = p.cmd.Start()
	_ = stdin.Close()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the SQL engine: %w", err), mine.Close())
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	stop := context.AfterFunc(ctx, func() { _ = mine.SetDeadline(time.Now()) })
	defer stop()
	err = writeJSON(mine, frameQuery, settingsOf(cfg))
	var kind byte
	var content []byte
	if err == nil {
		kind, content, err = readFrame(mine, nil)
	}
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case err != nil:
		p.close()
		err = fmt.Errorf("start the SQL engine: %w: %s", err, p.why())
	case kind != frameDone:
		err = failed(content).error()
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// close ends the process, gently if it listens.
func (p *process) close() {
	_ = p.control.Close()
	select {
	case <-p.ended:
	case <-time.After(grace):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// why tells how the process has ended.
func (p *process) why() string {
	said, _, _ := strings.Cut(strings.TrimSpace(string(p.words)), "\n")
	if state := p.cmd.ProcessState; state != nil {
		return strings.TrimSpace(state.String() + " " + said)
	}
	return said
}

// connect returns a connection for a statement.
func (p *process) connect() (net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spent {
		return nil, errSpent
	}
	select {
	case c := <-p.idle:
		p.users++
		return c, nil
	default:
	}
	mine, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	_, _, err = p.control.WriteMsgUnix([]byte{0}, unix.UnixRights(theirs), nil)
	_ = unix.Close(theirs)
	if err != nil {
		return nil, errors.Join(err, mine.Close())
	}
	p.users++
	return mine, nil
}

var errSpent = errors.New("the SQL engine is not to be used any longer")

// release gives a connection back, whole (for another statement) or closed.
func (p *process) release(c net.Conn, whole bool) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users--
	keep := whole && !p.spent
	if keep {
		select {
		case p.idle <- c:
		default:
			keep = false
		}
	}
	if !keep {
		err = c.Close()
	}
	if p.spent && p.users == 0 {
		_ = p.control.Close()
	}
	return err
}

// others tells whether more than one statement is under way.
func (p *process) others() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.users > 1
}

// retire lets no statement begin any longer, and ends the process after the last.
func (p *process) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spent = true; p.users == 0 {
		_ = p.control.Close()
	}
}

// pair makes two sockets that are connected.
func pair() (mine *net.UnixConn, theirs int, err error) {
	syscall.ForkLock.RLock() // no program that is started meanwhile gets them
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, 0, err
	}
	c, err := connOf(fds[0])
	if err != nil {
		return nil, 0, errors.Join(err, unix.Close(fds[1]))
	}
	return c.(*net.UnixConn), fds[1], nil
}

func connOf(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "engine")
	c, err := net.FileConn(f) // has its own
	return c, errors.Join(err, f.Close())
}

// head is the beginning of what is written to it.
type head []byte

// Write is documented at io.Writer.
func (h *head) Write(b []byte) (int, error) {
	*h = append(*h, b[:min(len(b), 1024-len(*h))]...)
	return len(b), nil
}

var _ io.Writer = (*head)(nil)
