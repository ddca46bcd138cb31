package packet

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	// maxFrame bounds a packet of a file: libpcap's own limit.
	maxFrame = 262144
	// maxBlock bounds a block of a pcapng file: options and other things around a packet.
	maxBlock = maxFrame + 1<<16
	// maxSections bounds the interfaces of a pcapng section.
	maxSections = 4096
)

// frame is one captured packet. data is the reader's and good until its next call.
type frame struct {
	data  []byte
	time  int64 // Unix nanoseconds
	moved int64 // how far a replay has moved it
	wire  int   // bytes on the wire, at least len(data)
	link  uint16
	way   direction
}

var (
	errNotCapture = errors.New("neither pcap nor pcapng")
	errBadLength  = errors.New("impossible length")
)

// reader yields the packets of one capture file.
type reader struct {
	in    *bufio.Reader
	close func()
	other bool // it is no capture; audit records, perhaps
	buf   []byte
	order binary.ByteOrder
	next  func(*frame) error

	header   int // bytes before each packet of a pcap
	nano     bool
	swapped  bool // pcap 2.1 and 2.2 have the two lengths the other way round
	link     uint16
	ifaces   []ngInterface
	ngHeader [12]byte
}

type ngInterface struct {
	link    uint16
	snap    uint32
	perSec  uint64
	seconds int64
}

// newReader looks at the first bytes and returns the reader of this kind of
// capture, unpacked when it is gzip or zstd.
func newReader(in io.Reader) (*reader, error) {
	r := &reader{in: bufio.NewReaderSize(in, 256<<10), close: func() {}}
	magic, err := r.in.Peek(4)
	if err != nil && len(magic) < 4 {
		return nil, fmt.Errorf("read magic: %w", noEOF(err))
	}
	switch {
	case magic[0] == 0x1f && magic[1] == 0x8b:
		z, err := gzip.NewReader(r.in)
		if err != nil {
			return nil, fmt.Errorf("read gzip: %w", err)
		}
		r.in = bufio.NewReaderSize(z, 256<<10)
	case binary.LittleEndian.Uint32(magic) == 0xfd2fb528:
		z, err := zstd.NewReader(r.in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
		if err != nil {
			return nil, fmt.Errorf("read zstd: %w", err)
		}
		r.in, r.close = bufio.NewReaderSize(z, 256<<10), z.Close
	}
	if magic, err = r.in.Peek(4); err != nil {
		r.close()
		return nil, fmt.Errorf("read magic: %w", noEOF(err))
	}
	if binary.BigEndian.Uint32(magic) == 0x0a0d0d0a {
		r.next = r.nextBlock
		return r, nil
	}
	if !isPcap(magic) {
		r.other = true
		r.next = func(*frame) error { return errNotCapture }
		return r, nil
	}
	if err := r.openPcap(); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// isPcap tells whether a file begins as one of the kinds of pcap that openPcap reads.
func isPcap(magic []byte) bool {
	for _, n := range [...]uint32{binary.LittleEndian.Uint32(magic), binary.BigEndian.Uint32(magic)} {
		switch n {
		case 0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34, 0x1c0001ab, 0x1c0001ac:
			return true
		}
	}
	return false
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (r *reader) openPcap() error {
	var h [24]byte
	if _, err := io.ReadFull(r.in, h[:]); err != nil {
		return fmt.Errorf("read pcap header: %w", noEOF(err))
	}
	r.order = binary.LittleEndian
	magic := r.order.Uint32(h[:])
	if magic>>24 != 0xa1 && magic>>24 != 0x1c {
		r.order = binary.BigEndian
		magic = r.order.Uint32(h[:])
	}
	r.header = 16
	switch magic {
	case 0xa1b2c3d4:
	case 0xa1b23c4d:
		r.nano = true
	case 0xa1b2cd34: // Kuznetzov's: index, protocol and type follow the lengths
		r.header = 24
	case 0x1c0001ab, 0x1c0001ac: // Ixia's: the file's length follows the header
		r.nano = magic == 0x1c0001ac
		if _, err := r.in.Discard(4); err != nil {
			return fmt.Errorf("read pcap header: %w", noEOF(err))
		}
	default:
		return errNotCapture
	}
	major, minor := r.order.Uint16(h[4:]), r.order.Uint16(h[6:])
	r.swapped = major == 2 && minor < 3
	r.link = uint16(r.order.Uint32(h[20:])) // the upper bits tell of checksums and classes
	r.next = r.nextPcap
	return nil
}

func (r *reader) nextPcap(f *frame) error {
	h, err := r.take(r.header)
	if err != nil {
		return err
	}
	sec, frac := int64(r.order.Uint32(h)), int64(r.order.Uint32(h[4:]))
	if !r.nano {
		frac *= 1000
	}
	kept, wire := r.order.Uint32(h[8:]), r.order.Uint32(h[12:])
	if r.swapped || (kept > wire && wire > 0 && kept > maxFrame) {
		kept, wire = wire, kept
	}
	if kept > maxFrame {
		return fmt.Errorf("packet of %d bytes: %w", kept, errBadLength)
	}
	if f.data, err = r.take(int(kept)); err != nil {
		return noEOF(err)
	}
	f.way = unknownDirection
	f.time, f.link, f.wire = sec*1e9+frac, r.link, max(int(kept), int(min(wire, math.MaxInt32)))
	return nil
}

// take returns the next n bytes, good until the next call.
func (r *reader) take(n int) ([]byte, error) {
	if n <= r.in.Size() {
		b, err := r.in.Peek(n)
		if err != nil {
			if len(b) > 0 {
				err = noEOF(err)
			}
			return nil, err
		}
		_, err = r.in.Discard(n)
		return b, err
	}
	if cap(r.buf) < n {
		r.buf = make([]byte, n)
	}
	_, err := io.ReadFull(r.in, r.buf[:n])
	return r.buf[:n], err
}

// nextBlock reads pcapng until the next packet.
func (r *reader) nextBlock(f *frame) error {
	for {
		h, err := r.take(8)
		if err != nil {
			return err
		}
		copy(r.ngHeader[:], h)
		if binary.BigEndian.Uint32(h) == 0x0a0d0d0a {
			if err := r.section(); err != nil {
				return err
			}
			continue
		}
		if r.order == nil {
			return errNotCapture
		}
		kind, size := r.order.Uint32(r.ngHeader[:]), r.order.Uint32(r.ngHeader[4:])
		if size < 12 || size > 1<<30 {
			return fmt.Errorf("block of %d bytes: %w", size, errBadLength)
		}
		body := int(size+3)&^3 - 8
		if kind != 1 && kind != 2 && kind != 3 && kind != 6 {
			if _, err := r.in.Discard(body); err != nil { // names, statistics, secrets
				return noEOF(err)
			}
			continue
		}
		if body > maxBlock {
			return fmt.Errorf("block of %d bytes: %w", size, errBadLength)
		}
		b, err := r.take(body)
		if err != nil {
			return noEOF(err)
		}
		b = b[:len(b)-4]
		if kind == 1 {
			if err := r.describe(b); err != nil {
				return err
			}
			continue
		}
		return r.packet(kind, b, f)
	}
}

// section begins a new part of the file, with its own byte order and interfaces.
func (r *reader) section() error {
	b, err := r.in.Peek(4)
	if err != nil {
		return noEOF(err)
	}
	switch binary.LittleEndian.Uint32(b) {
	case 0x1a2b3c4d:
		r.order = binary.LittleEndian
	case 0x4d3c2b1a:
		r.order = binary.BigEndian
	default:
		return errNotCapture
	}
	size := r.order.Uint32(r.ngHeader[4:])
	if size < 28 || size > maxBlock {
		return fmt.Errorf("section header of %d bytes: %w", size, errBadLength)
	}
	r.ifaces = r.ifaces[:0]
	if _, err := r.in.Discard(int(size) - 8); err != nil {
		return noEOF(err)
	}
	return nil
}

func (r *reader) describe(b []byte) error {
	if len(b) < 8 || len(r.ifaces) >= maxSections {
		return fmt.Errorf("interface description: %w", errBadLength)
	}
	i := ngInterface{link: r.order.Uint16(b), snap: r.order.Uint32(b[4:]), perSec: 1e6}
	for o := b[8:]; len(o) >= 4; {
		code, n := r.order.Uint16(o), int(r.order.Uint16(o[2:]))
		o = o[4:]
		if code == 0 || n > len(o) {
			break
		}
		switch {
		case code == 9 && n >= 1:
			if e := o[0] & 0x7f; o[0]&0x80 != 0 && e < 64 {
				i.perSec = 1 << e
			} else if o[0]&0x80 == 0 && e < 20 {
				i.perSec = uint64(math.Pow10(int(e)))
			}
		case code == 14 && n >= 8:
			i.seconds = int64(r.order.Uint64(o))
		}
		o = o[min(len(o), (n+3)&^3):]
	}
	r.ifaces = append(r.ifaces, i)
	return nil
}

func (r *reader) packet(kind uint32, b []byte, f *frame) error {
	var number, kept, wire uint32
	var stamp uint64
	switch {
	case kind == 3 && len(b) >= 4:
		wire = r.order.Uint32(b)
		kept = min(wire, uint32(len(b)-4))
		if len(r.ifaces) > 0 && r.ifaces[0].snap > 0 {
			kept = min(kept, r.ifaces[0].snap)
		}
		b = b[4:]
	case kind != 3 && len(b) >= 20:
		number = r.order.Uint32(b)
		if kind == 2 {
			number = uint32(r.order.Uint16(b))
		}
		stamp = uint64(r.order.Uint32(b[4:]))<<32 | uint64(r.order.Uint32(b[8:]))
		kept, wire = r.order.Uint32(b[12:]), r.order.Uint32(b[16:])
		b = b[20:]
	default:
		return fmt.Errorf("packet block: %w", errBadLength)
	}
	if uint64(kept) > uint64(len(b)) || uint64(number) >= uint64(len(r.ifaces)) {
		return fmt.Errorf("packet block: %w", errBadLength)
	}
	i := r.ifaces[number]
	sec, frac := stamp/i.perSec, stamp%i.perSec
	f.time = (int64(sec)+i.seconds)*1e9 + int64(float64(frac)*(1e9/float64(i.perSec)))
	if i.perSec <= 1e9 && 1e9%i.perSec == 0 {
		f.time = (int64(sec)+i.seconds)*1e9 + int64(frac*(1e9/i.perSec))
	}
	f.way = unknownDirection
	if kind == 6 {
		f.way = r.flags(b[min((kept+3)&^3, uint32(len(b))):])
	}
	f.data, f.link, f.wire = b[:kept], i.link, max(int(kept), int(min(wire, math.MaxInt32)))
	return nil
}

// flags finds the direction in the options of a packet.
func (r *reader) flags(o []byte) direction {
	for len(o) >= 4 {
		code, n := r.order.Uint16(o), int(r.order.Uint16(o[2:]))
		o = o[4:]
		if code == 0 || n > len(o) {
			break
		}
		if code == 2 && n == 4 { // epb_flags
			switch r.order.Uint32(o) & 3 {
			case 1:
				return received
			case 2:
				return transmitted
			}
			break
		}
		o = o[min(len(o), (n+3)&^3):]
	}
	return unknownDirection
}
