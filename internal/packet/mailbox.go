package packet

import (
	"bytes"
	"strconv"
)

// Mailbox is a connection in which mail is fetched: POP3 or IMAP.
type Mailbox struct {
	Flow
	Service  string `parquet:"service,dict"` // pop3, imap
	Banner   string `parquet:"banner"`
	User     string `parquet:"user"`
	Accepted bool   `parquet:"accepted"`
	StartTLS bool   `parquet:"starttls"`
	Commands int64  `parquet:"commands"`
	Fetched  int64  `parquet:"fetched"` // commands that fetch mail

	commands []string // as netcap has them
}

// Kind is the table.
func (m *Mailbox) Kind() string { return m.Service }

// mailboxAnalyzer reads POP3 and IMAP, which differ in how they say the same.
type mailboxAnalyzer struct {
	dialogue
	imap     bool
	asked    replies     // POP3
	multi    bool        // POP3: the server's lines are of an answer until a dot
	mails    [2]*mailbag // that the client or the server sends
	login    login
	loginTag string // IMAP
	tlsTag   string
	name     []byte // IMAP: what LOGIN said before a literal
	literal  bool
	parts    imapParts
	record   Mailbox
}

func matchPOP3(k *key, _ bool, b []byte) bool {
	at := k.dstPort == 110 || k.srcPort == 110
	return bytes.HasPrefix(b, []byte("+OK")) && (at || bytes.Contains(bytes.ToUpper(b), []byte("POP"))) ||
		at && (bytes.HasPrefix(b, []byte("USER ")) || bytes.HasPrefix(b, []byte("CAPA\r")))
}

func matchIMAP(k *key, _ bool, b []byte) bool {
	if bytes.HasPrefix(b, []byte("* OK")) || bytes.HasPrefix(b, []byte("* PREAUTH")) {
		return true
	}
	if k.srcPort != 143 && k.dstPort != 143 {
		return false
	}
	_, rest, ok := bytes.Cut(b, []byte(" "))
	word, _ := command(rest)
	return ok && (word == "LOGIN" || word == "AUTHENTICATE" || bytes.HasPrefix(bytes.ToUpper(rest), []byte("CAPABILITY")))
}

func openPOP3(w *worker, c *conn) analyzer {
	return &mailboxAnalyzer{dialogue: dialogue{w: w, c: c}, asked: replies{"BANNER"}, record: Mailbox{Service: "pop3"}}
}

func openIMAP(w *worker, c *conn) analyzer {
	return &mailboxAnalyzer{dialogue: dialogue{w: w, c: c}, imap: true, record: Mailbox{Service: "imap"}}
}

func (a *mailboxAnalyzer) data(at int64, orig bool, b []byte) bool {
	return a.hear(a, at, orig, b)
}

func (a *mailboxAnalyzer) line(at int64, orig bool, line []byte) {
	l := &a.server
	if orig {
		l = &a.client
	}
	switch {
	case l.inMail:
		a.mails[side(orig)].line(at, line, l.cut, l.open)
		if l.mail == 0 && (orig || !a.pieceEnds(at)) {
			a.closeMail(at, orig, true)
		}
	case a.imap && orig:
		a.imapSaid(line)
	case a.imap:
		a.imapReplied(at, line)
	case orig:
		a.popSaid(line)
	default:
		a.popReplied(at, line)
	}
}

func (a *mailboxAnalyzer) startTLS() {
	a.record.StartTLS = true
	a.dialogue.startTLS()
}

func (a *mailboxAnalyzer) settle(at int64, accepted bool) {
	if a.login.user != "" {
		a.record.User = text(a.login.user)
	}
	a.record.Accepted = a.record.Accepted || accepted
	a.login.settle(a.w, a.c.flow(at), a.record.Service, accepted)
}

func (a *mailboxAnalyzer) popSaid(line []byte) {
	if a.login.saying() {
		a.login.line(line)
		a.asked.ask("AUTH")
		return
	}
	word, rest := command(line)
	a.said(word)
	a.record.Commands++
	switch word {
	case "USER":
		a.login = login{method: "user", user: string(rest)}
	case "PASS":
		a.login.step = loginSent
	case "APOP":
		user, _, _ := bytes.Cut(rest, []byte(" "))
		a.login = login{method: "apop", user: string(user), step: loginSent}
	case "AUTH":
		a.login.sasl(rest)
	case "RETR", "TOP":
		a.record.Fetched++
	}
	if (word == "LIST" || word == "UIDL") && len(rest) > 0 {
		word = "ONE" // its answer is one line
	}
	a.asked.ask(word)
}

func (a *mailboxAnalyzer) popReplied(at int64, line []byte) {
	if a.multi {
		m := a.mails[side(false)]
		if a.multi = string(line) != "."; !a.multi {
			a.closeMail(at, false, true)
		} else if m != nil {
			m.line(at, bytes.TrimPrefix(line, []byte(".")), a.server.cut, false)
		}
		return
	}
	good := bytes.HasPrefix(line, []byte("+OK"))
	if !good && !bytes.HasPrefix(line, []byte("-ERR")) && !bytes.HasPrefix(line, []byte("+ ")) {
		return
	}
	word := a.asked.answered()
	switch word {
	case "BANNER":
		a.record.Banner = text(bytes.TrimSpace(line[min(3, len(line)):]))
	case "PASS", "APOP":
		a.settle(at, good)
	case "AUTH":
		if good || line[0] == '-' {
			a.settle(at, good)
		}
	case "STLS":
		if good {
			a.startTLS()
		}
	case "RETR", "TOP", "LIST", "UIDL", "CAPA":
		if a.multi = good; good && word == "RETR" {
			a.openMail(false, 0)
		}
	}
}

// openMail begins a mail; n is its length if it is a literal.
func (a *mailboxAnalyzer) openMail(orig bool, n int64) {
	a.mails[side(orig)] = newMail(a.w, a.c, a.record.Service, orig, nil)
	if orig {
		a.client.mail = n
	} else {
		a.server.mail = n
	}
}

func (a *mailboxAnalyzer) closeMail(at int64, orig, whole bool) {
	if m := a.mails[side(orig)]; m != nil {
		a.mails[side(orig)] = nil
		m.close(at, whole)
	}
}

func (a *mailboxAnalyzer) imapSaid(line []byte) {
	if a.literal { // this line begins with what a literal holds
		a.literal = false
		line = append(append(a.name, ' '), line...)
		a.name = nil
	} else if a.login.saying() {
		a.login.line(line)
		return
	}
	if n, ok := literal(line); ok {
		_, rest, _ := bytes.Cut(line, []byte(" "))
		if word, _ := command(rest); word == "APPEND" && n > 0 {
			a.said(word)
			a.openMail(true, n)
		} else if n <= 256 && len(line) < 512 {
			a.name, a.literal = bytes.Clone(line[:bytes.LastIndexByte(line, '{')]), true
		} else {
			a.client.skip = n
		}
		return
	}
	tag, rest, _ := bytes.Cut(line, []byte(" "))
	word, args := command(rest)
	a.said(word)
	a.record.Commands++
	switch word {
	case "LOGIN":
		a.login = login{method: "login", user: imapString(args), step: loginSent}
		a.loginTag = text(tag)
	case "AUTHENTICATE":
		a.login.sasl(args)
		a.loginTag = text(tag)
	case "STARTTLS":
		a.tlsTag = text(tag)
	case "FETCH":
		a.record.Fetched++
	case "UID":
		if w, _ := command(args); w == "FETCH" {
			a.record.Fetched++
		}
	}
}

// literal returns the length of the literal that follows a line.
func literal(line []byte) (int64, bool) {
	i := bytes.LastIndexByte(line, '{')
	if i < 0 || line[len(line)-1] != '}' {
		return 0, false
	}
	n, err := strconv.ParseInt(string(bytes.TrimSuffix(line[i+1:len(line)-1], []byte("+"))), 10, 64)
	return n, err == nil && n >= 0
}

// wholeMail tells whether the literal behind a line of FETCH is a mail, and not a part of one.
func wholeMail(line []byte) bool {
	line = bytes.ToUpper(line[:bytes.LastIndexByte(line, '{')])
	line = bytes.TrimRight(line, " ")
	return bytes.HasSuffix(line, []byte("BODY[]")) || bytes.HasSuffix(line, []byte(" RFC822")) || bytes.HasSuffix(line, []byte("(RFC822"))
}

// imapString returns the first atom or quoted string.
func imapString(b []byte) string {
	b = bytes.TrimLeft(b, " ")
	if len(b) == 0 || b[0] != '"' {
		one, _, _ := bytes.Cut(b, []byte(" "))
		return string(one)
	}
	var out []byte
	for i := 1; i < len(b) && b[i] != '"'; i++ {
		if b[i] == '\\' && i+1 < len(b) {
			i++
		}
		out = append(out, b[i])
	}
	return string(out)
}

func (a *mailboxAnalyzer) imapReplied(at int64, line []byte) {
	if n, ok := literal(line); ok {
		if n > 0 && wholeMail(line) {
			a.openMail(false, n)
		} else if part, ok := a.parts.part(line); !ok || n == 0 || !a.openPart(at, part, n) {
			a.server.skip = n
		}
		return
	}
	a.parts.fetched(line)
	tag, rest, _ := bytes.Cut(line, []byte(" "))
	word, _ := command(rest)
	switch {
	case len(tag) == 1 && tag[0] == '*':
		if a.record.Banner == "" && (word == "OK" || word == "PREAUTH") {
			a.record.Banner = text(rest)
		}
	case a.loginTag != "" && string(tag) == a.loginTag:
		a.loginTag = ""
		a.settle(at, word == "OK")
	case a.tlsTag != "" && string(tag) == a.tlsTag && word == "OK":
		a.startTLS()
	}
}

func (a *mailboxAnalyzer) end(at int64) {
	a.login.left(a.w, a.c.flow(at), a.record.Service)
	a.closeMail(at, true, false)
	if a.mails[side(false)] == a.parts.bag {
		a.mails[side(false)] = nil
	}
	a.closeMail(at, false, false)
	a.closePart(at, false)
	if a.first > 0 {
		a.record.Flow = a.c.flow(a.first)
		a.first = 0
		r := a.record
		r.commands = a.commands
		a.w.emit(&r)
	}
	a.hangUp(at)
}

func (a *mailboxAnalyzer) gap(at int64, orig bool, n int) {
	a.dialogue.gap(at, orig, n)
	m := a.mails[side(orig)]
	if m == nil && !orig {
		m = a.parts.bag
	}
	if m == nil {
		return
	}
	m.lost()
	if a.imap && (orig && a.client.mail == 0 || !orig && a.server.mail == 0 && !a.pieceEnds(at)) {
		a.closeMail(at, orig, false)
	}
}
