package packet

import (
	"encoding/binary"
	"testing"

	sys "golang.org/x/sys/unix"
)

// TestRingDirection: the kernel's word in front of a packet, as it lays the ring out; anything else tells nothing.
func TestRingDirection(t *testing.T) {
	ne := binary.NativeEndian
	ring := func(mac, size int, family uint16, kind byte) []byte {
		b := make([]byte, 48+mac+size)
		h := b[48:]
		ne.PutUint32(h[ringSnapLen:], uint32(size))
		ne.PutUint16(h[ringMAC:], uint16(mac))
		ne.PutUint16(h[ringAddress:], family)
		h[ringType] = kind
		return h[mac:]
	}
	for _, tt := range []struct {
		name string
		data []byte
		want direction
	}{
		{"sent", ring(82, 100, sys.AF_PACKET, sys.PACKET_OUTGOING), transmitted},
		{"received", ring(82, 100, sys.AF_PACKET, sys.PACKET_HOST), received},
		{"broadcast", ring(82, 60, sys.AF_PACKET, sys.PACKET_BROADCAST), received},
		{"without Ethernet", ring(96, 100, sys.AF_PACKET, sys.PACKET_OUTGOING), transmitted},
		{"another distance", ring(98, 100, sys.AF_PACKET, sys.PACKET_OUTGOING), unknownDirection},
		{"another family", ring(82, 100, sys.AF_INET, sys.PACKET_OUTGOING), unknownDirection},
		{"another length", ring(82, 100, sys.AF_PACKET, sys.PACKET_OUTGOING)[:50], unknownDirection},
		{"empty", nil, unknownDirection},
	} {
		if got := ringDirection(tt.data); got != tt.want {
			t.Errorf("%s: %s; want %s", tt.name, directionNames[got], directionNames[tt.want])
		}
	}
}
