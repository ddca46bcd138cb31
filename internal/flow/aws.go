package flow

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxLine bounds a line of a text format.
	maxLine = 1 << 20
	// maxFields bounds the fields of an AWS record; version 11 has under 80.
	maxFields = 256
	// maxExtra bounds the JSON of fields that have no column.
	maxExtra = 16 << 10
)

// awsDefault is what lines without a header are, as in CloudWatch's exports.
const awsDefault = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"

// Bits of tcp-flags.
const (
	tcpFIN = 1
	tcpSYN = 2
	tcpRST = 4
	tcpACK = 16
)

// awsField says what becomes of one field. The value is never "-".
type awsField struct {
	name string
	set  func(d *decoder, r *Record, v []byte) error // nil: to Extra
}

// awsSetter returns what to do with a field, by its name in either spelling.
func awsSetter(name string) func(d *decoder, r *Record, v []byte) error {
	text := func(to func(r *Record) *string) func(d *decoder, r *Record, v []byte) error {
		return func(d *decoder, r *Record, v []byte) error { *to(r) = d.strings.text(v); return nil }
	}
	number := func(limit int64, to func(r *Record) **int32) func(d *decoder, r *Record, v []byte) error {
		return func(d *decoder, r *Record, v []byte) error {
			n, ok := parseInt(v)
			if !ok {
				return fmt.Errorf("%q is not a number", excerpt(v))
			}
			*to(r) = d.batch.int32(int32(n)) //nolint:gosec // checked next
			return small(n, limit)
		}
	}
	address := func(to func(r *Record) *string) func(d *decoder, r *Record, v []byte) error {
		return func(d *decoder, r *Record, v []byte) (err error) { *to(r), err = d.strings.ip(v); return err }
	}
	count := func(to func(r *Record) **int64) func(d *decoder, r *Record, v []byte) error {
		return func(d *decoder, r *Record, v []byte) error {
			n, ok := parseInt(v)
			if !ok || n < 0 {
				return fmt.Errorf("%q is not a whole number", excerpt(v))
			}
			*to(r) = d.batch.int64(n)
			return nil
		}
	}
	unix := func(v []byte) (Time, error) {
		n, ok := parseInt(v)
		if !ok {
			return 0, fmt.Errorf("%q is not a time", excerpt(v))
		}
		return unixTime(n)
	}
	switch strings.ReplaceAll(name, "_", "-") {
	case "version":
		return func(d *decoder, r *Record, v []byte) error {
			if _, ok := parseInt(v); !ok {
				return fmt.Errorf("%q is not a version", excerpt(v))
			}
			r.Version = d.strings.text(v)
			r.SourceFormat = d.strings.text(append([]byte("aws_v"), v...))
			return nil
		}
	case "account-id":
		return text(func(r *Record) *string { return &r.AccountID })
	case "interface-id":
		return func(d *decoder, r *Record, v []byte) error {
			r.InterfaceID = d.strings.text(v)
			r.Observer = r.InterfaceID
			return nil
		}
	case "srcaddr":
		return address(func(r *Record) *string { return &r.InitiatorIP })
	case "dstaddr":
		return address(func(r *Record) *string { return &r.TargetIP })
	case "pkt-srcaddr":
		return address(func(r *Record) *string { return &r.OrigInitiatorIP })
	case "pkt-dstaddr":
		return address(func(r *Record) *string { return &r.OrigTargetIP })
	case "srcport":
		return number(65535, func(r *Record) **int32 { return &r.InitiatorPort })
	case "dstport":
		return number(65535, func(r *Record) **int32 { return &r.TargetPort })
	case "protocol":
		return number(255, func(r *Record) **int32 { return &r.TransportProtocol })
	case "tcp-flags":
		return number(1<<16-1, func(r *Record) **int32 { return &r.TCPFlags })
	case "packets":
		return count(func(r *Record) **int64 { return &r.PacketsFromInitiator })
	case "bytes":
		return count(func(r *Record) **int64 { return &r.BytesFromInitiator })
	case "start":
		return func(_ *decoder, r *Record, v []byte) error {
			t, err := unix(v)
			if err == nil {
				err = plausible(t)
			}
			r.SetStart(t)
			return err
		}
	case "end":
		return func(_ *decoder, r *Record, v []byte) (err error) { r.EndTime, err = unix(v); return err }
	case "action":
		return func(_ *decoder, r *Record, v []byte) error {
			switch string(v) {
			case "ACCEPT":
				r.Action = Accepted
			case "REJECT":
				r.Action = Rejected
			default:
				return fmt.Errorf("%q is neither ACCEPT nor REJECT", excerpt(v))
			}
			return nil
		}
	case "reject-reason":
		return text(func(r *Record) *string { return &r.RejectReason })
	case "log-status":
		return func(d *decoder, r *Record, v []byte) error {
			if s := string(v); s != "OK" && s != "NODATA" && s != "SKIPDATA" {
				return fmt.Errorf("%q is not OK, NODATA or SKIPDATA", excerpt(v))
			}
			r.LogStatus = d.strings.text(v)
			return nil
		}
	case "flow-direction":
		return func(_ *decoder, r *Record, v []byte) error {
			switch string(v) {
			case "ingress":
				r.Direction = Inbound
			case "egress":
				r.Direction = Outbound
			default:
				return fmt.Errorf("%q is neither ingress nor egress", excerpt(v))
			}
			return nil
		}
	case "type":
		return text(func(r *Record) *string { return &r.EtherType })
	case "vpc-id":
		return text(func(r *Record) *string { return &r.VPCID })
	case "subnet-id":
		return text(func(r *Record) *string { return &r.SubnetID })
	case "instance-id":
		return text(func(r *Record) *string { return &r.InstanceID })
	case "region":
		return text(func(r *Record) *string { return &r.Region })
	case "az-id":
		return text(func(r *Record) *string { return &r.Zone })
	case "encryption-status":
		return text(func(r *Record) *string { return &r.Encryption })
	}
	return nil
}

// awsFields reads a header line.
func awsFields(line []byte) ([]awsField, error) {
	names := bytes.Fields(line)
	if len(names) > maxFields {
		return nil, fmt.Errorf("header of %d fields", len(names))
	}
	var fields []awsField
	seen := map[string]bool{}
	for _, n := range names {
		name := strings.ReplaceAll(valid(n), "_", "-")
		if seen[name] {
			return nil, fmt.Errorf("field %q is twice in the header", excerpt(name))
		}
		seen[name] = true
		fields = append(fields, awsField{name, awsSetter(name)})
	}
	if !seen["start"] {
		return nil, errors.New("the header has no field start")
	}
	return fields, nil
}

// isAWSHeader tells whether a text begins as AWS flow logs do: with names of
// fields, or with a record of the default format.
func isAWSHeader(head []byte) bool {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	fields := bytes.Fields(line)
	known := 0
	for _, f := range fields {
		if awsSetter(valid(f)) != nil {
			known++
		}
	}
	return known >= 2 || isAWSDefault(fields)
}

func isAWSDefault(fields [][]byte) bool {
	if len(fields) != 14 || string(fields[0]) != "2" {
		return false
	}
	status := string(fields[13])
	return status == "OK" || status == "NODATA" || status == "SKIPDATA"
}

// aws reads text: a header line with the fields' names, then a record a line.
func (d *decoder) aws(r io.Reader) error {
	lines := newLines(r)
	var fields []awsField
	var values [][]byte
	for {
		line, offset, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if line == nil {
			d.no++
			d.bad(offset, fmt.Errorf("line longer than %d bytes", maxLine))
			continue
		}
		if fields == nil {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		values = splitFields(values[:0], line)
		if len(values) == 0 {
			continue
		}
		if fields == nil {
			header := line
			if isAWSDefault(values) {
				header = []byte(awsDefault)
			}
			if fields, err = awsFields(header); err != nil {
				return fmt.Errorf("byte %d: %w", offset, err)
			}
			if !isAWSDefault(values) {
				continue
			}
		}
		row := d.next()
		if len(values) != len(fields) {
			d.drop(offset, fmt.Errorf("%d fields, the header has %d", len(values), len(fields)))
			continue
		}
		if err := d.awsRow(row, fields, values); err != nil {
			d.drop(offset, err)
			continue
		}
		if err := d.keep(); err != nil {
			return err
		}
	}
}

// awsRow fills a row from the values of one record.
func (d *decoder) awsRow(r *Record, fields []awsField, values [][]byte) error {
	r.Provider, r.SourceFormat = AWS, "aws"
	var extra []byte
	for i, f := range fields {
		v := values[i]
		if len(v) == 0 || len(v) == 1 && v[0] == '-' {
			continue
		}
		if f.set == nil {
			if len(extra) < maxExtra { // values are cut, so one more cannot be much
				extra = appendExtra(extra, f.name, v)
			}
			continue
		}
		if err := f.set(d, r, v); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if extra != nil {
		r.Extra = string(append(extra, '}')) // whole, or it is no JSON
	}
	if r.StartTime == 0 {
		return errors.New("no start")
	}
	if r.LogStatus == "NODATA" || r.LogStatus == "SKIPDATA" {
		d.result.Skipped++
	}
	if f := r.TCPFlags; f != nil {
		r.WasInitiated = d.batch.bool(*f&tcpSYN != 0)
		r.WasTerminated = d.batch.bool(*f&(tcpFIN|tcpRST) != 0)
	}
	r.Orient()
	return nil
}

// Orient makes the receiver of a one-way record the initiator, and says so in
// Swapped, if it counts the packets of an answer.
func (r *Record) Orient() {
	if answers(r) {
		swap(r)
	}
}

// answers guesses whether a one-way record counts the packets of him who was
// called: they carry SYN and ACK, or come from a port that servers have to one
// that the system gives clients. Of rejected packets the first is all there is.
// AWS counts an ACK only where a SYN is with it; exporters put the flags of all
// packets together, and then who calls has both too, in two packets.
func answers(r *Record) bool {
	if r.Action == Rejected || r.InitiatorPort == nil || r.TargetPort == nil {
		return false
	}
	if f := r.TCPFlags; f != nil && *f&tcpSYN != 0 {
		if *f&tcpACK == 0 {
			return false
		}
		if r.Provider == AWS || *f == tcpSYN|tcpACK {
			return true
		}
	}
	from, to := *r.InitiatorPort, *r.TargetPort
	return from > 0 && from < 1024 && to >= 1024 || from >= 1024 && from < 32768 && to >= 32768
}

// swap makes the receiver of a one-way record the initiator.
func swap(r *Record) {
	r.Swapped = true
	r.InitiatorIP, r.TargetIP = r.TargetIP, r.InitiatorIP
	r.InitiatorPort, r.TargetPort = r.TargetPort, r.InitiatorPort
	r.OrigInitiatorIP, r.OrigTargetIP = r.OrigTargetIP, r.OrigInitiatorIP
	r.BytesFromInitiator, r.BytesFromTarget = r.BytesFromTarget, r.BytesFromInitiator
	r.PacketsFromInitiator, r.PacketsFromTarget = r.PacketsFromTarget, r.PacketsFromInitiator
	r.CumulativeBytesFromInitiator, r.CumulativeBytesFromTarget = r.CumulativeBytesFromTarget, r.CumulativeBytesFromInitiator
	r.CumulativePacketsFromInitiator, r.CumulativePacketsFromTarget = r.CumulativePacketsFromTarget, r.CumulativePacketsFromInitiator
	switch r.Direction {
	case Inbound:
		r.Direction = Outbound
	case Outbound:
		r.Direction = Inbound
	}
}

// appendExtra adds a member to a JSON object that is not closed yet.
func appendExtra(b []byte, name string, value []byte) []byte {
	if b == nil {
		b = append(b, '{')
	} else {
		b = append(b, ',')
	}
	b = appendJSONString(b, name)
	b = append(b, ':')
	return appendJSONString(b, valid(value))
}

func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = append(b, `\u00`...)
			b = append(b, "0123456789abcdef"[r>>4], "0123456789abcdef"[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// splitFields splits at spaces, into slices of line.
func splitFields(to [][]byte, line []byte) [][]byte {
	for i := 0; i < len(line) && len(to) <= maxFields; {
		if line[i] == ' ' || line[i] == '\t' || line[i] == '\r' {
			i++
			continue
		}
		end := i
		for end < len(line) && line[end] != ' ' && line[end] != '\t' && line[end] != '\r' {
			end++
		}
		to = append(to, line[i:end])
		i = end
	}
	return to
}

// lines reads lines of bounded length.
type lines struct {
	r      *bufio.Reader
	offset int64
}

func newLines(r io.Reader) *lines { return &lines{r: bufio.NewReaderSize(r, maxLine)} }

// next returns a line without its end, nil for one that is too long, and where it begins.
func (l *lines) next() (line []byte, offset int64, err error) {
	offset = l.offset
	line, err = l.r.ReadSlice('\n')
	l.offset += int64(len(line))
	if errors.Is(err, bufio.ErrBufferFull) {
		for errors.Is(err, bufio.ErrBufferFull) {
			var rest []byte
			rest, err = l.r.ReadSlice('\n')
			l.offset += int64(len(rest))
		}
		if err == nil || errors.Is(err, io.EOF) {
			return nil, offset, nil
		}
	}
	if errors.Is(err, io.EOF) && len(line) > 0 {
		err = nil
	}
	if err != nil {
		if !errors.Is(err, io.EOF) {
			err = fmt.Errorf("byte %d: %w", l.offset, err)
		}
		return nil, offset, err
	}
	if line = bytes.TrimRight(line, "\r\n"); line == nil {
		line = []byte{}
	}
	return line, offset, nil
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
