package wireguard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
)

func TestProbesShareOneSocket(t *testing.T) {
	p := newPinger()
	defer p.close()
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			addr := netip.AddrFrom4([4]byte{127, 7, 0, byte(i)})
			a, err := p.ping(t.Context(), echoTarget{addr: addr}, 2, 5*time.Second)
			if errors.Is(err, errPingForbidden) {
				return
			}
			if err != nil || a.sent != 2 || a.received != 2 || a.latency <= 0 {
				t.Errorf("%s: %+v, %v", addr, a, err)
			}
		})
	}
	wg.Wait()
	if len(p.sockets) > 1 {
		t.Errorf("%d sockets", len(p.sockets))
	}
	if len(p.sockets) == 0 {
		proctest.Without(t, "echoes are not allowed here")
	}
	for _, s := range p.sockets {
		if len(s.pending) > 0 {
			t.Errorf("%d echoes are still waited for", len(s.pending))
		}
	}
	p.tidy(time.Now().Add(socketIdle + time.Second))
	if len(p.sockets) > 0 {
		t.Error("a socket that nobody uses stays")
	}
	p.readers.Wait()
	if a, err := p.ping(t.Context(), echoTarget{addr: netip.MustParseAddr("127.0.0.1")}, 1, 5*time.Second); err != nil || a.received != 1 {
		t.Errorf("after that: %+v, %v", a, err)
	}
	if _, err := os.Stat("/proc/net/if_inet6"); err == nil {
		if a, err := p.ping(t.Context(), echoTarget{addr: netip.MustParseAddr("::1")}, 1, 5*time.Second); err != nil || a.received != 1 {
			t.Errorf("IPv6: %+v, %v", a, err)
		}
	}
}

func TestPingSocketsServeWhereRawOnesAreNotAllowed(t *testing.T) {
	p := newPinger()
	p.unprivileged = true
	defer p.close()
	a, err := p.ping(t.Context(), echoTarget{addr: netip.MustParseAddr("127.0.0.1")}, 1, 5*time.Second)
	// Root too may open a ping socket only if one of its groups is in the range.
	first, last := 1, 0
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ping_group_range"); err == nil {
		_, _ = fmt.Sscan(string(b), &first, &last)
	}
	if open := first <= os.Getegid() && os.Getegid() <= last; open && (err != nil || a.received != 1) || !open && err != nil && !errors.Is(err, errPingForbidden) {
		t.Errorf("groups %d to %d may open ping sockets, ours is %d: %+v, %v", first, last, os.Getegid(), a, err)
	}
}

func TestAnEchoThatNobodyAnswersEndsInTime(t *testing.T) {
	p := newPinger()
	defer p.close()
	begin := time.Now()
	// 240.0.0.1 is in no network.
	a, err := p.ping(t.Context(), echoTarget{addr: netip.MustParseAddr("240.0.0.1")}, 3, 300*time.Millisecond)
	if errors.Is(err, errPingForbidden) {
		proctest.Without(t, "echoes are not allowed here")
	}
	if a.received != 0 || time.Since(begin) > 5*time.Second {
		t.Errorf("%+v, %v after %s", a, err, time.Since(begin))
	}
	if _, err := p.ping(t.Context(), echoTarget{addr: netip.MustParseAddr("127.0.0.1"), ifindex: 1 << 30}, 1, time.Second); err == nil || errors.Is(err, errPingForbidden) {
		t.Errorf("through an interface that is not there: %v", err)
	}
}

// listening is a socket with one echo under way, to seq 5 of 10.9.0.2.
func listening() (*echoSocket, chan time.Duration) {
	replies := make(chan time.Duration, 1)
	s := &echoSocket{raw: true, id: 0x1234, token: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, pending: map[uint16]pendingEcho{}}
	s.pending[5] = pendingEcho{addr: netip.MustParseAddr("10.9.0.2"), sent: time.Now().Add(-time.Second), replies: replies}
	return s, replies
}

func echoReply(kind byte, id, seq uint16, token [8]byte) []byte {
	b := []byte{kind, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, id), seq)
	return append(b, token[:]...)
}

func TestOnlyTheReplyCounts(t *testing.T) {
	good := [8]byte{1, 2, 3, 4, 5, 6, 7, 8}
	peer := netip.MustParseAddr("10.9.0.2")
	for _, tt := range []struct {
		name   string
		packet []byte
		from   netip.Addr
		want   int
	}{
		{"the reply", echoReply(0, 0x1234, 5, good), peer, 1},
		{"an echo", echoReply(8, 0x1234, 5, good), peer, 0},
		{"another program's", echoReply(0, 0x4321, 5, good), peer, 0},
		{"to no echo of ours", echoReply(0, 0x1234, 6, good), peer, 0},
		{"forged without the token", echoReply(0, 0x1234, 5, [8]byte{}), peer, 0},
		{"of somebody else", echoReply(0, 0x1234, 5, good), netip.MustParseAddr("10.9.0.3"), 0},
		{"cut off", echoReply(0, 0x1234, 5, good)[:15], peer, 0},
		{"empty", nil, peer, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, replies := listening()
			for range 3 { // a copy does not count
				s.reply(tt.packet, tt.from, time.Now())
			}
			if len(replies) != tt.want || len(s.pending) != 1-tt.want {
				t.Errorf("%d replies, %d pending", len(replies), len(s.pending))
			}
		})
	}
}

func FuzzEchoReply(f *testing.F) {
	f.Add(echoReply(0, 0x1234, 5, [8]byte{1, 2, 3, 4, 5, 6, 7, 8}))
	f.Add(echoReply(0, 0x1234, 5, [8]byte{1}))
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, packet []byte) {
		s, replies := listening()
		s.reply(packet, netip.MustParseAddr("10.9.0.2"), time.Now())
		// What counts has its id, number and token, whatever else it has.
		if len(replies) == 1 && fmt.Sprintf("%x", packet[4:16]) != "12340005"+"0102030405060708" {
			t.Errorf("%x counts as the reply", packet)
		}
	})
}
