package packet

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/orielhq/oriel/internal/packet/detect"
)

// TestEstablishedFlowsAllocateNothing reads connections with all that a capture
// has at work: analyzers, detections, records. What goes on in them costs no memory.
func TestEstablishedFlowsAllocateNothing(t *testing.T) {
	hello := "\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03" + strings.Repeat("r", 32) + "\x00\x00\x02\x13\x01\x01\x00\x00\x00"
	for _, tt := range []struct {
		name, service string
		asked, answer string
		goesOn        string
		orig          bool
	}{
		{"body of HTTP", "http", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", strings.Repeat("body ", 200), false},
		{"TLS, encrypted", "tls", hello, "", "\x17\x03\x03\x03\xe8" + strings.Repeat("x", 1000), true},
		{"nothing known", "", "\x00\x01\x02\x03", "\x00\x00", strings.Repeat("\x01\x02", 300), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorker(Default(), "file", 64<<20, func(Record) error { return nil }, quiet())
			w.detect = detect.New(detect.Default(), nil)
			takeAll(w, handshake...)
			seq := [2]uint32{500, 100} // of the server and of the client
			send := func(orig bool, text string) []byte {
				from, to := &seq[0], seq[1]
				if orig {
					from, to = &seq[1], seq[0]
				}
				b := tcpFrame(orig, *from, to, flagACK|flagPSH, text)
				*from += uint32(len(text))
				return b
			}
			takeAll(w, send(true, tt.asked))
			if tt.answer != "" {
				takeAll(w, send(false, tt.answer))
			}
			for range 64 { // until what is kept of a beginning is full
				takeAll(w, send(tt.orig, tt.goesOn))
			}
			c := w.table.conns.at(w.table.tcp.front)
			if got := w.service(c); got != tt.service {
				t.Fatalf("service %q; want %q", got, tt.service)
			}
			b := send(tt.orig, tt.goesOn)
			f := frame{link: linkEthernet, data: b, wire: len(b), time: 1e9}
			next := binary.BigEndian.Uint32(b[38:])
			before := w.packets
			if allocs := testing.AllocsPerRun(2000, func() {
				binary.BigEndian.PutUint32(b[38:], next)
				next += uint32(len(tt.goesOn))
				f.time += 1000
				w.take(&f)
			}); allocs != 0 {
				t.Errorf("%v allocations per packet; want 0", allocs)
			}
			if w.dec.failed != [failures]uint64{} || w.packets-before < 2000 || w.streams.gaps != 0 {
				t.Errorf("failures %v, %d packets, %d gaps", w.dec.failed, w.packets-before, w.streams.gaps)
			}
		})
	}
}
