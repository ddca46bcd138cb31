package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"
)

const (
	// compactRows is the rows of a row group of a compacted file.
	compactRows = 122_880
	// smallFile is the size below which a file is worth putting together with others.
	smallFile = 64 << 20
	// largeFile is the size that a compacted file is meant not to exceed.
	largeFile = 256 << 20
	// maxMerge is how many files are put together at once: each is open meanwhile.
	maxMerge = 500
	// maxExpired is how many files one transaction removes.
	maxExpired = 10_000
)

// Compaction is what Compact has done.
type Compaction struct {
	Hours  int64 // that had something to put together
	Before int64 // files replaced
	After  int64 // files written for them
	Rows   int64
	Bytes  int64 // read
}

// Compact puts the small files of each hour of a table together into large
// ones, sorted by time. Hours younger than before are left alone: more is on
// its way there. Queries see the old files or the new one, never both; the old
// ones go when the lake's grace period is over, at a later call. report may be nil.
func (l *Lake) Compact(ctx context.Context, table string, before time.Time, report func(Compaction)) (c Compaction, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("compact %s: %w", table, err)
		}
	}()
	if !validTable(table) {
		return c, fmt.Errorf("%q: not a name of a table", table)
	}
	lockName := "compact-" + table
	lk, err := l.lock(ctx, lockName)
	if err != nil {
		return c, err
	}
	defer lk.release()
	if err := l.recover(ctx, lockName); err != nil {
		return c, err
	}
	if err := l.sweep(ctx, table); err != nil {
		return c, err
	}
	if err := l.fold(ctx); err != nil {
		return c, err
	}
	files, err := l.list(ctx, table, time.Time{}, before.Truncate(time.Hour))
	if err != nil {
		return c, err
	}
	for _, set := range mergeable(files) {
		rows, err := l.merge(ctx, table, lockName, lk, set)
		if err != nil {
			return c, err
		}
		if rows < 0 {
			continue
		}
		c.Hours++
		c.Before += int64(len(set))
		c.After++
		c.Rows += rows
		for _, f := range set {
			c.Bytes += f.Size
		}
		if report != nil {
			report(c)
		}
	}
	return c, nil
}

// mergeable returns the sets of files to put together, those of one hour each.
func mergeable(files []File) [][]File {
	var sets [][]File
	var set []File
	var size int64
	end := func() {
		if len(set) > 1 {
			sets = append(sets, set)
		}
		set, size = nil, 0
	}
	for _, f := range files {
		if f.Size >= smallFile {
			continue
		}
		if len(set) > 0 && (!set[0].Hour.Equal(f.Hour) || size+f.Size > largeFile || len(set) == maxMerge) {
			end()
		}
		set = append(set, f)
		size += f.Size
	}
	end()
	return sets
}

// merge replaces files by one. It returns -1 if their columns differ too much to do it.
func (l *Lake) merge(ctx context.Context, table, lockName string, lk *lock, set []File) (rows int64, err error) {
	fetched, gone, err := l.fetch(ctx, slices.Clone(set))
	if gone {
		return -1, nil // retention was faster
	}
	if err != nil {
		return 0, err
	}
	defer fetched.Release()
	var groups []parquet.RowGroup
	var schema *parquet.Schema
	for _, f := range fetched.List {
		file, closeFile, err := openLocal(f.Path)
		if err != nil {
			return 0, fmt.Errorf("%q: %w", f.Key, err)
		}
		defer closeFile()
		if schema == nil {
			schema = file.Schema()
		}
		if !parquet.EqualNodes(schema, file.Schema()) {
			return -1, nil // written by another version of this program
		}
		groups = append(groups, file.RowGroups()...)
		rows += file.NumRows()
	}
	t, err := l.begin(ctx, table, lockName, lk)
	if err != nil {
		return 0, err
	}
	p := partition{table, set[0].Hour}
	_, first, _ := fileParts(set[0].Key)
	key := p.key(first, t.id, 1)
	replaced := replacement{}
	for _, f := range set {
		replaced.Removes = append(replaced.Removes, f.Key)
	}
	err = l.mergeInto(ctx, key, schema, groups, rows)
	if err == nil {
		err = t.commit(ctx, txnReplace, replaced)
	}
	if err != nil {
		back, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		return 0, errors.Join(err, t.rollback(back, []string{key}))
	}
	return rows, nil
}

// openLocal opens a Parquet file of this machine.
func openLocal(path string) (*parquet.File, func(), error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil {
		var file *parquet.File
		if file, err = parquet.OpenFile(f, info.Size()); err == nil {
			return file, func() { _ = f.Close() }, nil
		}
	}
	_ = f.Close()
	return nil, nil, err
}

// mergeInto writes one file of all row groups, which are sorted each.
func (l *Lake) mergeInto(ctx context.Context, key string, schema *parquet.Schema, groups []parquet.RowGroup, want int64) (err error) {
	column := timeColumn(schema)
	if column == "" {
		return errors.New("no column of type TIMESTAMP")
	}
	order := parquet.SortingColumns(parquet.Ascending(column))
	// The groups are sorted, whatever their writer wrote down.
	for i := range groups {
		groups[i] = sorted{groups[i], []parquet.SortingColumn{parquet.Ascending(column)}}
	}
	merged, err := parquet.MergeRowGroups(groups, schema, parquet.SortingRowGroupConfig(order))
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp("", "oriel-compact-")
	if err != nil {
		return err
	}
	defer func() { _, _ = temp.Close(), os.Remove(temp.Name()) }()
	w := parquet.NewWriter(temp, append(encoderOptions(), schema, parquet.MaxRowsPerRowGroup(compactRows))...)
	rows := merged.Rows()
	defer func() { err = errors.Join(err, rows.Close()) }()
	n, err := parquet.CopyRows(w, cancellable{ctx, rows})
	if err != nil {
		return err
	}
	if n != want {
		return fmt.Errorf("%d rows instead of %d", n, want)
	}
	if err := w.Close(); err != nil {
		return err
	}
	size, err := temp.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = temp.Seek(0, io.SeekStart)
	}
	if err != nil {
		return err
	}
	return l.store.Put(ctx, key, temp, size, true)
}

// sorted tells by which column a row group is sorted.
type sorted struct {
	parquet.RowGroup
	by []parquet.SortingColumn
}

// SortingColumns returns the order of the rows.
func (s sorted) SortingColumns() []parquet.SortingColumn { return s.by }

// cancellable ends the reading of rows when ctx is done.
type cancellable struct {
	ctx context.Context //nolint:containedctx // parquet.RowReader has no place for it
	parquet.Rows
}

func (c cancellable) ReadRows(rows []parquet.Row) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.Rows.ReadRows(rows)
}

// timeColumn is the first column of type TIMESTAMP.
func timeColumn(schema *parquet.Schema) string {
	for _, c := range columns(schema) {
		if len(c.Type) >= 9 && c.Type[:9] == "TIMESTAMP" {
			return c.Name
		}
	}
	return ""
}

// Expire removes the files of hours before one of a table, compacted or not.
// Queries see them no more from now on; those that began before read on, and
// the files go when the lake's grace period is over, at a later call. Rows are
// lost for good: that is what retention is.
func (l *Lake) Expire(ctx context.Context, table string, before time.Time) (removed int64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("expire %s: %w", table, err)
		}
	}()
	if !validTable(table) {
		return 0, fmt.Errorf("%q: not a name of a table", table)
	}
	lockName := "compact-" + table // whoever puts files together must not bring them back
	lk, err := l.lock(ctx, lockName)
	if err != nil {
		return 0, err
	}
	defer lk.release()
	if err := l.recover(ctx, lockName); err != nil { // before what it left is swept
		return 0, err
	}
	if err := l.sweep(ctx, table); err != nil {
		return 0, err
	}
	files, err := l.list(ctx, table, time.Time{}, before.Truncate(time.Hour))
	if err != nil {
		return 0, err
	}
	files = slices.DeleteFunc(files, func(f File) bool { return f.Hour.Add(time.Hour).After(before) })
	for part := range slices.Chunk(files, maxExpired) {
		var r replacement
		for _, f := range part {
			r.Removes = append(r.Removes, f.Key)
		}
		if !lk.held() {
			return removed, fmt.Errorf("the lock was lost: %w", ErrLocked)
		}
		if err := l.putJSON(ctx, txnPrefix+newID("t")+txnReplace, r); err != nil {
			return removed, err
		}
		removed += int64(len(part))
	}
	return removed, nil
}
