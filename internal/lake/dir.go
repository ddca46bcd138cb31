package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// tempPrefix begins the names of files that are being written. List does not show them.
const tempPrefix = ".tmp-"

// Dir is a store in a directory of the file system.
type Dir struct {
	root string
	// at, if not nil, is called at the points of writing at which a process may
	// die: before, with the temporary file written, with it in its place, and
	// around a removal. Tests die there.
	at func(point, key string)

	final bool // it is a lake's: files of hours never change
	hours hourDirs
}

func (d *Dir) step(point, key string) {
	if d.at != nil {
		d.at(point, key)
	}
}

// NewDir returns the store below root, which is made when something is written.
func NewDir(root string) *Dir { return &Dir{root: root} }

// Path returns the file of a key. A key cannot lead out of the root.
func (d *Dir) Path(key string) string {
	return filepath.Join(d.root, filepath.FromSlash(path.Clean("/"+key)))
}

func (d *Dir) String() string { return d.root }

// List walks the directory in order of keys. A directory is read whole: one with
// millions of files takes their names' memory.
func (d *Dir) List(ctx context.Context, prefix, startAfter string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		base, _ := path.Split(prefix)
		_, err := d.walk(ctx, base, prefix, startAfter, yield)
		if err != nil {
			yield(Object{}, fmt.Errorf("list %q: %w", prefix, err))
		}
	}
}

// walk yields what is below dir, which is empty or ends in "/". It tells whether to go on.
func (d *Dir) walk(ctx context.Context, dir, prefix, startAfter string, yield func(Object, error) bool) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if d.final && isHour(dir) {
		return d.walkHour(dir, prefix, startAfter, yield)
	}
	entries, err := os.ReadDir(d.Path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	// In order of keys "a.b" comes before "a/b", in order of names after "a".
	sortEntries(entries)
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, tempPrefix) {
			continue
		}
		key := dir + name
		isDir := e.IsDir()
		if e.Type()&fs.ModeSymlink != 0 {
			info, err := os.Stat(d.Path(key))
			if err != nil || info.IsDir() {
				continue // a link to a directory could lead round in circles
			}
		}
		if isDir {
			key += "/"
			if !strings.HasPrefix(key, prefix) && !strings.HasPrefix(prefix, key) || key < startAfter && !strings.HasPrefix(startAfter, key) {
				continue
			}
			if more, err := d.walk(ctx, key, prefix, startAfter, yield); err != nil || !more {
				return false, err
			}
			continue
		}
		if !strings.HasPrefix(key, prefix) || key <= startAfter {
			continue
		}
		o, err := d.stat(key)
		if errors.Is(err, ErrNotFound) {
			continue // it went while we looked
		}
		if err != nil {
			return false, err
		}
		if o.Key != "" && !yield(o, nil) {
			return false, nil
		}
	}
	return true, nil
}

// stat returns an empty object for what is no regular file.
func (d *Dir) stat(key string) (Object, error) {
	info, err := os.Stat(d.Path(key))
	if err != nil {
		return Object{}, notFound(err)
	}
	if !info.Mode().IsRegular() {
		return Object{}, nil
	}
	return Object{Key: key, Size: info.Size(), Modified: info.ModTime(), ETag: etag(info)}, nil
}

// etag of a file: a file that is replaced or appended to has another.
func etag(info fs.FileInfo) string {
	return strconv.FormatInt(info.ModTime().UnixNano(), 36) + "-" + strconv.FormatInt(info.Size(), 36)
}

// Stat describes a file.
func (d *Dir) Stat(_ context.Context, key string) (Object, error) {
	o, err := d.stat(key)
	if err == nil && o.Key == "" {
		err = ErrNotFound
	}
	if err != nil {
		return o, fmt.Errorf("stat %q: %w", key, err)
	}
	return o, nil
}

// Get opens a file.
func (d *Dir) Get(_ context.Context, key string) (io.ReadCloser, error) {
	f, err := os.Open(d.Path(key))
	if err != nil {
		return nil, fmt.Errorf("get %q: %w", key, notFound(err))
	}
	return f, nil
}

// GetRange reads a part of a file.
func (d *Dir) GetRange(_ context.Context, key string, offset, n int64) (io.ReadCloser, error) {
	f, err := os.Open(d.Path(key))
	if err != nil {
		return nil, fmt.Errorf("get %q: %w", key, notFound(err))
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, offset, n), f}, nil
}

// Put writes a file beside its place and moves it there when it is on the disk.
func (d *Dir) Put(_ context.Context, key string, body io.Reader, size int64, ifAbsent bool) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("put %q: %w", key, err)
		}
	}()
	d.step("put", key)
	file := d.Path(key)
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, tempPrefix)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	n, err := io.Copy(f, body)
	if err == nil && n != size {
		err = fmt.Errorf("%d bytes instead of %d: %w", n, size, io.ErrUnexpectedEOF)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	d.step("written", key)
	if ifAbsent {
		err = os.Link(f.Name(), file) // fails if it is there, at once and for all
		if errors.Is(err, fs.ErrExist) {
			return ErrExists
		}
	} else {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return err
	}
	d.step("placed", key)
	return syncDir(dir)
}

// syncDir makes the name of a new file last over a power cut.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return f.Sync()
}

// Delete removes a file. Directories stay: somebody may be about to write there.
func (d *Dir) Delete(_ context.Context, key string) error {
	d.step("delete", key)
	if err := os.Remove(d.Path(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete %q: %w", key, err)
	}
	d.step("deleted", key)
	return nil
}

func notFound(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotFound
	}
	return err
}

var (
	_ Store = (*Dir)(nil)
	_ local = (*Dir)(nil)
)
