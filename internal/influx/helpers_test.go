package influx

import (
	"net/netip"
	"syscall"
	"testing"
	"time"
)

func manyIPs(n int) []netip.Prefix {
	ips := make([]netip.Prefix, n)
	for i := range ips {
		ips[i] = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
	}
	return ips
}

// cpu is the time that this process has used.
func cpu(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
