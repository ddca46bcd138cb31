package conf

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// Duration is a length of time written as Prometheus writes it: "1h30m",
// "15s", "250ms", "7d", "2w", "1y" (365 days).
type Duration time.Duration

var durationUnits = []struct {
	suffix string
	unit   time.Duration
}{
	{"y", 365 * 24 * time.Hour},
	{"w", 7 * 24 * time.Hour},
	{"d", 24 * time.Hour},
	{"h", time.Hour},
	{"m", time.Minute},
	{"s", time.Second},
	{"ms", time.Millisecond},
}

// ParseDuration reads a duration. Units come once each, the largest first; "0" needs none.
func ParseDuration(text string) (Duration, error) {
	bad := func() (Duration, error) {
		return 0, fmt.Errorf("duration %q: want a number and a unit, like 30s, 5m, 1h30m or 7d", text)
	}
	if text == "0" {
		return 0, nil
	}
	rest, total, next := text, time.Duration(0), 0
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.ParseInt(rest[:digits], 10, 64)
		if err != nil {
			return bad()
		}
		rest = rest[digits:]
		letters := len(rest) - len(strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyz"))
		suffix := rest[:letters]
		rest = rest[letters:]
		for next < len(durationUnits) && durationUnits[next].suffix != suffix {
			next++
		}
		if next == len(durationUnits) {
			return bad()
		}
		unit := durationUnits[next].unit
		next++
		if n > int64((1<<63-1)/unit) || total > 1<<63-1-time.Duration(n)*unit {
			return 0, fmt.Errorf("duration %q: longer than 292 years", text)
		}
		total += time.Duration(n) * unit
	}
	if total == 0 && text == "" {
		return bad()
	}
	return Duration(total), nil
}

// UnmarshalYAML reads a duration from the configuration.
func (d *Duration) UnmarshalYAML(node ast.Node) error {
	v, err := ParseDuration(scalar(node))
	if err != nil {
		return &yaml.SyntaxError{Message: err.Error(), Token: node.GetToken()}
	}
	*d = v
	return nil
}

// MarshalText writes a duration as ParseDuration reads it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d Duration) String() string {
	if d == 0 {
		return "0s"
	}
	var b strings.Builder
	rest := time.Duration(d)
	for _, u := range durationUnits {
		if n := rest / u.unit; n > 0 && (u.suffix != "y" && u.suffix != "w" || rest%u.unit == 0) {
			fmt.Fprintf(&b, "%d%s", n, u.suffix)
			rest -= n * u.unit
		}
	}
	return b.String()
}

// Std returns the duration as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }
