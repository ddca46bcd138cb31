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
	asked          replies // the first is for the banner
	login          login
	record         SMTP
	recipients     []string
	inData, inHead bool
	file           *file
	mails          int
	heard          bool
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
		a.command(line)
	} else {
		a.replied(at, line)
	}
}

func (a *smtpAnalyzer) command(line []byte) {
	if a.inData {
		a.mail(line)
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
		size, _, _ := bytes.Cut(rest, []byte(" "))
		if n, err := strconv.ParseInt(string(size), 10, 64); err == nil && n > 0 {
			a.client.skip = n
			a.record.Size += n
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
		a.inData, a.inHead, a.file = true, true, newFile()
	case word == "MAILED", word == "BDAT" && a.client.skip == 0:
		a.report(at)
	case word == "AUTH" && code != 334:
		a.record.User = text(a.login.user)
		a.login.settle(a.w, a.c.flow(at), "smtp", code == 235)
	}
}

// mail takes a line of the mail itself.
func (a *smtpAnalyzer) mail(line []byte) {
	if len(line) == 1 && line[0] == '.' {
		a.inData, a.inHead = false, false
		a.asked.ask("MAILED")
		return
	}
	line = bytes.TrimPrefix(line, []byte("."))
	a.record.Size += int64(len(line)) + 2
	if a.file != nil {
		a.file.write(line)
		a.file.write([]byte("\r\n"))
	}
	if !a.inHead {
		return
	}
	if len(line) == 0 {
		a.inHead = false
		return
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimSpace(value)
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
	if a.file != nil && a.file.size > 0 {
		a.w.emitFile(at, a.record.Flow, a.file, "smtp", "message/rfc822", "", true)
	}
	a.w.software(at, a.record.OrigAddr, a.record.UserAgent, "smtp", a.c)
	r := a.record
	r.commands, a.commands = a.commands, nil
	a.w.emit(&r)
	a.record = SMTP{Banner: r.Banner, Helo: r.Helo, User: r.User, StartTLS: r.StartTLS}
	a.recipients, a.file, a.first = nil, nil, at
}

func (a *smtpAnalyzer) gap(at int64, orig bool, n int) {
	a.dialogue.gap(at, orig, n)
	if a.inner == nil && orig && a.inData && a.file != nil {
		a.file.lost = true
		a.record.Size += int64(n)
	}
}

func (a *smtpAnalyzer) end(at int64) {
	a.hangUp(at)
	if a.inner != nil {
		return
	}
	a.login.left(a.w, a.c.flow(at), "smtp")
	if a.mails == 0 || len(a.recipients) > 0 || a.file != nil {
		if a.file != nil {
			a.file.lost = true
		}
		a.report(at)
	}
	a.heard = false
}
