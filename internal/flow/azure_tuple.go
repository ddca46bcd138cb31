package flow

import (
	"bytes"
	"fmt"
	"strings"
)

// azureTuple fills a row: time, source, destination, ports, protocol, direction, then
// v4: state, encryption, counters; NSG: decision, and from version 2 on state, counters.
func (d *decoder) azureTuple(r *Record, p [][]byte, nsg bool, began map[string]Time) (err error) {
	n, ok := parseInt(p[0])
	if !ok {
		return fmt.Errorf("%q is not a time", excerpt(p[0]))
	}
	start, err := unixTime(n)
	if err == nil {
		err = plausible(start)
	}
	if err != nil {
		return err
	}
	r.SetStart(start)
	r.EndTime = start
	if r.InitiatorIP, err = d.strings.ip(p[1]); err != nil {
		return err
	}
	if r.TargetIP, err = d.strings.ip(p[2]); err != nil {
		return err
	}
	r.EtherType = "IPv4"
	if strings.Contains(r.InitiatorIP, ":") {
		r.EtherType = "IPv6"
	}
	protocol := p[5]
	if nsg {
		switch string(protocol) {
		case "T":
			protocol = []byte("6")
		case "U":
			protocol = []byte("17")
		default:
			return fmt.Errorf("protocol %q is neither T nor U", excerpt(protocol))
		}
	}
	for _, f := range []struct {
		value []byte
		limit int64
		to    **int32
	}{{p[3], 65535, &r.InitiatorPort}, {p[4], 65535, &r.TargetPort}, {protocol, 255, &r.TransportProtocol}} {
		n, ok := parseInt(f.value)
		if !ok {
			return fmt.Errorf("%q is not a number", excerpt(f.value))
		}
		if err := small(n, f.limit); err != nil {
			return err
		}
		*f.to = d.batch.int32(int32(n)) //nolint:gosec // checked
	}
	if r.Direction, err = oneOf(p[6], Inbound, Outbound); err != nil {
		return fmt.Errorf("direction %w", err)
	}
	state := p[7]
	if nsg {
		switch string(p[7]) {
		case "A":
			r.Action = Accepted
		case "D":
			r.Action = Rejected
		default:
			return fmt.Errorf("decision %q is neither A nor D", excerpt(p[7]))
		}
		if len(p) == 8 { // version 1
			r.Bidirectional = false
			r.RejectReason = rejectedBy(r)
			return nil
		}
		state = p[8]
	} else {
		r.Encryption = d.strings.text(p[8])
		r.Action = Accepted
	}
	if err := d.azureState(r, state, p[1:6], nsg, began); err != nil {
		return err
	}
	r.RejectReason = rejectedBy(r)
	for i, to := range []**int64{&r.PacketsFromInitiator, &r.BytesFromInitiator, &r.PacketsFromTarget, &r.BytesFromTarget} {
		v := p[9+i]
		if len(v) == 0 {
			continue
		}
		n, ok := parseInt(v)
		if !ok || n < 0 {
			return fmt.Errorf("%q is not a whole number", excerpt(v))
		}
		*to = d.batch.int64(n)
	}
	return nil
}

func rejectedBy(r *Record) string {
	if r.Action == Rejected {
		return r.RuleName
	}
	return ""
}

// azureState reads B(egin), C(ontinue), E(nd) and, in v4, D(eny).
func (d *decoder) azureState(r *Record, state []byte, five [][]byte, nsg bool, began map[string]Time) error {
	s := string(state)
	switch {
	case s == "D" && !nsg:
		r.Action = Rejected
		s = "B"
	case s != "B" && s != "C" && s != "E":
		return fmt.Errorf("state %q is unknown", excerpt(state))
	}
	r.WasInitiated, r.WasTerminated = d.batch.bool(s == "B"), d.batch.bool(s == "E")
	key := string(bytes.Join(five, []byte(",")))
	switch {
	case s == "B":
		r.ConnectionStartTime = r.StartTime
		if len(began) < maxConnections {
			began[key] = r.StartTime
		}
	case began[key] != 0:
		r.ConnectionStartTime = began[key]
		if s == "E" {
			delete(began, key)
		}
	}
	return nil
}
