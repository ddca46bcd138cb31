package wireguard

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
}

// interfaces looks at this network namespace.
type interfaces struct{ sysfs string }

func (i interfaces) of(name string) iface {
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
