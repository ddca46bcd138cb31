package packet

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/orielhq/oriel/internal/packet/detect"
)

// Alert is what the detections found. Its connection is the last that gave rise to it.
type Alert struct {
	Flow
	Rule      string `parquet:"rule,dict"`
	Severity  string `parquet:"severity,dict"`  // info, warning or critical
	Technique string `parquet:"technique,dict"` // its number in MITRE's ATT&CK
	Proto     string `parquet:"proto,dict"`
	Service   string `parquet:"service,dict"`
	Count     uint64 `parquet:"count"` // of what the rule counts: ports, hosts, logins, names, connections
	Detail    string `parquet:"detail"`
}

// Kind is the table.
func (*Alert) Kind() string { return "alert" }

// alert hands on what the detector found; the lock of the worker that told it is held.
func (m *Monitor) alert(a detect.Alert) {
	if m.record == nil {
		return
	}
	c := &a.Conn
	r := &Alert{
		Flow: Flow{Time: time.Unix(0, c.At).UTC(), OrigAddr: shown(c.Orig), RespAddr: shown(c.Resp)},
		Rule: a.Rule.String(), Severity: a.Rule.Severity(), Technique: a.Rule.Technique(), Count: uint64(a.Count), Detail: a.Detail,
	}
	if from, ok := c.Ref.(*conn); ok {
		r.Flow = from.flow(c.At)
		r.Proto, r.Service = protoName(from.key.proto), m.services[from.protocol]
	}
	if err := m.record(r); err != nil {
		m.alertsLost.Add(1)
	}
}

// watch tells the detector of what begins and of what is answered.
func (w *worker) watch(c *conn, p *packet) {
	if p.key.proto == protoICMP || p.key.proto == protoICMPv6 {
		w.icmp(c, p)
		return
	}
	if w.detect == nil {
		return
	}
	fromA := c.key == p.key
	opened, answered := false, false
	switch p.key.proto {
	case protoTCP:
		// A stealthy scan sends FIN alone, or nothing, or everything but ACK.
		opened = fromA && c.a.packets == 1 && c.b.packets == 0 && p.flags&(flagACK|flagRST) == 0
		answered = !fromA && p.flags&(flagSYN|flagACK) == flagSYN|flagACK ||
			fromA && c.a.packets == 2 && p.flags&(flagSYN|flagACK|flagRST) == flagACK // only this direction may be seen
	case protoUDP:
		opened = c.a.packets == 1 && c.b.packets == 0
		answered = !fromA && c.b.packets == 1
	}
	if opened {
		e := w.event(c, p.time)
		w.detect.Opened(&e)
	} else if answered {
		e := w.event(c, p.time)
		w.detect.Answered(&e)
	}
}

// over tells the detector of a connection that was established and is over.
func (w *worker) over(c *conn) {
	if w.detect != nil && c.key.proto == protoTCP && (c.state == stateS1 || c.state == stateSF || c.state == stateRST) {
		e := w.event(c, c.last)
		w.detect.Ended(&e, w.service(c), c.a.payload, c.b.payload)
	}
}

// tick hands on what is folded and old enough, or all.
func (w *worker) tick(now int64, all bool) {
	t := &w.talk
	t.arps.flush(w, now, all)
	t.icmps.flush(w, now, all)
	t.nearby.flush(w, now, all)
	if all {
		w.forgetNeighbours()
	}
}

// weakTLS is what is wrong with a handshake, in words, by what TLS' record calls it.
// A name that does not fit and a certificate of one's own are ordinary inside a network.
var weakTLS = []struct{ word, text string }{
	{"version", "the server chose a version before TLS 1.2"},
	{"cipher", "the server chose a weak cipher suite"},
	{"expired", "the server's certificate has expired"},
	{"key", "the server's certificate has a short key"},
	{"signature", "the server's certificate is signed with an old hash"},
}

// hashed are the methods that prove a password without sending it.
var hashed = []string{"digest", "cram-md5", "digest-md5", "apop", "ntlm", "gssapi", "scram-sha-1", "scram-sha-256"}

// observe tells the detector what records say, whoever makes them.
func (w *worker) observe(r Record) {
	if w.detect == nil {
		return
	}
	switch r := r.(type) {
	case *Credentials:
		c := w.eventOf(&r.Flow)
		if !slices.Contains(hashed, strings.ToLower(r.Method)) {
			w.detect.Credentials(&c, r.Service, r.User)
		}
		switch r.Outcome {
		case "refused":
			w.detect.LoginFailed(&c, r.Service)
		case "accepted":
			w.detect.LoginOK(&c, r.Service)
		}
	case *HTTP:
		if r.User == "" {
			return
		}
		c := w.eventOf(&r.Flow)
		if r.Status == 401 || r.Status == 407 {
			w.detect.LoginFailed(&c, "http")
		} else if r.Status != 0 {
			w.detect.LoginOK(&c, "http")
		}
	case *TLS:
		if r.Weak == "" {
			return
		}
		c := w.eventOf(&r.Flow)
		for _, weak := range weakTLS {
			if hasWord(r.Weak, weak.word) {
				w.detect.Weak(&c, weak.text)
			}
		}
	}
}

// eventOf is what the detections are told of the connection that a record is about.
func (w *worker) eventOf(f *Flow) detect.Conn {
	orig, _ := netip.ParseAddr(f.OrigAddr) // what cannot be read is no address, and that is known
	resp, _ := netip.ParseAddr(f.RespAddr)
	c := detect.Conn{At: f.Time.UnixNano(), Orig: orig, Resp: resp, OrigPort: f.OrigPort, RespPort: f.RespPort}
	if w.current != nil {
		c.Proto, c.Ref = w.current.key.proto, w.current
	}
	return c
}
