package wireguard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Bounds of names: they become labels.
const (
	maxNameFile      = 32 << 20
	maxNameLine      = 64 << 10
	maxNameRunes     = 200
	maxNamePairs     = 16
	maxNameAddresses = 1024
	maxNamePaths     = maxPeersLimit // wireguard-ui has a file for each peer
	relist           = 5 * time.Second
)

// name is what is known of a peer beside its key.
type name struct {
	friendly string
	pairs    []string // names and values of friendly_json, sorted by name
}

// nameFile is what one WireGuard configuration file says.
type nameFile struct {
	names     map[Key]name
	addresses []netip.Prefix // Address= of [Interface]
	bad       int            // blocks that could not be read
}

var labelName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]*$`)

// reserved are labels that a friendly_json must not take.
var reserved = []string{"interface", "device", "public_key", "allowed_ips", "friendly_name", "remote_ip", "remote_port", "instance", "job", "endpoint", "name"}

// add keeps what is known of a peer; the first to say something wins.
func (f *nameFile) add(key Key, n name) {
	if _, again := f.names[key]; !again && (n.friendly != "" || len(n.pairs) > 0) && len(f.names) < maxPeersLimit {
		f.names[key] = n
	}
}

// cleanName bounds a name and makes it valid UTF-8.
func cleanName(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if r := []rune(s); len(r) > maxNameRunes {
		s = string(r[:maxNameRunes])
	}
	return s
}

// parseNames reads a file of any of the formats; its content says which.
func parseNames(r io.Reader) (nameFile, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxNameFile+1))
	defer clear(data) // there may be private keys in it
	if err != nil {
		return nameFile{}, fmt.Errorf("read: %w", err)
	}
	if len(data) > maxNameFile {
		return nameFile{}, fmt.Errorf("larger than %d bytes", maxNameFile)
	}
	switch text := bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\uFEFF"))); {
	case isJSON.Match(text):
		return parseJSON(text)
	case isTOML.Match(text):
		return parseTOML(text)
	}
	return parseConfig(bytes.NewReader(data))
}

var (
	isJSON = regexp.MustCompile(`^(?:\{|\[\s*[\]{])`)
	isTOML = regexp.MustCompile(`(?m)^\s*\[\[peer\]\]`)
)

// nameSource holds the names of all sources and reads files again when they change.
type nameSource struct {
	explicit map[Key]name
	files    []string // paths, directories or patterns

	sources []sourceFiles // of files, in the same order
	merged  map[Key]name  // of all files; the first file wins
}

// sourceFiles are the files that one path, directory or pattern stands for.
type sourceFiles struct {
	many   bool      // a directory or pattern
	listed time.Time // when it was last looked up
	paths  []string
	cached map[string]*cachedNames
	err    error // of looking up
}

type cachedNames struct {
	info os.FileInfo
	file nameFile
	err  error
}

// refresh reads what has changed since. It tells whether anything had.
func (s *nameSource) refresh() bool {
	if s.sources == nil {
		s.sources = make([]sourceFiles, len(s.files))
	}
	changed := false
	for i, path := range s.files {
		changed = s.sources[i].refresh(path) || changed
	}
	if changed {
		s.merged = map[Key]name{}
		for i := range s.sources {
			for _, path := range s.sources[i].paths {
				for key, n := range s.sources[i].cached[path].file.names {
					if _, again := s.merged[key]; !again {
						s.merged[key] = n
					}
				}
			}
		}
	}
	return changed
}

func (s *sourceFiles) refresh(path string) (changed bool) {
	if s.cached == nil {
		s.cached = map[string]*cachedNames{}
	}
	if !s.many || time.Since(s.listed) >= relist || time.Since(s.listed) < 0 {
		s.listed = time.Now()
		paths, many, err := expand(path)
		s.many, s.err = many, err
		if err == nil && !slices.Equal(paths, s.paths) {
			changed = true
			s.paths = paths
			for known := range s.cached {
				if _, found := slices.BinarySearch(paths, known); !found {
					delete(s.cached, known)
				}
			}
		}
	}
	for _, p := range s.paths {
		c := s.cached[p]
		if c == nil {
			c = &cachedNames{}
			s.cached[p] = c
		}
		changed = c.refresh(p) || changed
	}
	return changed
}

// expand returns the files that a path stands for, sorted. A path that is
// neither a directory nor a pattern is itself, there or not.
func expand(path string) (paths []string, many bool, err error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		paths, err = filepath.Glob(filepath.Join(escapeGlob.Replace(path), "*"))
	case errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(path, "*?["):
		paths, err = filepath.Glob(path)
	default:
		return []string{path}, false, nil
	}
	if err != nil {
		return nil, true, err
	}
	paths = slices.DeleteFunc(paths, func(p string) bool {
		info, err := os.Stat(p)
		return err != nil || !info.Mode().IsRegular()
	})
	slices.Sort(paths)
	return paths[:min(len(paths), maxNamePaths)], true, nil
}

var escapeGlob = strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`)

// refresh reads the file again if it is another one or has changed. The names
// of the last good reading stay after an error.
func (c *cachedNames) refresh(path string) (changed bool) {
	info, err := os.Stat(path)
	if err != nil {
		changed = c.err == nil
		c.err, c.info = err, nil
		return changed
	}
	if c.err == nil && c.info != nil && os.SameFile(info, c.info) && info.ModTime().Equal(c.info.ModTime()) && info.Size() == c.info.Size() {
		return false
	}
	file, err := readNames(path)
	if err != nil {
		changed = c.err == nil
		c.err, c.info = err, nil
		return changed
	}
	c.err, c.info, c.file = nil, info, file
	return true
}

func readNames(path string) (nameFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nameFile{}, err
	}
	defer func() { _ = f.Close() }()
	return parseNames(f)
}

// views tells how the files are, one row for each path, directory or pattern.
func (s *nameSource) views() []fileView {
	views := make([]fileView, len(s.sources))
	for i := range s.sources {
		v := fileView{file: s.files[i], ok: s.sources[i].err == nil}
		for _, c := range s.sources[i].cached {
			v.bad += c.file.bad
			v.ok = v.ok && c.err == nil
		}
		views[i] = v
	}
	return views
}

// of returns what is known of a peer; the explicit map wins.
func (s *nameSource) of(k Key) name {
	other := s.merged[k]
	if n, found := s.explicit[k]; found {
		n.pairs = other.pairs
		return n
	}
	return other
}

// addresses returns the Address= lines of the file named after a device, wg0.conf of wg0.
func (s *nameSource) addresses(device string) []netip.Prefix {
	for i := range s.sources {
		for _, path := range s.sources[i].paths {
			if c := s.sources[i].cached[path]; strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) == device && len(c.file.addresses) > 0 {
				return c.file.addresses
			}
		}
	}
	return nil
}
