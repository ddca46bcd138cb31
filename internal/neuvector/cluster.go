package neuvector

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Bounds of what is held of one cluster.
const (
	maxItems   = 200_000 // of one list
	pageWindow = 4       // pages of one list that are asked for at once
	maxRest    = 10 * time.Minute
	minMaxAge  = 15 * time.Minute
)

// The groups of figures. Each is refreshed by itself.
const (
	groupSummary       = "summary"
	groupAdmission     = "admission"
	groupControllers   = "controllers"
	groupEnforcers     = "enforcers"
	groupHosts         = "hosts"
	groupScanners      = "scanners"
	groupPlatform      = "platform"
	groupWorkloads     = "workloads"
	groupRegistries    = "registries"
	groupConversations = "conversations"
	groupEvents        = "events"
	groupFederation    = "federation"
	groupScore         = "score"
)

// intervals are how often a group is refreshed unless the configuration says otherwise.
var intervals = map[string]time.Duration{
	groupSummary: 30 * time.Second, groupAdmission: 30 * time.Second, groupControllers: 30 * time.Second, groupEnforcers: 30 * time.Second,
	groupHosts: time.Minute, groupScanners: time.Minute, groupPlatform: 5 * time.Minute, groupWorkloads: 2 * time.Minute, groupRegistries: 5 * time.Minute,
	groupConversations: 5 * time.Minute, groupEvents: 15 * time.Second, groupFederation: 30 * time.Second, groupScore: 5 * time.Minute,
}

// usualGroups are all but the two that are heavy for the controller: conversations grow with the
// square of the pods, and reading the score changes what the controller says of pods.
var usualGroups = []string{
	groupSummary, groupAdmission, groupControllers, groupEnforcers, groupHosts, groupScanners, groupPlatform,
	groupWorkloads, groupRegistries, groupEvents, groupFederation,
}

// Groups returns the names of all groups of figures, sorted.
func Groups() []string {
	names := make([]string, 0, len(intervals))
	for g := range intervals {
		names = append(names, g)
	}
	slices.Sort(names)
	return names
}

// cluster is what is known of one cluster: the controller's own, or one that it manages.
type cluster struct {
	c      *Collector
	name   string // label cluster
	target string // label target of the official metrics
	prefix string // of paths
	tail   *tail

	mu         sync.Mutex // guards what follows
	groups     map[string]*state
	unreadable map[[2]string]int // by group and reason
	workloads  []Workload
	images     map[string][]Image // by registry: its last reading
	resting    map[string]time.Time
	version    string
	knows      bool // the version counts critical apart from high
}

// state is how a group went.
type state struct {
	page     *page
	tried    time.Time
	success  time.Time
	took     time.Duration
	failures int
	reason   string // "" after a success
	err      error
	next     time.Time
}

func newCluster(c *Collector, name, target, prefix string) *cluster {
	return &cluster{
		c: c, name: name, target: target, prefix: prefix, tail: newTail(), groups: map[string]*state{},
		unreadable: map[[2]string]int{}, images: map[string][]Image{}, resting: map[string]time.Time{},
	}
}

func (cl *cluster) local() bool { return cl.prefix == "/v1" }

func (cl *cluster) every(group string) time.Duration {
	if d, ok := cl.c.cfg.Intervals[group]; ok {
		return d.Std()
	}
	return intervals[group]
}

// bad returns the function that counts what a group could not read.
func (cl *cluster) bad(group string) func(reason string) {
	return func(reason string) {
		cl.mu.Lock()
		defer cl.mu.Unlock()
		cl.unreadable[[2]string{group, reason}]++
	}
}

// get asks for one object.
func (cl *cluster) get(ctx context.Context, group, endpoint, path string, v any) error {
	return cl.c.client.get(ctx, endpoint, cl.prefix+path, nil, func(r io.Reader) error { return object(r, v, cl.bad(group)) })
}

// refresh reads one group now. What it could read is kept, also if the rest failed.
func (cl *cluster) refresh(ctx context.Context, group string) error {
	start := time.Now()
	p := newPage()
	err := refreshers[group](cl, ctx, p)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	cl.mu.Lock()
	defer cl.mu.Unlock()
	s := cl.groups[group]
	if s == nil {
		s = &state{}
		cl.groups[group] = s
	}
	s.tried, s.took, s.err = start, time.Since(start), err
	if err == nil || (len(p.series) > 0 && (s.page == nil || partial(err))) {
		s.page = p
	}
	if err == nil {
		s.success, s.failures, s.reason, s.next = time.Now(), 0, "", time.Time{}
		return nil
	}
	s.failures++
	var rest time.Duration
	s.reason, rest = restAfter(err, cl.every(group), s.failures)
	s.next = time.Now().Add(rest)
	return err
}

// errPartial marks an error beside which there is a whole reading of the rest.
type errPartial struct{ error }

func (e errPartial) Unwrap() error { return e.error }

func partial(err error) bool {
	var p errPartial
	return errors.As(err, &p)
}

// restAfter says how long to leave the controller alone after an error.
func restAfter(err error, every time.Duration, failures int) (reason string, rest time.Duration) {
	var e *requestError
	if !errors.As(err, &e) {
		return failConnection, every
	}
	switch e.reason {
	case failForbidden, failNotFound, failUnsupported:
		return e.reason, max(every, maxRest) // it will not change soon, and each 403 and 404 is an event in the audit log
	case failRate:
		return e.reason, max(every, e.after)
	case failAuth:
		if e.status == 0 {
			return e.reason, every // the session has its own rules for logins
		}
		return e.reason, max(every, maxRest/2) // refused with a new token too: more logins do not help
	}
	return e.reason, min(every<<min(failures-1, 4), max(every, maxRest))
}

// never tells whether nothing of this cluster has been read.
func (cl *cluster) never() bool {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	for _, s := range cl.groups {
		if !s.success.IsZero() {
			return false
		}
	}
	return true
}

// collect adds the last figures, unless they are too old to be shown.
func (cl *cluster) collect(p *page) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	now := time.Now()
	for group, s := range cl.groups {
		if s.page != nil && (s.success.IsZero() || now.Sub(s.success) < max(minMaxAge, 5*cl.every(group))) {
			p.add(s.page)
		}
		labels := []string{"cluster", cl.name, "group", group}
		p.set(&groupSuccess, truth(s.err == nil), labels...)
		p.set(&groupDuration, s.took.Seconds(), labels...)
		if !s.success.IsZero() {
			p.set(&groupLast, float64(s.success.UnixMilli())/1000, labels...)
		}
		if s.reason != "" {
			p.set(&groupFailure, 1, append(labels, "reason", s.reason)...)
		}
	}
	for at, n := range cl.unreadable {
		p.set(&unreadable, float64(n), "cluster", cl.name, "group", at[0], "reason", at[1])
	}
	cl.tail.collect(p, cl.name)
}

// list reads a list page by page. It returns what it could read, also with an error.
func list[T comparable](ctx context.Context, cl *cluster, group, endpoint, path, key string, query url.Values) ([]T, error) {
	size, window := cl.c.cfg.PageSize, min(pageWindow, cap(cl.c.client.slots))
	var all []T
	var before *T
	for start, width := 0, 1; ; start, width = start+width*size, window {
		pages := make([]part[T], width)
		parallel(width, func(i int) {
			q := url.Values{"start": {strconv.Itoa(start + i*size)}, "limit": {strconv.Itoa(size)}}
			maps.Copy(q, query)
			pages[i] = readPart[T](ctx, cl, group, endpoint, path, key, q)
		})
		for _, p := range pages {
			if p.first != nil && reflect.DeepEqual(p.first, before) {
				cl.bad(group)(badPaging) // it does not page: the same again
				return all, nil
			}
			before = p.first
			all = append(all, p.items...)
			if p.err != nil {
				return all, p.err
			}
			if p.seen != size {
				return all, nil // the last page, or all at once
			}
			if len(all) >= maxItems {
				cl.bad(group)(badTooMany)
				return all, nil
			}
		}
	}
}

// part is a page of a list.
type part[T any] struct {
	items []T
	seen  int // with those that could not be read
	first *T  // the first item, to see whether pages differ
	err   error
}

func readPart[T comparable](ctx context.Context, cl *cluster, group, endpoint, path, key string, q url.Values) part[T] {
	var p part[T]
	bad := cl.bad(group)
	p.err = cl.c.client.get(ctx, endpoint, cl.prefix+path, q, func(r io.Reader) error {
		p = part[T]{}
		return walk(r, map[string]reader{key: itemReader(bad, func(v *T) {
			if p.seen == 0 {
				p.first = v
			}
			p.seen++
			if v != nil && len(p.items) < maxItems {
				p.items = append(p.items, *v)
			}
		})}, bad)
	})
	var e *requestError
	if errors.As(p.err, &e) && reasonIsBody(e.reason) {
		bad(e.reason)
	}
	return p
}

func reasonIsBody(reason string) bool {
	return slices.Contains([]string{badNotJSON, badTruncated, badTooLarge}, reason)
}

// parallel calls f for 0 to n-1 at once and waits; the client's slots bound the requests.
func parallel(n int, f func(i int)) {
	if n == 1 {
		f(0)
		return
	}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}
