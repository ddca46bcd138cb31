package packet

import (
	"bytes"

	"github.com/orielhq/oriel/internal/packet/ssh"
)

// sshSide is one direction of SSH.
type sshSide struct {
	buf   buffer
	ident bool // read
	done  bool // the rest is ciphertext, or lost

	kex *ssh.KexInit
}

type sshAnalyzer struct {
	w      *worker
	c      *conn
	first  int64
	side   [2]sshSide // client, server
	record SSH
	heard  bool
	asked  bool // orig is the client
}

func matchSSH(_ *key, _ bool, b []byte) bool { return ssh.Is(b) }

func openSSH(w *worker, c *conn) analyzer { return &sshAnalyzer{w: w, c: c, asked: true} }

func (a *sshAnalyzer) data(at int64, orig bool, b []byte) bool {
	if a.first == 0 {
		a.first = at
		// Without the SYN, the well-known port tells who serves.
		a.asked = a.c.a.syn || a.c.b.syn || a.c.key.srcPort != 22
	}
	i := 1
	if orig == a.asked {
		i = 0
	}
	s := &a.side[i]
	if s.done {
		return a.more()
	}
	if !s.buf.add(a.w, b, ssh.MaxPacket+ssh.MaxLine) {
		s.finish(a.w)
		return a.more()
	}
	a.read(at, s, i == 0)
	return a.more()
}

// more tells whether a side still speaks in the clear.
func (a *sshAnalyzer) more() bool { return !a.side[0].done || !a.side[1].done }

func (s *sshSide) finish(w *worker) {
	s.done = true
	s.buf.free(w)
}

func (a *sshAnalyzer) read(at int64, s *sshSide, client bool) {
	for !s.ident {
		line, rest, ok := bytes.Cut(s.buf.b, []byte("\n"))
		if !ok {
			if len(s.buf.b) > ssh.MaxLine {
				s.finish(a.w)
			}
			return
		}
		used := len(s.buf.b) - len(rest)
		if id, ok := ssh.ParseIdent(line); ok {
			s.ident, a.heard = true, true
			whole := text(bytes.TrimRight(line, "\r"))
			f := a.c.flow(at)
			if client {
				a.record.ClientVersion = whole
				a.w.software(at, f.OrigAddr, text(id.Software), "ssh", a.c)
			} else {
				a.record.ServerVersion = whole
				a.w.software(at, f.RespAddr, text(id.Software), "ssh", a.c)
			}
		}
		s.buf.cut(used)
	}
	for !s.done {
		payload, n, err := ssh.Packet(s.buf.b)
		if err != nil {
			s.finish(a.w)
			return
		}
		if n == 0 {
			return
		}
		a.message(at, s, client, payload)
		if !s.done {
			s.buf.cut(n)
		}
	}
}

func (a *sshAnalyzer) message(at int64, s *sshSide, client bool, payload []byte) {
	if len(payload) == 0 {
		return
	}
	switch payload[0] {
	case ssh.MsgKexInit:
		k, err := ssh.ParseKexInit(payload)
		if err != nil || s.kex != nil {
			return
		}
		s.kex = k
		if client {
			a.record.HASSH = k.HASSH()
		} else {
			a.record.HASSHServer = k.HASSHServer()
		}
	case ssh.MsgNewKeys:
		s.finish(a.w)
		if a.side[0].done && a.side[1].done {
			a.record.Encrypted = true
			a.record.HandshakeNanos = at - a.first
		}
	}
}

func (a *sshAnalyzer) gap(_ int64, orig bool, _ int) {
	i := 1
	if orig == a.asked {
		i = 0
	}
	a.side[i].finish(a.w)
}

func (a *sshAnalyzer) end(int64) {
	for i := range a.side {
		a.side[i].buf.free(a.w)
	}
	if !a.heard {
		return
	}
	a.heard = false
	r := &a.record
	r.Flow = a.c.flow(a.first)
	if !a.asked {
		r.swap()
	}
	if c, s := a.side[0].kex, a.side[1].kex; c != nil && s != nil {
		r.Kex, r.HostKey = text(ssh.Agree(c.Kex, s.Kex)), text(ssh.Agree(c.HostKey, s.HostKey))
		r.Cipher, r.MAC = text(ssh.Agree(c.CipherToServer, s.CipherToServer)), text(ssh.Agree(c.MACToServer, s.MACToServer))
	}
	a.w.emit(r)
}
