package packet

import (
	"github.com/orielhq/oriel/internal/packet/modbus"
)

// Modbus is a request and its answer.
type Modbus struct {
	Flow
	TransactionID uint16 `parquet:"trans_id"`
	Unit          uint8  `parquet:"unit"`
	Function      uint8  `parquet:"function"`
	FunctionName  string `parquet:"function_name,dict"`
	Class         string `parquet:"class,dict"` // read, write, file, diagnostic or other
	Address       int32  `parquet:"address"`    // of the first register or coil, -1: none
	Quantity      int32  `parquet:"quantity"`
	Value         int32  `parquet:"value"` // of a single write, -1: none
	Asked         bool   `parquet:"asked"`
	Answered      bool   `parquet:"answered"`
	Exception     string `parquet:"exception,dict"` // empty: none
	RequestBytes  uint32 `parquet:"request_bytes"`
	AnswerBytes   uint32 `parquet:"answer_bytes"`
	RTTNanos      int64  `parquet:"rtt_ns"`
}

// Kind is the table.
func (*Modbus) Kind() string { return "modbus" }

const (
	modbusRead = iota
	modbusWrite
	modbusFile
	modbusDiagnostic
	modbusOther
	modbusClasses
)

var modbusClassNames = [modbusClasses]string{"read", "write", "file", "diagnostic", "other"}

func modbusClass(f uint8) int {
	name := modbus.FunctionClass(f)
	for i, n := range modbusClassNames {
		if n == name {
			return i
		}
	}
	return modbusOther
}

const (
	portModbus       = 502
	maxModbusWaiting = 64
	modbusCost       = 256
	maxModbusMessage = 520
)

func modbusProtocols() []protocol {
	return []protocol{{
		name: "modbus", proto: protoTCP, ports: []uint16{portModbus},
		match: func(k *key, _ bool, b []byte) bool {
			m, n, err := modbus.Parse(b)
			if err != nil || n == 0 {
				return false
			}
			// Elsewhere: one whole message of a function with a name.
			return k.srcPort == portModbus || k.dstPort == portModbus || n == len(b) && modbus.FunctionClass(m.Function) != "other" && n >= 9
		},
		open: func(w *worker, c *conn) analyzer { return &modbusAnalyzer{w: w, c: c} },
	}}
}

type modbusAnalyzer struct {
	w       *worker
	c       *conn
	streams [2]buffer
	waiting []*Modbus
}

func (a *modbusAnalyzer) data(at int64, orig bool, b []byte) bool {
	s := &a.streams[side(orig)]
	for {
		in := b
		if len(s.b) > 0 {
			if len(b) > 0 && !s.add(a.w, b[:min(len(b), maxModbusMessage-len(s.b))], maxModbusMessage) {
				a.w.talk.corrupt[talkModbus]++
				return false
			}
			b = b[min(len(b), maxModbusMessage-len(s.b)):]
			in = s.b
		}
		m, n, err := modbus.Parse(in)
		if err != nil {
			a.w.talk.corrupt[talkModbus]++
			return false
		}
		if n == 0 {
			if len(s.b) == 0 && len(b) > 0 {
				return s.add(a.w, b, maxModbusMessage)
			}
			return true
		}
		a.message(at, orig, &m, n)
		if len(s.b) > 0 {
			s.cut(n)
		} else {
			b = b[n:]
		}
		if len(s.b) == 0 && len(b) == 0 {
			return true
		}
	}
}

// asks tells whether a side sends the requests: the one away from the port.
func (a *modbusAnalyzer) asks(orig bool) bool {
	k := &a.c.key
	if (k.srcPort == portModbus) != (k.dstPort == portModbus) {
		return orig == (k.dstPort == portModbus)
	}
	return orig
}

func (a *modbusAnalyzer) message(at int64, orig bool, m *modbus.Message, n int) {
	w := a.w
	if a.asks(orig) {
		w.talk.modbus[modbusClass(m.Function)]++
		r := a.record(at, m)
		q := m.Request()
		r.Asked, r.Address, r.Quantity, r.Value, r.RequestBytes = true, int32(q.Address), int32(q.Quantity), int32(q.Value), uint32(n)
		if !w.budget.charge(modbusCost) {
			w.emit(r)
			return
		}
		if len(a.waiting) == maxModbusWaiting {
			a.giveUp()
		}
		a.waiting = append(a.waiting, r)
		return
	}
	if m.Exception {
		w.talk.modbusFails++
	}
	var r *Modbus
	for i, q := range a.waiting {
		if q.TransactionID == m.Transaction && q.Unit == m.Unit && q.Function == m.Function {
			r = q
			r.RTTNanos = max(at-r.Time.UnixNano(), 1)
			w.talk.modbusTime.observe(answerBounds, float64(r.RTTNanos)/1e9)
			a.waiting = append(a.waiting[:i], a.waiting[i+1:]...)
			w.budget.release(modbusCost)
			break
		}
	}
	if r == nil {
		r = a.record(at, m)
	}
	r.Answered, r.AnswerBytes = true, uint32(n)
	if m.Exception {
		r.Exception = modbus.ExceptionName(m.Code)
	}
	w.emit(r)
}

func (a *modbusAnalyzer) record(at int64, m *modbus.Message) *Modbus {
	return &Modbus{
		Flow: a.c.flow(at), TransactionID: m.Transaction, Unit: m.Unit, Function: m.Function,
		FunctionName: modbus.FunctionName(m.Function), Class: modbus.FunctionClass(m.Function), Address: -1, Value: -1,
	}
}

// giveUp lets go of the request that waits for longest.
func (a *modbusAnalyzer) giveUp() {
	a.w.budget.release(modbusCost)
	a.w.emit(a.waiting[0])
	a.waiting = a.waiting[1:]
}

// gap: messages begin with segments, as far as anybody sends them.
func (a *modbusAnalyzer) gap(_ int64, orig bool, _ int) {
	a.w.talk.corrupt[talkModbus]++
	a.streams[side(orig)].free(a.w)
}

func (a *modbusAnalyzer) end(int64) {
	for len(a.waiting) > 0 {
		a.giveUp()
	}
	for i := range a.streams {
		a.streams[i].free(a.w)
	}
}
