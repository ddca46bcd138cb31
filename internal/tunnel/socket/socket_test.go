package socket

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func knock(l net.Listener) error {
	done := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = io.WriteString(c, "x")
			_ = c.Close()
		}
		done <- err
	}()
	c, err := (&net.Dialer{Timeout: 10 * time.Second}).Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		return err
	}
	return <-done
}

// TestUnixSocketIsTheUsersAlone: it takes the place of one that nobody answers on, and of no other.
func TestUnixSocketIsTheUsersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(t.Context(), "unix:"+path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want 0600", info, err)
	}
	if err := knock(l); err != nil {
		t.Error(err)
	}
	if _, err := Listen(t.Context(), "unix:"+path); err == nil || !strings.Contains(err.Error(), "is in use") {
		t.Errorf("a second one: %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // as of a process that was killed
	_ = l.Close()
	again, err := Listen(t.Context(), "unix:"+path)
	if err != nil {
		t.Fatalf("after a process that was killed: %v", err)
	}
	defer again.Close()
	if err := knock(again); err != nil {
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), "unix:"+file); err == nil {
		t.Error("a file was replaced by a socket")
	}
	if b, _ := os.ReadFile(file); string(b) != "precious" {
		t.Error("a file was removed")
	}
}

func TestTakeOutlivesTheFirst(t *testing.T) {
	for _, where := range []string{"127.0.0.1:0", "unix:" + filepath.Join(t.TempDir(), "s")} {
		first, err := Listen(t.Context(), where)
		if err != nil {
			t.Fatal(err)
		}
		second, err := Take(first)
		if err != nil {
			t.Fatal(err)
		}
		if err := first.Close(); err != nil {
			t.Error(err)
		}
		if err := knock(second); err != nil {
			t.Errorf("%s: %v", where, err)
		}
		if err := second.Close(); err != nil {
			t.Error(err)
		}
		if path, ok := strings.CutPrefix(where, "unix:"); ok {
			if _, err := os.Lstat(path); !os.IsNotExist(err) {
				t.Errorf("the socket's file stays: %v", err)
			}
		}
	}
}

func TestSystemdGaveNothing(t *testing.T) {
	if _, err := Listen(t.Context(), "systemd:web"); err == nil || !strings.Contains(err.Error(), `no socket "web"`) {
		t.Errorf("Listen: %v", err)
	}
	t.Setenv("LISTEN_PID", "1")
	t.Setenv("LISTEN_FDS", "1")
	t.Setenv("LISTEN_FDNAMES", "web")
	if _, err := Listen(t.Context(), "systemd:web"); err == nil {
		t.Error("a socket that was meant for another process is taken")
	}
}
