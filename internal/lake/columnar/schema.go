package columnar

import (
	"reflect"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// source is what a field is in memory, or an element of it if it is a list.
type source uint8

const (
	text source = iota
	int64s
	int32s
	uint64s
	uint32s
	uint16s
	uint8s
	bools
	millis // time.Time, and its unit in the file
	micros
	nanos
)

// fieldsOf lists a struct's fields as parquet-go does: those of embedded structs
// stand among the others, those that are not exported are left out.
func fieldsOf(t reflect.Type, offset uintptr, to []reflect.StructField) []reflect.StructField {
	for f := range t.Fields() {
		f.Offset += offset
		switch {
		case tagName(f) == "-":
		case f.Anonymous && f.Type.Kind() == reflect.Struct:
			to = fieldsOf(f.Type, f.Offset, to)
		case f.IsExported() || f.Anonymous: // the latter is refused later
			to = append(to, f)
		}
	}
	return to
}

func tagName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("parquet"), ",")
	return name
}

// newColumn returns the column of a field, or false if it is of a kind that is not written here.
func newColumn(s reflect.StructField, f parquet.Field) (column, bool) {
	c := column{name: f.Name(), path: thrift.Slice[string]{f.Name()}, offset: s.Offset, optional: f.Optional(), form: format.Plain}
	if s.Anonymous || tagName(s) != f.Name() || f.Repeated() {
		return c, false
	}
	typ, leaf := s.Type, parquet.Node(f)
	if typ.Kind() == reflect.Slice && !f.Leaf() && !c.optional {
		if leaf = element(f); leaf == nil {
			return c, false
		}
		c.list, c.path, typ = true, append(c.path, "list", "element"), typ.Elem()
	}
	if typ.Kind() == reflect.Pointer {
		if !c.optional || c.list {
			return c, false
		}
		c.pointer, typ = true, typ.Elem()
	}
	if !leaf.Leaf() || !c.from(typ, leaf.Type().LogicalType()) {
		return c, false
	}
	if p := leaf.Type().PhysicalType(); p == nil || *p != c.physical {
		return c, false
	}
	switch {
	case c.source == text:
		// Without a word in the tag, the texts decide (see unlike).
		c.form, c.free = format.RLEDictionary, f.Encoding() == nil
		c.texts.few = c.free
	case c.source == bools:
	case f.Encoding() != nil:
		c.form = f.Encoding().Encoding()
	case c.source != int64s && c.source != int32s:
		c.form = format.DeltaBinaryPacked // times follow each other, and what counts is mostly small
	}
	if c.form != format.Plain && c.form != format.RLEDictionary && c.form != format.DeltaBinaryPacked {
		return c, false
	}
	c.reset()
	return c, true
}

// element is what a list of the format's usual three levels is of, if it is never NULL.
func element(f parquet.Field) parquet.Node {
	l := f.Type().LogicalType()
	if l == nil || len(f.Fields()) != 1 {
		return nil
	}
	list := f.Fields()[0]
	if _, ok := l.Value.(*format.ListType); !ok || !list.Repeated() || list.Name() != "list" || len(list.Fields()) != 1 {
		return nil
	}
	if e := list.Fields()[0]; e.Name() == "element" && e.Leaf() && e.Required() {
		return e
	}
	return nil
}

// from tells how values of a Go type are read and what they are in the file.
func (c *column) from(typ reflect.Type, logical *format.LogicalType) bool {
	if typ == reflect.TypeFor[time.Time]() {
		if logical == nil || c.optional || c.list {
			return false
		}
		unit, ok := logical.Value.(*format.TimestampType)
		if !ok {
			return false
		}
		c.physical = format.Int64
		switch unit.Unit.Value.(type) {
		case *format.MilliSeconds:
			c.source = millis
		case *format.MicroSeconds:
			c.source = micros
		case *format.NanoSeconds:
			c.source = nanos
		default:
			return false
		}
		return true
	}
	switch typ.Kind() {
	case reflect.String:
		c.source, c.physical = text, format.ByteArray
		return !c.pointer
	case reflect.Int64:
		c.source, c.physical = int64s, format.Int64
	case reflect.Int32:
		c.source, c.physical = int32s, format.Int32
	case reflect.Uint64:
		c.source, c.physical, c.bias = uint64s, format.Int64, -1<<63
	case reflect.Uint32:
		c.source, c.physical = uint32s, format.Int32
	case reflect.Uint16:
		c.source, c.physical = uint16s, format.Int32
	case reflect.Uint8:
		c.source, c.physical = uint8s, format.Int32
	case reflect.Bool:
		c.source, c.physical = bools, format.Boolean
		return (c.pointer || !c.optional) && !c.list
	default:
		return false
	}
	return true
}

// appendElements describes a field of the schema and what is below it.
func appendElements(to thrift.Slice[format.SchemaElement], name string, n parquet.Node) thrift.Slice[format.SchemaElement] {
	e := format.SchemaElement{Name: name, RepetitionType: thrift.New(format.Required)}
	switch {
	case n.Optional():
		e.RepetitionType.V = format.Optional
	case n.Repeated():
		e.RepetitionType.V = format.Repeated
	}
	if l := n.Type().LogicalType(); l != nil {
		e.LogicalType = *l
	}
	if t := n.Type().ConvertedType(); t != nil {
		e.ConvertedType = thrift.New[deprecated.ConvertedType](*t)
	}
	if n.Leaf() {
		e.Type = thrift.New(*n.Type().PhysicalType())
		return append(to, e)
	}
	e.NumChildren = thrift.New(int32(len(n.Fields()))) //nolint:gosec // fields of a struct
	to = append(to, e)
	for _, f := range n.Fields() {
		to = appendElements(to, f.Name(), f)
	}
	return to
}
