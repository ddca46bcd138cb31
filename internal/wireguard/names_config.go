package wireguard

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// parseConfig reads a wg-quick or systemd-networkd file for its comments:
//
//	[Peer]
//	# friendly_name = Ana's laptop
//	# friendly_json = {"team": "sales"}
//	PublicKey = ...
//
// as MindFlavor's exporter does, and also a comment directly above [Peer],
// spaces anywhere, blocks without allowed IPs, and what other tools write there
// (nameComment). A block that cannot be read costs its own peer's name. Keys
// that are secret are passed over.
func parseConfig(r io.Reader) (nameFile, error) {
	file := nameFile{names: map[Key]name{}}
	lines := bufio.NewScanner(io.LimitReader(r, maxNameFile))
	lines.Buffer(make([]byte, 0, 4<<10), maxNameLine)
	var b block
	var comments []string // not yet known to be of this block or of the next
	apart := true         // whether an empty line, or no peer, stands before them
	for lines.Scan() {
		line := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\uFEFF"))
		if strings.HasPrefix(line, "#") {
			comments = append(comments, line)
			continue
		}
		switch {
		case strings.HasPrefix(line, "["):
			rest, own := comments, 0
			if !apart {
				// What opens a block is of the next one also if no empty line stands before it.
				for own < len(rest) && !opens(rest[own]) {
					own++
				}
			}
			b.comments(rest[:own])
			b.end(&file)
			b = block{section: strings.ToLower(strings.Trim(line, "[] \t"))}
			b.comments(rest[own:])
		case line != "":
			b.comments(comments)
			b.setting(line, &file)
		default:
			b.trailing(comments)
		}
		comments = nil
		apart = line == "" || !b.peer()
	}
	b.trailing(comments)
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
	rank    int // of the comment that named it
	bad     bool
}

func (b *block) peer() bool { return b.section == "peer" || b.section == "wireguardpeer" }

func (b *block) comments(lines []string) {
	for _, line := range lines {
		b.comment(line)
	}
}

// trailing takes the comments after a block, but for those that open another
// one, which is not there: a peer that is switched off, say.
func (b *block) trailing(lines []string) {
	for _, line := range lines {
		if opens(line) {
			return
		}
		b.comment(line)
	}
}

func (b *block) comment(line string) {
	if !b.peer() {
		return
	}
	if key, value, ok := strings.Cut(strings.TrimLeft(line, "#+ \t"), "="); ok && strings.EqualFold(strings.TrimSpace(key), "friendly_json") {
		pairs, err := flatJSON(strings.TrimSpace(value))
		b.name.pairs, b.bad = pairs, b.bad || err != nil
		return
	}
	if text, rank := nameComment(line); rank > 0 && rank >= b.rank && text != "" {
		b.name.friendly, b.rank = cleanName(text), rank
	}
}

// Ranks of comments that name a peer: the more it is meant as a name, the higher.
const (
	rankMail   = iota + 1 // wg-portal v1: the owner's mail address
	rankOpen              // a line that opens a block
	rankAlias             // wg-meta
	rankPortal            // wg-portal v2: the display name
	rankName              // friendly_name, Name
)

// opens tells whether a comment can stand only before the block it is about.
func opens(line string) bool {
	_, rank := nameComment(line)
	return rank == rankOpen
}

// nameComment reads the comments by which tools name a peer.
func nameComment(line string) (text string, rank int) {
	hashes := len(line) - len(strings.TrimLeft(line, "#"))
	body := strings.TrimSpace(line[hashes:])
	after := func(prefix string) (string, bool) {
		if len(body) < len(prefix) || !strings.EqualFold(body[:len(prefix)], prefix) {
			return "", false
		}
		return strings.TrimSpace(body[len(prefix):]), true
	}
	if rest, ok := after("-WGP-"); ok { // wg-portal
		body = rest
		if t, ok := after("Display name:"); ok {
			return t, rankPortal
		}
		if t, ok := after("Peer email:"); ok {
			return t, rankMail
		}
		if t, ok := after("Peer:"); ok {
			t, _, _ = strings.Cut(t, " / Updated:")
			if _, err := ParseKey(t); err != nil { // v2 has the key here
				return t, rankOpen
			}
		}
		return "", 0
	}
	if t, ok := after("Client:"); ok { // wg-easy: # Client: NAME (ID)
		if at := strings.LastIndex(t, " ("); at > 0 && strings.HasSuffix(t, ")") {
			t = t[:at]
		}
		return t, rankOpen
	}
	if t, ok := after("begin "); ok && hashes >= 3 { // PiVPN: ### begin NAME ###
		return strings.TrimSpace(strings.TrimRight(t, "#")), rankOpen
	}
	if t, ok := after("Client "); ok && hashes >= 3 { // wireguard-install: ### Client NAME
		return t, rankOpen
	}
	if t, ok := after("BEGIN_PEER "); ok { // another wireguard-install: # BEGIN_PEER NAME
		return t, rankOpen
	}
	key, value, ok := strings.Cut(strings.TrimPrefix(body, "+"), "=") // wg-meta: #+Name = NAME
	if !ok {
		return "", 0
	}
	switch strings.ToLower(strings.TrimSpace(key)) {
	case "friendly_name", "name":
		return strings.TrimSpace(value), rankName
	case "alias":
		if strings.HasPrefix(body, "+") {
			return strings.TrimSpace(value), rankAlias
		}
	}
	return "", 0
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
			if p, err := netip.ParsePrefix(strings.TrimSpace(text)); err == nil && len(file.addresses) < maxNameAddresses {
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
	if err == nil {
		file.add(key, b.name)
	}
}
