package wireguard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	probing "github.com/prometheus-community/pro-bing"
)

// errPingForbidden says that this process may open neither kind of socket.
var errPingForbidden = errors.New("no permission to send an echo")

// echoGap is the time between two echoes of a probe.
const echoGap = 200 * time.Millisecond

// pinger sends echoes by a raw socket, or by a ping socket where that is not allowed.
type pinger struct {
	unprivileged atomic.Bool // raw sockets have been refused
}

func newPinger() *pinger { return &pinger{} }

// ping asks so many times and waits for what comes back. An error means that
// not even the first echo went out.
func (p *pinger) ping(ctx context.Context, t echoTarget, count int, timeout time.Duration) (echoes, error) {
	var a echoes
	err := t.space.do(func() error {
		var err error
		a, err = p.once(ctx, t, count, timeout, !p.unprivileged.Load())
		if err != nil && isForbidden(err) && !p.unprivileged.Load() {
			if a, err = p.once(ctx, t, count, timeout, false); err == nil {
				p.unprivileged.Store(true)
			}
		}
		return err
	})
	if err != nil && isForbidden(err) {
		return a, fmt.Errorf("%w: %w", errPingForbidden, err)
	}
	return a, err
}

func (p *pinger) once(ctx context.Context, t echoTarget, count int, timeout time.Duration, privileged bool) (echoes, error) {
	e := probing.New("")
	e.SetIPAddr(&net.IPAddr{IP: t.addr.AsSlice()})
	e.SetLogger(probing.NoopLogger{})
	e.SetPrivileged(privileged)
	e.InterfaceName = t.ifname
	e.Count, e.Timeout, e.Interval = count, timeout, min(echoGap, timeout/time.Duration(count+1))
	e.RecordRtts, e.RecordTTLs = false, false
	var refused error
	e.OnSendError = func(_ *probing.Packet, err error) { refused = err }
	if err := e.RunWithContext(ctx); err != nil {
		return echoes{}, fmt.Errorf("send echo: %w", err)
	}
	st := e.Statistics()
	if st.PacketsSent == 0 && refused != nil {
		return echoes{}, fmt.Errorf("send echo: %w", refused)
	}
	return echoes{sent: st.PacketsSent, received: st.PacketsRecv, latency: st.AvgRtt}, nil
}

func isForbidden(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EPROTONOSUPPORT)
}
