package packet

// protocolTable lists what is looked for in connections.
func protocolTable() []protocol {
	return append(datagramProtocols(), streamProtocols()...)
}

func streamProtocols() []protocol {
	return []protocol{
		{"tls", protoTCP, []uint16{443, 465, 636, 853, 990, 993, 995, 8443}, matchTLS, openTLS},
		{"http", protoTCP, []uint16{80, 3128, 8000, 8080}, matchHTTP, openHTTP},
		{"quic", protoUDP, []uint16{443, 853, 8443}, matchQUIC, openQUIC},
		{"dtls", protoUDP, []uint16{443, 853, 4433, 5349, 5684}, matchDTLS, openDTLS},
		{"ssh", protoTCP, []uint16{22, 2222}, matchSSH, openSSH},
		{"smtp", protoTCP, []uint16{25, 587, 2525}, matchSMTP, openSMTP},
		{"pop3", protoTCP, []uint16{110}, matchPOP3, openPOP3},
		{"imap", protoTCP, []uint16{143}, matchIMAP, openIMAP},
		{"ftp", protoTCP, []uint16{21}, matchFTP, openFTP},
		{"telnet", protoTCP, []uint16{23}, matchTelnet, openTelnet},
		{ftpDataName, protoTCP, nil, func(*key, bool, []byte) bool { return false }, nil}, // see expectedOf
	}
}
