package neuvector

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

const (
	// maxNodes is how many hosts, enforcers, controllers or scanners of a cluster have series.
	maxNodes = 5000
	// statsRest is how long an enforcer that did not answer is not asked again:
	// each such call holds the controller for eight seconds.
	statsRest = 5 * time.Minute
	// statsTimeout is how long we wait for it.
	statsTimeout = 4 * time.Second
)

const stateConnected = "connected"

// pod is an enforcer or a controller.
type pod struct {
	ID      string `json:"id"`
	Display string `json:"display_name"`
	Host    string `json:"host_name"`
	Version string `json:"version"`
	State   string `json:"connection_state"`
	Leader  *bool  `json:"leader"`
	Orch    string `json:"orch_conn_status"`
}

type figures struct {
	CPU        *float64 `json:"cpu"`
	Memory     *float64 `json:"memory"`
	BytesIn    *float64 `json:"byte_in"`
	BytesOut   *float64 `json:"byte_out"`
	PacketsIn  *float64 `json:"packet_in"`
	PacketsOut *float64 `json:"packet_out"`
	OpenedIn   *float64 `json:"session_in"`
	OpenedOut  *float64 `json:"session_out"`
	OpenIn     float64  `json:"cur_session_in"` // left out if 0
	OpenOut    float64  `json:"cur_session_out"`
}

type podStats struct {
	Stats *struct {
		Span  figures `json:"span_1"`
		Total figures `json:"total"`
	} `json:"stats"`
}

// enforcers reads the enforcers and the figures of those that are connected.
func (cl *cluster) enforcers(ctx context.Context, p *page) error {
	pods, err := list[pod](ctx, cl, groupEnforcers, "enforcer", "/enforcer", "enforcers", nil)
	pods = pods[:min(len(pods), maxNodes)]
	for _, e := range pods {
		p.set(&enforcerUp, truth(e.State == stateConnected), "cluster", cl.name, "enforcer", name(e.Display), "host", name(e.Host))
		p.set(&enforcerInfo, 1, "cluster", cl.name, "enforcer", name(e.Display), "host", name(e.Host), "version", name(e.Version))
	}
	if err != nil || !cl.c.cfg.EnforcerStats {
		return err
	}
	stats, errs := cl.stats(ctx, groupEnforcers, "/enforcer/", "enforcer_stats", pods)
	for i, e := range pods {
		if e.State != stateConnected {
			continue
		}
		labels := []string{"cluster", cl.name, "enforcer", name(e.Display), "host", name(e.Host)}
		p.set(&enforcerStats, truth(stats[i] != nil), labels...)
		if stats[i] == nil {
			continue
		}
		s := stats[i].Stats
		id := []string{"display", name(e.Display), "host", name(e.Host), "id", name(e.ID), "target", cl.target}
		p.maybe(&nvEnforcerCPU, s.Span.CPU, id...)
		p.maybe(&nvEnforcerMemory, s.Span.Memory, id...)
		p.maybe(&enforcerCPU, s.Span.CPU, labels...)
		p.maybe(&enforcerMemory, s.Span.Memory, labels...)
		for _, d := range []struct {
			direction              string
			bytes, packets, opened *float64
			open                   float64
		}{{"in", s.Total.BytesIn, s.Total.PacketsIn, s.Total.OpenedIn, s.Total.OpenIn}, {"out", s.Total.BytesOut, s.Total.PacketsOut, s.Total.OpenedOut, s.Total.OpenOut}} {
			way := slices.Concat(labels, []string{"direction", d.direction})
			p.maybe(&inspectedBytes, d.bytes, way...)
			p.maybe(&inspectedPackets, d.packets, way...)
			p.maybe(&inspectedOpened, d.opened, way...)
			if d.bytes != nil {
				p.set(&sessions, d.open, way...)
			}
		}
	}
	if errs != nil {
		return errPartial{errs}
	}
	return nil
}

func (cl *cluster) controllers(ctx context.Context, p *page) error {
	pods, err := list[pod](ctx, cl, groupControllers, "controller", "/controller", "controllers", nil)
	pods = pods[:min(len(pods), maxNodes)]
	for _, c := range pods {
		labels := []string{"cluster", cl.name, "controller", name(c.Display), "host", name(c.Host)}
		p.set(&controllerUp, truth(c.State == stateConnected), labels...)
		if c.Leader != nil {
			p.set(&controllerLeader, truth(*c.Leader), labels...)
		}
		if c.Orch != "" {
			p.set(&controllerOrch, truth(c.Orch == stateConnected), labels...)
		}
		p.set(&controllerInfo, 1, "cluster", cl.name, "controller", name(c.Display), "host", name(c.Host), "version", name(c.Version))
	}
	if err != nil {
		return err
	}
	stats, errs := cl.stats(ctx, groupControllers, "/controller/", "controller_stats", pods)
	for i, c := range pods {
		if stats[i] == nil {
			continue
		}
		s := stats[i].Stats.Span
		id := []string{"display", name(c.Display), "host", name(c.Host), "id", name(c.ID), "target", cl.target}
		p.maybe(&nvControllerCPU, s.CPU, id...)
		p.maybe(&nvControllerMemory, s.Memory, id...)
		p.maybe(&controllerCPU, s.CPU, "cluster", cl.name, "controller", name(c.Display), "host", name(c.Host))
		p.maybe(&controllerMemory, s.Memory, "cluster", cl.name, "controller", name(c.Display), "host", name(c.Host))
	}
	if errs != nil {
		return errPartial{errs}
	}
	return nil
}

// stats asks for the figures of all pods that are connected and did not fail just now.
func (cl *cluster) stats(ctx context.Context, group, path, endpoint string, pods []pod) ([]*podStats, error) {
	stats := make([]*podStats, len(pods))
	errs := make([]error, len(pods))
	now := time.Now()
	parallel(len(pods), func(i int) {
		id := pods[i].ID
		if pods[i].State != stateConnected || id == "" || strings.ContainsAny(id, "/?#%") || cl.rests(path+id, now) {
			return
		}
		ctx, cancel := context.WithTimeout(ctx, min(statsTimeout, cl.c.client.timeout)+cl.c.client.timeout)
		defer cancel()
		var s podStats
		err := cl.get(ctx, group, endpoint, path+id+"/stats", &s)
		if err == nil && s.Stats == nil {
			err = cl.missing(group, endpoint)
		}
		if err == nil {
			stats[i] = &s
			return
		}
		var e *requestError
		if errors.As(err, &e) && (e.reason == failServer || e.reason == failTimeout || e.reason == failNotFound) {
			cl.rest(path+id, now.Add(statsRest))
		}
		errs[i] = err
	})
	// One is enough to tell; each enforcer's own success is a series.
	for _, err := range errs {
		if err != nil {
			return stats, err
		}
	}
	return stats, nil
}

func (cl *cluster) rests(id string, now time.Time) bool {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	until, ok := cl.resting[id]
	if ok && now.After(until) {
		delete(cl.resting, id)
		return false
	}
	return ok
}

func (cl *cluster) rest(id string, until time.Time) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if len(cl.resting) > maxNodes {
		clear(cl.resting)
	}
	cl.resting[id] = until
}

func (cl *cluster) hosts(ctx context.Context, p *page) error {
	type host struct {
		Name       string   `json:"name"`
		ID         string   `json:"id"`
		State      string   `json:"state"`
		Memory     *float64 `json:"memory"`
		CPUs       *float64 `json:"cpus"`
		Containers *float64 `json:"containers"`
		Scan       *scan    `json:"scan_summary"`
	}
	hosts, err := list[host](ctx, cl, groupHosts, "host", "/host", "hosts", nil)
	for _, h := range hosts[:min(len(hosts), maxNodes)] {
		labels := []string{"cluster", cl.name, "host", name(h.Name)}
		p.maybe(&nvHostMemory, h.Memory, "id", name(h.ID), "name", name(h.Name), "target", cl.target)
		p.set(&hostUp, truth(h.State == stateConnected), labels...)
		p.maybe(&hostMemory, h.Memory, labels...)
		p.maybe(&hostCPUs, h.CPUs, labels...)
		p.maybe(&hostContainers, h.Containers, labels...)
		if h.Scan != nil {
			cl.vulns(p, &hostVulns, h.Scan, "host", name(h.Name))
		}
	}
	return err
}
