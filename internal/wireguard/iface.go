package wireguard

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// iface is what the operating system says of the network interface that a device drives.
type iface struct {
	known       bool // false if it lies in another network namespace or does not exist
	up          bool
	index       int
	addresses   []netip.Prefix
	counted     bool // whether there are byte counters
	received    uint64
	transmitted uint64
	space       *space // where it is; nil: in this network namespace
	inside      bool   // it is in this process: Inside asks through it
}

// interfaces looks at this network namespace.
type interfaces struct {
	sysfs  string
	inside Inside // nil: there are none
}

// Inside knows the interfaces of devices that run in this process and are no
// network interfaces of the system, such as those of the demo.
type Inside interface {
	// Interface of a device; false if the device is not in this process.
	Interface(device string) (Interface, bool)
	// Echo asks an address through the tunnel once, and returns the round trip.
	Echo(ctx context.Context, device string, to netip.Addr) (time.Duration, error)
}

// Interface is what Inside knows of one.
type Interface struct {
	Addresses             []netip.Prefix
	Received, Transmitted uint64 // bytes
}

func (i interfaces) of(name string) iface {
	if i.inside != nil {
		if in, ok := i.inside.Interface(name); ok {
			return iface{known: true, up: true, inside: true, addresses: in.Addresses, counted: true, received: in.Received, transmitted: in.Transmitted}
		}
	}
	ifc, err := net.InterfaceByName(name)
	if err != nil {
		return iface{}
	}
	found := iface{known: true, up: ifc.Flags&net.FlagUp != 0, index: ifc.Index}
	addrs, err := ifc.Addrs()
	if err == nil {
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				found.addresses = append(found.addresses, p)
			}
		}
	}
	rx, okRX := i.statistic(name, "rx_bytes")
	tx, okTX := i.statistic(name, "tx_bytes")
	found.counted, found.received, found.transmitted = okRX && okTX, rx, tx
	return found
}

func (i interfaces) statistic(name, file string) (uint64, bool) {
	b, err := os.ReadFile(filepath.Join(i.sysfs, "class", "net", name, "statistics", file))
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil
}
