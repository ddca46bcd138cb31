package collector

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Family is one metric with many series, made only while they are written out.
// A collector with tens of thousands of series sends a Family per metric; a
// prometheus.Metric for each series costs some seven microseconds and 300 bytes,
// a series of a Family well under one and none.
type Family struct {
	Name string
	Help string
	Type dto.MetricType // COUNTER, GAUGE or UNTYPED
	// Series yields each series once, its labels and its value. It may be
	// called several times and from several goroutines. A label text need only
	// last until yield returns: a maker of many may build them all in one buffer.
	Series iter.Seq2[Labels, float64]
}

// Labels are label pairs as the text format has them between the braces:
// a="1",b="2". Made by FormatLabels, which escapes.
type Labels string

var labelEscaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// FormatLabels returns pairs of names and values as Labels. Values may be any
// text; bytes that are not UTF-8 become U+FFFD.
func FormatLabels(pairs ...string) Labels { return Labels(AppendLabels(nil, pairs...)) }

// AppendLabels appends the text that FormatLabels returns.
func AppendLabels(b []byte, pairs ...string) []byte {
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, pairs[i]...)
		b = append(b, `="`...)
		b = append(b, labelEscaper.Replace(strings.ToValidUTF8(pairs[i+1], "\uFFFD"))...) // neither copies a plain text
		b = append(b, '"')
	}
	return b
}

// Desc makes *Family a prometheus.Metric, so that it fits through a collector's channel.
func (f *Family) Desc() *prometheus.Desc { return prometheus.NewDesc(f.Name, f.Help, nil, nil) }

// Write refuses: a family is more than one metric. Set knows what to do with it.
func (f *Family) Write(*dto.Metric) error { return errors.New("a family is not one metric") }

// appendHeader appends the HELP and TYPE lines.
func (f *Family) appendHeader(b []byte) []byte {
	b = append(b, "# HELP "...)
	b = append(b, f.Name...)
	b = append(b, ' ')
	b = append(b, strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(f.Help)...)
	b = append(b, "\n# TYPE "...)
	b = append(b, f.Name...)
	switch f.Type {
	case dto.MetricType_COUNTER:
		return append(b, " counter\n"...)
	case dto.MetricType_UNTYPED:
		return append(b, " untyped\n"...)
	default:
		return append(b, " gauge\n"...)
	}
}

// appendSeries appends one line of the text format.
func appendSeries(b []byte, name string, labels Labels, v float64) []byte {
	b = append(b, name...)
	if labels != "" {
		b = append(b, '{')
		b = append(b, labels...)
		b = append(b, '}')
	}
	b = append(b, ' ')
	// Counters are whole numbers: AppendInt takes a third of AppendFloat's time.
	if whole := int64(v); float64(whole) == v && whole > -1<<53 && whole < 1<<53 {
		b = strconv.AppendInt(b, whole, 10)
	} else if math.IsInf(v, 1) {
		b = append(b, "+Inf"...)
	} else {
		b = strconv.AppendFloat(b, v, 'g', -1, 64)
	}
	return append(b, '\n')
}

// expand adds the series to mf, for readers that want protobuf structs.
func (f *Family) expand(mf *dto.MetricFamily) error {
	for labels, v := range f.Series {
		m := &dto.Metric{}
		var err error
		if m.Label, err = Labels(strings.Clone(string(labels))).pairs(); err != nil {
			return err
		}
		switch f.Type {
		case dto.MetricType_COUNTER:
			m.Counter = &dto.Counter{Value: &v}
		case dto.MetricType_UNTYPED:
			m.Untyped = &dto.Untyped{Value: &v}
		default:
			m.Gauge = &dto.Gauge{Value: &v}
		}
		mf.Metric = append(mf.Metric, m)
	}
	return nil
}

// pairs reads the labels back.
func (l Labels) pairs() ([]*dto.LabelPair, error) {
	var pairs []*dto.LabelPair
	for rest := string(l); rest != ""; {
		name, after, ok := strings.Cut(rest, `="`)
		end := 0
		for ok && end < len(after) && after[end] != '"' {
			if after[end] == '\\' {
				end++
			}
			end++
		}
		if !ok || end >= len(after) {
			return nil, fmt.Errorf("labels %q: no closing quote", string(l))
		}
		value := labelUnescaper.Replace(after[:end])
		pairs = append(pairs, &dto.LabelPair{Name: &name, Value: &value})
		rest = strings.TrimPrefix(after[end+1:], ",")
	}
	return pairs, nil
}

var labelUnescaper = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\"`, `"`)
