package history

import (
	"maps"
	"slices"
	"strings"
)

// writeLabels writes a metric so that two different ones never look the same.
func writeLabels(b *strings.Builder, metric map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(metric)) {
		b.WriteString(name)
		b.WriteByte(0xff)
		b.WriteString(metric[name])
		b.WriteByte(0xff)
	}
}
