package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	maxReadQueries  = 100
	maxReadMatchers = 100
)

// errWire is wrapped by the error of a remote read request that is no such request.
var errWire = errors.New("remote read request is not well formed")

// askRead holds every query of a remote read request to the tenant. The answer,
// compressed samples or a stream of chunks, passes as it comes.
func (p *Proxy) askRead(r *request) (*question, error) {
	if len(p.cfg.Hide) > 0 {
		return nil, &failure{code: http.StatusNotFound, kind: "not_found", reason: "hidden", err: errors.New("there is no remote read where labels are hidden")}
	}
	if r.Method != http.MethodPost {
		return nil, &failure{code: http.StatusMethodNotAllowed, kind: "bad_data", reason: "method", err: errors.New("remote read is posted")}
	}
	limit := int(p.cfg.Limits.Body)
	n, err := snappy.DecodedLen(r.packed)
	if len(r.packed) > limit || err == nil && n > limit {
		return nil, &failure{code: http.StatusRequestEntityTooLarge, kind: "bad_data", reason: "body", err: fmt.Errorf("a request larger than %d bytes", limit)}
	}
	if err != nil {
		return nil, bad("parse", "%w: %w", errWire, err)
	}
	data, err := snappy.Decode(nil, r.packed)
	if err != nil {
		return nil, bad("parse", "%w: %w", errWire, err)
	}
	held, err := r.tenant.Read(data, p.cfg.Limits.Range.Std().Milliseconds())
	if err != nil {
		return nil, err
	}
	return &question{
		path: "/api/v1/read", body: snappy.Encode(nil, held), contentType: "application/x-protobuf",
		header: http.Header{"Content-Encoding": {"snappy"}, "X-Prometheus-Remote-Read-Version": {"0.1.0"}},
	}, nil
}

// Read returns a remote read request (prompb.ReadRequest) with the tenant's
// matcher in every query. It is written anew of what was understood: a field
// that is not known does not travel. longest is a query's range in
// milliseconds; 0: any.
func (t Tenant) Read(data []byte, longest int64) ([]byte, error) {
	var out []byte
	queries := 0
	err := fields(data, func(num protowire.Number, kind protowire.Type, value []byte, n uint64) error {
		switch {
		case num == 1 && kind == protowire.BytesType:
			if queries++; queries > maxReadQueries {
				return fmt.Errorf("more than %d queries", maxReadQueries)
			}
			q, err := t.readQuery(value, longest)
			out = protowire.AppendBytes(protowire.AppendTag(out, 1, protowire.BytesType), q)
			return err
		case num == 2 && kind == protowire.VarintType:
			out = protowire.AppendVarint(protowire.AppendTag(out, 2, protowire.VarintType), n)
		case num == 2 && kind == protowire.BytesType: // packed
			out = protowire.AppendBytes(protowire.AppendTag(out, 2, protowire.BytesType), value)
		}
		return nil
	})
	if err == nil && queries == 0 {
		err = fmt.Errorf("%w: there is no query", errWire)
	}
	return out, err
}

// readQuery is prompb.Query: start 1, end 2, matchers 3, hints 4.
func (t Tenant) readQuery(data []byte, longest int64) ([]byte, error) {
	own, err := t.matcher()
	if err != nil {
		return nil, err
	}
	var start, end int64
	var hints []byte
	var matchers []*labels.Matcher
	err = fields(data, func(num protowire.Number, kind protowire.Type, value []byte, n uint64) error {
		switch {
		case num == 1 && kind == protowire.VarintType:
			start = int64(n) //nolint:gosec // protobuf's int64
		case num == 2 && kind == protowire.VarintType:
			end = int64(n) //nolint:gosec // as above
		case num == 3 && kind == protowire.BytesType:
			m, err := readMatcher(value)
			if matchers = append(matchers, m); len(matchers) > maxReadMatchers {
				return fmt.Errorf("more than %d matchers", maxReadMatchers)
			}
			return err
		case num == 4 && kind == protowire.BytesType:
			hints = value
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if longest > 0 && (end-start > longest || end < start) {
		return nil, &failure{code: http.StatusUnprocessableEntity, kind: "bad_data", reason: "range", err: fmt.Errorf("a range of %d ms: want at most %d", end-start, longest)}
	}
	if err := t.allows(matchers); err != nil {
		return nil, err
	}
	out := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(start)) //nolint:gosec // as above
	out = protowire.AppendVarint(protowire.AppendTag(out, 2, protowire.VarintType), uint64(end))    //nolint:gosec // as above
	for _, m := range append(slices.Clone(matchers), own) {
		one := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(m.Type)) //nolint:gosec // 0 to 3
		one = protowire.AppendString(protowire.AppendTag(one, 2, protowire.BytesType), m.Name)
		one = protowire.AppendString(protowire.AppendTag(one, 3, protowire.BytesType), m.Value)
		out = protowire.AppendBytes(protowire.AppendTag(out, 3, protowire.BytesType), one)
	}
	if hints != nil {
		out = protowire.AppendBytes(protowire.AppendTag(out, 4, protowire.BytesType), hints)
	}
	return out, nil
}

// readMatcher is prompb.LabelMatcher, whose types have the numbers of labels.MatchType.
func readMatcher(data []byte) (*labels.Matcher, error) {
	var kind uint64
	var name, value string
	err := fields(data, func(num protowire.Number, wire protowire.Type, v []byte, n uint64) error {
		switch {
		case num == 1 && wire == protowire.VarintType:
			kind = n
		case num == 2 && wire == protowire.BytesType:
			name = string(v)
		case num == 3 && wire == protowire.BytesType:
			value = string(v)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if kind > uint64(labels.MatchNotRegexp) || name == "" {
		return nil, fmt.Errorf("%w: matcher", errWire)
	}
	return labels.NewMatcher(labels.MatchType(kind), name, value)
}

// fields calls each for every field of a message.
func fields(data []byte, each func(num protowire.Number, kind protowire.Type, value []byte, n uint64) error) error {
	for len(data) > 0 {
		num, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return fmt.Errorf("%w: %w", errWire, protowire.ParseError(n))
		}
		data = data[n:]
		var value []byte
		var number uint64
		switch kind {
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(data)
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(data)
		default:
			n = protowire.ConsumeFieldValue(num, kind, data)
		}
		if n < 0 {
			return fmt.Errorf("%w: %w", errWire, protowire.ParseError(n))
		}
		if err := each(num, kind, value, number); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}
