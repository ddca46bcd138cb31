package flows

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/gzip"
)

// Vendors are the formats that Write knows.
func Vendors() []string { return []string{"ibm", "aws", "aws_parquet", "gcp", "azure", "nsg"} }

// Create makes the object of a key. It is whole when Close has returned nil.
type Create func(key string) (io.WriteCloser, error)

// Directory returns a Create that writes files below root. The vendors' keys
// hold characters that are fine in the names of files on Unix.
func Directory(root string) Create {
	return func(key string) (io.WriteCloser, error) {
		file := filepath.Join(root, filepath.FromSlash(key))
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			return nil, err
		}
		return os.Create(file)
	}
}

// Stats is what was written.
type Stats struct {
	Objects, Flows int64
	Records        int64 // of the vendor's: AWS makes two of a flow that was answered
}

// window is the time whose flows one object of an interface holds, unless Config.Every is longer.
const window = 5 * time.Minute

// maxPerObject is how many flows an object holds at most.
const maxPerObject = 10_000

// Write makes the flow logs of one vendor.
func Write(c Config, vendor string, create Create) (Stats, error) {
	var s Stats
	format, ok := formats()[vendor]
	if !ok {
		return s, fmt.Errorf("flow logs: there is no vendor %q", vendor)
	}
	span := window
	if format.span > 0 {
		span = format.span
	}
	span = max(span, c.Every)
	open := make([]*object, Interfaces())
	var begin time.Time
	closeAll := func() error {
		var errs []error
		for i, o := range open {
			if o != nil {
				errs = append(errs, o.close())
				open[i] = nil
			}
		}
		return errors.Join(errs...)
	}
	seq := 0
	for f := range c.All() {
		if w := f.Start.Truncate(span); !w.Equal(begin) {
			if err := closeAll(); err != nil {
				return s, err
			}
			begin, seq = w, 0
		}
		o := open[f.Observer]
		if o != nil && o.n >= maxPerObject && format.span == 0 {
			if err := o.close(); err != nil {
				return s, err
			}
			o = nil
		}
		if o == nil {
			var err error
			if o, err = newObject(format, create, begin, f.Observer, seq); err != nil {
				return s, err
			}
			open[f.Observer] = o
			seq++
			s.Objects++
		}
		o.n++
		s.Flows++
		records, err := o.enc.add(f)
		if err != nil {
			return s, err
		}
		s.Records += int64(records)
	}
	return s, closeAll()
}

// format is how a vendor writes.
type format struct {
	span time.Duration // of one object, if not the window
	zip  bool
	key  func(begin time.Time, observer, seq int) string
	new  func(w *bufio.Writer, begin time.Time, observer int) encoder
}

// encoder writes the content of one object.
type encoder interface {
	add(f Flow) (records int, err error)
	end() error
}

type object struct {
	enc   encoder
	n     int
	close func() error
}

func newObject(f format, create Create, begin time.Time, observer, seq int) (*object, error) {
	key := f.key(begin, observer, seq)
	file, err := create(key)
	if err != nil {
		return nil, fmt.Errorf("create %q: %w", key, err)
	}
	var out io.Writer = file
	var zip *gzip.Writer
	if f.zip {
		zip = gzip.NewWriter(file)
		out = zip
	}
	w := bufio.NewWriterSize(out, 64<<10)
	o := &object{enc: f.new(w, begin, observer)}
	o.close = func() error {
		err := errors.Join(o.enc.end(), w.Flush())
		if zip != nil {
			err = errors.Join(err, zip.Close())
		}
		if err = errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("write %q: %w", key, err)
		}
		return nil
	}
	return o, nil
}
