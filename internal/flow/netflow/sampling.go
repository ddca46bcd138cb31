package netflow

import (
	"github.com/netsampler/goflow2/v2/decoders/netflow"
)

// maxSamplers bounds the sampling rates remembered of one sender.
const maxSamplers = 256

// samplerKey is a sampler of a sender's observation domain; id is -1 for one without a number.
type samplerKey struct {
	version uint16
	domain  uint32
	id      int64
}

// sampler is what a record says about how packets were chosen.
type sampler struct {
	id       int64 // -1: none named
	rate     int64 // one of so many; 0: not told
	interval int64 // samplingPacketInterval packets are taken, then
	space    int64 // samplingPacketSpace are not
}

// set takes a field that is about sampling.
func (s *sampler) set(field uint16, n int64) {
	switch field {
	case 48, 302:
		s.id = n
	case 34, 50:
		s.rate = max(1, n)
	case 305:
		s.interval = n
	case 306:
		s.space = n
	}
}

// oneOf returns the rate, 0 if it is not told.
func (s *sampler) oneOf() int64 {
	switch {
	case s.rate > 0:
		return s.rate
	case s.interval > 0 && s.space >= 0 && s.space < 1<<40:
		return max(1, (s.interval+s.space)/s.interval)
	}
	return 0
}

// options remembers the rates that a sender tells of its samplers in a data set of its own.
func (s set) options(records []netflow.OptionsDataRecord) {
	for _, rec := range records {
		told := sampler{id: -1}
		for _, values := range [][]netflow.DataField{rec.ScopesValues, rec.OptionsValues} {
			for _, v := range values {
				if b, ok := v.Value.([]byte); ok && !v.PenProvided {
					if n, ok := number(b); ok {
						told.set(v.Type, n)
					}
				}
			}
		}
		rate := told.oneOf()
		if rate == 0 {
			continue
		}
		key := samplerKey{s.version, s.domain, told.id}
		if _, known := s.sender.rates[key]; known || len(s.sender.rates) < maxSamplers {
			s.sender.rates[key] = rate
		}
	}
}

// rate is by how much a record's counters are to be multiplied: what it says
// itself, or what its sampler was said to do.
func (s set) rate(told sampler) int64 {
	if r := told.oneOf(); r > 0 {
		return r
	}
	return max(1, s.sender.rates[samplerKey{s.version, s.domain, told.id}])
}
