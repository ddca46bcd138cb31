package packet

import (
	"bytes"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"github.com/orielhq/oriel/internal/packet/http1"
)

// Credentials says that a name and a secret went over the wire in clear text.
// The secret is nowhere: it is not kept beyond the parsing of its segment.
type Credentials struct {
	Flow
	Service string `parquet:"service,dict"` // http, ftp, smtp, pop3, imap, telnet
	Method  string `parquet:"method,dict"`  // basic, digest, form, plain, login, password, ...
	User    string `parquet:"user"`
	// Outcome is what the server said of it: accepted, refused, or empty if it
	// said nothing that was seen.
	Outcome string `parquet:"outcome,dict"`
}

// Kind is the table.
func (*Credentials) Kind() string { return "credentials" }

// credential counts and reports one.
func (w *worker) credential(f Flow, service, method, user, outcome string) {
	if i := slices.Index(clearServices, service); i >= 0 {
		w.clear.credentials[i]++
	}
	w.emit(&Credentials{Flow: f, Service: service, Method: method, User: text(user[:min(len(user), 256)]), Outcome: outcome})
}

// authorization returns the name that a request gives, and reports it once per connection.
func (a *httpAnalyzer) authorization(at int64, h *http1.Header) string {
	for _, value := range [][]byte{h.Authorization, h.ProxyAuthorization} {
		scheme, rest, _ := bytes.Cut(value, []byte(" "))
		var user, method string
		switch {
		case bytes.EqualFold(scheme, []byte("basic")):
			user, method = basicUser(rest), "basic"
		case bytes.EqualFold(scheme, []byte("digest")):
			user, method = digestUser(rest), "digest"
		}
		if user == "" {
			continue
		}
		user = text(user[:min(len(user), 256)])
		if user != a.user {
			a.user = user
			f := a.c.flow(at)
			if a.client < 0 {
				f.swap()
			}
			a.w.credential(f, "http", method, user, "")
		}
		return user
	}
	return ""
}

// form reports the name in a form that has a password too. Neither the form nor
// its hash is kept: a short one could be guessed from it.
func (a *httpAnalyzer) form(at int64, x *exchange, f *file) {
	f.form = true
	var user string
	password := false
	for pair := range strings.SplitSeq(string(f.head), "&") {
		name, value, _ := strings.Cut(pair, "=")
		name = strings.ToLower(name)
		switch {
		case strings.Contains(name, "pass") || strings.Contains(name, "pwd"):
			password = password || value != ""
		case user == "" && slices.ContainsFunc(userKeys, func(k string) bool { return strings.Contains(name, k) }):
			user, _ = url.QueryUnescape(value)
		}
	}
	if password && user != "" {
		x.User = text(user[:min(len(user), 256)])
		flow := x.Flow
		flow.Time = utc(at)
		a.w.credential(flow, "http", "form", user, "")
	}
}

// userKeys are parts of the names that forms give to the field for a name.
var userKeys = []string{"user", "login", "email", "account", "uname", "name"}

// basicUser returns the name of RFC 7617's base64 of name and password.
func basicUser(b []byte) string {
	user, _, ok := strings.Cut(decode64(b), ":")
	if !ok {
		return "" // without a colon it may all be secret
	}
	return user
}

// digestUser returns the parameter username of RFC 7616.
func digestUser(b []byte) string {
	for len(b) > 0 {
		name, rest, ok := bytes.Cut(b, []byte("="))
		if !ok {
			return ""
		}
		var value []byte
		if rest = bytes.TrimLeft(rest, " "); len(rest) > 0 && rest[0] == '"' {
			value, rest, _ = bytes.Cut(rest[1:], []byte(`"`))
		} else if i := bytes.IndexByte(rest, ','); i >= 0 {
			value, rest = rest[:i], rest[i:]
		} else {
			value, rest = rest, nil
		}
		if bytes.EqualFold(bytes.Trim(name, " ,"), []byte("username")) {
			return string(value)
		}
		b = rest
	}
	return ""
}

// secretKeys are parts of parameters' names whose values are secret.
var secretKeys = []string{"pass", "pwd", "secret", "token", "api_key", "apikey", "auth", "session", "sid", "signature", "credential", "otp", "pin", "private"}

// redact returns a URI without the values that look secret, nor a name and password before its host.
func redact(uri []byte) string {
	s := text(uri)
	if scheme, rest, ok := strings.Cut(s, "://"); ok && !strings.ContainsAny(scheme, "/?#") {
		end := strings.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		if i := strings.LastIndexByte(rest[:end], '@'); i >= 0 {
			rest = "..." + rest[i:]
		}
		s = scheme + "://" + rest
	}
	path, query, ok := strings.Cut(s, "?")
	if !ok {
		return s
	}
	query, fragment, _ := strings.Cut(query, "#")
	var b strings.Builder
	b.WriteString(path)
	b.WriteByte('?')
	for first := true; query != "" || first; first = false {
		var one string
		i := strings.IndexAny(query, "&;")
		if i < 0 {
			one, query = query, ""
		} else {
			one, query = query[:i+1], query[i+1:]
		}
		if name, value, ok := strings.Cut(one, "="); ok && secret(name) {
			end := ""
			if n := len(value); n > 0 && (value[n-1] == '&' || value[n-1] == ';') {
				end = value[n-1:]
			}
			one = name + "=..." + end
		}
		b.WriteString(one)
	}
	if fragment != "" {
		b.WriteString("#" + fragment)
	}
	return b.String()
}

func secret(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(secretKeys, func(k string) bool { return strings.Contains(name, k) })
}

// decode64 decodes a bounded piece of base64; empty if it is none.
func decode64(b []byte) string {
	b = bytes.TrimRight(bytes.TrimSpace(b), "=")
	if len(b) > 4096 {
		return ""
	}
	plain := make([]byte, base64.RawStdEncoding.DecodedLen(len(b)))
	n, err := base64.RawStdEncoding.Decode(plain, b)
	if err != nil {
		return ""
	}
	return string(plain[:n])
}
