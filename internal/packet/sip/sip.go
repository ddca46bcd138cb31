// Package sip reads SIP's messages, RFC 3261, as far as they tell who calls
// whom and what became of it. Credentials are not kept.
package sip

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// What is wrong with a message.
var (
	ErrNotSIP = errors.New("not a message of SIP")
	ErrLong   = errors.New("head of a message is too long")
)

const (
	maxHead    = 16 << 10
	maxLines   = 128
	maxHeaders = 32
	maxText    = 256
	maxLength  = 1 << 20
)

// Message is a request or an answer.
type Message struct {
	Method    string // of the CSeq in an answer
	URI       string // of a request, without password
	Status    int    // of an answer; 0: a request
	Reason    string
	From, To  string // addresses, without tags and passwords
	CallID    string
	Sequence  uint32
	Agent     string // User-Agent or Server
	Contact   string
	Content   string // Content-Type
	Length    int    // of the body, -1: not told
	Challenge bool   // authentication is asked for
	Answered  bool   // authentication is given
	Media     string // of the SDP body: kinds of media with commas
	// Headers are "name:value", names in lower case, values without passwords and
	// credentials.
	Headers []string
}

var methods = []string{
	"INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "PRACK", "SUBSCRIBE", "NOTIFY", "PUBLISH", "INFO", "REFER", "MESSAGE", "UPDATE",
}

// Known tells whether a method is registered at IANA.
func Known(method string) bool {
	return slices.Contains(methods, method)
}

// Begins tells whether b begins as a message does.
func Begins(b []byte) bool {
	if bytes.HasPrefix(b, []byte("SIP/2.0 ")) {
		return true
	}
	word, rest, ok := bytes.Cut(b[:min(len(b), 512)], []byte(" "))
	if !ok || len(word) > 16 || !Known(string(word)) {
		return false
	}
	rest = bytes.ToLower(rest[:min(len(rest), 5)])
	return bytes.HasPrefix(rest, []byte("sip:")) || bytes.HasPrefix(rest, []byte("sips:")) || bytes.HasPrefix(rest, []byte("tel:"))
}

// Parse reads the message at the beginning of b and returns its length with
// the body; 0 if more bytes are needed. The body of a datagram that is too
// short for its Content-Length is taken as it is when whole is set.
func Parse(b []byte, whole bool) (m Message, n int, err error) {
	head := b
	end := bytes.Index(b, []byte("\r\n\r\n"))
	sep := 4
	if lf := bytes.Index(b, []byte("\n\n")); lf >= 0 && (end < 0 || lf < end) {
		end, sep = lf, 2
	}
	switch {
	case end > maxHead || end < 0 && len(b) > maxHead:
		return m, 0, ErrLong
	case end >= 0:
		head = b[:end]
	case !whole:
		return m, 0, nil
	default:
		end, sep = len(b), 0
	}
	line, rest := cutLine(head)
	if err := m.first(string(line)); err != nil {
		return m, 0, err
	}
	m.Length = -1
	for lines := 0; len(rest) > 0 && lines < maxLines; lines++ {
		line, rest = cutLine(rest)
		for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') && len(line) < maxText { // folded
			var more []byte
			more, rest = cutLine(rest)
			line = append(append(append([]byte(nil), line...), ' '), bytes.TrimSpace(more)...)
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if ok {
			key, words := strings.ToLower(string(bytes.TrimSpace(name[:min(len(name), 40)]))), string(bytes.TrimSpace(value))
			m.header(key, words)
			if len(m.Headers) < maxHeaders {
				m.Headers = append(m.Headers, text(key)+":"+shown(key, words))
			}
		}
	}
	body := b[end+sep:]
	size := max(m.Length, 0)
	if whole {
		size = len(body)
	}
	if len(body) < size {
		return m, 0, nil
	}
	if strings.HasPrefix(strings.ToLower(m.Content), "application/sdp") {
		m.Media = media(body[:size])
	}
	return m, end + sep + size, nil
}

func cutLine(b []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(b, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), rest
}

func (m *Message) first(line string) error {
	if status, ok := strings.CutPrefix(line, "SIP/2.0 "); ok {
		code, reason, _ := strings.Cut(status, " ")
		n, err := strconv.Atoi(code)
		if err != nil || n < 100 || n > 699 {
			return ErrNotSIP
		}
		m.Status, m.Reason = n, text(reason)
		return nil
	}
	method, rest, ok := strings.Cut(line, " ")
	uri, version, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || !strings.HasPrefix(version, "SIP/") || method == "" || len(method) > 32 || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_-") != "" {
		return ErrNotSIP
	}
	m.Method, m.URI = method, address(uri)
	return nil
}

func (m *Message) header(name, value string) {
	switch name {
	case "from", "f":
		m.From = address(value)
	case "to", "t":
		m.To = address(value)
	case "contact", "m":
		m.Contact = address(value)
	case "call-id", "i":
		m.CallID = text(value)
	case "cseq":
		number, method, _ := strings.Cut(value, " ")
		n, err := strconv.ParseUint(number, 10, 32)
		if err == nil {
			m.Sequence = uint32(n)
		}
		if method = strings.TrimSpace(method); m.Method == "" && Known(method) {
			m.Method = method
		}
	case "user-agent", "server":
		m.Agent = text(value)
	case "content-type", "c":
		m.Content = text(value)
	case "content-length", "l":
		if n, err := strconv.Atoi(value); err == nil && n >= 0 && n <= maxLength {
			m.Length = n
		}
	case "www-authenticate", "proxy-authenticate":
		m.Challenge = true
	case "authorization", "proxy-authorization":
		m.Answered = true
	}
}

// address returns the URI of a header, without display name, parameters and password.
func address(s string) string {
	if _, after, ok := strings.Cut(s, "<"); ok {
		s, _, _ = strings.Cut(after, ">")
	}
	s, _, _ = strings.Cut(s, ";")
	s, _, _ = strings.Cut(s, "?")
	return text(withoutPassword(s))
}

// shown is a header's value without what is secret in it: of credentials and
// challenges only the scheme is left, of an address no password.
func shown(name, value string) string {
	switch {
	case strings.Contains(name, "password"), strings.Contains(name, "secret"), strings.Contains(name, "token"),
		strings.Contains(name, "key"), strings.Contains(name, "cookie"):
		return ""
	case strings.Contains(name, "auth"): // www-authenticate, proxy-authorization ...
		scheme, _, _ := strings.Cut(value, " ")
		if strings.ContainsAny(scheme, "=,\"") {
			return ""
		}
		return text(scheme)
	}
	var b strings.Builder
	for value = value[:min(len(value), maxHead)]; ; {
		i := strings.IndexAny(value, `<>"`)
		if i < 0 {
			break
		}
		b.WriteString(withoutPassword(value[:i]))
		b.WriteByte(value[i])
		value = value[i+1:]
	}
	b.WriteString(withoutPassword(value))
	return text(b.String())
}

// withoutPassword takes out of an address what may be a password: all between a
// name's colon and the last "@". What breaks the rules may lose more than that.
func withoutPassword(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return s
	}
	scheme, name := "", s[:at]
	if before, rest, ok := strings.Cut(name, ":"); ok {
		slashes := strings.HasPrefix(rest, "//")
		if slashes || strings.EqualFold(before, "sip") || strings.EqualFold(before, "sips") || strings.EqualFold(before, "mailto") {
			scheme, name = before+":", rest
		}
		if slashes {
			scheme, name = scheme+"//", rest[2:]
		}
	}
	name, _, _ = strings.Cut(name, ":")
	return scheme + name + s[at:]
}

// media returns the kinds of an SDP's media.
func media(b []byte) string {
	var kinds []string
	for line := range bytes.Lines(b[:min(len(b), maxHead)]) {
		if bytes.HasPrefix(line, []byte("m=")) && len(kinds) < 8 {
			kind, _, _ := bytes.Cut(line[2:], []byte(" "))
			kinds = append(kinds, text(string(kind)))
		}
	}
	return strings.Join(kinds, ",")
}

func text(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), maxText)], "?")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s))
}
