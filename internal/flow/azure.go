package flow

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxConnections bounds what is remembered of connections that began earlier in an object.
const maxConnections = 1 << 16

// azureRecord is one element of an Azure object's records, as it is in the document.
type azureRecord struct {
	time         Time
	category     []byte
	mac          []byte
	logResource  []byte // v4: of the flow log, which names the region
	target       []byte // v4: VNet, subnet or interface
	resource     []byte // NSG
	version      int64
	flows        []byte // flowRecords or properties, as they are
	isNSG        bool
	tuplesOffset int64
}

// azure reads VNet flow logs (version 4) and NSG flow logs (versions 1 and 2).
func (d *decoder) azure(r io.Reader) error {
	s := newScanner(r, d.kit.buf)
	seen := false
	for {
		if err := s.step(func(c *cursor) error { return c.expect('{') }); err != nil {
			return err
		}
		began := map[string]Time{}
		for first := true; ; first = false {
			var more, isRecords bool
			if err := s.step(func(c *cursor) (err error) {
				if more, err = c.more('}', first); !more || err != nil {
					return err
				}
				name, err := c.key()
				if err != nil {
					return err
				}
				if isRecords = string(name) == "records"; isRecords {
					return c.expect('[')
				}
				return c.skip()
			}); err != nil {
				return err
			}
			if !more {
				break
			}
			if isRecords {
				seen = true
				if err := d.azureRecords(s, began); err != nil {
					return err
				}
			}
		}
		if done, err := s.end(); err != nil {
			return err
		} else if done {
			break
		}
	}
	if !seen {
		return ErrUnknownFormat
	}
	return nil
}

func (d *decoder) azureRecords(s *scanner, began map[string]Time) error {
	for first := true; ; first = false {
		var more bool
		if err := s.step(func(c *cursor) (err error) { more, err = c.more(']', first); return err }); err != nil {
			return err
		}
		if !more {
			return nil
		}
		var element []byte
		var offset int64
		if err := s.step(func(c *cursor) error {
			c.space()
			start := c.i
			offset = s.offset()
			err := c.skip()
			element = c.b[start:c.i]
			return err
		}); err != nil {
			return err
		}
		rec, err := d.azureRecord(element)
		if errors.Is(err, errVersion) {
			return fmt.Errorf("byte %d: %w", offset, err)
		}
		if err != nil {
			d.no++
			d.bad(offset, err)
			continue
		}
		if rec.flows == nil {
			d.result.Skipped++ // another log's record
			continue
		}
		rec.tuplesOffset = offset
		if err := d.azureFlows(&rec, began); err != nil {
			return err
		}
	}
}

var errVersion = errors.New("unknown version of the flow log")

// azureRecord reads the fields of a record; its flows stay as they are. An error is of this record alone.
func (d *decoder) azureRecord(element []byte) (rec azureRecord, err error) {
	err = members(element, func(c *cursor, name []byte) error {
		switch string(name) {
		case "flowRecords", "properties":
			c.space()
			start := c.i
			err := c.skip()
			rec.flows, rec.isNSG = c.b[start:c.i], string(name) == "properties"
			return err
		case "time":
			v, quoted, err := c.scalar()
			if err == nil && quoted {
				rec.time, err = parseTime(v)
			}
			return err
		case "flowLogVersion":
			v, _, err := c.scalar()
			if err != nil {
				return err
			}
			n, ok := parseInt(v)
			if !ok || n != 4 {
				return fmt.Errorf("flowLogVersion %q: %w", excerpt(v), errVersion)
			}
			rec.version = n
			return nil
		}
		to := map[string]*[]byte{
			"category": &rec.category, "macAddress": &rec.mac, "flowLogResourceID": &rec.logResource,
			"targetResourceID": &rec.target, "resourceId": &rec.resource,
		}[string(name)]
		if to == nil {
			return c.skip()
		}
		v, quoted, err := c.scalar()
		if err == nil && quoted {
			*to = v
		}
		return err
	})
	if err == nil && rec.flows != nil && !rec.isNSG && rec.version == 0 {
		return rec, fmt.Errorf("no flowLogVersion: %w", errVersion)
	}
	return rec, err
}

// members calls f for each member of an object; f reads the value.
func members(object []byte, f func(c *cursor, name []byte) error) error {
	c := &cursor{b: object}
	if err := c.expect('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		more, err := c.more('}', first)
		if err != nil || !more {
			return err
		}
		name, err := c.key()
		if err != nil {
			return err
		}
		if err := f(c, name); err != nil {
			return err
		}
	}
}

// elements calls f for each element of the array at c; f reads it.
func elements(c *cursor, f func(c *cursor) error) error {
	if err := c.expect('['); err != nil {
		return err
	}
	for first := true; ; first = false {
		more, err := c.more(']', first)
		if err != nil || !more {
			return err
		}
		if err := f(c); err != nil {
			return err
		}
	}
}

// sub lets f read the members of the object at c.
func sub(c *cursor, f func(c *cursor, name []byte) error) error {
	c.space()
	start := c.i
	if err := c.skip(); err != nil {
		return err
	}
	return members(c.b[start:c.i], f)
}

// azureFlows makes rows of a record's tuples. Both layouts nest groups in flows:
// {flows:[{aclID, flowGroups:[{rule, flowTuples}]}]} and {Version, flows:[{rule, flows:[{mac, flowTuples}]}]}.
func (d *decoder) azureFlows(rec *azureRecord, began map[string]Time) error {
	base := d.azureBase(rec)
	fields := 13
	if rec.isNSG {
		version := int64(-1)
		if err := members(rec.flows, func(c *cursor, name []byte) error {
			if string(name) != "Version" {
				return c.skip()
			}
			v, _, err := c.scalar()
			if n, ok := parseInt(v); ok {
				version = n
			}
			return err
		}); err != nil {
			d.no++
			d.bad(rec.tuplesOffset, err)
			return nil
		}
		switch version {
		case 1:
			fields = 8
		case 2:
		default:
			return fmt.Errorf("byte %d: Version %d: %w", rec.tuplesOffset, version, errVersion)
		}
		base.SourceFormat, base.Version = "nsg_v"+itoa(version), itoa(version)
	}
	var stop error
	err := members(rec.flows, func(c *cursor, name []byte) error {
		if string(name) != "flows" {
			return c.skip()
		}
		return elements(c, func(c *cursor) error {
			var outer, groups []byte
			if err := sub(c, func(c *cursor, name []byte) error {
				switch string(name) {
				case "aclID", "rule":
					v, _, err := c.scalar()
					outer = v
					return err
				case "flowGroups", "flows":
					c.space()
					start := c.i
					err := c.skip()
					groups = c.b[start:c.i]
					return err
				}
				return c.skip()
			}); err != nil || groups == nil {
				return err
			}
			return elements(&cursor{b: groups}, func(c *cursor) error {
				row := base
				if rec.isNSG {
					row.RuleName = d.strings.text(outer)
				} else {
					row.RuleID = d.strings.text(outer)
				}
				stop = d.azureGroup(c, row, rec, fields, began)
				return stop
			})
		})
	})
	if stop != nil {
		if _, ok := errors.AsType[*yieldError](stop); ok {
			return stop
		}
	}
	if err != nil { // the groups are not what they should be; the document is
		d.no++
		d.bad(rec.tuplesOffset, err)
	}
	return nil
}

// azureBase is what all rows of a record have in common.
func (d *decoder) azureBase(rec *azureRecord) Record {
	r := d.base
	r.Provider, r.Bidirectional = Azure, true
	r.SourceFormat, r.Version = "vnet_v4", "4"
	r.CaptureStartTime = rec.time
	if len(rec.mac) > 0 {
		r.InterfaceID = d.strings.text(rec.mac)
		r.Observer = r.InterfaceID
	}
	resource := string(rec.target)
	if rec.isNSG {
		resource = string(rec.resource)
		r.RuleID = d.text(resource)
	} else {
		r.VPCID = d.text(resource)
		watcher := after(string(rec.logResource), "/NETWORKWATCHERS/")
		if region := after(watcher, "NETWORKWATCHER_"); region != "" {
			r.Region = d.text(strings.ToLower(region))
		}
	}
	r.AccountID = d.text(after(resource, "/SUBSCRIPTIONS/"))
	return r
}

// after returns the part of a resource's name behind a mark, in any case, to the next "/".
func after(name, mark string) string {
	i := strings.Index(strings.ToUpper(name), mark)
	if i < 0 || len(strings.ToUpper(name)) != len(name) {
		return ""
	}
	part, _, _ := strings.Cut(name[i+len(mark):], "/")
	return part
}

// azureGroup reads one group: its rule or MAC address, and its tuples.
func (d *decoder) azureGroup(c *cursor, base Record, rec *azureRecord, fields int, began map[string]Time) error {
	var tuples []byte
	if err := sub(c, func(c *cursor, name []byte) error {
		switch string(name) {
		case "rule", "mac":
			v, _, err := c.scalar()
			if string(name) == "rule" {
				base.RuleName = d.strings.text(v)
			} else {
				base.InterfaceID = d.strings.text(v)
				base.Observer = base.InterfaceID
			}
			return err
		case "flowTuples":
			c.space()
			start := c.i
			err := c.skip()
			tuples = c.b[start:c.i]
			return err
		}
		return c.skip()
	}); err != nil || tuples == nil {
		return err
	}
	var parts [14][]byte
	return elements(&cursor{b: tuples}, func(c *cursor) error {
		v, quoted, err := c.scalar()
		if err != nil {
			return err
		}
		r := d.next()
		no := r.RecordNo
		*r = base
		r.RecordNo = no
		if !quoted {
			d.drop(rec.tuplesOffset, fmt.Errorf("tuple %q is not a string", excerpt(v)))
			return nil
		}
		n := 0
		for rest, more := v, true; more && n < len(parts); n++ {
			parts[n], rest, more = bytes.Cut(rest, []byte(","))
		}
		if n != fields {
			d.drop(rec.tuplesOffset, fmt.Errorf("tuple %q has %d fields instead of %d", excerpt(v), n, fields))
			return nil
		}
		if err := d.azureTuple(r, parts[:n], rec.isNSG, began); err != nil {
			d.drop(rec.tuplesOffset, fmt.Errorf("tuple %q: %w", excerpt(v), err))
			return nil
		}
		return d.keep()
	})
}
