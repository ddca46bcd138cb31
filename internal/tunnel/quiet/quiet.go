// Package quiet keeps logs short: what repeats is told once, and after a while
// how often it has been since.
package quiet

import (
	"sync"
	"time"
)

// Every is how long the same is not told again.
const Every = 5 * time.Minute

const (
	maxKeys   = 64 // that are told apart; beyond them, only by their kind
	maxMinute = 10 // lines in a minute, of all kinds together
)

// Log decides what of many events is told. Its zero value is ready.
type Log struct {
	mu    sync.Mutex // guards what follows
	told  map[[2]string]*event
	since time.Time // when lines began to be counted
	lines int
}

type event struct {
	last  time.Time
	times int
}

// Do calls tell if an event is to be told, with how many of the same there were
// since it last was, this one included. Events are the same if kind and detail
// are. Kinds are the caller's own words; details may come from outside.
func (l *Log) Do(kind, detail string, tell func(times int)) {
	if times := l.count(kind, detail, time.Now()); times > 0 {
		tell(times)
	}
}

// count returns 0 if the event is not to be told.
func (l *Log) count(kind, detail string, now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := [2]string{kind, detail}
	e := l.told[key]
	if e == nil && len(l.told) >= maxKeys {
		for k, old := range l.told {
			if now.Sub(old.last) >= Every && old.times == 0 {
				delete(l.told, k)
			}
		}
		if len(l.told) >= maxKeys {
			key = [2]string{kind, ""}
			e = l.told[key]
		}
	}
	if e == nil {
		if l.told == nil {
			l.told = map[[2]string]*event{}
		}
		e = &event{last: now.Add(-Every)}
		l.told[key] = e
	}
	e.times++
	if now.Sub(e.last) < Every {
		return 0
	}
	if now.Sub(l.since) >= time.Minute {
		l.since, l.lines = now, 0
	}
	if l.lines >= maxMinute {
		return 0
	}
	l.lines++
	times := e.times
	e.last, e.times = now, 0
	return times
}
