package packet

import (
	"time"

	"github.com/orielhq/oriel/internal/packet/tls"
)

// TLS is one handshake of TLS over TCP or of DTLS, as far as it was seen.
type TLS struct {
	Flow
	Version           string `parquet:"version,dict"` // chosen; what the client asked for if no answer was seen
	Cipher            string `parquet:"cipher,dict"`
	CipherClass       string `parquet:"cipher_class,dict"` // aead, cbc, 3des, rc4, des, export, anonymous, null
	Group             string `parquet:"key_group,dict"`    // of the key exchange, TLS 1.3
	PostQuantum       bool   `parquet:"post_quantum"`
	ServerName        string `parquet:"server_name"`
	ClientALPN        string `parquet:"client_alpn"` // offered, joined by commas
	ALPN              string `parquet:"alpn,dict"`   // chosen, if it was said in the clear
	JA3               string `parquet:"ja3,dict"`
	JA3S              string `parquet:"ja3s,dict"`
	JA4               string `parquet:"ja4,dict"`
	ECH               bool   `parquet:"ech"`
	GREASE            bool   `parquet:"grease"`
	Resumed           bool   `parquet:"resumed"`
	Retried           bool   `parquet:"retried"` // the server asked for another hello
	Established       bool   `parquet:"established"`
	HandshakeNanos    int64  `parquet:"handshake_ns"` // from the client's hello to the server's first ciphertext
	Alert             string `parquet:"alert,dict"`   // the last one sent in the clear
	Certificates      int32  `parquet:"certificates"`
	Subject           string `parquet:"subject"` // of the server's certificate, up to TLS 1.2
	Issuer            string `parquet:"issuer"`
	CertificateSHA256 string `parquet:"certificate_sha256"`
	// Weak names what is wrong, joined by commas: version, cipher, expired,
	// not_yet_valid, self_signed, key, signature, name.
	Weak string `parquet:"weak"`

	hellos
}

// hellos are what a record was made of, kept for netcap's records, which have the lists.
type hellos struct {
	client *tls.ClientHello
	server *tls.ServerHello
}

// Kind is the table.
func (*TLS) Kind() string { return "tls" }

// X509 is one certificate that a server sent.
type X509 struct {
	Flow
	Position           int32     `parquet:"position"` // in the chain; 0: the server's own
	Subject            string    `parquet:"subject"`
	Issuer             string    `parquet:"issuer"`
	Serial             string    `parquet:"serial"`
	NotBefore          time.Time `parquet:"not_before,timestamp(millisecond)"`
	NotAfter           time.Time `parquet:"not_after,timestamp(millisecond)"`
	KeyType            string    `parquet:"key_type,dict"`
	KeyBits            int32     `parquet:"key_bits"`
	SignatureAlgorithm string    `parquet:"signature_algorithm,dict"`
	Names              string    `parquet:"names"` // DNS names and addresses, joined by commas
	CA                 bool      `parquet:"ca"`
	SelfSigned         bool      `parquet:"self_signed"`
	SHA256             string    `parquet:"sha256"`
	ServerName         string    `parquet:"server_name"` // the client asked for
}

// Kind is the table.
func (*X509) Kind() string { return "x509" }
