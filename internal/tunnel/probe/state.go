package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/orielhq/oriel/internal/tunnel/relay"
)

// maxStatus bounds a page of states: ten thousand tunnels are some five megabytes.
const maxStatus = 16 << 20

// states are the guardians and gateways of other processes.
type states struct {
	list   []relay.Status
	failed int // pages that could not be read
}

func statusClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// watchStates reads the pages of other processes until ctx is done.
func (p *Prober) watchStates(ctx context.Context) {
	if len(p.cfg.Status) == 0 {
		return
	}
	tick := time.NewTicker(min(p.cfg.Interval.Std(), 10*time.Second))
	defer tick.Stop()
	defer p.remote.CloseIdleConnections()
	complained := map[string]bool{}
	for {
		now := &states{}
		for _, url := range p.cfg.Status {
			list, err := p.readStates(ctx, url)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				now.failed++
				if !complained[url] {
					p.log.Warn("read tunnel status", "url", url, "err", err)
				}
			}
			complained[url] = err != nil
			now.list = append(now.list, list...)
		}
		p.states.Store(now)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *Prober) readStates(ctx context.Context, url string) ([]relay.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := p.remote.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	return decodeStates(resp.Body)
}

// decodeStates reads a page of states, at most maxTargets of them.
func decodeStates(r io.Reader) ([]relay.Status, error) {
	var list []relay.Status
	if err := json.NewDecoder(io.LimitReader(r, maxStatus)).Decode(&list); err != nil {
		return nil, fmt.Errorf("read states: %w", err)
	}
	return list[:min(len(list), maxTargets)], nil
}

// allStates are the guardians and gateways of this and of other processes, by
// name. Of two with one name the gateway counts: it is the one that has the limits.
func (p *Prober) allStates() map[string]relay.Status {
	all := map[string]relay.Status{}
	add := func(s relay.Status) {
		if before, ok := all[s.Name]; !ok || before.Role != "gateway" {
			all[s.Name] = s
		}
	}
	if p.local != nil {
		for _, s := range p.local() {
			add(s)
		}
	}
	if remote := p.states.Load(); remote != nil {
		for _, s := range remote.list {
			add(s)
		}
	}
	return all
}
