// Package ncap reads and writes the audit records of netcap: files of
// length-delimited protobuf messages of one type, the first of which is a
// header. An unknown field is left out, and a secret never shown.
package ncap

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Type is the number of a record's type, as in a file's header.
type Type uint16

// The types that are written.
const (
	TypeConnection  Type = 3
	TypeLLDP        Type = 24
	TypeNeighbourNA Type = 34
	TypeNeighbourNS Type = 61
	TypeCDP         Type = 84
	TypeCIP         Type = 87
	TypeENIP        Type = 88
	TypeMail        Type = 102
	TypeCertificate Type = 104
	TypeFTP         Type = 105
	TypeIMAP        Type = 108
	TypeQUICHello   Type = 131
	TypeSTUN        Type = 133
	TypeDHCPv6      Type = 49
	TypeEthernet    Type = 7
	TypeARP         Type = 8
	TypeDot1Q       Type = 9
	TypeIPv4        Type = 29
	TypeIPv6        Type = 31
	TypeICMPv4      Type = 32
	TypeICMPv6      Type = 33
	TypeUDP         Type = 37
	TypeTCP         Type = 38
	TypeSCTP        Type = 40
	TypeDNS         Type = 41
	TypeDHCPv4      Type = 47
	TypeNTP         Type = 52
	TypeSIP         Type = 53
	TypeHTTP        Type = 63
	TypeClientHello Type = 64
	TypeESP         Type = 66
	TypeGeneve      Type = 67
	TypeVXLAN       Type = 69
	TypeMPLS        Type = 72
	TypeModbus      Type = 73
	TypeGRE         Type = 77
	TypeFile        Type = 90
	TypeSMTP        Type = 91
	TypePOP3        Type = 93
	TypeServerHello Type = 94
	TypeSoftware    Type = 95
	TypeCredentials Type = 97
	TypeSSH         Type = 98
	TypeAlert       Type = 103
)

// Kinds of a field's value.
const (
	kindSigned   = 'i'
	kindUnsigned = 'u'
	kindDouble   = 'f'
	kindString   = 's'
	kindBytes    = 'b'
	kindBool     = 't'
	kindMessage  = 'm'
)

// Field is one field of a type.
type Field struct {
	Number   protowire.Number
	Name     string
	Repeated bool
	kind     byte
}

// Schema is what is known of a type.
type Schema struct {
	Type   Type
	Name   string
	Fields []Field  // empty: not known
	Labels []string // of the counter nc_<name>; empty: it has none

	labels []int // the index in Fields of each label, -1 if there is none
	fields map[protowire.Number]int
}

// Metric is the name of the type's counter.
func (s *Schema) Metric() string { return "nc_" + strings.ToLower(s.Name) }

// Schemas are all types by their number.
type Schemas map[Type]*Schema

// Known returns what is known of netcap's types.
func Known() Schemas {
	all := Schemas{}
	for _, line := range table {
		parts := strings.SplitN(line, ",", 4)
		n, _ := strconv.ParseUint(parts[0], 10, 16)
		s := &Schema{Type: Type(n), Name: parts[1], Labels: strings.Fields(parts[3]), fields: map[protowire.Number]int{}}
		for i, text := range strings.Fields(parts[2]) {
			f := strings.Split(text, ":")
			number, _ := strconv.ParseInt(f[0], 10, 32)
			s.Fields = append(s.Fields, Field{Number: protowire.Number(number), Name: f[1], kind: f[2][0], Repeated: len(f[2]) > 1})
			s.fields[protowire.Number(number)] = i
		}
		for _, label := range s.Labels {
			s.labels = append(s.labels, s.find(label))
		}
		all[s.Type] = s
	}
	return all
}

// aliases are labels whose field has another name; of a Num... it is the list that is counted.
var aliases = map[string]string{
	"Client": "ClientIP", "Server": "ServerIP", "Encrypted": "LenEncrypted", "IPAddresses": "IPAddress",
	"NumMails": "MailIDs", "NumFlows": "Flows", "NumDeviceProfiles": "DeviceProfiles",
}

func (s *Schema) find(name string) int {
	if alias := aliases[name]; alias != "" {
		name = alias
	}
	for i, f := range s.Fields {
		if f.Name == name {
			return i
		}
	}
	return -1
}

// Header is the first message of a file.
type Header struct {
	Created  time.Time
	Source   string // file or interface that the records come from
	Type     Type
	Version  string
	Payloads bool
}

// Append appends h with its length.
func (h Header) Append(b []byte) []byte {
	var m []byte
	m = Int(m, 1, h.Created.UnixNano())
	m = String(m, 2, h.Source)
	m = Int(m, 3, int64(h.Type))
	m = String(m, 4, h.Version)
	m = Bool(m, 5, h.Payloads)
	return protowire.AppendBytes(b, m)
}

func (h *Header) parse(b []byte) error {
	return each(b, func(n protowire.Number, t protowire.Type, v uint64, data []byte) {
		switch {
		case n == 1 && t == protowire.VarintType:
			h.Created = time.Unix(0, int64(v)).UTC()
		case n == 2 && t == protowire.BytesType:
			h.Source = strings.ToValidUTF8(string(data), "�")
		case n == 3 && t == protowire.VarintType && v <= 1<<15:
			h.Type = Type(v)
		case n == 4 && t == protowire.BytesType:
			h.Version = strings.ToValidUTF8(string(data), "�")
		case n == 5 && t == protowire.VarintType:
			h.Payloads = v != 0
		}
	})
}

// Int appends an int32 or int64 field; as all of these, nothing if it is zero.
func Int(b []byte, n protowire.Number, v int64) []byte { return Uint(b, n, uint64(v)) }

// Uint appends a uint32 or uint64 field.
func Uint(b []byte, n protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	b = tag(b, n, protowire.VarintType)
	if v < 0x80 {
		return append(b, byte(v))
	}
	return protowire.AppendVarint(b, v)
}

// tag is what a field begins with, mostly one byte.
func tag(b []byte, n protowire.Number, t protowire.Type) []byte {
	if n < 16 {
		return append(b, byte(n)<<3|byte(t))
	}
	return protowire.AppendTag(b, n, t)
}

// valid is v with what is not UTF-8 replaced: netcap's readers refuse it.
func valid(v string) string {
	if utf8.ValidString(v) {
		return v
	}
	return strings.ToValidUTF8(v, "�")
}

// Bool appends a bool field.
func Bool(b []byte, n protowire.Number, v bool) []byte { return Uint(b, n, protowire.EncodeBool(v)) }

// String appends a string field, made valid.
func String(b []byte, n protowire.Number, v string) []byte {
	if v == "" {
		return b
	}
	return protowire.AppendString(tag(b, n, protowire.BytesType), valid(v))
}

// Bytes appends a bytes field, or a nested message.
func Bytes(b []byte, n protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	return protowire.AppendBytes(tag(b, n, protowire.BytesType), v)
}

// Strings appends a repeated string field.
func Strings(b []byte, n protowire.Number, list []string) []byte {
	for _, v := range list {
		b = protowire.AppendString(tag(b, n, protowire.BytesType), valid(v))
	}
	return b
}

// Ints appends a repeated number, packed.
func Ints[T ~uint8 | ~uint16 | ~uint32 | ~int32](b []byte, n protowire.Number, list []T) []byte {
	var packed []byte
	for _, v := range list {
		packed = protowire.AppendVarint(packed, uint64(v))
	}
	return Bytes(b, n, packed)
}
