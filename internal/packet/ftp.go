package packet

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
)

// FTP is one command that moves a file or lists a directory, or a login.
type FTP struct {
	Flow
	Banner   string `parquet:"banner"`
	User     string `parquet:"user"`
	Command  string `parquet:"command,dict"` // LOGIN for a login
	Argument string `parquet:"argument"`
	Code     int32  `parquet:"code"` // the server's last word; 0: none seen
	Message  string `parquet:"message"`
	Passive  bool   `parquet:"passive"`
	DataAddr string `parquet:"data_addr"` // where the data connection goes
	DataPort uint16 `parquet:"data_port"`
}

// Kind is the table.
func (*FTP) Kind() string { return "ftp" }

// maxExpected bounds the data connections that are awaited.
const maxExpected = 1024

// transfer is a data connection that FTP announced.
type transfer struct {
	at      netip.AddrPort
	name    string
	command string
	control Flow
}

type ftpAnalyzer struct {
	dialogue
	asked        replies
	login        login
	banner, user string
	pending      *FTP // a command that waits for its last reply
	transfer     *transfer
	passive      bool
}

func matchFTP(k *key, _ bool, b []byte) bool {
	at := k.srcPort == 21 || k.dstPort == 21
	if code, rest, _ := reply(b); code == 220 {
		return at || bytes.Contains(bytes.ToUpper(rest), []byte("FTP")) && !bytes.Contains(bytes.ToUpper(rest), []byte("SMTP"))
	}
	return at && (bytes.HasPrefix(b, []byte("USER ")) || bytes.HasPrefix(b, []byte("AUTH ")))
}

func openFTP(w *worker, c *conn) analyzer {
	return &ftpAnalyzer{dialogue: dialogue{w: w, c: c}, asked: replies{"BANNER"}}
}

func (a *ftpAnalyzer) data(at int64, orig bool, b []byte) bool {
	if a.first == 0 && orig {
		a.asked = nil // under way: the greeting was before
	}
	return a.hear(a, at, orig, b)
}

func (a *ftpAnalyzer) line(at int64, orig bool, line []byte) {
	if orig {
		a.command(at, line)
	} else {
		a.replied(at, line)
	}
}

func (a *ftpAnalyzer) command(at int64, line []byte) {
	word, rest := command(line)
	switch word {
	case "USER":
		a.login = login{method: "user", user: string(rest[:min(len(rest), 256)])}
		a.user = text(a.login.user)
	case "PASS":
		a.login.step = loginSent
	case "PORT", "EPRT":
		if to, ok := ftpAddress(word, rest); ok {
			a.expect(at, to)
			a.passive = false
		}
	case "RETR", "STOR", "STOU", "APPE", "LIST", "NLST", "MLSD", "DELE", "RMD", "MKD":
		a.report()
		a.pending = &FTP{Flow: a.c.flow(at), Banner: a.banner, User: a.user, Command: word, Argument: text(rest), Passive: a.passive}
		if t := a.transfer; t != nil && word != "DELE" && word != "RMD" && word != "MKD" {
			t.name, t.command = fileName(nil, text(rest)), word
			a.pending.DataAddr, a.pending.DataPort = t.at.Addr().String(), t.at.Port()
			a.transfer = nil
		}
	}
	a.asked.ask(word)
}

func (a *ftpAnalyzer) replied(at int64, line []byte) {
	code, rest, last := reply(line)
	if code == 0 || !last && code != 220 {
		return
	}
	if code == 220 && a.banner == "" {
		a.banner = text(rest)
		a.w.software(at, a.c.flow(at).RespAddr, greeting(a.banner), "ftp", a.c)
	}
	if !last {
		return
	}
	if code < 200 { // another reply follows
		if a.pending != nil {
			a.pending.Code, a.pending.Message = int32(code), text(rest)
		}
		return
	}
	word := a.asked.answered()
	switch word {
	case "PASS", "USER":
		if word == "PASS" || code == 230 {
			a.settle(at, code, rest)
		}
	case "PASV", "EPSV":
		if to, ok := ftpPassive(code, rest, a.c); ok {
			a.expect(at, to)
			a.passive = true
		}
	case "AUTH":
		if code == 234 {
			a.startTLS()
		}
	default:
		if a.pending != nil && a.pending.Command == word {
			a.pending.Code, a.pending.Message = int32(code), text(rest)
			a.report()
		}
	}
}

func (a *ftpAnalyzer) settle(at int64, code int, message []byte) {
	a.w.emit(&FTP{Flow: a.c.flow(at), Banner: a.banner, User: a.user, Command: "LOGIN", Code: int32(code), Message: text(message)})
	a.login.settle(a.w, a.c.flow(at), "ftp", code == 230)
}

func (a *ftpAnalyzer) report() {
	if a.pending != nil {
		a.w.emit(a.pending)
		a.pending = nil
	}
}

// expect awaits a data connection.
func (a *ftpAnalyzer) expect(at int64, to netip.AddrPort) {
	if a.w.expected == nil || len(a.w.expected) >= maxExpected {
		a.w.expected = map[netip.AddrPort]*transfer{}
	}
	a.transfer = &transfer{at: to, control: a.c.flow(at)}
	a.w.expected[to] = a.transfer
}

// ftpAddress reads the argument of PORT (RFC 959) and EPRT (RFC 2428).
func ftpAddress(word string, b []byte) (netip.AddrPort, bool) {
	if word == "PORT" {
		return ftpNumbers(string(b))
	}
	if len(b) < 2 {
		return netip.AddrPort{}, false
	}
	parts := strings.Split(string(b[:min(len(b), 128)]), string(b[:1]))
	if len(parts) < 4 {
		return netip.AddrPort{}, false
	}
	addr, err := netip.ParseAddr(parts[2])
	port, err2 := strconv.ParseUint(parts[3], 10, 16)
	return netip.AddrPortFrom(addr, uint16(port)), err == nil && err2 == nil
}

// ftpNumbers reads h1,h2,h3,h4,p1,p2.
func ftpNumbers(s string) (netip.AddrPort, bool) {
	parts := strings.Split(s, ",")
	if len(parts) != 6 {
		return netip.AddrPort{}, false
	}
	var n [6]byte
	for i, p := range parts {
		v, err := strconv.ParseUint(strings.TrimSpace(p), 10, 8)
		if err != nil {
			return netip.AddrPort{}, false
		}
		n[i] = byte(v)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(n[:4])), uint16(n[4])<<8|uint16(n[5])), true
}

// ftpPassive reads the replies to PASV and EPSV.
func ftpPassive(code int, rest []byte, c *conn) (netip.AddrPort, bool) {
	_, inside, ok := strings.Cut(string(rest[:min(len(rest), 256)]), "(")
	inside, _, ok2 := strings.Cut(inside, ")")
	if !ok || !ok2 {
		return netip.AddrPort{}, false
	}
	switch code {
	case 227:
		return ftpNumbers(inside)
	case 229:
		parts := strings.Split(inside, inside[:min(len(inside), 1)])
		if len(parts) < 4 {
			return netip.AddrPort{}, false
		}
		port, err := strconv.ParseUint(parts[3], 10, 16)
		return netip.AddrPortFrom(c.key.addr(c.key.dst), uint16(port)), err == nil
	}
	return netip.AddrPort{}, false
}

func (a *ftpAnalyzer) end(at int64) {
	a.report()
	a.login.left(a.w, a.c.flow(at), "ftp")
	a.hangUp(at)
}

// ftpDataName is what a data connection is of. Nothing in it tells: the control connection does.
const ftpDataName = "ftp-data"

// ftpData is a data connection.
type ftpData struct {
	w    *worker
	c    *conn
	t    *transfer
	file *file
}

// expectedOf returns how to read a connection that was announced.
func (w *worker) expectedOf(k *key) *protocol {
	if len(w.expected) == 0 {
		return nil
	}
	for _, end := range []netip.AddrPort{
		netip.AddrPortFrom(k.addr(k.dst), k.dstPort), netip.AddrPortFrom(k.addr(k.src), k.srcPort),
	} {
		if t := w.expected[end]; t != nil {
			delete(w.expected, end)
			return &protocol{name: ftpDataName, proto: protoTCP, open: func(w *worker, c *conn) analyzer {
				return &ftpData{w: w, c: c, t: t, file: newFile()}
			}}
		}
	}
	return nil
}

func (a *ftpData) data(_ int64, _ bool, b []byte) bool {
	a.file.write(b)
	return true
}

func (a *ftpData) gap(int64, bool, int) { a.file.lost = true }

func (a *ftpData) end(at int64) {
	switch a.t.command {
	case "RETR", "STOR", "STOU", "APPE":
		a.file.name = a.t.name
		a.w.emitFile(at, a.c.flow(at), a.file, "ftp", "", "", a.t.command != "RETR")
	}
	a.t.command = ""
}
