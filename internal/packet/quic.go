package packet

import (
	"encoding/hex"

	"github.com/orielhq/oriel/internal/packet/quic"
	"github.com/orielhq/oriel/internal/packet/tls"
)

const (
	maxInitials = 64      // datagrams that are looked at
	quicCost    = 4 << 10 // the ciphers
)

// quicAnalyzer opens the Initial packets of both sides.
type quicAnalyzer struct {
	w       *worker
	c       *conn
	first   int64
	seen    int
	dcid    []byte // the keys are of it
	client  bool   // the first packet came from the side that began
	keys    [2]*quic.Keys
	keysOf  [2]uint32 // their version
	stream  [2]quic.Stream
	hello   *tls.ClientHello
	answer  *tls.ServerHello
	record  QUIC
	charged int
}

func matchQUIC(_ *key, _ bool, b []byte) bool { return len(b) >= 64 && quic.IsInitial(b) }

func openQUIC(w *worker, c *conn) analyzer {
	a := &quicAnalyzer{w: w, c: c}
	a.charge(quicCost)
	return a
}

// charge takes what the analyzer holds in all from the budget.
func (a *quicAnalyzer) charge(all int) bool {
	if all > a.charged {
		if !a.w.budget.charge(all - a.charged) {
			return false
		}
		a.charged = all
	}
	return true
}

func (a *quicAnalyzer) data(at int64, orig bool, b []byte) bool {
	if a.seen++; a.seen > maxInitials || a.charged == 0 {
		return false
	}
	if a.first == 0 {
		a.first, a.client = at, orig
	}
	for len(b) > 0 {
		h, err := quic.ParseHeader(b)
		if err != nil {
			break // a short header, or padding
		}
		fromClient := orig == a.client
		switch h.Kind {
		case quic.Initial:
			a.initial(at, fromClient, b, h)
		case quic.Retry:
			if !fromClient {
				a.record.Retried = true
				a.dcid, a.keys = nil, [2]*quic.Keys{}
				a.stream = [2]quic.Stream{}
			}
		case quic.ZeroRTT:
			a.record.ZeroRTT = true
		}
		b = b[h.Size:]
	}
	return a.hello == nil || a.answer == nil
}

func (a *quicAnalyzer) initial(at int64, fromClient bool, b []byte, h quic.Header) {
	if a.dcid == nil {
		if !fromClient {
			return // the keys are of what the client said
		}
		a.dcid = append([]byte{}, h.DCID...)
		if a.record.Version == "" {
			a.record.Version = quic.VersionName(h.Version)
			a.record.ClientID, a.record.ServerID = hex.EncodeToString(h.SCID), hex.EncodeToString(h.DCID)
		}
	}
	i := 0
	if !fromClient {
		i = 1
	}
	if a.keys[i] == nil || a.keysOf[i] != h.Version {
		k, err := quic.InitialKeys(h.Version, a.dcid, fromClient)
		if err != nil {
			return
		}
		a.keys[i], a.keysOf[i] = k, h.Version
	}
	plain, err := a.keys[i].Open(b, h)
	if err != nil {
		a.w.tls.unopened++
		return
	}
	frames, _ := quic.CryptoFrames(plain) // those before an odd one are good
	for _, f := range frames {
		if !a.charge(quicCost + a.stream[0].Cap() + a.stream[1].Cap() + 2*len(f.Data)) {
			return
		}
		a.stream[i].Add(f)
	}
	kind, body := a.stream[i].Message()
	switch {
	case body == nil:
	case fromClient && kind == tls.TypeClientHello && a.hello == nil:
		if a.hello, err = tls.ParseClientHello(body); err != nil {
			a.w.tls.bad++
		}
	case !fromClient && kind == tls.TypeServerHello && a.answer == nil:
		if a.answer, err = tls.ParseServerHello(body); err != nil {
			a.w.tls.bad++
		} else {
			a.record.HandshakeNanos = max(at-a.first, 0)
			a.record.Version = quic.VersionName(h.Version) // both may have agreed on a newer one
		}
	}
}

func (a *quicAnalyzer) gap(int64, bool, int) {}

func (a *quicAnalyzer) end(int64) {
	a.w.budget.release(a.charged)
	a.charged = 0
	if a.hello == nil && a.answer == nil {
		return
	}
	var t TLS
	hello(&t, a.hello, a.answer, 'q')
	r := &a.record
	r.Flow = a.c.flow(a.first)
	if !a.client {
		r.swap()
	}
	r.ServerName, r.ClientALPN, r.TLSVersion, r.Cipher, r.Group = t.ServerName, t.ClientALPN, t.Version, t.Cipher, t.Group
	r.PostQuantum, r.JA3, r.JA3S, r.JA4, r.ECH, r.Resumed = t.PostQuantum, t.JA3, t.JA3S, t.JA4, t.ECH, t.Resumed
	a.w.tls.countQUIC(&t)
	if a.w.tls.keep {
		r.hellos = hellos{a.hello, a.answer}
	}
	a.w.emit(r)
}
