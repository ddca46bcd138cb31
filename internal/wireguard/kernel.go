package wireguard

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"golang.zx2c4.com/wireguard/wgctrl"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// kernel is where devices of the kernel come from; tests have their own.
type kernel struct {
	list func() []string
	read func(name string) (*Device, error)
}

// newKernel reads interfaces through generic netlink. Of wgctrl only the call
// for one device by name is used: the one for all of them fails as a whole if
// any userspace socket is dead, and hangs on one that does not answer.
func newKernel(sysfs string) kernel {
	return kernel{
		list: func() []string { return kernelDevices(sysfs) },
		read: func(name string) (*Device, error) {
			client, err := wgctrl.New()
			if err != nil {
				return nil, fmt.Errorf("open netlink: %w", err)
			}
			device, err := client.Device(name)
			if err := errors.Join(err, client.Close()); err != nil {
				return nil, fmt.Errorf("netlink: %w", err)
			}
			return fromKernel(device), nil
		},
	}
}

// kernelDevices returns the interfaces whose uevent file says DEVTYPE=wireguard.
func kernelDevices(sysfs string) []string {
	entries, err := os.ReadDir(filepath.Join(sysfs, "class", "net"))
	if err != nil {
		return nil // not Linux
	}
	var names []string
	for _, e := range entries {
		if deviceType(filepath.Join(sysfs, "class", "net", e.Name(), "uevent")) == "wireguard" {
			names = append(names, e.Name())
		}
	}
	return names
}

func deviceType(uevent string) string {
	f, err := os.Open(uevent)
	if err != nil {
		return "" // gone since, or a file that is no interface
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "DEVTYPE="); ok {
			return value
		}
	}
	return ""
}

// fromKernel takes over everything but the keys that are secret.
func fromKernel(d *wgtypes.Device) *Device {
	device := &Device{
		Name: d.Name, Kernel: true, PublicKey: Key(d.PublicKey),
		ListenPort: uint16(d.ListenPort), FirewallMark: uint32(d.FirewallMark), //nolint:gosec // 16 and 32 bits by protocol
		Peers: make([]Peer, 0, len(d.Peers)),
	}
	for _, p := range d.Peers {
		peer := Peer{
			PublicKey: Key(p.PublicKey), Keepalive: p.PersistentKeepaliveInterval,
			ReceiveBytes: uint64(max(p.ReceiveBytes, 0)), TransmitBytes: uint64(max(p.TransmitBytes, 0)),
		}
		if p.LastHandshakeTime.Unix() > 0 { // the zero time of either epoch is "never"
			peer.LastHandshake = p.LastHandshakeTime
		}
		if p.Endpoint != nil {
			addr := p.Endpoint.AddrPort()
			peer.Endpoint = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
		}
		for _, ipnet := range p.AllowedIPs {
			addr, ok := netip.AddrFromSlice(ipnet.IP)
			if ones, bits := ipnet.Mask.Size(); ok && bits > 0 {
				peer.AllowedIPs = append(peer.AllowedIPs, netip.PrefixFrom(addr.Unmap(), ones))
			}
		}
		device.Peers = append(device.Peers, peer)
	}
	d.PrivateKey = wgtypes.Key{}
	for i := range d.Peers {
		d.Peers[i].PresharedKey = wgtypes.Key{}
	}
	return device
}
