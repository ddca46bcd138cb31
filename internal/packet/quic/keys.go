package quic

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
)

var salts = map[uint32][]byte{
	Version1:  {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a},
	Version2:  {0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9},
	version29: {0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99},
}

// Keys open the Initial packets of one direction.
type Keys struct {
	aead cipher.AEAD
	hp   cipher.Block
	iv   []byte
}

// InitialKeys derives a direction's keys from the connection ID that the client
// chose for the server.
func InitialKeys(version uint32, dcid []byte, client bool) (*Keys, error) {
	salt := salts[version]
	if salt == nil {
		return nil, ErrHeader
	}
	secret, err := hkdf.Extract(sha256.New, dcid, salt)
	if err != nil {
		return nil, err
	}
	side, prefix := "server in", "quic "
	if client {
		side = "client in"
	}
	if version == Version2 {
		prefix = "quicv2 "
	}
	if secret, err = expand(secret, side, 32); err != nil {
		return nil, err
	}
	var parts [3][]byte
	for i, n := range []int{16, 12, 16} {
		if parts[i], err = expand(secret, prefix+[]string{"key", "iv", "hp"}[i], n); err != nil {
			return nil, err
		}
	}
	block, err := aes.NewCipher(parts[0])
	if err != nil {
		return nil, err
	}
	k := &Keys{iv: parts[1]}
	if k.aead, err = cipher.NewGCM(block); err != nil {
		return nil, err
	}
	k.hp, err = aes.NewCipher(parts[2])
	return k, err
}

// expand is HKDF-Expand-Label of TLS 1.3.
func expand(secret []byte, label string, n int) ([]byte, error) {
	info := []byte{byte(n >> 8), byte(n), byte(6 + len(label))}
	info = append(append(append(info, "tls13 "...), label...), 0)
	return hkdf.Expand(sha256.New, secret, string(info), n)
}

// Open returns the frames of the packet that b begins with and h is the header
// of; b is not changed.
func (k *Keys) Open(b []byte, h Header) ([]byte, error) {
	if h.number == 0 || h.number+4+16 > h.Size || h.Size > len(b) {
		return nil, ErrShort
	}
	var mask [16]byte
	k.hp.Encrypt(mask[:], b[h.number+4:])
	head := bytes.Clone(b[:h.number+4])
	head[0] ^= mask[0] & 0x0f
	n := int(head[0]&3) + 1
	var number uint32
	for i, c := range mask[1 : 1+n] {
		head[h.number+i] ^= c
		number = number<<8 | uint32(head[h.number+i])
	}
	head = head[:h.number+n]
	nonce := bytes.Clone(k.iv)
	binary.BigEndian.PutUint32(nonce[8:], binary.BigEndian.Uint32(nonce[8:])^number)
	plain, err := k.aead.Open(nil, nonce, b[len(head):h.Size], head)
	if err != nil {
		return nil, ErrSeal
	}
	return plain, nil
}
