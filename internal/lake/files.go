package lake

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	maxListTries = 20
	fetchers     = 8 // objects fetched into the cache at once
)

// File is one Parquet file of a table.
type File struct {
	Key  string
	ETag string
	Size int64
	// Hour is the hour (UTC) whose rows the file holds: no row is outside of it.
	Hour time.Time
	// Path is where the file can be read on this machine.
	Path string
}

// Files is what a query over a range of time has to read.
type Files struct {
	List []File // in order of time

	release func()
}

// Release lets the cache drop the files again. Call it once the query has ended.
func (f *Files) Release() {
	if f.release != nil {
		f.release()
		f.release = nil
	}
}

// Files returns the files that hold the rows of a table from from (inclusive)
// to to (exclusive), fetched so that they can be read, and more rows than
// those: whole hours. It is a consistent picture: of a compaction or an import
// that goes on meanwhile either all is seen or nothing. The files stay where
// they are until Release, or for the lake's grace period if they are replaced.
// With bounds those files are left out that have no row within all of them.
func (l *Lake) Files(ctx context.Context, table string, from, to time.Time, bounds ...Bound) (*Files, error) {
	for {
		list, err := l.list(ctx, table, from, to)
		if err != nil {
			return nil, fmt.Errorf("files of %s: %w", table, err)
		}
		list, err = l.within(ctx, list, bounds)
		if isNotFound(err) && ctx.Err() == nil {
			continue // replaced since, as below
		}
		if err != nil {
			return nil, fmt.Errorf("files of %s: %w", table, err)
		}
		f, gone, err := l.fetch(ctx, list)
		if gone && ctx.Err() == nil {
			continue // replaced since: the next listing shows by what
		}
		if err != nil {
			return nil, fmt.Errorf("files of %s: %w", table, err)
		}
		return f, nil
	}
}

// list returns the visible files, without their paths.
func (l *Lake) list(ctx context.Context, table string, from, to time.Time) ([]File, error) {
	before, err := l.transactions.read(ctx)
	if err != nil {
		return nil, err
	}
	for range maxListTries {
		var list []File
		for f, err := range l.walk(ctx, table, from, to) {
			if err != nil {
				return nil, err
			}
			list = append(list, f)
		}
		// What was committed or begun while we were listing may be there by half.
		after, err := l.transactions.read(ctx)
		if err != nil {
			return nil, err
		}
		if before.equal(after) {
			return slices.DeleteFunc(list, func(f File) bool { return after.hides(f.Key) }), nil
		}
		before = after
	}
	return nil, fmt.Errorf("the lake changed %d times while it was listed", maxListTries)
}

// Hour is what the lake has of one hour of a table.
type Hour struct {
	Hour  time.Time
	Files int
	Size  int64 // bytes
}

// Hours yields the hours of a table, in order, that have files to be read.
func (l *Lake) Hours(ctx context.Context, table string) iter.Seq2[Hour, error] {
	return func(yield func(Hour, error) bool) {
		list, err := l.list(ctx, table, time.Time{}, time.Time{})
		if err != nil {
			yield(Hour{}, fmt.Errorf("hours of %s: %w", table, err))
			return
		}
		for len(list) > 0 {
			h := Hour{Hour: list[0].Hour}
			for len(list) > 0 && list[0].Hour.Equal(h.Hour) {
				h.Files++
				h.Size += list[0].Size
				list = list[1:]
			}
			if !yield(h, nil) {
				return
			}
		}
	}
}

// walk yields all files of a range, visible or not.
func (l *Lake) walk(ctx context.Context, table string, from, to time.Time) func(yield func(File, error) bool) {
	return func(yield func(File, error) bool) {
		if !validTable(table) {
			yield(File{}, fmt.Errorf("table %q: not a name of a table", table))
			return
		}
		first := partitionOf(table, from)
		startAfter := first.dir()
		if from.IsZero() || from.Year() < 1 {
			startAfter = ""
		}
		for o, err := range l.store.List(ctx, table+"/", startAfter) {
			if err != nil {
				yield(File{}, err)
				return
			}
			p, _, ok := parseKey(o.Key)
			if !ok {
				continue // not ours
			}
			if !to.IsZero() && !p.hour.Before(to) {
				return
			}
			if !yield(File{Key: o.Key, ETag: o.ETag, Size: o.Size, Hour: p.hour}, nil) {
				return
			}
		}
	}
}

// fetch gives each file its path. gone tells that one is not there any more.
func (l *Lake) fetch(ctx context.Context, list []File) (f *Files, gone bool, err error) {
	if s, ok := l.store.(local); ok {
		for i := range list {
			list[i].Path = s.Path(list[i].Key)
		}
		return &Files{List: list}, false, nil
	}
	var total int64
	for _, f := range list {
		total += f.Size
	}
	if total > l.cache.max {
		return nil, false, fmt.Errorf("%d bytes in %d files, and the cache holds %d bytes: ask for less time or enlarge it", total, len(list), l.cache.max)
	}
	releases := make([]func(), len(list))
	release := func() {
		for _, r := range releases {
			if r != nil {
				r()
			}
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(fetchers)
	for i := range list {
		g.Go(func() error {
			path, r, err := l.cache.Fetch(gctx, l.store, Object{Key: list[i].Key, ETag: list[i].ETag, Size: list[i].Size})
			list[i].Path, releases[i] = path, r
			return err
		})
	}
	if err := g.Wait(); err != nil {
		release()
		return nil, isNotFound(err), err
	}
	return &Files{List: list, release: release}, false, nil
}

// Tables returns the tables of the lake with their columns, sorted by name.
func (l *Lake) Tables(ctx context.Context) ([]Table, error) {
	found := map[string]Table{}
	after := ""
	for {
		key, err := l.firstAfter(ctx, "", after)
		if err != nil {
			return nil, fmt.Errorf("tables: %w", err)
		}
		if key == "" {
			break
		}
		name, _, _ := cutKey(key)
		if p, _, ok := parseKey(key); ok {
			t, err := l.table(ctx, p)
			if err != nil {
				return nil, fmt.Errorf("table %s: %w", name, err)
			}
			found[name] = t
		}
		after = name + "/\U0010FFFF"
	}
	return slices.SortedFunc(maps.Values(found), func(a, b Table) int { return compare(a.Name, b.Name) }), nil
}

// firstAfter returns the first key after one, "" if there is none.
func (l *Lake) firstAfter(ctx context.Context, prefix, after string) (string, error) {
	for o, err := range l.store.List(ctx, prefix, after) {
		return o.Key, err
	}
	return "", nil
}
