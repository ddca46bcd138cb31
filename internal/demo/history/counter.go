package history

import (
	"math"
	"strings"
	"time"
)

// counter rises with the wave around the rate that the pages show, up to the
// value that is there now. Before it would have begun at zero there was another
// run of the same program, which counted at the same rate.
func (p point) counter(w *wave, waves *waves, apart time.Duration, span Span) func(time.Time) float64 {
	if p.round > 0 {
		apart = p.round
	}
	rate := max(0, (p.last-p.first)/apart.Seconds())
	if up := span.End.Sub(span.Began); p.round == 0 && !span.Began.IsZero() && up > apart && p.last-p.first < few {
		rate = min(rate, p.last/up.Seconds()) // a few that came just now are no rate
	}
	switch {
	case p.events() && p.goesOn():
		return p.steps(waves.of(key(p.metric)), span, max(span.End.Sub(span.Began), apart))
	case p.events() && (rate == 0 || rare(p.metric["__name__"])):
		return p.steps(waves.of(key(p.metric)), span, eventsEvery)
	case rate == 0:
		return func(time.Time) float64 { return p.last }
	}
	return func(t time.Time) float64 {
		// Never above what is there now: Prometheus would take the fall for a restart.
		if v := p.last - rate*(w.sumEnd-w.sum(t)); v >= 0 {
			return v
		}
		return rate * w.sum(t)
	}
}

const (
	few         = 15  // that came while the pages were read
	mostEvents  = 100 // what counts more than that in a few seconds counts no events
	eventsEvery = 20 * time.Minute
)

// rare tells what a program that has just begun counts more of than one that runs
// for long: the same alert is not told again and again.
func rare(name string) bool {
	for _, word := range []string{"_alerts_", "_refusals_", "_events_", "_failures_", "_errors_", "_changes_"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// goesOn tells what counts a few things all the time: one that is refused and asks again.
func (p point) goesOn() bool {
	name := p.metric["__name__"]
	return strings.Contains(name, "_security_events_") || (strings.Contains(name, "_refusals_") && p.last > p.first)
}

// events tells what counts something that happens now and then: few, whole, and
// none while the pages were read, or such that are rare. A run that has just begun has no rate of them.
func (p point) events() bool {
	name := p.metric["__name__"]
	return p.single && p.last >= 1 && p.last <= mostEvents && p.last == math.Trunc(p.last) && strings.HasSuffix(name, "_total") && !totalName(name)
}

// steps are events of the run before this one: as many in a while as there are
// now, at times of their own.
func (p point) steps(own *wave, span Span, every time.Duration) func(time.Time) float64 {
	began := span.Began
	if began.IsZero() {
		began = span.End
	}
	return func(t time.Time) float64 {
		if !t.Before(began) {
			return p.last
		}
		return math.Floor(own.sum(t)*p.last/every.Seconds() + own.phase)
	}
}
