package plugin

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/grafana/grafana-plugin-sdk-go/data"
)

// column gathers one column of a stream. The parts are kept as they came, so
// that the slice in the end is made once, of the right length.
type column interface {
	add(arrow.Array) error
	allowNull()
	field(name string, labels data.Labels) *data.Field
}

// newColumn returns the gatherer of an Arrow type; /api/sql sends these five.
func newColumn(t arrow.DataType, nullable bool) (column, error) {
	switch t := t.(type) {
	case *arrow.BooleanType:
		return &values[bool, *array.Boolean]{nullable: nullable, put: func(to []bool, a *array.Boolean) {
			for i := range to {
				to[i] = a.Value(i)
			}
		}}, nil
	case *arrow.Int64Type:
		return &values[int64, *array.Int64]{nullable: nullable, put: func(to []int64, a *array.Int64) { copy(to, a.Int64Values()) }}, nil
	case *arrow.Float64Type:
		return &values[float64, *array.Float64]{nullable: nullable, put: func(to []float64, a *array.Float64) { copy(to, a.Float64Values()) }}, nil
	case *arrow.StringType:
		return &values[string, *array.String]{nullable: nullable, put: func(to []string, a *array.String) {
			for i := range to {
				to[i] = a.Value(i) // points into the part
			}
		}}, nil
	case *arrow.TimestampType:
		if t.Unit != arrow.Nanosecond {
			break
		}
		return &values[time.Time, *array.Timestamp]{nullable: nullable, put: func(to []time.Time, a *array.Timestamp) {
			for i, at := range a.TimestampValues() {
				to[i] = time.Unix(0, int64(at)).UTC()
			}
		}}, nil
	}
	return nil, fmt.Errorf("type %s of Arrow is not known", t)
}

type values[T any, A arrow.Array] struct {
	put      func(to []T, part A) // NULLs give anything
	nullable bool
	parts    []A
	rows     int
}

func (v *values[T, A]) add(a arrow.Array) error {
	part, ok := a.(A)
	if !ok {
		return fmt.Errorf("a column changed its type to %s", a.DataType())
	}
	part.Retain()
	v.parts = append(v.parts, part)
	v.rows += part.Len()
	v.nullable = v.nullable || part.NullN() > 0
	return nil
}

func (v *values[T, A]) allowNull() { v.nullable = true }

func (v *values[T, A]) field(name string, labels data.Labels) *data.Field {
	all := make([]T, v.rows)
	rest := all
	for _, part := range v.parts {
		v.put(rest[:part.Len()], part)
		rest = rest[part.Len():]
	}
	if !v.nullable {
		return data.NewField(name, labels, all)
	}
	pointers := make([]*T, len(all))
	i := 0
	for _, part := range v.parts {
		for j := range part.Len() {
			if part.IsValid(j) {
				pointers[i] = &all[i]
			}
			i++
		}
	}
	return data.NewField(name, labels, pointers)
}

// frameBuilder makes a frame of a stream.
type frameBuilder struct {
	schema  *arrow.Schema
	columns []column
}

// newFrameBuilder begins a frame. With nullable every field may have NULLs, so
// that all parts of a stream have the same types.
func newFrameBuilder(schema *arrow.Schema, nullable bool) (*frameBuilder, error) {
	b := &frameBuilder{schema: schema, columns: make([]column, schema.NumFields())}
	for i, f := range schema.Fields() {
		c, err := newColumn(f.Type, nullable)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", f.Name, err)
		}
		b.columns[i] = c
	}
	return b, nil
}

func (b *frameBuilder) add(batch arrow.RecordBatch) error {
	for i, c := range b.columns {
		if err := c.add(batch.Column(i)); err != nil {
			return fmt.Errorf("column %q: %w", b.schema.Field(i).Name, err)
		}
	}
	return nil
}

// frame returns what has come together.
func (b *frameBuilder) frame(ref string) *data.Frame {
	f := data.NewFrame("")
	f.RefID = ref
	for i, c := range b.columns {
		field := b.schema.Field(i)
		labels := labelsOf(field)
		out := c.field(field.Name, labels)
		if len(labels) > 0 {
			out.Config = &data.FieldConfig{DisplayNameFromDS: displayName(field.Name, labels)}
		}
		f.Fields = append(f.Fields, out)
	}
	return f
}

// labelsOf reads a series' labels, which the server keeps with the column.
func labelsOf(f arrow.Field) data.Labels {
	var labels data.Labels
	if text, ok := f.Metadata.GetValue("labels"); ok {
		_ = json.Unmarshal([]byte(text), &labels) // the server wrote it; without labels the series still has its name
	}
	return labels
}

// displayName is the value of a series' only label, as IBM's plug-in named series.
func displayName(name string, labels data.Labels) string {
	if len(labels) != 1 {
		return ""
	}
	for _, value := range labels {
		return value
	}
	return name
}

// finish says what kind of frame it is.
func finish(f *data.Frame, format, sql string, notices []data.Notice) {
	f.Meta = &data.FrameMeta{ExecutedQueryString: sql, Notices: notices}
	switch format {
	case formatTimeSeries:
		f.Meta.PreferredVisualization = data.VisTypeGraph
		if f.TimeSeriesSchema().Type == data.TimeSeriesTypeWide {
			f.Meta.Type, f.Meta.TypeVersion = data.FrameTypeTimeSeriesWide, data.FrameTypeVersion{0, 1}
		}
	case formatLong:
		f.Meta.PreferredVisualization = data.VisTypeGraph
		if f.TimeSeriesSchema().Type == data.TimeSeriesTypeLong {
			f.Meta.Type, f.Meta.TypeVersion = data.FrameTypeTimeSeriesLong, data.FrameTypeVersion{0, 1}
		}
	case formatLogs:
		f.Meta.PreferredVisualization = data.VisTypeLogs
	default:
		f.Meta.PreferredVisualization = data.VisTypeTable
	}
}
