package tls

import (
	"crypto/tls"
	"fmt"
	"slices"
	"sync"
)

// VersionName is a version as people write it.
func VersionName(v uint16) string {
	switch v {
	case 0x0300:
		return "SSL 3.0"
	case 0x0301:
		return "TLS 1.0"
	case 0x0302:
		return "TLS 1.1"
	case 0x0303:
		return "TLS 1.2"
	case 0x0304:
		return "TLS 1.3"
	case 0xfeff:
		return "DTLS 1.0"
	case 0xfefd:
		return "DTLS 1.2"
	case 0xfefc:
		return "DTLS 1.3"
	}
	if hi := v >> 8; hi == 0x7f || hi == 0xfb { // drafts, and Facebook's
		return "TLS 1.3"
	}
	return "other"
}

// Versions are all that VersionName returns.
var Versions = []string{"SSL 3.0", "TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3", "DTLS 1.0", "DTLS 1.2", "DTLS 1.3", "other"}

// CipherName is IANA's name of a cipher suite in use, or its number.
func CipherName(id uint16) string {
	if name, ok := cipherNames()[id]; ok {
		return name
	}
	return fmt.Sprintf("0x%04X", id)
}

// cipherNames are kept: the library makes its lists anew for each question.
var cipherNames = sync.OnceValue(func() map[uint16]string {
	names := map[uint16]string{}
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		names[s.ID] = s.Name
	}
	return names
})

// The classes of cipher suites, from good to bad.
const (
	ClassAEAD   = "aead"
	ClassCBC    = "cbc"
	ClassTriple = "3des"
	ClassRC4    = "rc4"
	ClassDES    = "des"
	ClassExport = "export"
	ClassAnon   = "anonymous"
	ClassNull   = "null"
)

// Classes are all that CipherClass returns.
var Classes = []string{ClassAEAD, ClassCBC, ClassTriple, ClassRC4, ClassDES, ClassExport, ClassAnon, ClassNull}

// CipherClass tells how a suite encrypts, by its number at IANA.
func CipherClass(id uint16) string {
	switch id {
	case 0x0000, 0x0001, 0x0002, 0x002c, 0x002d, 0x002e, 0x003b, 0x00b0, 0x00b1, 0x00b4, 0x00b5, 0x00b8, 0x00b9,
		0xc001, 0xc006, 0xc00b, 0xc010, 0xc015, 0xc039, 0xc03a, 0xc03b, 0xc0b4, 0xc0b5:
		return ClassNull
	case 0x0003, 0x0006, 0x0008, 0x000b, 0x000e, 0x0011, 0x0014, 0x0017, 0x0019, 0x0026, 0x0027, 0x0028, 0x0029, 0x002a, 0x002b,
		0x0060, 0x0061, 0x0062, 0x0063, 0x0064, 0x0065:
		return ClassExport
	case 0x0018, 0x001a, 0x001b, 0x0034, 0x003a, 0x0046, 0x006c, 0x006d, 0x0089, 0x009b, 0x00a6, 0x00a7, 0x00bf, 0x00c5,
		0xc016, 0xc017, 0xc018, 0xc019:
		return ClassAnon
	case 0x0004, 0x0005, 0x0020, 0x0024, 0x008a, 0x008e, 0x0092, 0xc002, 0xc007, 0xc00c, 0xc011, 0xc033:
		return ClassRC4
	case 0x0009, 0x000c, 0x000f, 0x0012, 0x0015, 0x001e, 0x0022:
		return ClassDES
	case 0x000a, 0x000d, 0x0010, 0x0013, 0x0016, 0x001f, 0x0023, 0x008b, 0x008f, 0x0093, 0xc003, 0xc008, 0xc00d, 0xc012,
		0xc01a, 0xc01b, 0xc01c, 0xc034:
		return ClassTriple
	}
	switch {
	case id >= 0x1301 && id <= 0x1307, id >= 0x009c && id <= 0x00ad, id >= 0xc02b && id <= 0xc032,
		id >= 0xc050 && id <= 0xc063, id >= 0xc06a && id <= 0xc06f, id >= 0xc07a && id <= 0xc093,
		id >= 0xc09c && id <= 0xc0b3, id >= 0xcca8 && id <= 0xccae, id >= 0xd001 && id <= 0xd005:
		return ClassAEAD
	}
	return ClassCBC
}

// GroupName is a key exchange's group.
func GroupName(id uint16) string {
	switch id {
	case 23:
		return "secp256r1"
	case 24:
		return "secp384r1"
	case 25:
		return "secp521r1"
	case 29:
		return "x25519"
	case 30:
		return "x448"
	case 256:
		return "ffdhe2048"
	case 257:
		return "ffdhe3072"
	case 258:
		return "ffdhe4096"
	case 0x11eb:
		return "SecP256r1MLKEM768"
	case 0x11ec:
		return "X25519MLKEM768"
	case 0x11ed:
		return "SecP384r1MLKEM1024"
	case 0x6399:
		return "X25519Kyber768Draft00"
	case 0x639a:
		return "SecP256r1Kyber768Draft00"
	case 0:
		return ""
	}
	return fmt.Sprintf("0x%04x", id)
}

// PostQuantum tells a group that a quantum computer does not open.
func PostQuantum(id uint16) bool {
	return id >= 0x0200 && id <= 0x0202 || id >= 0x11eb && id <= 0x11ed || id == 0x6399 || id == 0x639a || id == 0xfe30 || id == 0xfe31
}

// AlertName is the description of an alert (RFC 8446, 6).
func AlertName(code uint8) string {
	if code == 0 {
		return "close_notify"
	}
	return tls.AlertError(code).Error()[len("tls: "):]
}
