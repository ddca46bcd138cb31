package relay

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orielhq/oriel/internal/tunnel/quiet"
	"github.com/orielhq/oriel/internal/tunnel/socket"
	"github.com/orielhq/oriel/internal/tunnel/trust"
)

// Refusal is a connection that was not carried, as Status shows it.
type Refusal struct {
	Time   time.Time `json:"time"`
	Reason string    `json:"reason"`
	Detail string    `json:"detail,omitempty"`
}

const keptRefusals = 8

// tunnel is one listener at work.
type tunnel struct {
	cfg      Tunnel
	gateway  bool
	log      *slog.Logger
	listener net.Listener
	trust    atomic.Pointer[trusted]
	draining atomic.Bool
	running  bool // start was called; of who owns the tunnel
	end, cut func()
	sharing  *tunnel       // whose socket this one listens on too, from open to start
	ended    chan struct{} // closed when all connections of a retired tunnel have ended
	accepts  sync.WaitGroup
	watches  sync.WaitGroup
	conns    sync.WaitGroup // all connections, also those whose handshake is not done
	pending  atomic.Int64
	total    atomic.Int64 // connections carried so far
	bytes    [2]atomic.Int64
	quiet    quiet.Log

	mu        sync.Mutex // guards what follows
	live      map[*conn]bool
	companies map[string]int
	refused   map[string]int64
	recent    []*Refusal
	reloads   map[bool]int64
	reloadErr error
}

func newTunnel(cfg Tunnel, gateway bool, log *slog.Logger) *tunnel {
	role := "guardian"
	if gateway {
		role = "gateway"
	}
	return &tunnel{
		ended: make(chan struct{}), cfg: cfg, gateway: gateway, log: log.With("tunnel", cfg.Name, "role", role),
		live: map[*conn]bool{}, companies: map[string]int{}, refused: map[string]int64{}, reloads: map[bool]int64{},
	}
}

func (t *tunnel) role() string {
	if t.gateway {
		return "gateway"
	}
	return "guardian"
}

func (t *tunnel) open(ctx context.Context, listen func(context.Context, *tunnel) (net.Listener, error)) error {
	tr, err := t.cfg.load(nil, t.gateway)
	if err != nil {
		return err
	}
	t.trust.Store(tr)
	t.listener, err = listen(ctx, t)
	return err
}

// close undoes open.
func (t *tunnel) close() {
	if t.sharing != nil {
		socket.Return(t.sharing.listener, t.listener)
	}
	_ = t.listener.Close()
}

// start takes connections until retire, and looks after them until finish.
func (t *tunnel) start(ctx context.Context, reload time.Duration) {
	// Connections outlive ctx: they drain.
	conns, cut := context.WithCancel(context.WithoutCancel(ctx))
	taking, end := context.WithCancel(conns)
	t.end, t.cut, t.running, t.sharing = end, cut, true, nil
	t.accepts.Go(func() { t.accept(taking, conns) })
	t.watches.Go(func() { t.watch(conns, reload) })
}

// retire takes no more connections. Those that are open go on for the drain
// time at most; then ended is closed.
func (t *tunnel) retire(drain time.Duration) {
	t.draining.Store(true)
	t.end()
	_ = t.listener.Close()
	go t.finish(drain)
}

func (t *tunnel) finish(drain time.Duration) {
	defer close(t.ended)
	t.accepts.Wait()
	done := make(chan struct{})
	go func() {
		t.conns.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(drain):
	}
	t.cut()
	t.closeAll("drain")
	<-done
	t.watches.Wait()
}

// accept takes connections until the listener is closed. What is too much is taken and closed at once, and counted.
func (t *tunnel) accept(ctx, conns context.Context) {
	wait := 5 * time.Millisecond
	for {
		c, err := t.listener.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			t.quiet.Do("accept", "", func(times int) { t.log.Warn("accept", "err", err, "times", times) }) // no descriptors left, most likely
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			wait = min(2*wait, time.Second)
			continue
		}
		wait = 5 * time.Millisecond
		if t.pending.Load() >= int64(t.cfg.MaxPending) {
			t.refuse("pending_limit", nil)
			_ = c.Close()
			continue
		}
		t.pending.Add(1)
		t.conns.Add(1)
		go t.handle(conns, c)
	}
}

// refuse counts and shows a connection that is not carried.
func (t *tunnel) refuse(reason string, err error) {
	reason = known(reason)
	r := &Refusal{Time: time.Now().UTC(), Reason: reason}
	if err != nil {
		r.Detail = detail(err)
	}
	t.mu.Lock()
	t.refused[reason]++
	t.recent = append(t.recent, r)
	if len(t.recent) > keptRefusals {
		t.recent = t.recent[1:]
	}
	t.mu.Unlock()
	same := "" // of other errors the text may differ each time, as by a port
	if who, ok := errors.AsType[*trust.Refusal](err); ok {
		same = who.Error()
	}
	t.quiet.Do(reason, same, func(times int) {
		t.log.Warn("connection refused", "reason", reason, "detail", r.Detail, "times", times)
	})
}

// take gives a connection its place, or says which limit is reached.
func (t *tunnel) take(c *conn, rule Rule) (reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	limit := t.cfg.MaxPerCompany
	if rule.MaxConnections > 0 {
		limit = rule.MaxConnections
	}
	switch {
	case t.draining.Load():
		return "drain"
	case len(t.live) >= t.cfg.MaxConnections:
		return "limit"
	case limit > 0 && t.companies[c.company] >= limit:
		return "company_limit"
	}
	t.live[c] = true
	t.companies[c.company]++
	return ""
}

func (t *tunnel) leave(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.live[c] {
		return
	}
	delete(t.live, c)
	if t.companies[c.company]--; t.companies[c.company] == 0 {
		delete(t.companies, c.company)
	}
}

func (t *tunnel) snapshot() []*conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]*conn, 0, len(t.live))
	for c := range t.live {
		list = append(list, c)
	}
	return list
}

func (t *tunnel) closeAll(reason string) {
	for _, c := range t.snapshot() {
		c.cut(t, reason, nil)
	}
}

// watch reloads what has changed and cuts what has lasted too long, until ctx is done.
func (t *tunnel) watch(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		t.reload()
		t.sweep()
	}
}

// reload takes over changed files, or keeps everything as it was. Connections that are trusted no more are cut.
func (t *tunnel) reload() {
	before := t.trust.Load()
	n, err := t.cfg.load(before, t.gateway)
	t.mu.Lock()
	changed := n != before
	news := err != nil && (t.reloadErr == nil || t.reloadErr.Error() != err.Error())
	if changed && err == nil || news {
		t.reloads[err == nil]++
	}
	t.reloadErr = err
	t.mu.Unlock()
	if news {
		t.log.Error("reload: the last good files stay in force", "err", err)
	}
	if err != nil || !changed {
		return
	}
	t.trust.Store(n)
	t.log.Info("reloaded", "certificate_expires", n.Cert.Leaf.NotAfter.UTC().Format(time.RFC3339))
	for _, c := range t.snapshot() {
		if err := n.again(c.state); err != nil {
			c.cut(t, reason("", err), err)
		}
	}
}

// sweep cuts connections that were idle or open too long, or whose certificate has ended.
func (t *tunnel) sweep() {
	now := time.Now()
	for _, c := range t.snapshot() {
		switch {
		case t.cfg.IdleTimeout > 0 && now.Sub(time.Unix(0, c.active.Load())) > t.cfg.IdleTimeout.Std():
			c.cut(t, "idle", nil)
		case t.cfg.TotalTimeout > 0 && now.Sub(c.began) > t.cfg.TotalTimeout.Std():
			c.cut(t, "total", nil)
		case now.After(c.state.PeerCertificates[0].NotAfter):
			c.cut(t, "cert_expired", nil)
		}
	}
}

func (t *tunnel) status() Status {
	s := Status{
		Name: t.cfg.Name, Role: t.role(), Status: "active", Address: t.cfg.Listen,
		Pending: int(t.pending.Load()), Max: t.cfg.MaxConnections,
	}
	if t.listener != nil {
		s.Address = t.listener.Addr().String()
	}
	if t.draining.Load() || t.listener == nil {
		s.Status = "inactive"
	}
	if tr := t.trust.Load(); tr != nil {
		s.CertExpires = tr.Cert.Leaf.NotAfter.UTC()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.live {
		if c.up.Load() {
			s.Connections++
		}
	}
	s.Refusals = append(s.Refusals, t.recent...)
	if t.reloadErr != nil {
		s.ReloadError = t.reloadErr.Error()
	}
	return s
}
