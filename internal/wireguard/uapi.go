package wireguard

import (
	"bufio"
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net/netip"
	"strconv"
	"time"
)

// Bounds of one answer. wireguard-go allows 65,536 peers to a device; 24 MB is such an answer with two addresses each.
const (
	maxLine       = 64 << 10
	maxAnswer     = 256 << 20
	maxAllowedIPs = 4 << 20
)

// Reasons why a device could not be read; these are label values.
var (
	errTruncated = errors.New("answer ends early")
	errEndless   = errors.New("answer is too large")
	errProtocol  = errors.New("not an answer of the UAPI")
	errErrno     = errors.New("device refused")
	errPeers     = errors.New("too many peers")
)

// parseUAPI reads the answer to "get=1" of the cross-platform userspace
// protocol (www.wireguard.com/xplatform): key=value lines, an errno, an empty
// line. now dates what boringtun reports as an age. Unknown keys are passed
// over; a peer with a value that makes no sense is left out and counted. like
// is an earlier reading, to know how much room this one takes, or nil.
func parseUAPI(r io.Reader, name string, maxPeers int, now time.Time, like *Device) (*Device, error) {
	buf := bufio.NewReaderSize(io.LimitReader(r, maxAnswer), maxLine)
	p := uapiParser{dev: &Device{Name: name}, now: now, maxPeers: maxPeers, seed: maphash.MakeSeed()}
	if like != nil {
		n, allowed := len(like.Peers)+8, 8
		for i := range like.Peers {
			allowed += len(like.Peers[i].AllowedIPs)
		}
		p.dev.Peers, p.spans, p.allowed = make([]Peer, 0, n), make([][2]int, 0, n), make([]netip.Prefix, 0, allowed)
		p.seen = make(map[uint64]int32, n)
	} else {
		p.seen = map[uint64]int32{}
	}
	size := 0
	for {
		line, err := buf.ReadSlice('\n')
		size += len(line)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("%w: line of more than %d bytes", errProtocol, maxLine)
		case errors.Is(err, io.EOF) && size >= maxAnswer:
			return nil, fmt.Errorf("%w: more than %d bytes", errEndless, maxAnswer)
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("%w: after %d bytes", errTruncated, size)
		case err != nil:
			return nil, err
		}
		if len(line) == 1 {
			if !p.answered {
				return nil, fmt.Errorf("%w: no errno", errProtocol)
			}
			return p.finish(), nil
		}
		err = p.line(line[:len(line)-1])
		// The line may have been a private key: it must not stay in memory that somebody else gets.
		clear(line)
		if err != nil {
			return nil, err
		}
	}
}

type uapiParser struct {
	dev      *Device
	now      time.Time
	maxPeers int
	seed     maphash.Seed
	seen     map[uint64]int32 // hash of a key -> its place in dev.Peers: half the keys' size
	answered bool

	inPeer    bool
	peer      Peer
	bad       bool // the peer being read has a value that makes no sense
	sec, nsec int64
	allowed   []netip.Prefix // of all peers, so that 10,000 peers cost few allocations
	first     int            // where those of the peer being read begin
	spans     [][2]int
}

func (p *uapiParser) line(line []byte) error {
	key, value, ok := bytes.Cut(line, []byte{'='})
	if !ok {
		return fmt.Errorf("%w: a line has no =", errProtocol)
	}
	switch string(key) { // does not allocate
	case "errno":
		if n, ok := number(value, 32); !ok || n != 0 {
			return fmt.Errorf("%w: errno %s", errErrno, strconv.QuoteToASCII(clip(value)))
		}
		p.answered = true
	case "private_key":
		p.dev.PublicKey, ok = publicOf(value)
	case "listen_port":
		var n uint64
		n, ok = number(value, 16)
		p.dev.ListenPort = uint16(n) //nolint:gosec // number has checked the bits
	case "fwmark":
		var n uint64
		n, ok = number(value, 32)
		p.dev.FirewallMark = uint32(n) //nolint:gosec // number has checked the bits
	case "public_key":
		p.endPeer()
		if len(p.dev.Peers) >= p.maxPeers {
			return fmt.Errorf("%w: more than %d", errPeers, p.maxPeers)
		}
		p.inPeer, p.bad, p.sec, p.nsec, p.first = true, false, 0, 0, len(p.allowed)
		p.peer = Peer{}
		ok = hexKey(&p.peer.PublicKey, value)
	default:
		return p.peerLine(key, value)
	}
	if !ok {
		p.bad = true
		if !p.inPeer {
			return fmt.Errorf("%w: bad %s", errProtocol, key)
		}
	}
	return nil
}

// peerLine reads a line about the peer whose public_key came last.
func (p *uapiParser) peerLine(key, value []byte) error {
	if !p.inPeer {
		return nil // a key of the device that we do not know
	}
	ok := true
	var n uint64
	switch string(key) {
	case "endpoint":
		var err error
		p.peer.Endpoint, err = netip.ParseAddrPort(string(value))
		ok = err == nil
	case "allowed_ip":
		var prefix netip.Prefix
		prefix, ok = parsePrefix(value)
		if len(p.allowed) >= maxAllowedIPs {
			return fmt.Errorf("%w: more than %d allowed IPs", errEndless, maxAllowedIPs)
		}
		p.allowed = append(p.allowed, prefix)
	case "persistent_keepalive_interval":
		n, ok = number(value, 16)
		p.peer.Keepalive = time.Duration(n) * time.Second //nolint:gosec // number has checked the bits
	case "rx_bytes":
		p.peer.ReceiveBytes, ok = number(value, 64)
	case "tx_bytes":
		p.peer.TransmitBytes, ok = number(value, 64)
	case "last_handshake_time_sec":
		n, ok = number(value, 62)
		p.sec = int64(n) //nolint:gosec // number has checked the bits
	case "last_handshake_time_nsec":
		n, ok = number(value, 31)
		p.nsec = int64(n) //nolint:gosec // number has checked the bits
	}
	p.bad = p.bad || !ok
	return nil
}

// endPeer adds the peer being read, if there is one and it is sound and new.
func (p *uapiParser) endPeer() {
	if !p.inPeer {
		return
	}
	p.inPeer = false
	if p.bad || p.again() {
		p.dev.Malformed++
		p.allowed = p.allowed[:p.first]
		return
	}
	p.allowed = append(p.allowed[:p.first], unique(p.allowed[p.first:])...)
	p.peer.LastHandshake = handshakeTime(p.sec, p.nsec, p.now)
	p.dev.Peers = append(p.dev.Peers, p.peer)
	p.spans = append(p.spans, [2]int{p.first, len(p.allowed)})
}

// again tells whether the peer has been there before, and notes it. Two keys
// with one hash are a matter of millennia, but are told apart.
func (p *uapiParser) again() bool {
	hash := maphash.Bytes(p.seed, p.peer.PublicKey[:])
	if at, seen := p.seen[hash]; seen && p.dev.Peers[at].PublicKey == p.peer.PublicKey {
		return true
	}
	p.seen[hash] = int32(len(p.dev.Peers)) //nolint:gosec // at most maxPeers
	return false
}

func (p *uapiParser) finish() *Device {
	p.endPeer()
	for i, span := range p.spans {
		p.dev.Peers[i].AllowedIPs = p.allowed[span[0]:span[1]:span[1]]
	}
	return p.dev
}

// handshakeTime reads a time of the protocol. boringtun sends an age in its
// place (cloudflare/boringtun#447): what is less than 1e9, a date in 2001, cannot be a date.
func handshakeTime(sec, nsec int64, now time.Time) time.Time {
	switch {
	case sec == 0 && nsec == 0:
		return time.Time{}
	case sec < 1e9:
		return now.Add(-time.Duration(sec)*time.Second - time.Duration(nsec))
	default:
		return time.Unix(sec, nsec)
	}
}

// publicOf returns the public key of a private one; all zeros mean that none is set.
func publicOf(private []byte) (Key, bool) {
	var secret, public Key
	defer clear(secret[:])
	if !hexKey(&secret, private) {
		return public, false
	}
	if secret == (Key{}) {
		return public, true
	}
	k, err := ecdh.X25519().NewPrivateKey(secret[:])
	if err != nil {
		return public, false
	}
	copy(public[:], k.PublicKey().Bytes())
	return public, true
}

func hexKey(k *Key, value []byte) bool {
	if len(value) != 2*len(k) {
		return false
	}
	_, err := hex.Decode(k[:], value)
	return err == nil
}

// number reads a decimal number of at most so many bits, without allocating.
func number(b []byte, bits int) (uint64, bool) {
	var n uint64
	for _, c := range b {
		d := uint64(c - '0')
		if d > 9 || n > (1<<64-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, len(b) > 0 && (bits == 64 || n < 1<<bits)
}

// parsePrefix reads an address with its mask.
func parsePrefix(b []byte) (netip.Prefix, bool) {
	prefix, err := netip.ParsePrefix(string(b))
	return prefix, err == nil && prefix.Addr().Zone() == ""
}

// unique removes repeated prefixes in place and keeps the order.
func unique(list []netip.Prefix) []netip.Prefix {
	if len(list) < 2 {
		return list
	}
	if len(list) <= 16 {
		kept := list[:1]
	next:
		for _, p := range list[1:] {
			for _, k := range kept {
				if k == p {
					continue next
				}
			}
			kept = append(kept, p)
		}
		return kept
	}
	seen := make(map[netip.Prefix]struct{}, len(list))
	kept := list[:0]
	for _, p := range list {
		if _, again := seen[p]; !again {
			seen[p] = struct{}{}
			kept = append(kept, p)
		}
	}
	return kept
}

// clip shortens outside text for an error.
func clip(b []byte) string { return string(b[:min(len(b), 40)]) }
