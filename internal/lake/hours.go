package lake

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	// settled is how old a directory's last change must be before its files are
	// remembered: two changes within one tick of the file system's clock look like one.
	settled = 2 * time.Second
	// maxHours is how many directories are remembered.
	maxHours = 20_000
)

// hourDirs remembers the files of hours of a lake's tables. These files never
// change: they come and go, and then the directory changes. So a query over a
// month asks once for each hour, and not for each file.
type hourDirs struct {
	mu   sync.Mutex
	dirs map[string]hourDir
}

type hourDir struct {
	modified time.Time
	objects  []Object
}

// isHour tells whether dir, a key that ends in "/", is that of an hour.
func isHour(dir string) bool {
	parts := strings.Split(dir, "/")
	return len(parts) == 4 && parts[3] == "" && strings.HasPrefix(parts[1], "date=") && strings.HasPrefix(parts[2], "hour=") && validTable(parts[0])
}

// hour returns the files of an hour, in order.
func (d *Dir) hour(dir string) ([]Object, error) {
	now := time.Now()
	info, err := os.Stat(d.Path(dir))
	if err != nil {
		return nil, err
	}
	d.hours.mu.Lock()
	known, ok := d.hours.dirs[dir]
	d.hours.mu.Unlock()
	if ok && known.modified.Equal(info.ModTime()) {
		return known.objects, nil
	}
	entries, err := os.ReadDir(d.Path(dir))
	if err != nil {
		return nil, err
	}
	var list []Object
	plain := true
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			continue
		}
		plain = plain && e.Type().IsRegular() // what a link leads to changes elsewhere
		o, err := d.stat(dir + e.Name())
		if errors.Is(err, ErrNotFound) {
			continue // it went while we looked
		}
		if err != nil {
			return nil, err
		}
		if o.Key != "" {
			list = append(list, o)
		}
	}
	if plain && now.Sub(info.ModTime()) > settled {
		d.hours.mu.Lock()
		defer d.hours.mu.Unlock()
		if d.hours.dirs == nil || len(d.hours.dirs) >= maxHours {
			d.hours.dirs = map[string]hourDir{}
		}
		d.hours.dirs[dir] = hourDir{info.ModTime(), list}
	}
	return list, nil
}

// walkHour is walk for the directory of an hour.
func (d *Dir) walkHour(dir, prefix, startAfter string, yield func(Object, error) bool) (bool, error) {
	list, err := d.hour(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	for _, o := range list {
		if strings.HasPrefix(o.Key, prefix) && o.Key > startAfter && !yield(o, nil) {
			return false, nil
		}
	}
	return true, nil
}
