package packet

import (
	"net/netip"
	"time"

	"github.com/orielhq/oriel/internal/packet/dns"
)

const (
	portDNS   = 53
	portMDNS  = 5353
	portLLMNR = 5355
)

// Bounds of what waits for an answer.
const (
	maxQuestions  = 128 // of one connection
	maxNeighbours = 1024
	dnsPatience   = int64(10 * time.Second)
	dnsCost       = 512 // of a question that waits
	maxDNSMessage = 65535
)

func dnsProtocols() []protocol {
	ports := []uint16{portDNS, portMDNS, portLLMNR}
	return []protocol{
		{name: "dns", proto: protoUDP, ports: ports, match: matchDNS, open: openDNS},
		{name: "dns", proto: protoTCP, ports: ports, match: matchDNSStream, open: openDNS},
	}
}

// matchDNS takes whatever goes to DNS' ports, so that what is corrupt there is
// counted, and elsewhere what can be nothing else.
func matchDNS(k *key, _ bool, b []byte) bool {
	for _, port := range [...]uint16{portDNS, portMDNS, portLLMNR} {
		if k.srcPort == port || k.dstPort == port {
			return len(b) > 0
		}
	}
	// One question with the ordinary flags and class.
	if len(b) < dns.HeaderLen+5 || be16(b[4:]) != 1 || b[2]&0x78 != 0 || b[3]&0x40 != 0 || be16(b[6:]) > 64 || be16(b[8:]) > 64 || be16(b[10:]) > 64 {
		return false
	}
	var m dns.Message
	return dns.Parse(b, &m) == nil && m.Rest == 0 && m.Questions[0].Class == 1 && m.Questions[0].Type.Known()
}

func matchDNSStream(k *key, orig bool, b []byte) bool {
	if len(b) < 2+dns.HeaderLen {
		return false
	}
	n := int(be16(b))
	if k.srcPort == portDNS || k.dstPort == portDNS {
		return n >= dns.HeaderLen
	}
	return n == len(b)-2 && matchDNS(k, orig, b[2:])
}

// dnsAnalyzer matches answers to questions.
type dnsAnalyzer struct {
	w       *worker
	c       *conn
	service string
	waiting []*DNS // by the time of the question
	streams [2]buffer
}

func openDNS(w *worker, c *conn) analyzer {
	a := &dnsAnalyzer{w: w, c: c, service: "dns"}
	switch {
	case c.key.srcPort == portMDNS || c.key.dstPort == portMDNS:
		a.service = "mdns"
	case c.key.srcPort == portLLMNR || c.key.dstPort == portLLMNR:
		a.service = "llmnr"
	}
	return a
}

func side(orig bool) int {
	if orig {
		return 0
	}
	return 1
}

func (a *dnsAnalyzer) data(at int64, orig bool, b []byte) bool {
	if a.c.key.proto != protoTCP {
		a.message(at, orig, b)
		return true
	}
	s := &a.streams[side(orig)]
	for {
		if len(s.b) == 0 && len(b) >= 2 && len(b) >= 2+int(be16(b)) { // whole, nothing to keep
			n := 2 + int(be16(b))
			a.message(at, orig, b[2:n])
			b = b[n:]
			continue
		}
		if len(b) > 0 && !s.add(a.w, b, 4*maxDNSMessage) {
			a.w.talk.dnsCorrupt++
			return false
		}
		b = nil
		if len(s.b) < 2 || len(s.b) < 2+int(be16(s.b)) {
			return true
		}
		n := 2 + int(be16(s.b))
		a.message(at, orig, s.b[2:n])
		s.cut(n)
	}
}

// gap ends a direction of TCP: where the next message begins is not known.
func (a *dnsAnalyzer) gap(int64, bool, int) {
	if a.c.key.proto == protoTCP {
		a.w.talk.dnsCorrupt++
		a.c.deaf = true
	}
}

func (a *dnsAnalyzer) end(int64) {
	for i := range a.streams {
		a.streams[i].free(a.w)
	}
	for _, r := range a.waiting {
		a.w.unanswered(r)
	}
	a.waiting = nil
}

func (a *dnsAnalyzer) message(at int64, orig bool, b []byte) {
	m := &a.w.talk.dnsMessage
	if err := dns.Parse(b, m); err != nil {
		a.w.talk.dnsCorrupt++
		// A message that was cut may still tell what it is about.
		if len(m.Questions) == 0 {
			return
		}
	}
	for len(a.waiting) > 0 && at-a.waiting[0].Time.UnixNano() > dnsPatience {
		a.w.unanswered(a.waiting[0])
		a.waiting = a.waiting[1:]
	}
	if m.Truncated {
		a.w.talk.dnsTruncated++
	}
	if m.Response {
		a.answer(at, orig, m, len(b))
	} else {
		a.question(at, orig, m, len(b))
	}
}

func (a *dnsAnalyzer) question(at int64, orig bool, m *dns.Message, size int) {
	w := a.w
	w.talk.dnsQueries[transportOf(a)][qtypeClass(m)]++
	r := a.record(at, m)
	r.Asked, r.QueryBytes, r.Truncated = true, uint32(size), m.Truncated
	if w.detect != nil && a.service == "dns" && orig {
		c := w.event(a.c, at)
		w.detect.Query(&c, r.Query, r.QType)
	}
	if a.service == "mdns" {
		w.emit(r) // who answers does so to all
		return
	}
	if !w.budget.charge(dnsCost) {
		w.unansweredFree(r)
		return
	}
	if a.service == "llmnr" {
		w.neighbours(r, a.client(orig))
		return
	}
	if len(a.waiting) == maxQuestions {
		w.unanswered(a.waiting[0])
		a.waiting = a.waiting[1:]
	}
	a.waiting = append(a.waiting, r)
}

// client is who sent a question.
func (a *dnsAnalyzer) client(orig bool) netip.AddrPort {
	k := &a.c.key
	if orig {
		return netip.AddrPortFrom(k.addr(k.src), k.srcPort)
	}
	return netip.AddrPortFrom(k.addr(k.dst), k.dstPort)
}

func (a *dnsAnalyzer) answer(at int64, orig bool, m *dns.Message, size int) {
	w := a.w
	w.talk.dnsResponses[transportOf(a)][rcodeClass(m.Rcode)]++
	var r *DNS
	switch a.service {
	case "dns":
		for i, q := range a.waiting {
			if q.TransactionID == m.ID && (len(m.Questions) == 0 || m.Questions[0].Name == q.Query) {
				r = q
				a.waiting = append(a.waiting[:i], a.waiting[i+1:]...)
				break
			}
		}
	case "llmnr":
		r = w.neighbour(a.client(!orig), m.ID)
	}
	if r == nil {
		r = a.record(at, m)
	} else {
		w.budget.release(dnsCost)
		r.RTTNanos = max(at-r.Time.UnixNano(), 1)
		w.talk.dnsLatency.observe(answerBounds, float64(r.RTTNanos)/1e9)
	}
	r.Answered, r.AnswerBytes = true, uint32(size)
	r.Rcode, r.Authoritative, r.Truncated, r.Recursive = dns.RcodeName(m.Rcode), m.Authoritative, m.Truncated, m.RecursionAvailable
	r.AnswerCount = m.Counts[1]
	for _, rr := range m.Answers {
		r.Answers = append(r.Answers, rr.Data)
		r.AnswerTypes = append(r.AnswerTypes, rr.Type.String())
		r.TTLs = append(r.TTLs, rr.TTL)
	}
	w.emit(r)
}

func (a *dnsAnalyzer) record(at int64, m *dns.Message) *DNS {
	r := &DNS{
		Flow: a.c.flow(at), Service: a.service, Proto: protoName(a.c.key.proto),
		TransactionID: m.ID, Opcode: m.Opcode, Recursion: m.RecursionDesired,
	}
	if len(m.Questions) > 0 {
		q := &m.Questions[0]
		r.Query, r.QType, r.QClass = q.Name, q.Type.String(), q.Class
	} else if len(m.Answers) > 0 { // multicast DNS tells without being asked
		rr := &m.Answers[0]
		r.Query, r.QType, r.QClass = rr.Name, rr.Type.String(), rr.Class
	}
	return r
}

// unanswered gives up waiting for an answer.
func (w *worker) unanswered(r *DNS) {
	w.budget.release(dnsCost)
	w.unansweredFree(r)
}

func (w *worker) unansweredFree(r *DNS) {
	w.talk.dnsUnanswered++
	w.emit(r)
}

// neighbourKey is who asked by LLMNR: the question goes to a group, and the
// answer comes from a host, in another connection.
type neighbourKey struct {
	client netip.AddrPort
	id     uint16
}

func (w *worker) neighbours(r *DNS, client netip.AddrPort) {
	t := &w.talk
	now := r.Time.UnixNano()
	for len(t.llmnrOrder) > 0 {
		first := t.llmnrOrder[0]
		q := t.llmnr[first]
		if q != nil && len(t.llmnr) < maxNeighbours && len(t.llmnrOrder) < 2*maxNeighbours && now-q.Time.UnixNano() <= dnsPatience {
			break
		}
		t.llmnrOrder = t.llmnrOrder[1:]
		if q != nil {
			delete(t.llmnr, first)
			w.unanswered(q)
		}
	}
	k := neighbourKey{client, r.TransactionID}
	if t.llmnr == nil {
		t.llmnr = map[neighbourKey]*DNS{}
	}
	if old := t.llmnr[k]; old != nil {
		w.unanswered(old) // asked again
	} else {
		t.llmnrOrder = append(t.llmnrOrder, k)
	}
	t.llmnr[k] = r
}

func (w *worker) neighbour(client netip.AddrPort, id uint16) *DNS {
	k := neighbourKey{client, id}
	r := w.talk.llmnr[k]
	delete(w.talk.llmnr, k)
	return r
}

// forgetNeighbours gives up all that waits for an answer by LLMNR.
func (w *worker) forgetNeighbours() {
	for _, k := range w.talk.llmnrOrder {
		if r := w.talk.llmnr[k]; r != nil {
			delete(w.talk.llmnr, k)
			w.unanswered(r)
		}
	}
	w.talk.llmnrOrder = nil
}
