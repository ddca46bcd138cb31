package wireguard

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"github.com/vishvananda/netns"
)

// inNamespace calls f on a thread that has entered the namespace. The thread
// ends with the call: it never comes back to serve others.
func inNamespace(file string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if syscall.Gettid() == syscall.Getpid() {
			// The main thread cannot end, and /proc/PID shows its namespace: hold it
			// while another thread goes.
			err := inNamespace(file, f)
			runtime.UnlockOSThread()
			done <- err
			return
		}
		done <- enterAnd(file, f) // and no unlock: the thread goes with the goroutine
	}()
	return <-done
}

func enterAnd(file string, f func() error) error {
	own, err := os.Stat("/proc/thread-self/ns/net")
	if err != nil {
		return fmt.Errorf("find own namespace: %w", err)
	}
	ns, err := netns.GetFromPath(file)
	if err != nil {
		return fmt.Errorf("open %s: %w", file, err)
	}
	defer func() { _ = ns.Close() }()
	if there, err := os.Stat(file); err == nil && os.SameFile(own, there) {
		return errOwnNamespace
	}
	if err := netns.Set(ns); err != nil {
		return fmt.Errorf("enter %s: %w", file, err)
	}
	return f()
}

// Attributes of rtnetlink that the standard library has no names for.
const (
	iflaLinkInfo = 18
	iflaStats64  = 23
	iflaInfoKind = 1
)

// listLinks asks rtnetlink, on this thread, for all interfaces of its namespace
// and their addresses. /sys is of no use here: it shows the namespace in which it was mounted.
func listLinks() (map[string]spaceLink, error) {
	b, err := syscall.NetlinkRIB(syscall.RTM_GETLINK, syscall.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", os.NewSyscallError("netlink", err))
	}
	messages, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	links, names := map[string]spaceLink{}, map[uint32]string{}
	for i := range messages {
		m := &messages[i]
		if m.Header.Type != syscall.RTM_NEWLINK || len(m.Data) < syscall.SizeofIfInfomsg {
			continue
		}
		attrs, err := syscall.ParseNetlinkRouteAttr(m)
		if err != nil {
			continue // one interface
		}
		name, l := linkOf(m.Data, attrs)
		if name != "" {
			links[name], names[binary.NativeEndian.Uint32(m.Data[4:8])] = l, name
		}
	}
	return links, addAddresses(links, names)
}

// linkOf reads one interface; data begins with an ifinfomsg.
func linkOf(data []byte, attrs []syscall.NetlinkRouteAttr) (string, spaceLink) {
	l := spaceLink{iface: iface{known: true, up: binary.NativeEndian.Uint32(data[8:12])&syscall.IFF_UP != 0, index: int(binary.NativeEndian.Uint32(data[4:8]))}}
	name := ""
	for _, a := range attrs {
		switch a.Attr.Type {
		case syscall.IFLA_IFNAME:
			name = zeroEnded(a.Value)
		case iflaLinkInfo:
			l.kind = nestedText(a.Value, iflaInfoKind)
		case iflaStats64: // rx_packets, tx_packets, rx_bytes, tx_bytes ...
			if len(a.Value) >= 32 {
				l.counted = true
				l.received, l.transmitted = binary.NativeEndian.Uint64(a.Value[16:24]), binary.NativeEndian.Uint64(a.Value[24:32])
			}
		}
	}
	return name, l
}

// nestedText returns the text of one attribute inside another.
func nestedText(b []byte, want uint16) string {
	for len(b) >= 4 {
		size, kind := int(binary.NativeEndian.Uint16(b[0:2])), binary.NativeEndian.Uint16(b[2:4])
		if size < 4 || size > len(b) {
			return ""
		}
		if kind == want {
			return zeroEnded(b[4:size])
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return ""
}

func zeroEnded(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

func addAddresses(links map[string]spaceLink, names map[uint32]string) error {
	b, err := syscall.NetlinkRIB(syscall.RTM_GETADDR, syscall.AF_UNSPEC)
	if err != nil {
		return fmt.Errorf("list addresses: %w", os.NewSyscallError("netlink", err))
	}
	messages, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	for i := range messages {
		m := &messages[i]
		if m.Header.Type != syscall.RTM_NEWADDR || len(m.Data) < syscall.SizeofIfAddrmsg {
			continue
		}
		attrs, err := syscall.ParseNetlinkRouteAttr(m)
		if err != nil {
			continue
		}
		var local, address []byte // of a point-to-point interface the second is the other end
		for _, a := range attrs {
			switch a.Attr.Type {
			case syscall.IFA_LOCAL:
				local = a.Value
			case syscall.IFA_ADDRESS:
				address = a.Value
			}
		}
		if local == nil {
			local = address
		}
		name := names[binary.NativeEndian.Uint32(m.Data[4:8])]
		if p, ok := prefixOf(local, int(m.Data[1])); ok && name != "" {
			l := links[name]
			l.addresses = append(l.addresses, p)
			links[name] = l
		}
	}
	return nil
}
