package packets

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Machines of the hall behind the office.
var (
	Panel = netip.MustParseAddr("10.20.2.5")  // where somebody watches the machines
	Press = netip.MustParseAddr("10.20.2.20") // speaks Modbus
	Robot = netip.MustParseAddr("10.20.2.30") // speaks EtherNet/IP
)

// plant makes what the panel asks the machines, all through the minute.
func (w *wire) plant() {
	m := talk{from: Panel, to: Press, port: 502, pause: 1500 * time.Millisecond}
	for i := range 30 {
		m.parts = append(m.parts, modbus(i)...)
	}
	w.talk(time.Second, m)
	session := binary.LittleEndian.AppendUint32(nil, 0x1001)
	e := talk{from: Panel, to: Robot, port: 44818, pause: 2500 * time.Millisecond, parts: []said{
		{true, enip(0x65, nil, 0, []byte{1, 0, 0, 0})}, {false, enip(0x65, session, 0, []byte{1, 0, 0, 0})},
	}}
	for i := range 18 {
		context := byte(i + 1)
		// Get_Attribute_Single of the identity's serial number; of an attribute that is not there, now and then.
		attribute := byte(6)
		status, value := byte(0), []byte{7, 7, 7, 7}
		if i%9 == 4 {
			attribute, status, value = 99, 0x14, nil
		}
		e.parts = append(e.parts,
			said{true, enip(0x6f, session, context, carried([]byte{0x0e, 3, 0x20, 1, 0x24, 1, 0x30, attribute}))},
			said{false, enip(0x6f, session, context, carried(append([]byte{0x8e, 0, status, 0}, value...)))})
	}
	w.talk(1700*time.Millisecond, e)
}

// modbus is the i-th request and its answer: mostly registers that are read, now
// and then one that is written, and one that is not there.
func modbus(i int) []said {
	head := func(pdu ...byte) []byte {
		b := binary.BigEndian.AppendUint16(nil, uint16(i+1))                   //nolint:gosec // 30 at most
		b = binary.BigEndian.AppendUint16(append(b, 0, 0), uint16(len(pdu)+1)) //nolint:gosec // a few bytes
		return append(append(b, 1), pdu...)                                    // of unit 1
	}
	register := byte(i % 5 * 10) //nolint:gosec // 40 at most
	switch {
	case i%10 == 9:
		return []said{{true, head(3, 0x27, 0x10, 0, 1)}, {false, head(0x83, 2)}}
	case i%5 == 3:
		return []said{{true, head(6, 0, register, 0, byte(20+i))}, {false, head(6, 0, register, 0, byte(20+i))}} //nolint:gosec // 50 at most
	case i%15 == 6:
		return []said{{true, head(8, 0, 0, 0xa5, 0x37)}, {false, head(8, 0, 0, 0xa5, 0x37)}} // an echo, to see whether it lives
	}
	return []said{{true, head(3, 0, register, 0, 2)}, {false, head(3, 4, 0, byte(60+i), 1, byte(i))}} //nolint:gosec // 90 at most
}

// enip is a message of EtherNet/IP's encapsulation.
func enip(command uint16, session []byte, context byte, body []byte) []byte {
	b := binary.LittleEndian.AppendUint16(nil, command)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(body))) //nolint:gosec // a few bytes
	if session == nil {
		session = make([]byte, 4)
	}
	b = append(append(b, session...), 0, 0, 0, 0)
	b = append(b, context, 0, 0, 0, 0, 0, 0, 0)
	return append(append(b, 0, 0, 0, 0), body...)
}

// carried puts a message of CIP into the common packet format.
func carried(cip []byte) []byte {
	b := []byte{0, 0, 0, 0, 5, 0, 2, 0, 0, 0, 0, 0, 0xb2, 0, byte(len(cip)), 0} //nolint:gosec // a few bytes
	return append(b, cip...)
}
