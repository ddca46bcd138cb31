package packet

// SSH is one connection of SSH, as far as it speaks in the clear.
type SSH struct {
	Flow
	ClientVersion  string `parquet:"client_version"` // the whole identification
	ServerVersion  string `parquet:"server_version"`
	HASSH          string `parquet:"hassh,dict"`
	HASSHServer    string `parquet:"hassh_server,dict"`
	Kex            string `parquet:"kex,dict"` // agreed upon, as the lists say
	HostKey        string `parquet:"host_key,dict"`
	Cipher         string `parquet:"cipher,dict"` // to the server
	MAC            string `parquet:"mac,dict"`
	Encrypted      bool   `parquet:"encrypted"` // both sides went on in ciphertext
	HandshakeNanos int64  `parquet:"handshake_ns"`
}

// Kind is the table.
func (*SSH) Kind() string { return "ssh" }
