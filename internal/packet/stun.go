package packet

import (
	"github.com/orielhq/oriel/internal/packet/stun"
)

// STUN is one request and its answer, or an indication, of STUN or TURN.
type STUN struct {
	Flow
	Proto       string `parquet:"proto,dict"`
	Method      string `parquet:"method,dict"`
	Result      string `parquet:"result,dict"` // success, error, indication or empty: no answer
	ErrorCode   uint16 `parquet:"error_code"`
	MappedAddr  string `parquet:"mapped_addr"` // whom the server sees, with port
	RelayedAddr string `parquet:"relayed_addr"`
	PeerAddr    string `parquet:"peer_addr"`
	Software    string `parquet:"software"`
	RTTNanos    int64  `parquet:"rtt_ns"`

	// As netcap has them.
	method uint16
	id     [12]byte
}

// Kind is the table.
func (*STUN) Kind() string { return "stun" }

const (
	maxSTUNWaiting = 32
	stunCost       = 256
	maxSTUN        = 4096
)

func stunProtocols() []protocol {
	match := func(_ *key, _ bool, b []byte) bool {
		_, _, err := stun.Parse(b)
		return err == nil
	}
	open := func(w *worker, c *conn) analyzer { return &stunAnalyzer{w: w, c: c} }
	return []protocol{
		{name: "stun", proto: protoUDP, ports: []uint16{3478, 5349}, match: match, open: open},
		{name: "stun", proto: protoTCP, ports: []uint16{3478, 5349}, match: match, open: open},
	}
}

type stunWaiting struct {
	id [12]byte
	r  *STUN
}

// stunAnalyzer reads STUN; what else a connection carries (media) is let pass.
type stunAnalyzer struct {
	w       *worker
	c       *conn
	waiting []stunWaiting
}

func (a *stunAnalyzer) data(at int64, _ bool, b []byte) bool {
	t := &a.w.talk
	for len(b) > 0 {
		m, n, err := stun.Parse(b)
		if err != nil {
			if err != stun.ErrNotSTUN { //nolint:errorlint // Parse returns it as it is
				t.corrupt[talkSTUN]++
			}
			return true
		}
		t.stun[m.Class]++
		a.message(at, &m)
		b = b[n:]
	}
	return true
}

func (a *stunAnalyzer) message(at int64, m *stun.Message) {
	var r *STUN
	if m.Class == stun.Success || m.Class == stun.Failure {
		for i, x := range a.waiting {
			if x.id == m.Transaction {
				r = x.r
				r.RTTNanos = max(at-r.Time.UnixNano(), 1)
				a.waiting = append(a.waiting[:i], a.waiting[i+1:]...)
				a.w.budget.release(stunCost)
				break
			}
		}
	}
	if r == nil {
		r = &STUN{Flow: a.c.flow(at), Proto: protoName(a.c.key.proto), Method: stun.MethodName(m.Method), method: m.Method, id: m.Transaction}
	}
	if m.Class != stun.Request {
		r.Result = m.Class.String()
	}
	r.ErrorCode = uint16(m.ErrorCode)
	r.MappedAddr, r.RelayedAddr = shown(m.Mapped), shown(m.Relayed)
	if m.Peer.IsValid() {
		r.PeerAddr = m.Peer.String()
	}
	if m.Software != "" {
		r.Software = m.Software
	}
	if m.Class != stun.Request || !a.w.budget.charge(stunCost) {
		a.w.emit(r)
		return
	}
	if len(a.waiting) == maxSTUNWaiting {
		a.giveUp(1)
	}
	a.waiting = append(a.waiting, stunWaiting{m.Transaction, r})
}

func (a *stunAnalyzer) giveUp(n int) {
	for _, x := range a.waiting[:n] {
		a.w.budget.release(stunCost)
		a.w.emit(x.r)
	}
	a.waiting = append(a.waiting[:0], a.waiting[n:]...)
}

func (a *stunAnalyzer) gap(int64, bool, int) {}
func (a *stunAnalyzer) end(int64)            { a.giveUp(len(a.waiting)) }
