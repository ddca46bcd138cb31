package ncap

import (
	"strconv"
	"strings"
)

// AppendJSON appends the record as one JSON object, with netcap's names of its
// fields, 64-bit numbers as numbers, and without secrets.
func (r *Record) AppendJSON(b []byte) []byte {
	b = append(b, `{"Type":`...)
	b = strconv.AppendQuote(b, r.Schema.Name)
	for i, f := range r.Schema.Fields {
		if len(r.values[i]) == 0 || secret(f.Name) || f.Name == "RequestHeader" || f.Name == "ResponseHeader" || strings.HasSuffix(f.Name, "Cookies") {
			continue
		}
		b = append(b, ',')
		b = strconv.AppendQuote(b, f.Name)
		b = append(b, ':')
		if f.Repeated {
			b = append(b, '[')
		}
		for n, v := range r.values[i] {
			if n > 0 {
				b = append(b, ',')
			}
			switch f.kind {
			case kindSigned, kindUnsigned, kindBool:
				b = append(b, v...)
			case kindDouble:
				if strings.ContainsAny(v, "NI") { // NaN, Inf
					v = "null"
				}
				b = append(b, v...)
			default:
				b = appendText(b, v)
			}
		}
		if f.Repeated {
			b = append(b, ']')
		}
	}
	return append(b, '}')
}

// appendText appends a JSON string.
func appendText(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, c := range strings.ToValidUTF8(s, "�") {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', byte(c))
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, string(c)...)
		}
	}
	return append(b, '"')
}
