package neuvector

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// ringSize is how many entries of each log the controller keeps.
	ringSize = 4096
	// overlap is how far back each reading goes: an enforcer stamps its events
	// itself, in whole seconds, and they may arrive late.
	overlap = 5 * time.Minute
	// sweepEvery is how often the whole log is read, for events that an
	// enforcer with a wrong clock, or one that was cut off, has put further back.
	sweepEvery = 10 * time.Minute
	// latestOf is how many events of each class the official exporter shows.
	latestOf = 5
	// maxRead bounds what one reading takes of one class.
	maxRead = 2 * ringSize
)

var (
	severityNames = []string{"info", "low", "medium", "high", "critical", "emergency", "alert", "error", "warning", "notice", "debug"}
	actionNames   = []string{"alert", "allow", "deny", "denied", "reset", "violate", "open", "checkapp"}
)

// eventKey is what events are counted by.
type eventKey struct{ class, severity, action string }

// tail follows the security events of a cluster: none is lost while the
// controller still has it, none is taken twice.
type tail struct {
	mu       sync.Mutex                  // guards what follows
	seen     map[string]map[string]int64 // by class: the ids that were taken, and their time
	known    bool                        // whether seen is from a reading before
	started  bool
	swept    time.Time // our clock
	cursor   time.Time // the controller's clock
	counts   map[eventKey]int
	latest   map[string][]Event // by class, newest first
	taken    int
	recorded int
	failures int
	gaps     int
}

func newTail() *tail {
	t := &tail{seen: map[string]map[string]int64{}, counts: map[eventKey]int{}, latest: map[string][]Event{}}
	for _, c := range classes {
		t.seen[c] = map[string]int64{}
	}
	// A counter that appears with its first event has no increase for Prometheus: the usual ones begin at 0.
	for class, usual := range map[string][2][]string{
		classThreat:    {{"info", "low", "medium", "high", "critical"}, {"alert", "allow", "deny", "reset"}},
		classIncident:  {{"critical", "error", "warning", "notice", "info"}, {"alert", "denied"}},
		classViolation: {{"critical", "error", "warning"}, {"violate", "deny"}},
	} {
		for _, severity := range usual[0] {
			for _, action := range usual[1] {
				t.counts[eventKey{class, severity, action}] = 0
			}
		}
	}
	return t
}

// events reads what is new.
func (cl *cluster) events(ctx context.Context, p *page) error {
	t := cl.tail
	t.mu.Lock()
	since := time.Time{}
	whole := t.cursor.IsZero() || time.Since(t.swept) >= sweepEvery
	if !whole {
		since = t.cursor.Add(-overlap)
	}
	t.mu.Unlock()
	cursor := cl.c.client.now()
	read, err := cl.readEvents(ctx, since)
	if taken := t.take(read, whole, err == nil, cl.c.Record); taken != nil && err == nil {
		err = &requestError{endpoint: "events", reason: "record", err: taken}
	}
	if err == nil {
		t.mu.Lock()
		t.cursor = cursor
		if whole {
			t.swept = time.Now()
		}
		t.mu.Unlock()
		err = cl.c.saveState()
	}
	t.show(p, cl)
	if err != nil {
		return errPartial{err}
	}
	return nil
}

// readEvents reads the logs from a time on, page by page; an event of no time at all is left out.
func (cl *cluster) readEvents(ctx context.Context, since time.Time) (map[string][]Event, error) {
	read := map[string][]Event{}
	bad := cl.bad(groupEvents)
	size := cl.c.cfg.PageSize
	for start := 0; start < maxRead; start += size {
		q := url.Values{"start": {strconv.Itoa(start)}, "limit": {strconv.Itoa(size)}}
		if !since.IsZero() {
			q.Set("f_reported_timestamp", "gte,"+strconv.FormatInt(since.Unix(), 10))
		}
		got, most := map[string][]Event{}, 0
		err := cl.c.client.get(ctx, "events", cl.prefix+"/log/security", q, func(r io.Reader) error {
			each := map[string]reader{}
			got, most = map[string][]Event{}, 0
			for key, class := range map[string]string{"threats": classThreat, "incidents": classIncident, "violations": classViolation} {
				n := 0
				each[key] = rawReader(func(raw json.RawMessage) {
					n++
					most = max(most, n)
					if e, ok := parseEvent(cl.name, class, raw, bad); ok && len(got[class]) < maxRead {
						got[class] = append(got[class], e)
					}
				})
			}
			return walk(r, each, bad)
		})
		for class, list := range got {
			read[class] = append(read[class], list...)
		}
		if err != nil {
			return read, err
		}
		if most != size {
			break // the last page, or all at once
		}
	}
	return read, nil
}

// take hands over what is new, and remembers it. The first reading of all only
// shows where the counters begin: an increase that is none would fire alerts.
func (t *tail) take(read map[string][]Event, whole, complete bool, record func([]Event) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var fresh []Event
	for _, class := range classes {
		before, list := len(fresh), read[class]
		now := map[string]bool{}
		for _, e := range list {
			if _, old := t.seen[class][e.ID]; !old && !now[e.ID] {
				now[e.ID] = true
				fresh = append(fresh, e)
			}
		}
		// Nothing of a full log was seen before: what lies between is gone.
		if t.started && len(t.seen[class]) > 0 && len(list) >= ringSize && len(fresh)-before == len(list) {
			t.gaps++
		}
	}
	slices.SortStableFunc(fresh, func(a, b Event) int { return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.Class, b.Class)) })
	if record != nil && len(fresh) > 0 {
		if err := record(fresh); err != nil {
			t.failures++
			return err
		}
		t.recorded += len(fresh)
	}
	for i := range fresh {
		e := &fresh[i]
		t.seen[e.Class][e.ID] = e.Time.Unix()
		k := eventKey{e.Class, oneOf(e.Severity, severityNames...), oneOf(e.Action, actionNames...)}
		if n := t.counts[k]; t.started || t.known {
			t.counts[k] = n + 1
		} else {
			t.counts[k] = n
		}
	}
	t.taken += len(fresh)
	for class, list := range read {
		t.remember(class, list)
	}
	if !complete {
		return nil
	}
	t.started = true
	if whole {
		t.forget(read)
	}
	return nil
}

// remember keeps the newest of a class.
func (t *tail) remember(class string, more []Event) {
	list := append(slices.Clone(t.latest[class]), more...)
	slices.SortStableFunc(list, func(a, b Event) int { return cmp.Or(b.Time.Compare(a.Time), strings.Compare(a.ID, b.ID)) })
	list = slices.CompactFunc(list, func(a, b Event) bool { return a.ID == b.ID })
	t.latest[class] = slices.Clone(list[:min(len(list), latestOf)])
}

// forget drops what the controller has forgotten too; so seen is as large as its log at most.
func (t *tail) forget(read map[string][]Event) {
	for _, class := range classes {
		there := map[string]bool{}
		for _, e := range read[class] {
			there[e.ID] = true
		}
		maps.DeleteFunc(t.seen[class], func(id string, _ int64) bool { return !there[id] })
	}
}

// show adds the latest events as the official exporter does.
func (t *tail) show(p *page, cl *cluster) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, class := range classes {
		for i := range t.latest[class] {
			e := &t.latest[class][i]
			p.set(&nvLogEvents, float64(e.Time.UnixMilli()), e.labels(cl.target, cl.c.cfg.CommandLabel)...)
		}
		if list := t.latest[class]; len(list) > 0 {
			p.set(&eventLatest, float64(list[0].Time.Unix()), "cluster", cl.name, "class", class)
		}
	}
}

// collect adds the counters.
func (t *tail) collect(p *page, cluster string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.started {
		return
	}
	for k, n := range t.counts {
		p.set(&events, float64(n), "cluster", cluster, "class", k.class, "severity", k.severity, "action", k.action)
	}
	p.set(&eventsRecorded, float64(t.recorded), "cluster", cluster)
	p.set(&eventsUnwritten, float64(t.failures), "cluster", cluster)
	p.set(&eventsGap, float64(t.gaps), "cluster", cluster)
}
