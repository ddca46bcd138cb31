package provisioning

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// File is one file of a set, by its place below a directory.
type File struct {
	Path string // absolute
	Data []byte
	Mode fs.FileMode
	// Keep leaves a file alone that is there already: a generated secret.
	Keep  bool
	Owner *Owner // nil: whoever writes it
	// Former keeps a file of somebody else, that does not begin as Data does, beside the new one.
	Former bool
}

// Owner is who a file belongs to. What only its owner may read has a folder of the same.
type Owner struct {
	Name     string // for people
	UID, GID int
}

// Difference is what a file is not yet.
type Difference struct {
	Path string
	What string // missing, differs, mode 0644 instead of 0600
}

// Check compares files with what is there.
func Check(files []File) ([]Difference, error) {
	var found []Difference
	for _, f := range files {
		info, err := os.Stat(f.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			found = append(found, Difference{f.Path, "missing"})
			continue
		case err != nil:
			return nil, err
		}
		if !f.Keep {
			data, err := os.ReadFile(f.Path)
			if err != nil {
				return nil, err
			}
			if !bytes.Equal(data, f.Data) {
				found = append(found, Difference{f.Path, "differs"})
				continue
			}
		}
		if mode := info.Mode().Perm(); mode != f.Mode && (f.Mode == 0o600 || mode&f.Mode != f.Mode) {
			found = append(found, Difference{f.Path, fmt.Sprintf("mode %04o instead of %04o", mode, f.Mode)})
			continue
		}
		if uid, gid := ownerOf(info); f.Owner != nil && (uid != f.Owner.UID || gid != f.Owner.GID) {
			found = append(found, Difference{f.Path, fmt.Sprintf("owner %d:%d instead of %s", uid, gid, f.Owner.Name)})
		}
	}
	return found, nil
}

// Write makes files what they should be, each wholly or not at all, and
// returns what it changed.
func Write(files []File) ([]Difference, error) {
	differences, err := Check(files)
	if err != nil {
		return nil, err
	}
	for i, d := range differences {
		f := files[slices.IndexFunc(files, func(f File) bool { return f.Path == d.Path })]
		if strings.HasPrefix(d.What, "mode") || strings.HasPrefix(d.What, "owner") {
			if err = os.Chmod(f.Path, f.Mode); f.Owner != nil && err == nil {
				err = errors.Join(f.Owner.of(f), os.Chown(f.Path, f.Owner.UID, f.Owner.GID))
			}
		} else {
			err = write(f)
		}
		if err != nil {
			return differences[:i], err
		}
	}
	return differences, nil
}

func write(f File) error {
	dirMode := fs.FileMode(0o755)
	if f.Mode == 0o600 {
		dirMode = 0o700
	}
	if err := os.MkdirAll(filepath.Dir(f.Path), dirMode); err != nil {
		return err
	}
	if f.Former {
		if err := keepFormer(f); err != nil {
			return err
		}
	}
	tmp, err := os.CreateTemp(filepath.Dir(f.Path), ".oriel-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(f.Data)
	if f.Owner != nil {
		err = errors.Join(err, f.Owner.of(f), tmp.Chown(f.Owner.UID, f.Owner.GID))
	}
	err = errors.Join(err, tmp.Chmod(f.Mode), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), f.Path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}
