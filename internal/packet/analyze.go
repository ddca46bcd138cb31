package packet

import "time"

// Record is one row of a table of the lake.
type Record interface {
	// Kind is the name of the table: connection, dns, http, ...
	Kind() string
	// When is when it happened, the row's column time.
	When() time.Time
}

// Flow begins the row of every record that belongs to a connection.
type Flow struct {
	Time        time.Time `parquet:"time,timestamp(microsecond:local)"`
	UID         string    `parquet:"uid"`          // of the connection, in all its records
	CommunityID string    `parquet:"community_id"` // version 1, seed 0; empty without ports
	OrigAddr    string    `parquet:"orig_addr"`
	OrigPort    uint16    `parquet:"orig_port"`
	RespAddr    string    `parquet:"resp_addr"`
	RespPort    uint16    `parquet:"resp_port"`
}

// When is the row's time.
func (f *Flow) When() time.Time { return f.Time }

func utc(nanos int64) time.Time { return time.Unix(0, nanos).UTC() }

// flow returns what a record of connection c at a time in Unix nanoseconds begins
// with. Its words are pieces of one string, which takes one allocation.
func (c *conn) flow(at int64) Flow {
	var room [19 + 30 + 2*39]byte
	b := c.appendUID(room[:0])
	uid := len(b)
	b = c.key.appendCommunityID(b)
	community := len(b)
	b = c.key.addr(c.key.src).AppendTo(b)
	orig := len(b)
	b = c.key.addr(c.key.dst).AppendTo(b)
	s := string(b)
	return Flow{
		Time: utc(at), UID: s[:uid], CommunityID: s[uid:community],
		OrigAddr: s[community:orig], OrigPort: c.key.srcPort, RespAddr: s[orig:], RespPort: c.key.dstPort,
	}
}

// analyzer reads what one connection carries. The worker's lock is held during
// its calls, so it may use all of the worker; it keeps no more than it charged
// (see budget.go). orig tells that the side that began the connection sent the bytes.
type analyzer interface {
	// data takes the next bytes of a TCP direction, in order and without
	// repeats, or the payload of one datagram. They are valid during the call.
	// False says that the rest of the connection is of no interest: end follows.
	data(at int64, orig bool, b []byte) bool
	// gap tells that n bytes of a TCP direction are missing before the next
	// data, or behind what data took of a datagram that was captured in part.
	gap(at int64, orig bool, n int)
	// end is called once, when the connection is over, given up or forgotten.
	end(at int64)
}

// protocol is what the worker may find in a connection.
type protocol struct {
	name  string // as in labels and in a connection's column service
	proto uint8  // protoTCP or protoUDP
	// ports are the well-known ones: among several that match, the one at its port wins,
	// then the one named first.
	ports []uint16
	// match tells from a direction's first bytes whether this is it: the first
	// datagram, or as much of TCP's stream as came, asked again as more comes.
	match func(k *key, orig bool, first []byte) bool
	// open begins a connection's analyzer.
	open func(w *worker, c *conn) analyzer
}

// at tells whether k uses one of the protocol's ports.
func (p *protocol) at(k *key) bool {
	for _, port := range p.ports {
		if k.srcPort == port || k.dstPort == port {
			return true
		}
	}
	return false
}
