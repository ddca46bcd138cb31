package provisioning

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// of gives the folder of a file that nobody else may read to the file's owner.
func (o *Owner) of(f File) error {
	if f.Mode != 0o600 {
		return nil
	}
	return os.Chown(filepath.Dir(f.Path), o.UID, o.GID)
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
