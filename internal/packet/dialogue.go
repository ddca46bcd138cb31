package packet

import "strings"

// dialogue is a conversation of a text protocol, line by line, that may go on in
// TLS: SMTP, POP3, IMAP and FTP.
type dialogue struct {
	w              *worker
	c              *conn
	first          int64
	client, server lines
	commands       []string // names of the client's
	inner          analyzer // TLS, once it began
}

// maxCommands bounds the commands that are kept, or wait for a reply.
const maxCommands = 64

// A speaker takes the lines of a dialogue. A line is valid during the call.
type speaker interface {
	line(at int64, orig bool, line []byte)
}

// hear cuts b into lines for s, and gives what follows the beginning of TLS to that.
func (d *dialogue) hear(s speaker, at int64, orig bool, b []byte) bool {
	if d.first == 0 {
		d.first = at
	}
	l := &d.server
	if orig {
		l = &d.client
	}
	for len(b) > 0 && d.inner == nil {
		line, rest, ok := l.next(d.w, b)
		if !ok {
			return true
		}
		b = rest
		s.line(at, orig, line)
	}
	if d.inner != nil && len(b) > 0 {
		return d.inner.data(at, orig, b)
	}
	return true
}

// startTLS gives what follows to TLS.
func (d *dialogue) startTLS() { d.inner = openTLS(d.w, d.c) }

// knownCommands are of SMTP, POP3 and IMAP. A line that begins otherwise may be a secret.
const knownCommands = " EHLO HELO MAIL RCPT DATA BDAT RSET VRFY EXPN HELP NOOP QUIT AUTH STARTTLS TURN ETRN ATRN XCLIENT " +
	"USER PASS APOP STLS CAPA STAT LIST UIDL RETR TOP DELE LAST " +
	"CAPABILITY LOGIN AUTHENTICATE LOGOUT SELECT EXAMINE CREATE DELETE RENAME SUBSCRIBE UNSUBSCRIBE LSUB STATUS APPEND " +
	"CHECK CLOSE EXPUNGE SEARCH FETCH STORE COPY UID IDLE NAMESPACE ID ENABLE MOVE COMPRESS UNSELECT SORT THREAD GETQUOTA GETQUOTAROOT "

// said keeps the name of a command.
func (d *dialogue) said(word string) {
	if len(d.commands) < maxCommands && word != "" && strings.Contains(knownCommands, " "+word+" ") {
		d.commands = append(d.commands, word)
	}
}

// gap tells TLS of missing bytes, or takes them from a literal.
func (d *dialogue) gap(at int64, orig bool, n int) {
	if d.inner != nil {
		d.inner.gap(at, orig, n)
		return
	}
	l := &d.server
	if orig {
		l = &d.client
	}
	l.skip, l.mail = max(l.skip-int64(n), 0), max(l.mail-int64(n), 0)
}

// hangUp gives back what is held, and ends TLS.
func (d *dialogue) hangUp(at int64) {
	d.client.part.free(d.w)
	d.server.part.free(d.w)
	if d.inner != nil {
		d.inner.end(at)
	}
}

// replies are commands that wait for their answers, in order.
type replies []string

func (r *replies) ask(word string) {
	if len(*r) < maxCommands {
		*r = append(*r, word)
	}
}

// answered returns the command that an answer is to; empty if none waits.
func (r *replies) answered() string {
	if len(*r) == 0 {
		return ""
	}
	word := (*r)[0]
	*r = (*r)[:copy(*r, (*r)[1:])]
	return word
}
