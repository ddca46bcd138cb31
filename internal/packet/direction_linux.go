package packet

import (
	"unsafe"

	sys "golang.org/x/sys/unix"
)

// Of struct tpacket3_hdr and the struct sockaddr_ll behind it (linux/if_packet.h).
const (
	ringSnapLen = 12 // offset of tp_snaplen
	ringMAC     = 24 // offset of tp_mac, which is from the header to the packet
	ringAddress = 48 // offset of the sockaddr_ll: the header's size, aligned
	ringType    = ringAddress + 10
)

// ringDirection reads the kernel's word on a packet that lies in the ring from the
// header in front of it, which the library has no method for. The kernel puts a
// packet with a header of Ethernet 82 bytes behind its own and one without 96;
// where no header says so nothing is known. data must be the ring's memory.
func ringDirection(data []byte) direction {
	if len(data) == 0 {
		return unknownDirection
	}
	for _, off := range [...]int{82, 96} {
		// Both places are in the ring: a block begins with 48 bytes, then a header of 68.
		h := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(&data[0]), -off)), ringType+1)                                                        //nolint:gosec // see above
		native := func(at int) uint16 { return *(*uint16)(unsafe.Pointer(&h[at])) }                                                               //nolint:gosec // aligned as the kernel's struct is
		if int(native(ringMAC)) == off && int(*(*uint32)(unsafe.Pointer(&h[ringSnapLen]))) == len(data) && native(ringAddress) == sys.AF_PACKET { //nolint:gosec // the same
			return directionOf(h[ringType])
		}
	}
	return unknownDirection
}
