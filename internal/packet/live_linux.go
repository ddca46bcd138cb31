package packet

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/gopacket/gopacket/afpacket"
	sys "golang.org/x/sys/unix"

	"github.com/orielhq/oriel/internal/packet/filter"
)

// device is an AF_PACKET ring (TPACKET_V3) on one interface.
type device struct {
	name          string
	worker        int // which of the interface's
	closed        bool
	ring          *afpacket.TPacket
	snap          int
	mac           string // the interface's own, as bytes
	link          uint16
	drops, freeze uint64
}

func openDevice(cfg Config, name string, worker int) (*device, error) {
	iface, err := net.InterfaceByName(name)
	if err == nil && iface.Flags&net.FlagUp == 0 {
		err = sys.ENETDOWN
	}
	if err != nil {
		return nil, fmt.Errorf("open ring %s: %w", name, err)
	}
	const block = 1 << 20
	ring, err := afpacket.NewTPacket(afpacket.OptInterface(name), afpacket.TPacketVersion3, afpacket.SocketRaw,
		afpacket.OptFrameSize(1<<16), afpacket.OptBlockSize(block), afpacket.OptNumBlocks(max(int(cfg.RingSize)/block, 1)),
		afpacket.OptBlockTimeout(64*time.Millisecond), afpacket.OptPollTimeout(200*time.Millisecond),
		afpacket.OptAddVLANHeader(true))
	if err != nil {
		return nil, fmt.Errorf("open ring %s: %w", name, err)
	}
	d := &device{name: name, ring: ring, worker: worker, snap: cfg.SnapLength, link: linkEthernet, mac: string(iface.HardwareAddr)}
	if len(iface.HardwareAddr) == 0 && iface.Flags&net.FlagLoopback == 0 {
		d.link = linkRaw // a tunnel
	}
	if err := d.filter(cfg.Filter); err != nil {
		d.close()
		return nil, err
	}
	if cfg.Workers > 1 {
		if err := ring.SetFanout(afpacket.FanoutHashWithDefrag, uint16(os.Getpid()+iface.Index)); err != nil {
			d.close()
			return nil, fmt.Errorf("share ring %s (worker %d): %w", name, worker, err)
		}
	}
	if cfg.Promiscuous {
		if err := ring.SetPromiscuous(true); err != nil {
			d.close()
			return nil, fmt.Errorf("make %s promiscuous: %w", name, err)
		}
	}
	return d, nil
}

// filter has the kernel choose the packets.
func (d *device) filter(text string) error {
	if text == "" {
		return nil
	}
	p, err := filter.Compile(text, filter.Options{Link: d.link, Live: true})
	if err != nil {
		return err
	}
	if err := d.ring.SetBPF(p.Raw); err != nil {
		return fmt.Errorf("filter %s: %w", d.name, err)
	}
	return nil
}

func (d *device) next(f *frame) error {
	data, ci, err := d.ring.ZeroCopyReadPacketData()
	if errors.Is(err, afpacket.ErrTimeout) {
		return errNothing
	}
	if err != nil {
		return fmt.Errorf("read ring %s: %w", d.name, err)
	}
	f.time, f.wire, f.link = ci.Timestamp.UnixNano(), max(ci.Length, len(data)), d.link
	f.data, f.way = data[:min(len(data), d.snap)], unknownDirection
	switch {
	case len(ci.AncillaryData) == 0: // with a VLAN's header put back it is a copy
		f.way = ringDirection(data)
	case len(data) >= 12 && string(data[6:12]) == d.mac:
		f.way = transmitted
	default:
		f.way = received
	}
	return nil
}

// stats returns the packets the kernel dropped and how often the ring was full.
func (d *device) stats() (drops, freezes uint64) {
	if d.closed {
		return d.drops, d.freeze
	}
	if _, s, err := d.ring.SocketStats(); err == nil {
		d.drops, d.freeze = uint64(s.Drops()), uint64(s.QueueFreezes())
	}
	return d.drops, d.freeze
}

// close may be called twice.
func (d *device) close() {
	if !d.closed {
		d.closed = true
		d.ring.Close()
	}
}
