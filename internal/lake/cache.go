package lake

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
)

// Cache keeps whole objects of a remote store as files, up to a number of
// bytes; what has not been used for longest goes first. A file in use is never
// removed. The directory must belong to one process.
type Cache struct {
	dir string
	max int64

	mu      sync.Mutex // guards all that follows
	scanned bool
	size    int64
	entries map[string]*cacheEntry // by file name
	recent  *list.List             // of *cacheEntry, most recently used first
}

type cacheEntry struct {
	name  string
	size  int64
	users int
	place *list.Element
	ready chan struct{} // closed when the file is there or err is set
	err   error
}

// NewCache returns a cache in dir of at most limit bytes. It touches nothing yet.
func NewCache(dir string, limit int64) *Cache {
	return &Cache{dir: dir, max: limit, entries: map[string]*cacheEntry{}, recent: list.New()}
}

// cacheName is the name of an object's file: another content, another name.
func cacheName(o Object) string {
	sum := sha256.Sum256([]byte(o.Key + "\x00" + o.ETag))
	return hex.EncodeToString(sum[:16]) + extension
}

// Fetch returns the file with an object's content, and the function that lets
// go of it. Who asks for an object that is being fetched waits for it.
func (c *Cache) Fetch(ctx context.Context, s Store, o Object) (path string, release func(), err error) {
	for {
		e, mine, err := c.take(o)
		if err != nil {
			return "", nil, err
		}
		if mine {
			err = c.download(ctx, s, o, e)
			c.done(e, err)
			if err != nil {
				return "", nil, err
			}
			return c.path(e), sync.OnceFunc(func() { c.release(e) }), nil
		}
		select {
		case <-e.ready:
		case <-ctx.Done():
			c.release(e)
			return "", nil, ctx.Err()
		}
		if e.err == nil {
			return c.path(e), sync.OnceFunc(func() { c.release(e) }), nil
		}
		c.release(e)
		if isNotFound(e.err) {
			return "", nil, e.err
		}
		if ctx.Err() != nil {
			return "", nil, ctx.Err()
		}
		// The one who fetched failed, perhaps because its caller went: try ourselves.
	}
}

func (c *Cache) path(e *cacheEntry) string { return filepath.Join(c.dir, e.name) }

// take returns the object's entry, and whether the caller has to fetch it.
func (c *Cache) take(o Object) (*cacheEntry, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.scan(); err != nil {
		return nil, false, err
	}
	name := cacheName(o)
	if e, ok := c.entries[name]; ok {
		e.users++
		c.recent.MoveToFront(e.place)
		return e, false, nil
	}
	if err := c.evict(o.Size); err != nil {
		return nil, false, err
	}
	e := &cacheEntry{name: name, size: o.Size, users: 1, ready: make(chan struct{})}
	e.place = c.recent.PushFront(e)
	c.entries[name] = e
	c.size += e.size
	return e, true, nil
}

// evict makes room for n bytes. c.mu is held.
func (c *Cache) evict(n int64) error {
	for place := c.recent.Back(); place != nil && c.size+n > c.max; {
		e := place.Value.(*cacheEntry)
		place = place.Prev()
		if e.users > 0 {
			continue
		}
		if err := os.Remove(c.path(e)); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("cache: %w", err)
		}
		c.drop(e)
	}
	if c.size+n > c.max {
		return fmt.Errorf("cache: no room for %d bytes: %d of %d are in use", n, c.size, c.max)
	}
	return nil
}

// drop forgets an entry. c.mu is held.
func (c *Cache) drop(e *cacheEntry) {
	if c.entries[e.name] == e {
		delete(c.entries, e.name)
		c.recent.Remove(e.place)
		c.size -= e.size
	}
}

func (c *Cache) release(e *cacheEntry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.users--
}

// done tells those who wait how the download went.
func (c *Cache) done(e *cacheEntry, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.err = err
	if err != nil {
		e.users--
		c.drop(e)
	}
	close(e.ready)
}

// download writes the object to a temporary file and moves that to its place.
func (c *Cache) download(ctx context.Context, s Store, o Object, e *cacheEntry) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("fetch %q: %w", o.Key, err)
		}
	}()
	body, err := s.Get(ctx, o.Key)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	f, err := os.CreateTemp(c.dir, tempPrefix)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	n, err := io.Copy(f, io.LimitReader(body, o.Size+1))
	if err == nil && n != o.Size {
		err = fmt.Errorf("%d bytes instead of %d", n, o.Size)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), c.path(e))
}

// scan takes over what an earlier process left, once. c.mu is held.
func (c *Cache) scan() error {
	if c.scanned {
		return nil
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	found, err := os.ReadDir(c.dir)
	if err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	type old struct {
		name string
		size int64
		used int64
	}
	var olds []old
	for _, f := range found {
		info, err := f.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		switch {
		case strings.HasPrefix(f.Name(), tempPrefix):
			_ = os.Remove(filepath.Join(c.dir, f.Name()))
		case strings.HasSuffix(f.Name(), extension):
			olds = append(olds, old{f.Name(), info.Size(), info.ModTime().UnixNano()})
		}
	}
	sort.Slice(olds, func(i, j int) bool { return olds[i].used > olds[j].used })
	ready := make(chan struct{})
	close(ready)
	for _, o := range olds {
		e := &cacheEntry{name: o.name, size: o.size, ready: ready}
		e.place = c.recent.PushBack(e)
		c.entries[o.name] = e
		c.size += o.size
	}
	c.scanned = true
	return nil
}
