package packet

// protocolTable lists what is looked for in connections.
func protocolTable() []protocol {
	return []protocol{}
}
