package flow

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// Formats of objects. An empty one is found out from the object's first bytes.
const (
	FormatIBM        = "ibm"         // IBM Cloud VPC: one JSON object
	FormatAWS        = "aws"         // AWS VPC: text with a header line
	FormatAWSParquet = "aws_parquet" // AWS VPC: Parquet
	FormatGCP        = "gcp"         // Google Cloud: one LogEntry per line
	FormatAzure      = "azure"       // Azure: VNet flow logs v4 and NSG flow logs v1, v2
)

const (
	// sniffBytes is how far the format's mark is looked for.
	sniffBytes = 64 << 10
	// maxRaw bounds what one object may unpack to.
	maxRaw = 64 << 30
	// maxErrors is how many bad records of one object are described; the rest are counted.
	maxErrors = 10
)

// ErrUnknownFormat tells that an object is no flow log that we know.
var ErrUnknownFormat = errors.New("not a flow log of a known format")

// Object is one object of a vendor's bucket.
type Object struct {
	Key    string // its name, of whose parts some columns are made
	Body   io.Reader
	Size   int64  // of Body in bytes; needed for Parquet only
	Format string // one of the Format constants, or empty
}

// Result is what became of an object.
type Result struct {
	Format  string
	Records int64   // handed over
	Seen    int64   // records in the object, good and bad: the last one's number
	Bad     int64   // left out because they make no sense
	Skipped int64   // the vendor says itself that there is nothing or that data was lost, or another log's entries
	Errors  []error // of the first bad records: what, and where
}

// RecordError says where in an object a bad record is.
type RecordError struct {
	Key    string
	Record int64 // from 1
	Offset int64 // in bytes, unpacked, of the record's beginning
	Err    error
}

func (e *RecordError) Error() string {
	return fmt.Sprintf("%q: record %d at byte %d: %v", e.Key, e.Record, e.Offset, e.Err)
}

func (e *RecordError) Unwrap() error { return e.Err }

// Decode reads an object, packed with gzip or not, and hands its rows over in
// batches, which yield then owns. An error of yield ends the decoding and is
// returned as it is.
//
// A record that makes no sense is left out and counted. An error means that the
// object as a whole is damaged (cut off, not JSON, of an unknown version): what
// has been handed over by then should not be used.
func Decode(o Object, yield func(*Batch) error) (Result, error) {
	kit := kits.Get().(*kit)
	d := &decoder{key: o.Key, yield: yield, strings: kit.strings, kit: kit, batch: newBatch()}
	defer func() {
		d.batch.Free()
		kit.put()
	}()
	err := d.object(o)
	if err == nil {
		err = d.flush()
	}
	d.result.Seen = d.no
	if stopped, ok := errors.AsType[*yieldError](err); ok {
		return d.result, stopped.error
	}
	if err != nil {
		return d.result, fmt.Errorf("%q: %w", o.Key, err)
	}
	return d.result, nil
}

// yieldError is an error of the caller's function.
type yieldError struct{ error }

func (e *yieldError) Unwrap() error { return e.error }

// kit is what decoding needs of memory and leaves behind in it: the next object
// says the same addresses again, in the same words.
type kit struct {
	strings *interner
	unzip   *gzip.Reader
	plain   *bufio.Reader // of what is unpacked
	buf     []byte        // a scanner's
	ibmKeys []ibmKey      // of the flow before
	shape   shape         // of IBM's flows
}

var kits = sync.Pool{New: func() any {
	return &kit{strings: newInterner(), plain: bufio.NewReaderSize(nil, sniffBytes), buf: make([]byte, 0, scanBytes)}
}}

func (k *kit) put() {
	k.plain.Reset(nil) // what was read is not held any longer
	k.forget()
	kits.Put(k)
}

// forget lets the next object begin anew where this one was given up.
func (k *kit) forget() { k.shape.tries, k.shape.misses = 0, 0 }

// gunzip begins to unpack.
func (k *kit) gunzip(r io.Reader) (err error) {
	if k.unzip == nil {
		k.unzip, err = gzip.NewReader(r)
	} else {
		err = k.unzip.Reset(r)
	}
	return err
}

type decoder struct {
	kit     *kit
	key     string
	base    Record // what all rows of the object begin as
	yield   func(*Batch) error
	batch   *Batch
	result  Result
	no      int64 // of the last record, good or bad
	strings *interner
}

func (d *decoder) object(o Object) error {
	d.base = parsePath(o.Key, d.strings)
	d.base.ObjectKey = d.key
	in := bufio.NewReaderSize(o.Body, sniffBytes)
	magic, err := in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read: %w", err)
	}
	if len(magic) == 0 {
		return fmt.Errorf("empty object: %w", io.ErrUnexpectedEOF)
	}
	if o.Format == FormatAWSParquet || o.Format == "" && string(magic) == "PAR1" {
		d.result.Format = FormatAWSParquet
		return d.awsParquet(o, in)
	}
	if len(magic) > 1 && magic[0] == 0x1f && magic[1] == 0x8b {
		if err := d.kit.gunzip(in); err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
		d.kit.plain.Reset(io.LimitReader(d.kit.unzip, maxRaw))
		in = d.kit.plain
	}
	format := o.Format
	if format == "" {
		head, err := in.Peek(sniffBytes)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read: %w", err)
		}
		if len(bytes.TrimSpace(head)) == 0 && errors.Is(err, io.EOF) {
			return fmt.Errorf("empty object: %w", io.ErrUnexpectedEOF)
		}
		format = sniff(head)
	}
	d.result.Format = format
	switch format {
	case FormatIBM:
		return d.ibm(in)
	case FormatAWS:
		return d.aws(in)
	case FormatGCP:
		return d.gcp(in)
	case FormatAzure:
		return d.azure(in)
	case "":
		return ErrUnknownFormat
	}
	return fmt.Errorf("format %q: %w", format, ErrUnknownFormat)
}

// sniff returns the format of what begins so, "" if none.
func sniff(head []byte) string {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n")
	if len(head) == 0 {
		return ""
	}
	if head[0] != '{' {
		if isAWSHeader(head) {
			return FormatAWS
		}
		return ""
	}
	// Mostly the beginning tells; to look for another vendor's mark in all that has
	// been unpacked takes a twentieth of an import.
	if f := marked(head[:min(len(head), 4<<10)]); f == FormatIBM || f == FormatGCP {
		return f
	}
	return marked(head)
}

// marked finds the key that only one vendor has.
func marked(head []byte) string {
	has := func(mark string) bool { return bytes.Contains(head, []byte(mark)) }
	switch {
	case has(`"jsonPayload"`) || has(`"logName"`):
		return FormatGCP
	case has(`"flow_logs"`) || has(`"collector_crn"`) || has(`"number_of_flow_logs"`) || has(`"attached_endpoint_type"`):
		return FormatIBM
	case has(`"records"`):
		return FormatAzure
	}
	return ""
}

// next returns the row to fill, with what all rows of the object have in common.
func (d *decoder) next() *Record {
	d.no++
	n := len(d.batch.Rows)
	d.batch.Rows = d.batch.Rows[:n+1]
	r := &d.batch.Rows[n]
	*r = d.base
	r.RecordNo = int32(min(d.no, 1<<31-1)) //nolint:gosec // bounded
	return r
}

// keep hands rows over when there are many.
func (d *decoder) keep() error {
	d.result.Records++
	if !d.batch.full() {
		return nil
	}
	return d.flush()
}

// drop takes the last row back: it is bad.
func (d *decoder) drop(offset int64, err error) {
	d.unnext()
	d.bad(offset, err)
}

// unnext takes the last row back.
func (d *decoder) unnext() { d.batch.Rows = d.batch.Rows[:len(d.batch.Rows)-1] }

// bad counts a record for which there is no row. d.no is its number.
func (d *decoder) bad(offset int64, err error) {
	d.result.Bad++
	if len(d.result.Errors) < maxErrors {
		d.result.Errors = append(d.result.Errors, &RecordError{d.key, d.no, offset, err})
	}
}

// flush hands over what there is and begins a new batch.
func (d *decoder) flush() error {
	if len(d.batch.Rows) == 0 {
		return nil
	}
	b := d.batch
	d.batch = newBatch()
	return d.give(b)
}

func (d *decoder) give(b *Batch) error {
	if err := d.yield(b); err != nil {
		return &yieldError{err}
	}
	return nil
}

// excerpt shortens outside text for an error.
func excerpt[T string | []byte](text T) string {
	const limit = 40
	s := string(text[:min(len(text), limit+1)])
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "?") + "..."
	}
	return s
}
