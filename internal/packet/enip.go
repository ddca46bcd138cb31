package packet

import (
	"github.com/orielhq/oriel/internal/packet/enip"
)

// ENIP is a request of EtherNet/IP and its answer, with the CIP service that it carries.
type ENIP struct {
	Flow
	Proto     string `parquet:"proto,dict"`
	Command   string `parquet:"command,dict"`
	Session   uint32 `parquet:"session"`
	Asked     bool   `parquet:"asked"`
	Answered  bool   `parquet:"answered"`
	Status    uint32 `parquet:"status"` // of the encapsulation
	Product   string `parquet:"product"`
	Service   string `parquet:"cip_service,dict"` // empty: no CIP
	Class     int32  `parquet:"cip_class"`        // -1: not told
	Instance  int32  `parquet:"cip_instance"`
	Attribute int32  `parquet:"cip_attribute"`
	CIPStatus uint8  `parquet:"cip_status"`
	Connected bool   `parquet:"cip_connected"`
	RTTNanos  int64  `parquet:"rtt_ns"`

	// As netcap has them.
	command uint16
	length  int
	context uint64
	cip     *enip.CIP
}

// Kind is the table.
func (*ENIP) Kind() string { return "enip" }

const (
	portENIP       = 44818
	maxENIPWaiting = 64
	enipCost       = 256
	maxENIPMessage = 24 + 65511
)

var enipNames = [3]string{"request", "answer", "error"}

func enipProtocols() []protocol {
	match := func(k *key, _ bool, b []byte) bool {
		m, n, err := enip.Parse(b)
		if err != nil || len(b) < 24 {
			return false
		}
		return k.srcPort == portENIP || k.dstPort == portENIP || n == len(b) && m.Command == 0x65 && m.Length == 4
	}
	open := func(w *worker, c *conn) analyzer { return &enipAnalyzer{w: w, c: c} }
	return []protocol{
		{name: "enip", proto: protoUDP, ports: []uint16{portENIP}, match: match, open: open},
		{name: "enip", proto: protoTCP, ports: []uint16{portENIP}, match: match, open: open},
	}
}

type enipWaiting struct {
	context  uint64
	command  uint16
	sequence uint16
	r        *ENIP
}

type enipAnalyzer struct {
	w       *worker
	c       *conn
	streams [2]buffer
	waiting []enipWaiting
}

func (a *enipAnalyzer) data(at int64, orig bool, b []byte) bool {
	if a.c.key.proto != protoTCP {
		m, n, err := enip.Parse(b)
		if err != nil || n == 0 {
			a.w.talk.corrupt[talkENIP]++
			return true
		}
		a.message(at, orig, &m)
		return true
	}
	s := &a.streams[side(orig)]
	if !s.add(a.w, b, maxENIPMessage) {
		a.w.talk.corrupt[talkENIP]++
		return false
	}
	for len(s.b) > 0 {
		m, n, err := enip.Parse(s.b)
		if err != nil {
			a.w.talk.corrupt[talkENIP]++
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

// asks tells whether a side sends the requests: the one away from the port.
func (a *enipAnalyzer) asks(orig bool) bool {
	k := &a.c.key
	if (k.srcPort == portENIP) != (k.dstPort == portENIP) {
		return orig == (k.dstPort == portENIP)
	}
	return orig
}

func (a *enipAnalyzer) message(at int64, orig bool, m *enip.Message) {
	w := a.w
	sequence := uint16(0)
	if m.CIP != nil {
		sequence = m.CIP.SequenceNum
	}
	if a.asks(orig) {
		w.talk.enip[0]++
		r := a.record(at, m)
		r.Asked = true
		if !w.budget.charge(enipCost) {
			w.emit(r)
			return
		}
		if len(a.waiting) == maxENIPWaiting {
			a.giveUp()
		}
		a.waiting = append(a.waiting, enipWaiting{m.Context, m.Command, sequence, r})
		return
	}
	w.talk.enip[1]++
	var r *ENIP
	for i, q := range a.waiting {
		if q.command == m.Command && q.sequence == sequence && (q.context == m.Context || m.Command == 0x70) {
			r = q.r
			r.RTTNanos = max(at-r.Time.UnixNano(), 1)
			a.waiting = append(a.waiting[:i], a.waiting[i+1:]...)
			w.budget.release(enipCost)
			break
		}
	}
	if r == nil {
		r = a.record(at, m)
	}
	r.Answered, r.Status, r.Session = true, m.Status, m.Session
	if m.Product != "" {
		r.Product = m.Product
	}
	if m.CIP != nil {
		r.CIPStatus = m.CIP.Status
	}
	if r.Status != 0 || r.CIPStatus != 0 {
		w.talk.enip[2]++
	}
	w.emit(r)
}

func (a *enipAnalyzer) record(at int64, m *enip.Message) *ENIP {
	r := &ENIP{
		Flow: a.c.flow(at), Proto: protoName(a.c.key.proto), Command: enip.CommandName(m.Command), Session: m.Session,
		Product: m.Product, Class: -1, Instance: -1, Attribute: -1, command: m.Command, length: m.Length, context: m.Context, cip: m.CIP,
	}
	if c := m.CIP; c != nil {
		r.Service, r.Connected = enip.ServiceName(c.Service), c.Connected
		r.Class, r.Instance, r.Attribute = int32(c.Class), int32(c.Instance), int32(c.Attribute)
	}
	return r
}

func (a *enipAnalyzer) giveUp() {
	a.w.budget.release(enipCost)
	a.w.emit(a.waiting[0].r)
	a.waiting = a.waiting[1:]
}

func (a *enipAnalyzer) gap(_ int64, orig bool, _ int) {
	a.w.talk.corrupt[talkENIP]++
	a.streams[side(orig)].free(a.w)
}

func (a *enipAnalyzer) end(int64) {
	for len(a.waiting) > 0 {
		a.giveUp()
	}
	for i := range a.streams {
		a.streams[i].free(a.w)
	}
}
