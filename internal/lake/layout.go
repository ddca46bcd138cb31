package lake

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

const (
	extension = ".parquet"
	dayFormat = "2006-01-02"
	// fileTime is the first time in a file's name: it sorts as the times do.
	fileTime = "20060102T150405.000000Z"
)

// partition is one hour of one table.
type partition struct {
	table string
	hour  time.Time // UTC, whole
}

func partitionOf(table string, t time.Time) partition {
	return partition{table, t.UTC().Truncate(time.Hour)}
}

// dir is the prefix of the partition's keys.
func (p partition) dir() string {
	return p.table + "/date=" + p.hour.Format(dayFormat) + "/hour=" + p.hour.Format("15") + "/"
}

// key of a file in the partition.
func (p partition) key(first time.Time, writer string, seq int) string {
	return fmt.Sprintf("%s%s-%s-%06d%s", p.dir(), first.UTC().Format(fileTime), writer, seq, extension)
}

// parseKey returns the partition and the writer of a key that key made.
func parseKey(key string) (p partition, writer string, ok bool) {
	parts := strings.Split(key, "/")
	if len(parts) != 4 || !strings.HasSuffix(key, extension) || !validTable(parts[0]) {
		return p, "", false
	}
	date, ok1 := strings.CutPrefix(parts[1], "date=")
	hour, ok2 := strings.CutPrefix(parts[2], "hour=")
	t, err := time.Parse(dayFormat+" 15", date+" "+hour)
	name := strings.Split(strings.TrimSuffix(parts[3], extension), "-")
	if !ok1 || !ok2 || err != nil || len(name) != 3 {
		return p, "", false
	}
	return partition{parts[0], t}, name[1], true
}

// fileParts returns the partition, first time and writer in the key of a file.
func fileParts(key string) (p partition, first time.Time, ok bool) {
	p, _, ok = parseKey(key)
	if !ok {
		return p, first, false
	}
	name, _, _ := strings.Cut(key[strings.LastIndexByte(key, '/')+1:], "-")
	first, err := time.Parse(fileTime, name)
	if err != nil {
		first = p.hour
	}
	return p, first, true
}

// validTable tells whether a name can be a table's: lower case, as SQL has it without quotes.
func validTable(name string) bool {
	if name == "" || len(name) > 64 || name[0] >= '0' && name[0] <= '9' || name[0] == '_' {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// sortEntries puts directory entries into the order of their keys.
func sortEntries(entries []fs.DirEntry) {
	name := func(e fs.DirEntry) string {
		if e.IsDir() {
			return e.Name() + "/"
		}
		return e.Name()
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(name(a), name(b)) })
}
