package wireguard

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// Bounds of names: they become labels.
const (
	maxNameFile  = 32 << 20
	maxNameLine  = 64 << 10
	maxNameRunes = 200
	maxNamePairs = 16
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

// parseNames reads a wg-quick or systemd-networkd file for its comments:
//
//	[Peer]
//	# friendly_name = Ana's laptop
//	# friendly_json = {"team": "sales"}
//	PublicKey = ...
//
// as MindFlavor's exporter does, and also a comment directly above [Peer],
// "# Name = X", spaces anywhere, and blocks without allowed IPs. A block that
// cannot be read costs its own peer's name. Keys that are secret are passed over.
func parseNames(r io.Reader) (nameFile, error) {
	file := nameFile{names: map[Key]name{}}
	lines := bufio.NewScanner(io.LimitReader(r, maxNameFile))
	lines.Buffer(make([]byte, 0, 4<<10), maxNameLine)
	var b block
	var comments []string // not yet known to be of this block or of the next
	apart := true         // whether an empty line, or no peer, stands before them
	for lines.Scan() {
		line := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\uFEFF"))
		comment, ok := strings.CutPrefix(line, "#")
		if ok {
			comments = append(comments, comment)
			continue
		}
		header := strings.HasPrefix(line, "[")
		if !header || !apart {
			b.comments(comments)
			comments = nil
		}
		switch {
		case header:
			b.end(&file)
			b = block{section: strings.ToLower(strings.Trim(line, "[] \t"))}
			b.comments(comments)
			comments = nil
		case line != "":
			b.setting(line, &file)
		}
		apart = line == "" || !b.peer()
	}
	b.comments(comments)
	b.end(&file)
	if err := lines.Err(); err != nil {
		return file, fmt.Errorf("read: %w", err)
	}
	return file, nil
}

// block is one section of a configuration file.
type block struct {
	section string
	key     string
	name    name
	bad     bool
}

func (b *block) peer() bool { return b.section == "peer" || b.section == "wireguardpeer" }

func (b *block) comments(texts []string) {
	for _, text := range texts {
		b.comment(text)
	}
}

func (b *block) comment(text string) {
	key, value, ok := strings.Cut(text, "=")
	value = strings.TrimSpace(value)
	if !ok || !b.peer() {
		return
	}
	switch strings.ToLower(strings.TrimSpace(key)) {
	case "friendly_name", "name":
		b.name.friendly = cleanName(value)
	case "friendly_json":
		pairs, err := flatJSON(value)
		b.name.pairs, b.bad = pairs, b.bad || err != nil
	}
}

func (b *block) setting(line string, file *nameFile) {
	key, value, _ := strings.Cut(line, "=")
	value, _, _ = strings.Cut(value, "#")
	value = strings.TrimSpace(value)
	switch key = strings.ToLower(strings.TrimSpace(key)); {
	case key == "publickey" && b.peer():
		b.key = value
	case key == "address" && !b.peer():
		for text := range strings.SplitSeq(value, ",") {
			if p, err := netip.ParsePrefix(strings.TrimSpace(text)); err == nil {
				file.addresses = append(file.addresses, p)
			}
		}
	}
}

func (b *block) end(file *nameFile) {
	if !b.peer() {
		return
	}
	key, err := ParseKey(b.key)
	if err != nil || b.bad {
		file.bad++
	}
	if err == nil && (b.name.friendly != "" || len(b.name.pairs) > 0) && len(file.names) < maxPeersLimit {
		file.names[key] = b.name
	}
}

// flatJSON reads an object of texts, numbers and truth values.
func flatJSON(text string) ([]string, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		return nil, fmt.Errorf("friendly_json: %w", err)
	}
	var keys []string
	for k := range object {
		if !labelName.MatchString(k) || slices.Contains(reserved, k) || strings.HasPrefix(k, "allowed_ip_") || strings.HasPrefix(k, "allowed_subnet_") {
			return nil, fmt.Errorf("friendly_json: %q cannot be a label", k)
		}
		keys = append(keys, k)
	}
	if len(keys) > maxNamePairs {
		return nil, fmt.Errorf("friendly_json: more than %d keys", maxNamePairs)
	}
	slices.Sort(keys)
	var pairs []string
	for _, k := range keys {
		switch v := object[k].(type) {
		case string:
			pairs = append(pairs, k, cleanName(v))
		case json.Number:
			pairs = append(pairs, k, v.String())
		case bool:
			pairs = append(pairs, k, strconv.FormatBool(v))
		default:
			return nil, fmt.Errorf("friendly_json: %q is not a text, number or truth value", k)
		}
	}
	return pairs, nil
}

// cleanName bounds a name and makes it valid UTF-8.
func cleanName(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if r := []rune(s); len(r) > maxNameRunes {
		s = string(r[:maxNameRunes])
	}
	return s
}

// ParsePeerFile reads mdlayher/wireguard_exporter's TOML file of names:
// [[peer]] blocks with public_key and name, nothing else.
func ParsePeerFile(r io.Reader) (map[string]string, error) {
	var file struct {
		Peers []struct {
			PublicKey string `toml:"public_key"`
			Name      string `toml:"name"`
		} `toml:"peer"`
	}
	err := toml.NewDecoder(io.LimitReader(r, maxNameFile)).DisallowUnknownFields().Decode(&file)
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		return nil, fmt.Errorf("unknown key:\n%s", strict.String())
	}
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for i, p := range file.Peers {
		if _, err := ParseKey(p.PublicKey); err != nil {
			return nil, fmt.Errorf("peer %d: %w", i+1, err)
		}
		if p.Name == "" {
			return nil, fmt.Errorf("peer %d: empty name", i+1)
		}
		names[p.PublicKey] = p.Name
	}
	return names, nil
}

// nameSource holds the names of all sources and reads files again when they change.
type nameSource struct {
	explicit map[Key]name
	files    []string
	cached   []cachedNames
}

type cachedNames struct {
	modified time.Time
	size     int64
	file     nameFile
	err      error
}

// refresh reads what has changed since. It tells whether anything had.
func (s *nameSource) refresh() bool {
	if s.cached == nil {
		s.cached = make([]cachedNames, len(s.files))
	}
	changed := false
	for i, path := range s.files {
		c := &s.cached[i]
		info, err := os.Stat(path)
		if err != nil {
			// The names of the last good reading stay.
			changed = changed || c.err == nil
			c.err, c.modified = err, time.Time{}
			continue
		}
		if c.err == nil && info.ModTime().Equal(c.modified) && info.Size() == c.size {
			continue
		}
		changed = true
		c.modified, c.size = info.ModTime(), info.Size()
		file, err := readNames(path)
		if c.err = err; err == nil {
			c.file = file
		}
	}
	return changed
}

func readNames(path string) (nameFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nameFile{}, err
	}
	defer func() { _ = f.Close() }()
	return parseNames(f)
}

// of returns what is known of a peer; the explicit map wins.
func (s *nameSource) of(k Key) name {
	n, found := s.explicit[k]
	for i := range s.cached {
		if other, ok := s.cached[i].file.names[k]; ok {
			if !found {
				return other
			}
			n.pairs = other.pairs
			return n
		}
	}
	return n
}

// addresses returns the Address= lines of the file named after a device, wg0.conf of wg0.
func (s *nameSource) addresses(device string) []netip.Prefix {
	for i, path := range s.files {
		if strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) == device && i < len(s.cached) {
			return s.cached[i].file.addresses
		}
	}
	return nil
}
