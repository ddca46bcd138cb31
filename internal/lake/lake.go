// Package lake keeps records of any type in Parquet files, in a directory or in
// an S3-compatible bucket, laid out as
//
//	<table>/date=YYYY-MM-DD/hour=HH/<first-time>-<writer>-<seq>.parquet
//
// It imports objects exactly once, compacts and forgets old files, and fetches
// into a bounded local cache what a query needs.
package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"time"
)

// Errors that callers tell apart.
var (
	ErrNotFound = errors.New("no such object")
	ErrExists   = errors.New("object exists already")
	ErrBacklog  = errors.New("the store is too far behind")
)

// Object is one object of a store as a listing shows it.
type Object struct {
	Key      string
	ETag     string // changes whenever the content does
	Size     int64
	Modified time.Time
}

// Store is where objects are. Keys have "/" between their parts, never at the
// beginning. A missing object gives ErrNotFound. All methods may be called concurrently.
type Store interface {
	// List yields the objects whose key begins with prefix and is greater than startAfter, in order of keys.
	List(ctx context.Context, prefix, startAfter string) iter.Seq2[Object, error]
	// Get reads an object from its beginning.
	Get(ctx context.Context, key string) (io.ReadCloser, error)
	// GetRange reads n bytes from offset.
	GetRange(ctx context.Context, key string, offset, n int64) (io.ReadCloser, error)
	// Put writes an object of size bytes, wholly or not at all. With ifAbsent it
	// fails with ErrExists instead of replacing one.
	Put(ctx context.Context, key string, body io.Reader, size int64, ifAbsent bool) error
	Stat(ctx context.Context, key string) (Object, error)
	// Delete removes an object; that it is gone already is no error.
	Delete(ctx context.Context, key string) error
}

// local is a store whose objects are files that can be read in place.
type local interface {
	// Path returns the file of a key.
	Path(key string) string
}

// Lake is the tables in a store.
type Lake struct {
	store Store
	cache *Cache // nil if the store's files are read in place
	log   *slog.Logger
	grace time.Duration // how long what is replaced stays readable

	transactions *transactions
	extents      extents
	schemas      schemas
}

// Options of a lake.
type Options struct {
	// CacheDir and CacheBytes bound the local copies of a remote store's files. A
	// directory store needs none.
	CacheDir   string
	CacheBytes int64
	// Grace is how long a file that compaction replaced can still be read by
	// queries that began before; DefaultGrace if 0.
	Grace time.Duration
}

// DefaultGrace is longer than any query may take.
const DefaultGrace = 10 * time.Minute

// New returns the lake in a store. It touches neither the store nor the disk.
func New(store Store, o Options, log *slog.Logger) (*Lake, error) {
	l := &Lake{store: store, log: log, grace: o.Grace, transactions: newTransactions(store)}
	if l.grace == 0 {
		l.grace = DefaultGrace
	}
	if d, ok := store.(*Dir); ok {
		d.final = true
	}
	if _, ok := store.(local); ok {
		return l, nil
	}
	if o.CacheDir == "" || o.CacheBytes <= 0 {
		return nil, fmt.Errorf("lake: a remote store needs a cache directory and its size")
	}
	l.cache = NewCache(o.CacheDir, o.CacheBytes)
	return l, nil
}

// Store returns where the lake keeps its objects.
func (l *Lake) Store() Store { return l.store }
