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
	Time        time.Time `parquet:"time,timestamp(nanosecond)"`
	UID         string    `parquet:"uid"`          // of the connection, in all its records
	CommunityID string    `parquet:"community_id"` // version 1, seed 0; empty without ports
	OrigAddr    string    `parquet:"orig_addr"`
	OrigPort    uint16    `parquet:"orig_port"`
	RespAddr    string    `parquet:"resp_addr"`
	RespPort    uint16    `parquet:"resp_port"`
}

// When is the row's time.
func (f *Flow) When() time.Time { return f.Time }

// flow returns what a record of connection c at a time in Unix nanoseconds begins with.
func (c *conn) flow(at int64) Flow {
	return Flow{
		Time: time.Unix(0, at).UTC(), UID: c.uid(), CommunityID: c.key.communityID(),
		OrigAddr: c.key.addr(c.key.src).String(), OrigPort: c.key.srcPort,
		RespAddr: c.key.addr(c.key.dst).String(), RespPort: c.key.dstPort,
	}
}

// analyzer reads what one connection carries. The worker's lock is held during
// its calls. orig tells that the side that began the connection sent the bytes.
type analyzer interface {
	// data takes the next bytes of a TCP direction, in order and without
	// repeats, or the payload of one datagram. They are valid during the call.
	data(at int64, orig bool, b []byte)
	// gap tells that n bytes of a TCP direction are missing before the next data.
	gap(at int64, orig bool, n int)
	// end is called once, when the connection is over or forgotten.
	end(at int64)
}

// protocol is what the worker may find in a connection.
type protocol struct {
	name string // as in labels and in a connection's column service
	// match tells from a direction's first bytes whether this is it. Wrong ports
	// do not exclude, well-known ones decide between equals.
	match func(k *key, orig bool, first []byte) bool
	// open begins a connection's analyzer.
	open func(w *worker, c *conn) analyzer
}
