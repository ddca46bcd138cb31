package packet

import (
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// jsonLines writes records as JSON objects with the names of their columns.
// Not for concurrent use.
type jsonLines struct {
	columns map[reflect.Type][]jsonColumn
}

type jsonColumn struct {
	name  string // quoted, with a colon
	index []int
}

// of returns the columns of a type: its fields with a parquet tag, those of embedded structs too.
func (j *jsonLines) of(t reflect.Type) []jsonColumn {
	if c, ok := j.columns[t]; ok {
		return c
	}
	var list []jsonColumn
	for _, f := range reflect.VisibleFields(t) {
		tag, ok := f.Tag.Lookup("parquet")
		name, _, _ := strings.Cut(tag, ",")
		if ok && f.IsExported() && name != "" && name != "-" {
			list = append(list, jsonColumn{strconv.Quote(name) + ":", f.Index})
		}
	}
	if j.columns == nil {
		j.columns = map[reflect.Type][]jsonColumn{}
	}
	j.columns[t] = list
	return list
}

// append appends one line. The kind comes first, under the name of no column.
func (j *jsonLines) append(b []byte, rec Record) []byte {
	v := reflect.ValueOf(rec).Elem()
	b = append(b, `{"kind":"`...)
	b = append(b, rec.Kind()...)
	b = append(b, '"')
	for _, c := range j.of(v.Type()) {
		b = append(b, ',')
		b = append(b, c.name...)
		b = j.value(b, v.FieldByIndex(c.index))
	}
	return append(b, '}', '\n')
}

var timeType = reflect.TypeFor[time.Time]()

func (j *jsonLines) value(b []byte, v reflect.Value) []byte {
	switch v.Kind() {
	case reflect.String:
		return appendJSONText(b, v.String())
	case reflect.Bool:
		return strconv.AppendBool(b, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(b, v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(b, v.Uint(), 10)
	case reflect.Float32, reflect.Float64:
		if f := v.Float(); f-f == 0 { // neither NaN nor infinite
			return strconv.AppendFloat(b, f, 'g', -1, 64)
		}
		return append(b, "null"...)
	case reflect.Pointer:
		if v.IsNil() {
			return append(b, "null"...)
		}
		return j.value(b, v.Elem())
	case reflect.Slice:
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			b = j.value(b, v.Index(i))
		}
		return append(b, ']')
	case reflect.Struct:
		if v.Type() == timeType {
			t, _ := reflect.TypeAssert[time.Time](v)
			b = append(b, '"')
			b = t.AppendFormat(b, time.RFC3339Nano)
			return append(b, '"')
		}
		b = append(b, '{')
		for i, c := range j.of(v.Type()) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, c.name...)
			b = j.value(b, v.FieldByIndex(c.index))
		}
		return append(b, '}')
	}
	return append(b, "null"...)
}

// appendJSONText appends a JSON string; what is not UTF-8 is replaced.
func appendJSONText(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '"' || c == '\\':
				b = append(b, '\\', c)
			case c < 0x20 || c == 0x7f:
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			default:
				b = append(b, c)
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		b = utf8.AppendRune(b, r) // U+FFFD for what is none
		i += n
	}
	return append(b, '"')
}
