// Package ntp reads NTP's packets, RFC 5905 and RFC 1305, as far as clocks are told by them.
package ntp

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"time"
)

// Modes.
const (
	ModeSymmetricActive  = 1
	ModeSymmetricPassive = 2
	ModeClient           = 3
	ModeServer           = 4
	ModeBroadcast        = 5
	ModeControl          = 6
	ModePrivate          = 7
)

var modeNames = [8]string{"reserved", "symmetric active", "symmetric passive", "client", "server", "broadcast", "control", "private"}

// ModeName is RFC 5905's word for a mode.
func ModeName(mode uint8) string { return modeNames[mode&7] }

// ErrNotNTP is what Parse says of other things on the port.
var ErrNotNTP = errors.New("not a packet of NTP")

// Packet is one packet. For the modes control and private only Leap, Version
// and Mode are known.
type Packet struct {
	Leap           uint8 // 3: the clock is not synchronized
	Version, Mode  uint8
	Stratum        uint8
	Poll           int8 // log2 of seconds
	Precision      int8 // log2 of seconds
	RootDelay      time.Duration
	RootDispersion time.Duration
	ReferenceID    uint32
	// Timestamps in NTP's format, 0 if unknown.
	Reference, Origin, Receive, Transmit uint64
	Extra                                int // bytes after the header: extensions and authentication
}

const headerLen = 48

// Parse reads a packet.
func Parse(b []byte) (p Packet, err error) {
	if len(b) < 4 {
		return p, ErrNotNTP
	}
	p.Leap, p.Version, p.Mode = b[0]>>6, b[0]>>3&7, b[0]&7
	if p.Version < 1 || p.Version > 4 || p.Mode == 0 {
		return p, ErrNotNTP
	}
	if p.Mode == ModeControl || p.Mode == ModePrivate {
		if len(b) < 8 {
			return p, ErrNotNTP
		}
		return p, nil
	}
	if len(b) < headerLen {
		return p, ErrNotNTP
	}
	p.Stratum, p.Poll, p.Precision = b[1], int8(b[2]), int8(b[3])
	p.RootDelay, p.RootDispersion = short(b[4:]), short(b[8:])
	p.ReferenceID = binary.BigEndian.Uint32(b[12:])
	p.Reference, p.Origin = binary.BigEndian.Uint64(b[16:]), binary.BigEndian.Uint64(b[24:])
	p.Receive, p.Transmit = binary.BigEndian.Uint64(b[32:]), binary.BigEndian.Uint64(b[40:])
	p.Extra = len(b) - headerLen
	return p, nil
}

// short is NTP's short format: seconds in 16 bits and their fraction in 16.
func short(b []byte) time.Duration {
	return time.Duration(int64(binary.BigEndian.Uint32(b)) * int64(time.Second) >> 16)
}

// unixEra is the Unix epoch in seconds since 1900.
const unixEra = 2208988800

// Nanos returns a timestamp in Unix nanoseconds, of the era that is nearest to a time.
func Nanos(stamp uint64, near int64) int64 {
	seconds := int64(stamp>>32) - unixEra
	nanos := int64((stamp & 0xffffffff) * 1e9 >> 32)
	// Eras are 2^32 seconds long; the first ends in 2036.
	const era = int64(1) << 32
	nearSeconds := near / 1e9
	for seconds < nearSeconds-era/2 {
		seconds += era
	}
	if seconds > 1<<33 {
		return 0
	}
	return seconds*1e9 + nanos
}

// Source is the reference in words: four letters for strata 0 and 1 (a kiss
// code, a kind of clock), an address in version 3 and 4 above.
func (p *Packet) Source() string {
	b := [4]byte{}
	binary.BigEndian.PutUint32(b[:], p.ReferenceID)
	if p.Stratum > 1 {
		return netip.AddrFrom4(b).String()
	}
	s := strings.TrimRight(string(b[:]), "\x00")
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return netip.AddrFrom4(b).String()
		}
	}
	return s
}
