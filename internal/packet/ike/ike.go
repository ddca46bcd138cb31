// Package ike reads what IKE says in the clear, RFC 7296 and RFC 2408: who
// negotiates which algorithms with whom.
package ike

import (
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
)

const (
	headerLen     = 28
	maxPayloads   = 32
	maxProposals  = 16
	maxTransforms = 32
	maxNames      = 16
)

// What is wrong with a message.
var (
	ErrNotIKE = errors.New("not a message of IKE")
	ErrShort  = errors.New("message ends too early")
)

// Message is one message. The lists are of what is in the clear: the names of
// the algorithms offered or chosen, each once.
type Message struct {
	InitiatorSPI, ResponderSPI uint64
	Major, Minor               uint8
	Exchange                   uint8
	Response                   bool // of version 2
	Initiator                  bool // sent by who began, version 2
	Encrypted                  bool
	ID                         uint32
	Payloads                   int
	Vendors                    int
	Notify                     []string
	Encryption                 []string
	Integrity                  []string
	PRF                        []string // version 1: the hash
	Group                      []string
	Authentication             []string // version 1
	Fragment                   bool
}

// parser is what is known while a message is read.
type parser struct {
	*Message
	seen [4 * maxNames]uint64 // algorithms that are in the lists: kind, number and bits
	told int
}

// first tells whether an algorithm was not named before. Of more than can be
// remembered the lists themselves tell.
func (m *parser) first(kind int, id uint16, bits int) bool {
	what := uint64(kind)<<48 | uint64(id)<<32 | uint64(uint32(bits))
	if slices.Contains(m.seen[:m.told], what) {
		return false
	}
	if m.told < len(m.seen) {
		m.seen[m.told] = what
		m.told++
	}
	return true
}

// Version is "1.0" or "2.0".
func (m *Message) Version() string {
	return strconv.Itoa(int(m.Major)) + "." + strconv.Itoa(int(m.Minor))
}

var exchangeNames = map[uint8]string{
	1: "base", 2: "identity_protection", 3: "authentication_only", 4: "aggressive", 5: "informational", 6: "transaction",
	32: "quick_mode", 33: "new_group", 34: "IKE_SA_INIT", 35: "IKE_AUTH", 36: "CREATE_CHILD_SA", 37: "INFORMATIONAL",
	38: "IKE_SESSION_RESUME", 43: "IKE_INTERMEDIATE", 44: "IKE_FOLLOWUP_KE",
}

// ExchangeName is the name of the message's exchange, or exchange and the number.
func (m *Message) ExchangeName() string { return named(exchangeNames, uint16(m.Exchange), "exchange") }

func named[K uint8 | uint16](names map[K]string, n uint16, kind string) string {
	if s, ok := names[K(n)]; ok && uint16(K(n)) == n {
		return s
	}
	return kind + strconv.Itoa(int(n))
}

// Parse reads a message, without the four zeros that it begins with on port 4500.
func Parse(b []byte) (m Message, err error) {
	if len(b) < headerLen {
		return m, ErrNotIKE
	}
	m.InitiatorSPI, m.ResponderSPI = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
	next := b[16]
	m.Major, m.Minor, m.Exchange = b[17]>>4, b[17]&15, b[18]
	flags := b[19]
	m.ID = binary.BigEndian.Uint32(b[20:])
	size := binary.BigEndian.Uint32(b[24:])
	if m.Major < 1 || m.Major > 2 || m.InitiatorSPI == 0 || size < headerLen {
		return m, ErrNotIKE
	}
	if m.Major == 1 {
		m.Encrypted = flags&1 != 0
	} else {
		m.Initiator, m.Response = flags&0x08 != 0, flags&0x20 != 0
	}
	if uint64(size) > uint64(len(b)) {
		return m, ErrShort
	}
	if m.Encrypted {
		return m, nil
	}
	p := parser{Message: &m}
	err = p.payloads(next, b[headerLen:size])
	return m, err
}

func (m *parser) payloads(next uint8, b []byte) error {
	for ; next != 0 && m.Payloads < maxPayloads; m.Payloads++ {
		if next == 46 || next == 53 { // encrypted, or a fragment of it
			m.Encrypted, m.Fragment = true, next == 53
			return nil
		}
		if len(b) < 4 {
			return ErrShort
		}
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n < 4 || n > len(b) {
			return ErrShort
		}
		body := b[4:n]
		switch {
		case m.Major == 1 && next == 1 && len(body) > 8:
			m.proposals(body[8:])
		case m.Major == 2 && next == 33:
			m.proposals(body)
		case m.Major == 1 && next == 13, m.Major == 2 && next == 43:
			m.Vendors++
		case m.Major == 2 && next == 34 && len(body) >= 2:
			add(&m.Group, named(groupNames, binary.BigEndian.Uint16(body), "group"))
		case m.Major == 2 && next == 41 && len(body) >= 4:
			add(&m.Notify, named(notifyNames, binary.BigEndian.Uint16(body[2:]), "notify"))
		case m.Major == 1 && next == 11 && len(body) >= 8:
			add(&m.Notify, named(notify1Names, binary.BigEndian.Uint16(body[6:]), "notify"))
		}
		next, b = b[0], b[n:]
	}
	return nil
}

// proposals reads the offers of a security association as far as they are well formed.
func (m *parser) proposals(b []byte) {
	for range maxProposals {
		if len(b) < 8 {
			return
		}
		n, spi := int(binary.BigEndian.Uint16(b[2:])), int(b[6])
		if n < 8+spi || n > len(b) {
			return
		}
		m.transforms(b[8+spi : n])
		b = b[n:]
	}
}

func (m *parser) transforms(b []byte) {
	for range maxTransforms {
		if len(b) < 8 {
			return
		}
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n < 8 || n > len(b) {
			return
		}
		if m.Major == 1 {
			m.attributes1(b[8:n])
		} else {
			m.transform2(b[4], binary.BigEndian.Uint16(b[6:]), b[8:n])
		}
		b = b[n:]
	}
}

func (m *parser) transform2(kind uint8, id uint16, attrs []byte) {
	bits := 0
	if kind == 1 {
		bits = attribute(attrs, 14)
	}
	if !m.first(int(kind), id, bits) {
		return
	}
	switch kind {
	case 1:
		name := named(encrNames, id, "encr")
		if bits > 0 {
			name += "-" + strconv.Itoa(bits)
		}
		add(&m.Encryption, name)
	case 2:
		add(&m.PRF, named(prfNames, id, "prf"))
	case 3:
		add(&m.Integrity, named(integNames, id, "integ"))
	case 4:
		add(&m.Group, named(groupNames, id, "group"))
	}
}

// attributes1 reads the attributes of phase 1, RFC 2409 appendix A.
func (m *parser) attributes1(b []byte) {
	bits := attribute(b, 14)
	if id := attribute(b, 1); id > 0 && m.first(1, uint16(id), bits) {
		name := named(encr1Names, uint16(id), "encr")
		if bits > 0 {
			name += "-" + strconv.Itoa(bits)
		}
		add(&m.Encryption, name)
	}
	if id := attribute(b, 2); id > 0 && m.first(2, uint16(id), 0) {
		add(&m.PRF, named(hash1Names, uint16(id), "hash"))
	}
	if id := attribute(b, 3); id > 0 && m.first(3, uint16(id), 0) {
		add(&m.Authentication, named(auth1Names, uint16(id), "auth"))
	}
	if id := attribute(b, 4); id > 0 && m.first(4, uint16(id), 0) {
		add(&m.Group, named(groupNames, uint16(id), "group"))
	}
}

// attribute returns the value of a short attribute, 0 if it is not there.
func attribute(b []byte, want uint16) int {
	for range maxTransforms {
		if len(b) < 4 {
			return 0
		}
		kind, value := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if kind == 0x8000|want {
			return value
		}
		n := 4
		if kind&0x8000 == 0 {
			n += value
		}
		if n > len(b) {
			return 0
		}
		b = b[n:]
	}
	return 0
}

func add(list *[]string, name string) {
	if len(*list) < maxNames && !slices.Contains(*list, name) {
		if *list == nil {
			*list = make([]string, 0, 4)
		}
		*list = append(*list, name)
	}
}
