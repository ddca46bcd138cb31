package conf

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// ByteSize is a number of bytes, written "512MB", "1.5GiB" or "4096". As in
// Prometheus' storage flags all units are powers of 1024, with or without the i.
type ByteSize int64

var byteUnits = []struct {
	letter string
	shift  uint
}{{"E", 60}, {"P", 50}, {"T", 40}, {"G", 30}, {"M", 20}, {"K", 10}}

// ParseByteSize reads a size.
func ParseByteSize(text string) (ByteSize, error) {
	number, unit := text, int64(1)
	trimmed := strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(text), "B"), "I")
	for _, u := range byteUnits {
		if n, ok := strings.CutSuffix(trimmed, u.letter); ok {
			number, unit = n, int64(1)<<u.shift
			break
		}
	}
	if unit == 1 {
		number = strings.TrimSuffix(strings.ToUpper(text), "B")
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !(f >= 0) || f*float64(unit) >= 1<<63 || strings.ContainsAny(number, "xXpPnNeE_") {
		return 0, fmt.Errorf("size %q: want bytes, like 512MB, 1.5GiB or 4096", text)
	}
	return ByteSize(f * float64(unit)), nil
}

// UnmarshalYAML reads a size from the configuration.
func (s *ByteSize) UnmarshalYAML(node ast.Node) error {
	v, err := ParseByteSize(scalar(node))
	if err != nil {
		return &yaml.SyntaxError{Message: err.Error(), Token: node.GetToken()}
	}
	*s = v
	return nil
}

// MarshalText writes a size as ParseByteSize reads it.
func (s ByteSize) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s ByteSize) String() string {
	for _, u := range byteUnits {
		if s != 0 && s%(1<<u.shift) == 0 {
			return fmt.Sprintf("%d%siB", int64(s)>>u.shift, u.letter)
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}
