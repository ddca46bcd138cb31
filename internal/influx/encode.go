package influx

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/influxdata/line-protocol/v2/lineprotocol"
)

const (
	// maxString is InfluxDB 1's limit of a string field; tags share a key of the same size.
	maxString = 64<<10 - 1
	// maxBatchBytes keeps a batch of long lines below every server's limit (InfluxDB 1: 25 MB).
	maxBatchBytes = 4 << 20
	// maxLabels bounds the tags of one line.
	maxLabels = 64
)

// Why a value or a line is left out.
const (
	skipNotFinite = "not_finite"
	skipTooLong   = "too_long"
	skipNoFields  = "no_fields"
	skipTags      = "too_many_tags"
	skipInvalid   = "invalid"
)

type tag struct{ key, value string }

type field struct {
	key   string
	value lineprotocol.Value
}

// encoder makes lines of line protocol and cuts them into batches. One goroutine uses it.
type encoder struct {
	common    []tag // sorted by key
	batchSize int
	skipped   func(why string)
	enc       lineprotocol.Encoder
	n         int // lines in enc
	emit      func(lines []byte, n int)
	tags      []tag
	fields    []field
	text      []byte // scratch
}

// newEncoder puts the tags, and host if it is not empty, on every line.
func newEncoder(tags map[string]string, host string, batchSize int, skipped func(why string)) *encoder {
	e := &encoder{batchSize: batchSize, skipped: skipped}
	for key, value := range tags {
		e.common = append(e.common, tag{key, value})
	}
	if host != "" && tags["host"] == "" {
		e.common = append(e.common, tag{"host", cleanText(host)})
	}
	slices.SortFunc(e.common, byKey)
	return e
}

// reset starts anew; emit gets each full batch, whose bytes are valid only during the call.
func (e *encoder) reset(emit func(lines []byte, n int)) {
	e.emit, e.n = emit, 0
	e.enc.Reset()
}

// flush emits the last batch, if there is any.
func (e *encoder) flush() {
	if e.n > 0 {
		e.emit(e.enc.Bytes(), e.n)
	}
	e.enc.Reset()
	e.n = 0
}

// start forgets the tags and fields of the line before.
func (e *encoder) start() { e.tags, e.fields = e.tags[:0], e.fields[:0] }

// tag adds a tag as Telegraf does: text that line protocol cannot say is
// replaced, an empty value is left out.
func (e *encoder) tag(key, value string) {
	key, value = cleanKey(key), cleanText(value)
	if key != "" && value != "" {
		e.tags = append(e.tags, tag{key, value})
	}
}

func (e *encoder) intField(key string, v int64) {
	e.fields = append(e.fields, field{key, lineprotocol.IntValue(v)})
}

func (e *encoder) floatField(key string, v float64) {
	value, ok := lineprotocol.FloatValue(v)
	if key = cleanKey(key); !ok || key == "" {
		e.skipped(skipNotFinite)
		return
	}
	e.fields = append(e.fields, field{key, value})
}

func (e *encoder) stringField(key, text string) {
	if len(text) > maxString {
		e.skipped(skipTooLong)
		return
	}
	if value, ok := lineprotocol.StringValue(strings.ToValidUTF8(text, "\uFFFD")); ok {
		e.fields = append(e.fields, field{key, value})
	}
}

// end writes the line. One that cannot be written is skipped, and only it.
func (e *encoder) end(measurement string, at time.Time) {
	switch {
	case len(e.fields) == 0:
		e.skipped(skipNoFields)
		return
	case len(e.tags) > maxLabels:
		e.skipped(skipTags)
		return
	}
	tags, ok := e.merged()
	if !ok {
		e.skipped(skipTooLong)
		return
	}
	e.enc.StartLine(cleanMeasurement(measurement))
	for _, t := range tags {
		e.enc.AddTag(t.key, t.value)
	}
	for _, f := range e.fields {
		e.enc.AddField(f.key, f.value)
	}
	e.enc.EndLine(at)
	if e.enc.Err() != nil {
		e.enc.ClearErr()
		e.skipped(skipInvalid)
		return
	}
	e.n++
	if e.n >= e.batchSize || len(e.enc.Bytes()) >= maxBatchBytes {
		e.flush()
	}
}

// merged returns the line's and the common tags, sorted, one of each key, and
// whether they are short enough: InfluxDB stores measurement and tags as one key.
func (e *encoder) merged() ([]tag, bool) {
	slices.SortStableFunc(e.tags, byKey)
	e.tags = slices.CompactFunc(e.tags, func(a, b tag) bool { return a.key == b.key })
	own := len(e.tags)
	for _, c := range e.common {
		if _, has := slices.BinarySearchFunc(e.tags[:own], c, byKey); !has {
			e.tags = append(e.tags, c)
		}
	}
	slices.SortFunc(e.tags, byKey)
	size := 0
	for _, t := range e.tags {
		size += len(t.key) + len(t.value) + 2
	}
	return e.tags, size < maxString
}

func byKey(a, b tag) int { return strings.Compare(a.key, b.key) }

// cleanText makes a text one that line protocol can say, as Telegraf's
// serializer does: line breaks and tabs become \n, \r, \t, \f in letters, and
// backslashes at the end, which would escape what follows, go. Other control
// characters and bytes that are not UTF-8 become U+FFFD.
func cleanText(s string) string {
	if isClean(s) {
		return s
	}
	s = controls.Replace(strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return utf8.RuneError
		}
		return r
	}, s)
	return strings.TrimRight(s, `\`)
}

var controls = strings.NewReplacer("\n", `\n`, "\r", `\r`, "\t", `\t`, "\f", `\f`)

func isClean(s string) bool {
	ascii := true
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c == 0x7f {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	return (ascii || utf8.ValidString(s)) && (s == "" || s[len(s)-1] != '\\')
}

// cleanKey also renames the key that InfluxDB keeps for itself.
func cleanKey(s string) string {
	if s = cleanText(s); s == "time" {
		return "label_time"
	}
	return s
}

// cleanMeasurement also keeps a line from being a comment.
func cleanMeasurement(s string) string {
	if s = cleanText(s); strings.HasPrefix(s, "#") {
		return "_" + s
	}
	return s
}
