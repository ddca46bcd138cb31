// Package ssh reads what SSH says in the clear: the identification and the
// lists of algorithms, and makes HASSH of them.
package ssh

import (
	"bytes"
	"crypto/md5" //nolint:gosec // HASSH is defined with MD5
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
)

// Errors of the parsers.
var (
	ErrPacket = errors.New("not a packet of SSH in the clear")
	ErrShort  = errors.New("message ends early")
)

// MaxLine is how long an identification may be, with what comes before it.
const MaxLine = 4096

// MaxPacket is how long a packet may be (RFC 4253, 6.1).
const MaxPacket = 35000

// Messages that are looked for.
const (
	MsgKexInit = 20
	MsgNewKeys = 21
)

// Is tells whether b begins as SSH does.
func Is(b []byte) bool { return bytes.HasPrefix(b, []byte("SSH-")) }

// Ident is an identification (RFC 4253, 4.2).
type Ident struct{ Protocol, Software, Comment string }

// ParseIdent reads the line, without its end.
func ParseIdent(line []byte) (i Ident, ok bool) {
	line = bytes.TrimRight(line, "\r\n")
	rest, ok := bytes.CutPrefix(line, []byte("SSH-"))
	if !ok || len(line) > 255 {
		return i, false
	}
	protocol, software, ok := bytes.Cut(rest, []byte("-"))
	if !ok {
		return i, false
	}
	software, comment, _ := bytes.Cut(software, []byte(" "))
	return Ident{string(protocol), string(software), string(comment)}, true
}

// Packet returns the payload of the packet that b begins with, and the packet's
// length. n is 0 while b is too short.
func Packet(b []byte) (payload []byte, n int, err error) {
	if len(b) < 6 {
		return nil, 0, nil
	}
	size := binary.BigEndian.Uint32(b)
	padding := uint32(b[4])
	if size > MaxPacket || size < 2+padding {
		return nil, 0, ErrPacket
	}
	n = 4 + int(size)
	if len(b) < n {
		return nil, 0, nil
	}
	return b[5 : uint32(n)-padding], n, nil
}

// KexInit is a side's lists of algorithms, best first, joined by commas.
type KexInit struct {
	Kex, HostKey                     string
	CipherToServer, CipherToClient   string
	MACToServer, MACToClient         string
	CompressToServer, CompressClient string
}

// ParseKexInit reads the payload of SSH_MSG_KEXINIT (RFC 4253, 7.1).
func ParseKexInit(b []byte) (*KexInit, error) {
	if len(b) < 17 || b[0] != MsgKexInit {
		return nil, ErrPacket
	}
	b = b[17:]
	k := &KexInit{}
	for _, list := range []*string{
		&k.Kex, &k.HostKey, &k.CipherToServer, &k.CipherToClient, &k.MACToServer, &k.MACToClient, &k.CompressToServer, &k.CompressClient,
	} {
		if len(b) < 4 {
			return nil, ErrShort
		}
		n := binary.BigEndian.Uint32(b)
		if b = b[4:]; uint64(n) > uint64(len(b)) {
			return nil, ErrShort
		}
		*list, b = string(b[:n]), b[n:]
	}
	return k, nil
}

// HASSH is Salesforce's fingerprint of a client.
func (k *KexInit) HASSH() string {
	return hash(k.Kex + ";" + k.CipherToServer + ";" + k.MACToServer + ";" + k.CompressToServer)
}

// HASSHServer is Salesforce's fingerprint of a server.
func (k *KexInit) HASSHServer() string {
	return hash(k.Kex + ";" + k.CipherToClient + ";" + k.MACToClient + ";" + k.CompressClient)
}

func hash(s string) string {
	sum := md5.Sum([]byte(s)) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

// Agree returns the first of the client's list that the server has too (RFC 4253, 7.1).
func Agree(client, server string) string {
	for one := range strings.SplitSeq(client, ",") {
		for other := range strings.SplitSeq(server, ",") {
			if one == other {
				return one
			}
		}
	}
	return ""
}
