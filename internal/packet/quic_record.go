package packet

// QUIC is one connection's handshake as its Initial packets tell it.
type QUIC struct {
	Flow
	Version        string `parquet:"version,dict"` // 1, 2, draft
	ClientID       string `parquet:"client_id"`    // the client's first connection ID, in hex
	ServerID       string `parquet:"server_id"`    // what the client first called the server
	ServerName     string `parquet:"server_name"`
	ClientALPN     string `parquet:"client_alpn"`
	TLSVersion     string `parquet:"tls_version,dict"`
	Cipher         string `parquet:"cipher,dict"`
	Group          string `parquet:"key_group,dict"`
	PostQuantum    bool   `parquet:"post_quantum"`
	JA3            string `parquet:"ja3,dict"`
	JA3S           string `parquet:"ja3s,dict"`
	JA4            string `parquet:"ja4,dict"`
	ECH            bool   `parquet:"ech"`
	Resumed        bool   `parquet:"resumed"`
	Retried        bool   `parquet:"retried"`
	ZeroRTT        bool   `parquet:"zero_rtt"`
	HandshakeNanos int64  `parquet:"handshake_ns"` // from the client's first packet to the server's hello

	hellos
}

// Kind is the table.
func (*QUIC) Kind() string { return "quic" }
