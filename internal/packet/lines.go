package packet

import "bytes"

// maxLine bounds a line of a text protocol; the rest of a longer one is left out.
const maxLine = 2048

// lines cuts one direction of a text protocol into lines.
type lines struct {
	part buffer // a line's beginning
	long bool   // the rest of the line is left out
	skip int64  // bytes that are no lines: literals and the like
	mail int64  // bytes of a literal that is a mail, of lines

	// What next says of the line that it returned.
	cut    bool // its rest was left out
	inMail bool
	open   bool // in a mail: it has no end, as the literal ends before
}

// next returns the first line of b, without its end, and what is behind it; ok
// is false when there is no whole line. The line is valid until the next call.
func (l *lines) next(w *worker, b []byte) (line, rest []byte, ok bool) {
	if l.skip > 0 {
		n := min(l.skip, int64(len(b)))
		l.skip -= n
		b = b[n:]
	}
	all := b
	l.inMail, l.cut, l.open = l.mail > 0, false, false
	if l.inMail {
		b = b[:min(l.mail, int64(len(b)))]
	}
	i := bytes.IndexByte(b, '\n')
	if l.inMail {
		if i >= 0 {
			l.mail -= int64(i + 1)
		} else if l.mail -= int64(len(b)); l.mail == 0 {
			line, l.open = b, true
			return l.whole(w, line), all[len(b):], true
		}
	}
	if i < 0 {
		if !l.long && !l.part.add(w, b, maxLine) {
			l.long = true
		}
		return nil, nil, false
	}
	return bytes.TrimSuffix(l.whole(w, b[:i]), []byte("\r")), all[i+1:], true
}

// whole puts what was kept of a line before its end, if anything.
func (l *lines) whole(w *worker, end []byte) []byte {
	if len(l.part.b) == 0 && !l.long {
		return end
	}
	l.cut = l.long
	if !l.long {
		n := min(len(end), max(maxLine-len(l.part.b), 0))
		l.cut = n < len(end)
		l.part.add(w, end[:n], maxLine)
	}
	line := bytes.Clone(l.part.b)
	l.part.free(w)
	l.long = false
	return line
}

// command splits a line at its first space and makes the word upper case.
func command(line []byte) (word string, rest []byte) {
	first, rest, _ := bytes.Cut(line, []byte(" "))
	return string(bytes.ToUpper(first[:min(len(first), 32)])), bytes.TrimSpace(rest)
}

// reply reads a code of three digits; last is false if more lines of it follow.
func reply(line []byte) (code int, rest []byte, last bool) {
	if len(line) < 3 || line[0] < '1' || line[0] > '6' || line[1]-'0' > 9 || line[2]-'0' > 9 {
		return 0, nil, false
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	if len(line) == 3 {
		return code, nil, true
	}
	if line[3] != ' ' && line[3] != '-' {
		return 0, nil, false
	}
	return code, line[4:], line[3] == ' '
}

// login is an attempt that waits for the server's word on it.
type login struct {
	method, user string
	step         loginStep
}

// loginStep is what the client's next line is, besides a command.
type loginStep uint8

const (
	loginNone loginStep = iota
	loginUser           // base64 of the name
	loginSecret
	loginPlain // base64 of authorization, name and secret
	loginSent  // all was said
)

// sasl begins what AUTH or AUTHENTICATE named, with its first data if any.
func (l *login) sasl(args []byte) {
	mechanism, initial := command(args)
	*l = login{}
	switch mechanism {
	case "PLAIN":
		l.method, l.step = "plain", loginPlain
	case "LOGIN":
		l.method, l.step = "login", loginUser
	default:
		return // a digest of the secret, or a token
	}
	if len(initial) > 0 {
		l.line(initial)
	}
}

// line takes the client's next line of an exchange of SASL.
func (l *login) line(b []byte) {
	switch l.step {
	case loginUser:
		l.user, l.step = decode64(b), loginSecret
	case loginPlain:
		parts := bytes.SplitN([]byte(decode64(b)), []byte{0}, 3)
		if l.step = loginNone; len(parts) == 3 {
			l.user, l.step = string(parts[1]), loginSent
		}
	case loginSecret:
		l.step = loginSent
	}
}

// saying tells that the client's next line is part of the exchange.
func (l *login) saying() bool { return l.step != loginNone && l.step != loginSent }

// settle reports the attempt with what the server said of it.
func (l *login) settle(w *worker, f Flow, service string, accepted bool) {
	if l.step == loginSent && l.user != "" {
		outcome := "refused"
		if accepted {
			outcome = "accepted"
		}
		w.credential(f, service, l.method, l.user, outcome)
	}
	*l = login{}
}

// left reports an attempt of which the server's word was not seen.
func (l *login) left(w *worker, f Flow, service string) {
	if l.step == loginSent && l.user != "" {
		w.credential(f, service, l.method, l.user, "")
	}
	*l = login{}
}
