package provisioning

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// of gives the folder of a file that nobody else may read to the file's owner.
func (o *Owner) of(f File) error {
	if f.Mode != 0o600 {
		return nil
	}
	return os.Chown(filepath.Dir(f.Path), o.UID, o.GID)
}

// former is what the name of a file ends in that stood where ours stands now.
const former = ".before-oriel"

// keepFormer links a file that is not ours beside itself, once: its settings may be wanted again.
func keepFormer(f File) error {
	was, err := os.ReadFile(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	first, _, _ := bytes.Cut(f.Data, []byte("\n"))
	if bytes.HasPrefix(was, first) {
		return nil
	}
	if err := os.Link(f.Path, f.Path+former); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// standardKey is what Grafana takes without a secret_key, and everybody knows.
const standardKey = "SW2YcwTIb9zpOOhoPsMm"

// formerKey is the secret_key that stands in settings in clear text, so that it
// moves into a file of its own: what Grafana has stored is encrypted with it.
func formerKey(file string) (string, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	key := readINI(bufio.NewScanner(io.LimitReader(f, maxINI)))["security.secret_key"]
	if key == standardKey || strings.HasPrefix(key, "$__") {
		return "", nil
	}
	return key, nil
}

// ownerOf is -1 where a system has no numbers for it.
func ownerOf(info fs.FileInfo) (uid, gid int) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid), int(s.Gid)
	}
	return -1, -1
}

// runAs finds the user that Grafana runs as. Only root can give files away; to
// others, and without such a user, files belong to whoever writes them.
func runAs(name string, must bool) (secret, settings *Owner, err error) {
	if os.Geteuid() != 0 || name == "" {
		return nil, nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		if unknown := user.UnknownUserError(""); !must && errors.As(err, &unknown) {
			return nil, nil, nil
		}
		return nil, nil, fmt.Errorf("who Grafana runs as: %w", err)
	}
	uid, err := strconv.Atoi(u.Uid)
	gid, gerr := strconv.Atoi(u.Gid)
	if err = errors.Join(err, gerr); err != nil {
		return nil, nil, fmt.Errorf("who Grafana runs as: %w", err)
	}
	return &Owner{name, uid, gid}, &Owner{"root:" + name, 0, gid}, nil
}
