package probe

import (
	"container/heap"
	"context"
	"crypto/x509"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orielhq/oriel/internal/tunnel/relay"
)

// Prober probes the tunnels of a configuration again and again.
type Prober struct {
	cfg     Config
	log     *slog.Logger
	local   func() []relay.Status // of the guardians and gateways of this program; nil if there are none
	remote  *http.Client
	trusts  trusts
	targets []*target
	modules map[string]Module
	allow   []allowed
	states  atomic.Pointer[states]
	late    atomic.Int64 // probes that began more than an interval late
	served  atomic.Int64 // probes for /probe
	asked   chan struct{}
}

// target is one tunnel and what is known of it.
type target struct {
	cfg     TargetConfig
	labels  labels
	last    atomic.Pointer[seen]
	errors  []atomic.Int64 // by errorTypes
	probes  atomic.Int64
	failing atomic.Bool // so that a lasting failure is logged once
	busy    atomic.Bool

	// What follows belongs to the one probe of the target that runs.
	anonymous     *bool
	lastAnonymous time.Time
	lastGood      time.Time
}

// seen is the last probe of a target. It is never changed.
type seen struct {
	*Result
	at            time.Time // of its end
	host, port    string    // that were dialled, as labels
	own           own
	anonymous     *bool // of the last connection without certificate
	lastGood      time.Time
	handshakeType string // error type of the handshake, empty when it succeeded
}

// own is what a probe knows of its own files.
type own struct {
	leaf  *x509.Certificate // that it shows; nil without
	stale bool              // they cannot be read as they are now, and what they said before stays in force
}

// New makes a Prober; nothing is opened and nothing runs yet. local tells the
// state of the guardians and gateways of this program, and may be nil.
func New(cfg Config, local func() []relay.Status, log *slog.Logger) (*Prober, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p := &Prober{cfg: cfg, log: log, local: local, remote: statusClient(), modules: standardModules(), asked: make(chan struct{}, cfg.Concurrency)}
	maps.Copy(p.modules, cfg.Modules)
	for _, a := range cfg.Allow {
		one, err := parseAllow(a)
		if err != nil {
			return nil, fmt.Errorf("allow: %w", err)
		}
		p.allow = append(p.allow, one)
	}
	for _, t := range cfg.Targets {
		p.targets = append(p.targets, &target{cfg: t, labels: labelsOf(t), errors: make([]atomic.Int64, len(errorTypes))})
	}
	return p, nil
}

// firstStep is the time between the first probes of two targets, if there are not more of them than that allows.
const firstStep = 20 * time.Millisecond

// Run probes until ctx is done. All targets are probed soon; then they are
// spread over the interval, each at its own time of it, give or take a twentieth.
func (p *Prober) Run(ctx context.Context) error {
	work := make(chan *target)
	var wg sync.WaitGroup
	defer wg.Wait()
	for range min(p.cfg.Concurrency, len(p.targets)) {
		wg.Go(func() {
			for t := range work {
				p.probe(ctx, t)
			}
		})
	}
	wg.Go(func() { p.watchStates(ctx) })
	defer close(work)
	var due queue
	now := time.Now()
	step := min(p.cfg.Interval.Std()/time.Duration(max(len(p.targets), 1)), firstStep)
	for i, t := range p.targets {
		due = append(due, turn{now.Add(time.Duration(i) * step), t, true})
	}
	heap.Init(&due)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wait := time.Hour
		if len(due) > 0 {
			wait = time.Until(due[0].at)
		}
		timer.Reset(max(wait, 0))
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if len(due) == 0 {
			continue
		}
		next := due[0]
		select {
		case <-ctx.Done():
			return nil
		case work <- next.target: // when all are busy it waits: probes never pile up
		}
		every := p.cfg.Interval.Std()
		if time.Since(next.at) > every {
			p.late.Add(1)
			next.at = time.Now()
		}
		if next.first { // and then at its own time
			due[0].first = false
			if due[0].at = now.Add(offset(next.cfg.ID, every)); due[0].at.Sub(next.at) < every/2 {
				due[0].at = due[0].at.Add(every)
			}
			heap.Fix(&due, 0)
			continue
		}
		jitter := time.Duration((rand.Float64() - 0.5) * float64(every) / 10) //nolint:gosec // when to probe is no secret
		due[0].at = next.at.Add(every + jitter)
		heap.Fix(&due, 0)
	}
}

// offset is a target's own place in the interval, the same after each start.
func offset(id string, interval time.Duration) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	return time.Duration(h.Sum64() % uint64(interval)) //nolint:gosec // both are positive, and the rest is less than the interval
}

// turn is when a target is due; queue has the first to come at its front.
type turn struct {
	at time.Time
	*target
	first bool
}

type queue []turn

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push is not used: the queue is made whole.
func (q *queue) Push(any) {}

// Pop is not used: who is done comes again.
func (q *queue) Pop() any { return nil }

// probe does one probe and keeps what it saw.
func (p *Prober) probe(ctx context.Context, t *target) {
	if !t.cfg.Enabled || t.busy.Swap(true) {
		return
	}
	defer t.busy.Store(false)
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout.Std())
	defer cancel()
	anonymously := p.cfg.AnonymousInterval > 0 && time.Since(t.lastAnonymous) >= p.cfg.AnonymousInterval.Std()
	r, mine := p.walk(ctx, t.cfg, anonymously)
	if ctx.Err() != nil && context.Cause(ctx) != context.DeadlineExceeded { //nolint:errorlint // it is that value
		return // the program stops: that says nothing of the tunnel
	}
	s := &seen{Result: r, at: time.Now(), own: mine, lastGood: t.lastGood}
	if r.Err == nil {
		s.lastGood = s.at
	}
	if anonymously && r.Err == nil {
		t.lastAnonymous = s.at
		if r.Anonymous != nil {
			t.anonymous = r.Anonymous
		}
	}
	t.lastGood, s.anonymous = s.lastGood, t.anonymous
	if r.Address.IsValid() {
		s.host, s.port = r.Address.Addr().String(), fmt.Sprint(r.Address.Port())
	}
	if r.Step != StepEcho {
		s.handshakeType = r.ErrorType
	}
	t.last.Store(s)
	t.probes.Add(1)
	t.note(p.log, r)
}

// note counts a failure, and tells the first of a row.
func (t *target) note(log *slog.Logger, r *Result) {
	if r.Err == nil {
		if t.failing.Swap(false) {
			log.Info("tunnel works again", "tunnel", t.cfg.ID, "company", t.cfg.Company)
		}
		return
	}
	t.errors[max(errorIndex(r.ErrorType), 0)].Add(1)
	if !t.failing.Swap(true) {
		log.Warn("probe failed", "tunnel", t.cfg.ID, "company", t.cfg.Company, "step", r.Step, "error_type", r.ErrorType, "err", r.Err)
	}
}

// walk probes a tunnel once.
func (p *Prober) walk(ctx context.Context, cfg TargetConfig, anonymously bool) (*Result, own) {
	host, port := cfg.Where()
	t, mine, err := p.target(host, port, cfg.Service)
	if err != nil {
		return (&Result{Began: time.Now()}).fail(StepFiles, err), mine
	}
	t.Anonymous = anonymously && t.TLS != nil
	return Probe(ctx, t), mine
}

// target makes a service what Probe takes.
func (p *Prober) target(host, port string, s Service) (t Target, mine own, err error) {
	t = Target{Host: host, Port: port, Confirm: s.Confirm}
	if t.Echo, err = s.codec(host); err != nil {
		return t, mine, err
	}
	if s.Transport == "tcp" {
		return t, mine, nil
	}
	trust, err := p.trusts.get(s.files())
	mine.stale = err != nil
	if trust == nil {
		return t, mine, err
	}
	t.TLS, t.Lists, t.verified, mine.leaf = trust.config, trust.lists, &trust.verified, trust.leaf
	return t, mine, nil
}
