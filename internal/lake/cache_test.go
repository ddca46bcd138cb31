package lake

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"testing"
)

// counted counts how often objects are read.
type counted struct {
	Store
	gets atomic.Int64
}

func (c *counted) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	c.gets.Add(1)
	return c.Store.Get(ctx, key)
}

func TestCacheIsBounded(t *testing.T) {
	ctx := context.Background()
	s := &counted{Store: NewDir(t.TempDir())}
	for i := range 10 {
		put(t, s, fmt.Sprint(i), "0123456789")
	}
	dir := t.TempDir()
	c := NewCache(dir, 35) // three fit
	fetch := func(c *Cache, i int) (string, func(), error) {
		return c.Fetch(ctx, s, Object{Key: fmt.Sprint(i), ETag: "e", Size: 10})
	}
	var kept func()
	for i := range 10 {
		path, release, err := fetch(c, i)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != "0123456789" {
			t.Errorf("%d: %q, %v", i, b, err)
		}
		if i == 0 {
			kept = release
			continue
		}
		release()
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Errorf("%d files, %v; want 3", len(files), err)
	}
	gets := s.gets.Load()
	for _, i := range []int{0, 9, 8} {
		_, release, err := fetch(c, i)
		if err != nil {
			t.Fatal(err)
		}
		release()
	}
	if s.gets.Load() != gets {
		t.Errorf("%d reads of what was there", s.gets.Load()-gets)
	}
	_, hold1, err1 := fetch(c, 1)
	_, hold2, err2 := fetch(c, 2)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if _, _, err := fetch(c, 3); err == nil {
		t.Error("all is in use and a fourth file fits")
	}
	for _, release := range []func(){kept, hold1, hold2} {
		release()
	}
	if _, _, err := c.Fetch(ctx, s, Object{Key: "1", ETag: "grew", Size: 11}); err == nil {
		t.Error("an object of another size than listed: no error")
	}
	// Another process finds what this one left.
	gets = s.gets.Load()
	_, release, err := fetch(NewCache(dir, 35), 2)
	if err != nil || s.gets.Load() != gets {
		t.Errorf("after a restart: %v, %d reads", err, s.gets.Load()-gets)
	}
	release()
}

func TestCacheServesManyAtOnce(t *testing.T) {
	ctx := context.Background()
	s := &counted{Store: NewDir(t.TempDir())}
	for i := range 20 {
		put(t, s, fmt.Sprint(i), "0123456789")
	}
	c := NewCache(t.TempDir(), 100)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				key := fmt.Sprint((i*7 + g) % 20)
				path, release, err := c.Fetch(ctx, s, Object{Key: key, ETag: "e", Size: 10})
				if err != nil {
					t.Error(err)
					return
				}
				if b, err := os.ReadFile(path); err != nil || len(b) != 10 {
					t.Errorf("%q, %v", b, err)
				}
				release()
			}
		})
	}
	wg.Wait()
}
