package packet

import (
	"bytes"
	"strconv"
)

// SMTP is one mail, or a connection without any.
type SMTP struct {
	Flow
	Banner     string `parquet:"banner"`
	Helo       string `parquet:"helo"`
	MailFrom   string `parquet:"mail_from"`
	Recipients string `parquet:"recipients"` // joined by commas
	From       string `parquet:"from"`
	To         string `parquet:"to"`
	Subject    string `parquet:"subject"`
	MessageID  string `parquet:"message_id"`
	Date       string `parquet:"date"`
	UserAgent  string `parquet:"user_agent"`
	Size       int64  `parquet:"size"` // of the mail as sent
	User       string `parquet:"user"`
	StartTLS   bool   `parquet:"starttls"`
	Reply      string `parquet:"reply"` // the server's last word
	// Attachments are the mail's parts that have a name or are attached.
	Attachments int32 `parquet:"attachments"`

	commands []string // as netcap has them
}

// Kind is the table.
func (*SMTP) Kind() string { return "smtp" }

const maxRecipients = 64

type smtpAnalyzer struct {
	dialogue
	asked      replies // the first is for the banner
	login      login
	record     SMTP
	recipients []string
	inData     bool
	mail       *mailbag
	mails      int
	heard      bool
}

func matchSMTP(k *key, _ bool, b []byte) bool {
	if code, rest, _ := reply(b); code == 220 {
		upper := bytes.ToUpper(rest)
		return bytes.Contains(upper, []byte("SMTP")) || !bytes.Contains(upper, []byte("FTP")) && (k.srcPort == 25 || k.dstPort == 25 || k.srcPort == 587 || k.dstPort == 587)
	}
	return bytes.HasPrefix(b, []byte("EHLO ")) || bytes.HasPrefix(b, []byte("HELO ")) || bytes.HasPrefix(b, []byte("ehlo ")) || bytes.HasPrefix(b, []byte("helo "))
}

func openSMTP(w *worker, c *conn) analyzer {
	return &smtpAnalyzer{dialogue: dialogue{w: w, c: c}, asked: replies{"BANNER"}}
}

func (a *smtpAnalyzer) data(at int64, orig bool, b []byte) bool {
	return a.hear(a, at, orig, b)
}

func (a *smtpAnalyzer) line(at int64, orig bool, line []byte) {
	if orig {
		a.command(at, line)
	} else {
		a.replied(at, line)
	}
}

func (a *smtpAnalyzer) command(at int64, line []byte) {
	if a.inData || a.client.inMail {
		a.text(at, line)
		return
	}
	if a.login.saying() {
		a.login.line(line)
		a.asked.ask("AUTH")
		return
	}
	word, rest := command(line)
	a.said(word)
	switch word {
	case "EHLO", "HELO":
		a.record.Helo, a.heard = text(rest), true
	case "MAIL":
		a.record.MailFrom, a.heard = address(rest), true
	case "RCPT":
		if len(a.recipients) < maxRecipients {
			a.recipients = append(a.recipients, address(rest))
		}
	case "AUTH":
		a.login.sasl(rest)
		a.record.User = text(a.login.user)
	case "BDAT":
		size, last, _ := bytes.Cut(rest, []byte(" "))
		if bytes.EqualFold(bytes.TrimSpace(last), []byte("LAST")) {
			word = "BDAT LAST"
		}
		if n, err := strconv.ParseInt(string(size), 10, 64); err == nil && n > 0 {
			a.client.mail = n
			a.open()
		}
	}
	a.asked.ask(word)
}

// address returns what is between < and > of MAIL FROM and RCPT TO.
func address(b []byte) string {
	if _, after, ok := bytes.Cut(b, []byte("<")); ok {
		b, _, _ = bytes.Cut(after, []byte(">"))
	}
	return text(b[:min(len(b), 320)])
}

func (a *smtpAnalyzer) replied(at int64, line []byte) {
	code, rest, last := reply(line)
	if code == 0 || !last {
		if code == 220 && a.record.Banner == "" {
			a.record.Banner = text(rest)
		}
		return
	}
	a.record.Reply = text(line[:min(len(line), 256)])
	word := a.asked.answered()
	switch {
	case code == 220 && word == "BANNER":
		a.heard = true
		if a.record.Banner == "" {
			a.record.Banner = text(rest)
		}
		a.w.software(at, a.c.flow(at).RespAddr, greeting(text(rest)), "smtp", a.c)
	case code == 220 && word == "STARTTLS":
		a.record.StartTLS = true
		a.report(at)
		a.startTLS()
	case code == 354 && word == "DATA":
		a.inData = true
		a.open()
	case word == "MAILED", word == "BDAT LAST":
		a.report(at)
	case word == "AUTH" && code != 334:
		a.record.User = text(a.login.user)
		a.login.settle(a.w, a.c.flow(at), "smtp", code == 235)
	}
}

// open begins a mail, unless it has begun.
func (a *smtpAnalyzer) open() {
	if a.mail == nil {
		a.mail = newMail(a.w, a.c, "smtp", true, a.header)
	}
}

// text takes a line of the mail itself.
func (a *smtpAnalyzer) text(at int64, line []byte) {
	if a.inData {
		if len(line) == 1 && line[0] == '.' {
			a.inData = false
			a.asked.ask("MAILED")
			return
		}
		line = bytes.TrimPrefix(line, []byte("."))
	}
	a.record.Size += int64(len(line)) + 2
	a.mail.line(at, line, a.client.cut, a.client.open)
}

// header takes a field of the mail's header.
func (a *smtpAnalyzer) header(name, value []byte) {
	for _, h := range []struct {
		name string
		to   *string
	}{
		{"from", &a.record.From},
		{"to", &a.record.To},
		{"subject", &a.record.Subject},
		{"date", &a.record.Date},
		{"message-id", &a.record.MessageID},
		{"user-agent", &a.record.UserAgent},
		{"x-mailer", &a.record.UserAgent},
	} {
		if *h.to == "" && bytes.EqualFold(name, []byte(h.name)) {
			*h.to = text(value)
		}
	}
}

func (a *smtpAnalyzer) report(at int64) {
	if !a.heard {
		return
	}
	a.mails++
	a.record.Flow, a.record.Recipients = a.c.flow(a.first), join(a.recipients)
	if a.mail != nil {
		a.mail.close(at, !a.inData && a.client.mail == 0)
		a.record.Attachments = a.mail.files
	}
	a.w.software(at, a.record.OrigAddr, a.record.UserAgent, "smtp", a.c)
	r := a.record
	r.commands, a.commands = a.commands, nil
	a.w.emit(&r)
	a.record = SMTP{Banner: r.Banner, Helo: r.Helo, User: r.User, StartTLS: r.StartTLS}
	a.recipients, a.mail, a.first = nil, nil, at
}

func (a *smtpAnalyzer) gap(at int64, orig bool, n int) {
	a.dialogue.gap(at, orig, n)
	if a.inner == nil && orig && a.mail != nil {
		a.mail.lost()
		a.record.Size += int64(n)
	}
}

func (a *smtpAnalyzer) end(at int64) {
	a.hangUp(at)
	if a.inner != nil {
		return
	}
	a.login.left(a.w, a.c.flow(at), "smtp")
	if a.mails == 0 || len(a.recipients) > 0 || a.mail != nil {
		a.report(at)
	}
	a.heard = false
}
