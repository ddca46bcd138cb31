package packet

import (
	"bytes"
)

// Telnet is one connection of Telnet.
type Telnet struct {
	Flow
	User     string `parquet:"user"`
	Outcome  string `parquet:"outcome,dict"` // accepted, refused, or empty
	Terminal string `parquet:"terminal"`
}

// Kind is the table.
func (*Telnet) Kind() string { return "telnet" }

// Bytes of Telnet's commands (RFC 854).
const (
	telnetSE   = 240
	telnetSB   = 250
	telnetWill = 251
	telnetIAC  = 255
)

const maxTelnetText = 256

// telnetSide takes the commands out of one direction.
type telnetSide struct {
	state byte // 0: text, IAC: after IAC, SB: in a subnegotiation, SE: IAC in one, WILL: the option follows
	sub   []byte
	text  []byte // the line at hand
}

// step says whether c is text.
func (s *telnetSide) step(c byte) bool {
	switch s.state {
	case 0:
		if c == telnetIAC {
			s.state = telnetIAC
			return false
		}
		return true
	case telnetIAC:
		switch {
		case c == telnetIAC:
			s.state = 0
			return true
		case c == telnetSB:
			s.state, s.sub = telnetSB, s.sub[:0]
		case c >= telnetWill:
			s.state = telnetWill
		default:
			s.state = 0
		}
	case telnetWill:
		s.state = 0
	case telnetSB:
		if c == telnetIAC {
			s.state = telnetSE
		} else if len(s.sub) < 64 {
			s.sub = append(s.sub, c)
		}
	case telnetSE:
		if s.state = telnetSB; c == telnetSE {
			s.state = 0
		}
	}
	return false
}

type telnetAnalyzer struct {
	w      *worker
	c      *conn
	first  int64
	client telnetSide
	server telnetSide
	asks   byte // what the client types: 'u'ser, 's'ecret
	login  login
	record Telnet
}

func matchTelnet(k *key, _ bool, b []byte) bool {
	return len(b) >= 3 && b[0] == telnetIAC && b[1] >= telnetWill && b[1] < telnetIAC && b[2] < 50 &&
		(k.srcPort == 23 || k.dstPort == 23 || len(b) >= 6 && b[3] == telnetIAC && b[4] >= telnetSB)
}

func openTelnet(w *worker, c *conn) analyzer { return &telnetAnalyzer{w: w, c: c} }

func (a *telnetAnalyzer) data(at int64, orig bool, b []byte) bool {
	if a.first == 0 {
		a.first = at
	}
	s := &a.server
	if orig {
		s = &a.client
	}
	for _, c := range b {
		if !s.step(c) {
			if orig && s.state == 0 && len(s.sub) > 2 && s.sub[0] == 24 { // the terminal's type
				a.record.Terminal, s.sub = text(s.sub[2:]), nil
			}
			continue
		}
		if orig {
			a.typed(c)
		} else {
			a.shown(at, c)
		}
	}
	if !orig {
		a.prompt()
	}
	return true
}

// typed takes what the client types while a name or a secret is asked for.
func (a *telnetAnalyzer) typed(c byte) {
	s := &a.client
	switch {
	case a.asks == 0:
	case c == '\r' || c == '\n':
		if a.asks == 'u' && len(s.text) > 0 {
			a.login = login{method: "password", user: string(s.text)}
			a.record.User = text(a.login.user)
		} else if a.asks == 's' {
			a.login.step = loginSent
			a.server.text = a.server.text[:0] // the prompt is no verdict
		}
		a.asks, s.text = 0, nil
	case a.asks == 's': // it is not kept
	case c == 8 || c == 127:
		s.text = s.text[:max(len(s.text)-1, 0)]
	case c >= ' ' && len(s.text) < maxTelnetText:
		s.text = append(s.text, c)
	}
}

// shown takes what the server shows, line by line.
func (a *telnetAnalyzer) shown(at int64, c byte) {
	s := &a.server
	if c == '\n' || c == '\r' {
		a.verdict(at)
		s.text = s.text[:0]
		return
	}
	if len(s.text) < maxTelnetText {
		s.text = append(s.text, c)
	}
}

// prompt tells whether the unfinished line asks for something.
func (a *telnetAnalyzer) prompt() {
	line := bytes.ToLower(bytes.TrimSpace(a.server.text))
	switch {
	case bytes.HasSuffix(line, []byte("login:")), bytes.HasSuffix(line, []byte("username:")), bytes.HasSuffix(line, []byte("user:")):
		a.asks, a.client.text = 'u', nil
	case bytes.HasSuffix(line, []byte("password:")), bytes.HasSuffix(line, []byte("passcode:")):
		a.asks, a.client.text = 's', nil
	}
}

// verdict looks in a line for the server's word on a login.
func (a *telnetAnalyzer) verdict(at int64) {
	if a.login.step != loginSent {
		return
	}
	line := bytes.ToLower(bytes.TrimSpace(a.server.text))
	if len(line) == 0 {
		return
	}
	refused := false
	for _, word := range []string{"incorrect", "failed", "invalid", "denied", "bad "} {
		refused = refused || bytes.Contains(line, []byte(word))
	}
	a.record.Outcome = "accepted"
	if refused {
		a.record.Outcome = "refused"
	}
	a.login.settle(a.w, a.c.flow(at), "telnet", !refused)
}

func (a *telnetAnalyzer) gap(int64, bool, int) {}

func (a *telnetAnalyzer) end(at int64) {
	if a.first == 0 {
		return
	}
	a.login.left(a.w, a.c.flow(at), "telnet")
	a.record.Flow = a.c.flow(a.first)
	a.first = 0
	r := a.record
	a.w.emit(&r)
}
