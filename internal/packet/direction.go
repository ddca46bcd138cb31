package packet

// direction is which way a packet went, as the interface that it was captured on sees it.
type direction uint8

const (
	unknownDirection direction = iota // a file that does not tell
	received
	transmitted
	directions
)

// The words of node_exporter.
var directionNames = [directions]string{"unknown", "receive", "transmit"}

// sentType is the kernel's PACKET_OUTGOING, also in the headers of Linux cooked
// captures (tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html). All others came in.
const sentType = 4

func directionOf(packetType byte) direction {
	if packetType == sentType {
		return transmitted
	}
	return received
}
