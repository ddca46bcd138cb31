package packet

import (
	"encoding/binary"
	"runtime"
	"strings"
	"testing"
)

// TestFloodStaysWithinMemory: connections that begin a request and never end it,
// segments behind holes, fragments without the rest and questions without
// answers, from ever new addresses. What is truly on the heap stays within the budget.
func TestFloodStaysWithinMemory(t *testing.T) {
	const budget = 16 << 20
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // what finalizers held
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return int64(s.HeapAlloc)
	}
	w := newWorker(Default(), "file", budget, func(Record) error { return nil }, quiet())
	request := "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n" + strings.Repeat("X-Filler: "+strings.Repeat("y", 80)+"\r\n", 8)
	fragment := udpFrame("192.0.2.1:5000", "192.0.2.53:53", make([]byte, 512))
	binary.BigEndian.PutUint16(fragment[20:], 0x2000) // more follow
	frames := [][]byte{
		tcpFrame(true, 100, 0, flagSYN, ""), tcpFrame(false, 500, 101, flagSYN|flagACK, ""), tcpFrame(true, 101, 501, flagACK, request),
		tcpFrame(true, 5000, 501, flagACK, strings.Repeat("z", 1000)), // behind a hole
		fragment, udpFrame("192.0.2.1:5000", "192.0.2.53:53", unhex(t, dnsQuestion)),
	}
	before := heap()
	most := int64(0)
	for i := range 120_000 {
		for n, f := range frames {
			src := f[26:30]
			if n == 1 {
				src = f[30:34]
			}
			binary.BigEndian.PutUint32(src, uint32(10<<24+i))
			w.take(&frame{link: linkEthernet, data: f, wire: len(f), time: int64(i) * 1000})
		}
		if i%30_000 == 29_999 {
			most = max(most, heap()-before)
		}
	}
	t.Logf("%d kB at the most; %d connections evicted, %d times no room, %d fragments given up", most>>10, w.table.evicted, w.budget.refused, w.dec.frags.lost)
	if most > budget {
		t.Errorf("%d bytes on the heap; the budget is %d", most, budget)
	}
	if w.table.evicted == 0 || w.budget.refused == 0 || w.dec.frags.lost == 0 {
		t.Errorf("%d connections evicted, %d times no room, %d fragments lost; want each bound to be met", w.table.evicted, w.budget.refused, w.dec.frags.lost)
	}
	runtime.KeepAlive(w)
}
