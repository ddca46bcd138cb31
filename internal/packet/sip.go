package packet

import (
	"strconv"

	"github.com/orielhq/oriel/internal/packet/sip"
)

// SIP is a request and the last answer to it. A provisional answer is a part
// of the exchange, the final one ends it.
type SIP struct {
	Flow
	Proto       string `parquet:"proto,dict"`
	Method      string `parquet:"method,dict"`
	URI         string `parquet:"uri"`
	From        string `parquet:"from_uri"`
	To          string `parquet:"to_uri"`
	CallID      string `parquet:"call_id"`
	Sequence    uint32 `parquet:"cseq"`
	UserAgent   string `parquet:"user_agent"`
	Server      string `parquet:"server"`
	Contact     string `parquet:"contact"`
	Media       string `parquet:"media"` // kinds that the offer's SDP names
	Status      uint16 `parquet:"status"`
	Reason      string `parquet:"reason"`
	Provisional uint32 `parquet:"provisional"` // answers of 100 to 199
	Repeated    uint32 `parquet:"repeated"`    // times that the request was sent again
	RingNanos   int64  `parquet:"ring_ns"`     // to the first answer above 100
	RTTNanos    int64  `parquet:"rtt_ns"`      // to the first answer
	TotalNanos  int64  `parquet:"total_ns"`    // to the final answer

	headers []string // as netcap has them
	asked   int      // those of the request
}

// Kind is the table.
func (*SIP) Kind() string { return "sip" }

// The methods that are counted apart; the last is all others.
var sipMethodList = [...]string{"INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "SUBSCRIBE", "NOTIFY", "MESSAGE", "INFO", "REFER", "UPDATE", "PRACK", "PUBLISH"}

const sipMethods = len(sipMethodList) + 1

func sipMethod(method string) int {
	for i, m := range sipMethodList {
		if m == method {
			return i
		}
	}
	return sipMethods - 1
}

func sipMethodName(i int) string {
	if i < len(sipMethodList) {
		return sipMethodList[i]
	}
	return "other"
}

func sipStatusName(i int) string { return strconv.Itoa(i) + "xx" }

const (
	maxSIPWaiting = 64
	sipCost       = 8192 // with its headers, mostly less
	maxSIPMessage = 64 << 10
)

func sipProtocols() []protocol {
	match := func(_ *key, _ bool, b []byte) bool { return sip.Begins(b) }
	open := func(w *worker, c *conn) analyzer { return &sipAnalyzer{w: w, c: c} }
	return []protocol{
		{name: "sip", proto: protoUDP, ports: []uint16{5060}, match: match, open: open},
		{name: "sip", proto: protoTCP, ports: []uint16{5060}, match: match, open: open},
	}
}

type sipAnalyzer struct {
	w       *worker
	c       *conn
	waiting []*SIP // some in another's place are nil
	streams [2]buffer
}

func (a *sipAnalyzer) data(at int64, orig bool, b []byte) bool {
	if a.c.key.proto != protoTCP {
		if m, _, err := sip.Parse(b, true); err == nil {
			a.message(at, orig, &m)
		} else if len(b) > 4 { // shorter ones keep a NAT's mapping
			a.w.talk.corrupt[talkSIP]++
		}
		return true
	}
	s := &a.streams[side(orig)]
	if !s.add(a.w, b, maxSIPMessage) {
		a.w.talk.corrupt[talkSIP]++
		return false
	}
	for len(s.b) > 0 {
		if s.b[0] == '\r' || s.b[0] == '\n' { // keepalives
			s.cut(1)
			continue
		}
		m, n, err := sip.Parse(s.b, false)
		if err != nil {
			a.w.talk.corrupt[talkSIP]++
			return false
		}
		if n == 0 {
			return true
		}
		a.message(at, orig, &m)
		s.cut(n)
	}
	return true
}

func (a *sipAnalyzer) message(at int64, _ bool, m *sip.Message) {
	t := &a.w.talk
	if m.Status == 0 {
		t.sipRequests[sipMethod(m.Method)]++
		a.request(at, m)
		return
	}
	t.sipStatus[m.Status/100]++
	a.failedLogin(at, m)
	for i, r := range a.waiting {
		if r.CallID != m.CallID || r.Sequence != m.Sequence || r.Method != m.Method {
			continue
		}
		since := max(at-r.Time.UnixNano(), 1)
		if r.RTTNanos == 0 {
			r.RTTNanos = since
		}
		if r.RingNanos == 0 && m.Status > 100 {
			r.RingNanos = since
		}
		answered(r, m)
		if m.Status < 200 {
			r.Provisional++
			return
		}
		r.TotalNanos = since
		a.release(i)
		return
	}
	r := &SIP{Flow: a.c.flow(at), Proto: protoName(a.c.key.proto), Method: m.Method, From: m.From, To: m.To, CallID: m.CallID, Sequence: m.Sequence}
	answered(r, m)
	a.w.emit(r)
}

func answered(r *SIP, m *sip.Message) {
	r.Status, r.Reason = uint16(m.Status), m.Reason
	if m.Agent != "" {
		r.Server = m.Agent
	}
	r.headers = append(r.headers[:min(len(r.headers), r.asked)], m.Headers...)
}

func (a *sipAnalyzer) request(at int64, m *sip.Message) {
	for _, r := range a.waiting {
		if r.CallID == m.CallID && r.Sequence == m.Sequence && r.Method == m.Method {
			r.Repeated++
			return
		}
	}
	r := &SIP{
		Flow: a.c.flow(at), Proto: protoName(a.c.key.proto), Method: m.Method, URI: m.URI, From: m.From, To: m.To,
		CallID: m.CallID, Sequence: m.Sequence, UserAgent: m.Agent, Contact: m.Contact, Media: m.Media,
		headers: m.Headers, asked: len(m.Headers),
	}
	if m.Method == "ACK" || !a.w.budget.charge(sipCost) { // nobody answers an ACK
		a.w.emit(r)
		return
	}
	if len(a.waiting) == maxSIPWaiting {
		a.release(0)
	}
	a.waiting = append(a.waiting, r)
}

// failedLogin tells of a registration that was refused. A 401 is only the question for a password.
func (a *sipAnalyzer) failedLogin(at int64, m *sip.Message) {
	if a.w.detect != nil && m.Method == "REGISTER" && m.Status == 403 {
		c := a.w.event(a.c, at)
		a.w.detect.LoginFailed(&c, "sip")
	}
}

func (a *sipAnalyzer) release(i int) {
	a.w.budget.release(sipCost)
	a.w.emit(a.waiting[i])
	a.waiting = append(a.waiting[:i], a.waiting[i+1:]...)
}

func (a *sipAnalyzer) gap(int64, bool, int) {
	if a.c.key.proto == protoTCP {
		a.w.talk.corrupt[talkSIP]++
		a.c.deaf = true
	}
}

func (a *sipAnalyzer) end(int64) {
	for len(a.waiting) > 0 {
		a.release(0)
	}
	for i := range a.streams {
		a.streams[i].free(a.w)
	}
}
