package flow

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxHeld is how many rows are held back until an IBM object's header, whose
// order among the keys is not specified, has been read to its end.
const maxHeld = 1 << 16

// ibmHeader is what an IBM object says about all its flows.
type ibmHeader struct {
	version, collector, endpoint, interfaceID, instance, vpc, state string
	captureStart, captureEnd                                        Time
	count                                                           *int32
	read                                                            int      // keys of the above seen
	held                                                            []*Batch // rows that came before all of it
}

// ibmHeaderKeys is how many of a header's keys there are in all objects; vpc_crn is newer.
const ibmHeaderKeys = 9

// set completes a row.
func (h *ibmHeader) set(r *Record) {
	r.Version, r.CollectorID, r.EndpointType, r.LogStatus = h.version, h.collector, h.endpoint, h.state
	r.CaptureStartTime, r.CaptureEndTime, r.NumberOfFlows = h.captureStart, h.captureEnd, h.count
	// The header is nearer to the truth than the key.
	if h.interfaceID != "" {
		r.InterfaceID = h.interfaceID
	}
	if h.instance != "" {
		r.InstanceID = h.instance
	}
	if h.vpc != "" {
		r.VPCID = h.vpc
	}
	if r.Observer == "" {
		r.Observer = r.InterfaceID
	}
}

// ibm reads IBM VPC flow logs: one JSON object, or several one after the other.
func (d *decoder) ibm(r io.Reader) error {
	s := newScanner(r, d.kit.buf)
	for {
		if err := d.ibmObject(s); err != nil {
			return err
		}
		if done, err := s.end(); done || err != nil {
			return err
		}
	}
}

func (d *decoder) ibmObject(s *scanner) error {
	h := ibmHeader{}
	flows := false
	before := d.base
	defer func() {
		d.base = before
		for _, b := range h.held {
			b.Free()
		}
	}()
	d.base.Provider, d.base.SourceFormat, d.base.Bidirectional = IBM, "ibm_v1", true
	if err := s.step(func(c *cursor) error { return c.expect('{') }); err != nil {
		return err
	}
	for first := true; ; first = false {
		var more, isFlows bool
		var key string
		// A name, its colon, and the value unless that is the array of flows.
		if err := s.step(func(c *cursor) (err error) {
			if more, err = c.more('}', first); !more || err != nil {
				return err
			}
			name, err := c.key()
			if err != nil {
				return err
			}
			if key = string(name); key == "flow_logs" {
				isFlows = true
				b, err := c.peek()
				if err == nil && b == '[' {
					c.i++
				} else if err == nil {
					return fmt.Errorf("flow_logs: %q where [ should be", b)
				}
				return err
			}
			if b, err := c.peek(); err != nil {
				return err
			} else if b == '{' || b == '[' {
				return c.skip() // a later version's
			}
			value, quoted, err := c.scalar()
			if err != nil {
				return err
			}
			if err := d.ibmHeaderField(&h, key, value, quoted); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			return nil
		}); err != nil {
			return err
		}
		if !more {
			break
		}
		if isFlows {
			flows = true
			if err := d.ibmFlows(s, &h); err != nil {
				return err
			}
		}
	}
	if !flows && h.state == "" && h.collector == "" {
		return ErrUnknownFormat
	}
	if len(h.state) > 0 && !strings.EqualFold(h.state, "ok") {
		d.result.Skipped++ // "skip data": IBM lost some
	}
	return d.ibmRelease(&h)
}

func (d *decoder) ibmHeaderField(h *ibmHeader, key string, value []byte, quoted bool) (err error) {
	text := func(to *string) error {
		if !quoted && string(value) != "null" {
			return fmt.Errorf("%q is not a string", excerpt(value))
		}
		if quoted {
			*to = d.strings.text(value)
		}
		h.read++
		return nil
	}
	switch key {
	case "version":
		if err := text(&h.version); err != nil {
			return err
		}
		if h.version != "" && !strings.HasPrefix(h.version, "0") && !strings.HasPrefix(h.version, "1") {
			return fmt.Errorf("%q is unknown", excerpt(h.version))
		}
		return nil
	case "collector_crn":
		return text(&h.collector)
	case "attached_endpoint_type":
		return text(&h.endpoint)
	case "network_interface_id":
		return text(&h.interfaceID)
	case "instance_crn":
		return text(&h.instance)
	case "vpc_crn":
		return text(&h.vpc)
	case "state":
		return text(&h.state)
	case "capture_start_time", "capture_end_time":
		h.read++
		to := &h.captureStart
		if key == "capture_end_time" {
			to = &h.captureEnd
		}
		if len(value) > 0 && quoted {
			*to, err = parseTime(value)
		}
		return err
	case "number_of_flow_logs":
		n, ok := parseInt(value)
		if !ok || small(n, 1<<31-1) != nil {
			return fmt.Errorf("%q is not a number of flow logs", excerpt(value))
		}
		h.read++
		h.count = new(int32(n)) //nolint:gosec // checked; it outlives the batch
	}
	return nil
}

// ibmFlows reads the array of flows behind its bracket.
func (d *decoder) ibmFlows(s *scanner, h *ibmHeader) error {
	complete := h.read >= ibmHeaderKeys
	if complete {
		h.set(&d.base)
	}
	for first := true; ; first = false {
		var more bool
		if err := s.step(func(c *cursor) (err error) { more, err = c.more(']', first); return err }); err != nil {
			return err
		}
		if !more {
			return nil
		}
		r := d.next()
		var begin int64
		var bad error
		err := s.step(func(c *cursor) error {
			c.space()
			begin = s.offset()
			start := c.i
			int64s, int32s := d.batch.mark()
			if bad = nil; d.quick(c, r) {
				return nil
			}
			no := r.RecordNo
			*r = d.base
			r.RecordNo, c.i = no, start
			d.batch.back(int64s, int32s)
			if bad = d.ibmFlow(c, r); bad == nil {
				return nil
			}
			d.batch.back(int64s, int32s)
			if errors.Is(bad, errShort) { // it is read again, into an empty row
				*r = d.base
				r.RecordNo = no
			}
			// Is it this record or the document that is broken?
			c.i = start
			return c.skip()
		})
		if err != nil {
			return err
		}
		if bad != nil {
			d.drop(begin, bad)
			continue
		}
		if complete {
			err = d.keep()
		} else {
			err = d.ibmHold(h, begin)
		}
		if err != nil {
			return err
		}
	}
}

// ibmHold keeps a row back until the header is known.
func (d *decoder) ibmHold(h *ibmHeader, offset int64) error {
	d.result.Records++
	if !d.batch.full() {
		return nil
	}
	if len(h.held) >= maxHeld/batchRows {
		return fmt.Errorf("byte %d: the header is behind more than %d flows", offset, maxHeld)
	}
	h.held = append(h.held, d.batch)
	d.batch = newBatch()
	return nil
}

// ibmRelease completes the rows held back and hands them over.
func (d *decoder) ibmRelease(h *ibmHeader) error {
	for len(h.held) > 0 {
		b := h.held[0]
		h.held = h.held[1:]
		for i := range b.Rows {
			h.set(&b.Rows[i])
		}
		if err := d.give(b); err != nil {
			return err
		}
	}
	for i := range d.batch.Rows {
		h.set(&d.batch.Rows[i])
	}
	return d.flush()
}

// ibmFlow reads one flow.
func (d *decoder) ibmFlow(c *cursor, r *Record) error {
	learn, last := d.kit.shape.learn(), c.i // last is the end of the value before
	if err := c.expect('{'); err != nil {
		return err
	}
	for k := 0; ; k++ {
		more, err := c.more('}', k == 0)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		field, err := d.ibmKey(c, k)
		if err != nil {
			return err
		}
		if b, err := c.peek(); err != nil {
			return err
		} else if b == '{' || b == '[' {
			if err := c.skip(); err != nil {
				return err
			}
			learn = false
			continue
		}
		if learn = learn && c.i-last <= maxBefore; learn {
			d.kit.shape.note(c.b[last:c.i], field)
		}
		value, quoted, err := c.scalar()
		if err != nil {
			return err
		}
		last = c.i
		if field == ibmOther || !quoted && string(value) == "null" {
			continue
		}
		if err := d.ibmField(r, field, value, quoted); err != nil {
			return fmt.Errorf("%s: %w", ibmNames[field], err)
		}
	}
	if r.StartTime == 0 {
		return errors.New("no start_time")
	}
	if learn {
		d.kit.shape.learned(c.b[last:c.i])
	}
	return nil
}

// ibmKey reads the k-th name of a flow. All flows of an object have theirs in
// one order, so it is first tried whether the name is that of the flow before.
func (d *decoder) ibmKey(c *cursor, k int) (int, error) {
	if k < len(d.kit.ibmKeys) {
		if last := &d.kit.ibmKeys[k]; len(c.b)-c.i >= len(last.text) && string(c.b[c.i:c.i+len(last.text)]) == last.text {
			c.i += len(last.text)
			return last.field, nil
		}
	}
	start := c.i
	name, err := c.key()
	if err != nil {
		return ibmOther, err
	}
	field := ibmOther
	for i, n := range ibmNames {
		if string(name) == n {
			field = i
		}
	}
	if k == len(d.kit.ibmKeys) && k < len(ibmNames) && field != ibmOther && c.i-start <= maxBefore {
		d.kit.ibmKeys = append(d.kit.ibmKeys, ibmKey{string(c.b[start:c.i]), field})
	}
	return field, nil
}

// ibmKey is a name as it stands in the text, with its quotes and colon.
type ibmKey struct {
	text  string
	field int
}

// The fields of a flow: first those that are strings.
const (
	ibmStart = iota
	ibmEnd
	ibmConnection
	ibmDirection
	ibmAction
	ibmInitiatorIP
	ibmTargetIP
	ibmEtherType
	ibmInitiated
	ibmTerminated
	ibmInitiatorPort
	ibmTargetPort
	ibmProtocol
	ibmBytesFromInitiator
	ibmPacketsFromInitiator
	ibmBytesFromTarget
	ibmPacketsFromTarget
	ibmCumulativeBytesFromInitiator
	ibmCumulativePacketsFromInitiator
	ibmCumulativeBytesFromTarget
	ibmCumulativePacketsFromTarget
	ibmOther // a later version's
)

// ibmNames are the fields' names, in the order of the constants.
var ibmNames = [ibmOther]string{
	"start_time", "end_time", "connection_start_time", "direction", "action", "initiator_ip", "target_ip", "ether_type",
	"was_initiated", "was_terminated", "initiator_port", "target_port", "transport_protocol",
	"bytes_from_initiator", "packets_from_initiator", "bytes_from_target", "packets_from_target",
	"cumulative_bytes_from_initiator", "cumulative_packets_from_initiator", "cumulative_bytes_from_target", "cumulative_packets_from_target",
}

func (d *decoder) ibmField(r *Record, field int, value []byte, quoted bool) (err error) {
	if quoted != (field <= ibmEtherType) {
		if quoted {
			return fmt.Errorf("%q is a string", excerpt(value))
		}
		return fmt.Errorf("%q is not a string", excerpt(value))
	}
	switch field {
	case ibmStart:
		t, err := parseTime(value)
		if err == nil {
			err = plausible(t)
		}
		r.SetStart(t)
		return err
	case ibmEnd:
		r.EndTime, err = parseTime(value)
	case ibmConnection:
		r.ConnectionStartTime, err = parseTime(value)
	case ibmDirection:
		r.Direction, err = oneOf(value, Inbound, Outbound)
	case ibmAction:
		r.Action, err = oneOf(value, Accepted, Rejected)
	case ibmInitiatorIP:
		r.InitiatorIP, err = d.strings.ip(value)
	case ibmTargetIP:
		r.TargetIP, err = d.strings.ip(value)
	case ibmEtherType:
		if r.EtherType = "IPv4"; string(value) != r.EtherType { // so far it always is
			r.EtherType = d.strings.text(value)
		}
	case ibmInitiated:
		r.WasInitiated, err = d.ibmBool(value)
	case ibmTerminated:
		r.WasTerminated, err = d.ibmBool(value)
	default:
		err = d.ibmNumber(r, field, value)
	}
	return err
}

func (d *decoder) ibmBool(value []byte) (*bool, error) {
	switch string(value) {
	case "true":
		return d.batch.bool(true), nil
	case "false":
		return d.batch.bool(false), nil
	}
	return nil, fmt.Errorf("%q is neither true nor false", excerpt(value))
}

func (d *decoder) ibmNumber(r *Record, field int, value []byte) error {
	n, ok := parseInt(value)
	if !ok || n < 0 {
		return fmt.Errorf("%q is not a whole number", excerpt(value))
	}
	return d.ibmSet(r, field, n)
}

// ibmSet sets a field that is a number.
func (d *decoder) ibmSet(r *Record, field int, n int64) error {
	if field <= ibmProtocol {
		to, limit := &r.InitiatorPort, int64(65535)
		switch field {
		case ibmTargetPort:
			to = &r.TargetPort
		case ibmProtocol:
			to, limit = &r.TransportProtocol, 255
		}
		*to = d.batch.int32(int32(min(n, 1<<31-1))) //nolint:gosec // bounded, and not negative
		return small(n, limit)
	}
	p := d.batch.int64(n)
	switch field {
	case ibmBytesFromInitiator:
		r.BytesFromInitiator = p
	case ibmPacketsFromInitiator:
		r.PacketsFromInitiator = p
	case ibmBytesFromTarget:
		r.BytesFromTarget = p
	case ibmPacketsFromTarget:
		r.PacketsFromTarget = p
	case ibmCumulativeBytesFromInitiator:
		r.CumulativeBytesFromInitiator = p
	case ibmCumulativePacketsFromInitiator:
		r.CumulativePacketsFromInitiator = p
	case ibmCumulativeBytesFromTarget:
		r.CumulativeBytesFromTarget = p
	case ibmCumulativePacketsFromTarget:
		r.CumulativePacketsFromTarget = p
	}
	return nil
}

// oneOf returns which of two values it is.
func oneOf(value []byte, a, b string) (string, error) {
	switch string(value) {
	case a:
		return a, nil
	case b:
		return b, nil
	}
	return "", fmt.Errorf("%q is neither %q nor %q", excerpt(value), a, b)
}
