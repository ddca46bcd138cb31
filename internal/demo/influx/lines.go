package influx

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/influxdata/line-protocol/v2/lineprotocol"
)

var errTooLarge = errors.New("http: request body too large")

// precisions of the write API; none means nanoseconds.
var precisions = map[string]lineprotocol.Precision{
	"": lineprotocol.Nanosecond, "ns": lineprotocol.Nanosecond, "us": lineprotocol.Microsecond, "ms": lineprotocol.Millisecond, "s": lineprotocol.Second,
}

// body reads a request, packed or not, up to the limit of what is in it.
func (r *Receiver) body(req *http.Request) ([]byte, error) {
	in := io.LimitReader(req.Body, r.cfg.MaxBody+1)
	switch encoding := req.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		zr, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		in = io.LimitReader(zr, r.cfg.MaxBody+1)
	default:
		return nil, fmt.Errorf("unsupported encoding %q", encoding)
	}
	body, err := io.ReadAll(in)
	if err == nil && int64(len(body)) > r.cfg.MaxBody {
		err = errTooLarge
	}
	return body, err
}

// linePoint is a point with its series.
type linePoint struct {
	Point
	series string
}

// parse reads line protocol. The first line that is wrong fails the batch, as there.
func parse(body []byte, precision lineprotocol.Precision, now time.Time) ([]linePoint, error) {
	var points []linePoint
	d := lineprotocol.NewDecoderWithBytes(body)
	for d.Next() {
		p, err := parseLine(d, precision, now)
		if err != nil {
			return nil, fmt.Errorf("unable to parse line %d: %w", len(points)+1, err)
		}
		points = append(points, p)
	}
	return points, nil
}

func parseLine(d *lineprotocol.Decoder, precision lineprotocol.Precision, now time.Time) (linePoint, error) {
	p := linePoint{Point: Point{Tags: map[string]string{}, Fields: map[string]any{}}}
	name, err := d.Measurement()
	if err != nil {
		return p, err
	}
	p.Measurement = string(name)
	for {
		key, value, err := d.NextTag()
		switch {
		case err != nil:
			return p, err
		case key == nil:
			p.series = seriesOf(p.Measurement, p.Tags)
			return p, p.parseFields(d, precision, now)
		}
		if _, again := p.Tags[string(key)]; again {
			return p, fmt.Errorf("duplicate tags: %q", key)
		}
		p.Tags[string(key)] = string(value)
	}
}

func (p *linePoint) parseFields(d *lineprotocol.Decoder, precision lineprotocol.Precision, now time.Time) error {
	for {
		key, value, err := d.NextField()
		switch {
		case err != nil:
			return err
		case key == nil:
			if len(p.Fields) == 0 {
				return errors.New("missing fields")
			}
			p.Time, err = d.Time(precision, now)
			return err
		}
		p.Fields[string(key)] = value.Interface()
	}
}

// seriesOf is a measurement with its tags, sorted.
func seriesOf(measurement string, tags map[string]string) string {
	var b strings.Builder
	b.WriteString(measurement)
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		b.WriteString("," + k + "=" + tags[k])
	}
	return b.String()
}

func typeOf(value any) string {
	switch value.(type) {
	case int64:
		return "integer"
	case uint64:
		return "unsigned"
	case float64:
		return "float"
	case bool:
		return "boolean"
	default:
		return "string"
	}
}
