package lake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	lockPrefix = "_lock/"
	// lease is how long a lock in a bucket outlives a holder that is no more.
	lease = 2 * time.Minute
	renew = 20 * time.Second
)

// ErrLocked tells that another process is at the same work.
var ErrLocked = errors.New("another process is at it")

// lock keeps two processes from importing one source or compacting one table
// at once. In a directory it is the kernel's, which ends with its holder; in a
// bucket it is an object with a lease.
type lock struct {
	release func()
	expires atomic.Int64 // Unix nanoseconds; 0: never
}

// held tells whether the lock is still ours.
func (l *lock) held() bool {
	e := l.expires.Load()
	return e == 0 || time.Now().UnixNano() < e
}

func (l *Lake) lock(ctx context.Context, name string) (*lock, error) {
	key := lockPrefix + name
	if s, ok := l.store.(local); ok {
		return lockFile(s.Path(key))
	}
	return l.lockObject(ctx, key)
}

func lockFile(path string) (*lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %q: %w", path, ErrLocked)
		}
		return nil, fmt.Errorf("lock %q: %w", path, err)
	}
	return &lock{release: func() { _ = f.Close() }}, nil
}

// holder is the content of a lock object.
type holder struct {
	ID      string    `json:"id"`
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Expires time.Time `json:"expires"`
}

// gone tells whether the holder cannot be at work any more.
func (h holder) gone() bool {
	if time.Now().After(h.Expires) {
		return true
	}
	host, err := os.Hostname()
	return err == nil && host == h.Host && h.PID != os.Getpid() && errors.Is(syscall.Kill(h.PID, 0), syscall.ESRCH)
}

func (l *Lake) lockObject(ctx context.Context, key string) (*lock, error) {
	host, _ := os.Hostname() // an empty one is nobody's
	me := holder{ID: newID("l"), Host: host, PID: os.Getpid()}
	lk := &lock{}
	write := func(ctx context.Context, ifAbsent bool) error {
		me.Expires = time.Now().Add(lease)
		data, err := json.Marshal(me)
		if err == nil {
			err = l.store.Put(ctx, key, bytes.NewReader(data), int64(len(data)), ifAbsent)
		}
		if err == nil {
			lk.expires.Store(me.Expires.UnixNano())
		}
		return err
	}
	for tries := 0; ; tries++ {
		err := write(ctx, true)
		if err == nil {
			break
		}
		var h holder
		if !errors.Is(err, ErrExists) || tries > 2 {
			return nil, fmt.Errorf("lock: %w", err)
		}
		if err := readJSON(ctx, l.store, key, 4096, &h); err != nil && !isNotFound(err) {
			return nil, fmt.Errorf("lock: %w", err)
		}
		if !h.gone() {
			return nil, fmt.Errorf("lock %q: held by process %d of %s: %w", key, h.PID, h.Host, ErrLocked)
		}
		if err := l.store.Delete(ctx, key); err != nil {
			return nil, fmt.Errorf("lock: %w", err)
		}
	}
	renewing, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(renew)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if err := write(renewing, false); err != nil && renewing.Err() == nil {
					l.log.Warn("lock not renewed", "key", key, "err", err)
				}
			case <-renewing.Done():
				return
			}
		}
	}()
	lk.release = func() {
		stop()
		<-done
		if lk.held() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			if err := l.store.Delete(ctx, key); err != nil {
				l.log.Warn("lock not released", "key", key, "err", err)
			}
		}
	}
	return lk, nil
}
