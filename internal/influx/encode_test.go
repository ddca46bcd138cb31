package influx

import (
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/influxdata/line-protocol/v2/lineprotocol"
	dto "github.com/prometheus/client_model/go"
)

// line is a decoded line.
type line struct {
	measurement string
	tags        map[string]string
	fields      map[string]any
	at          int64
}

// decode reads lines back with the library's own strict decoder.
func decode(t testing.TB, text []byte) []line {
	t.Helper()
	lines, err := tryDecode(text)
	if err != nil {
		t.Fatalf("decode: %v\n%s", err, text)
	}
	return lines
}

func tryDecode(text []byte) ([]line, error) {
	var lines []line
	d := lineprotocol.NewDecoderWithBytes(text)
	for d.Next() {
		l := line{tags: map[string]string{}, fields: map[string]any{}}
		m, err := d.Measurement()
		if err != nil {
			return lines, err
		}
		l.measurement = string(m)
		for {
			k, v, err := d.NextTag()
			if err != nil {
				return lines, err
			}
			if k == nil {
				break
			}
			l.tags[string(k)] = string(v)
		}
		for {
			k, v, err := d.NextField()
			if err != nil {
				return lines, err
			}
			if k == nil {
				break
			}
			l.fields[string(k)] = v.Interface()
		}
		at, err := d.Time(lineprotocol.Nanosecond, time.Time{})
		if err != nil {
			return lines, err
		}
		l.at = at.UnixNano()
		lines = append(lines, l)
	}
	return lines, nil
}

func encodeAll(tags map[string]string, host string, size int, write func(*encoder)) (text []byte, batches []int, skipped map[string]int) {
	skipped = map[string]int{}
	e := newEncoder(tags, host, size, func(why string) { skipped[why]++ })
	e.reset(func(lines []byte, n int) { text, batches = append(text, lines...), append(batches, n) })
	write(e)
	e.flush()
	return text, batches, skipped
}

func testDevice() Device {
	key := func(b byte) (k [32]byte) { k[31] = b; return k }
	return Device{
		Name: "wg0", Type: "linux_kernel", ListenPort: 51820, FirewallMark: 51,
		Peers: []Peer{
			{
				PublicKey: key(1), Endpoint: netip.MustParseAddrPort("192.0.2.1:1234"),
				AllowedIPs:    []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("fd00::1/128")},
				LastHandshake: time.Unix(1763700000, 5), ReceiveBytes: 40, TransmitBytes: math.MaxUint64, Keepalive: 25 * time.Second, ProtocolVersion: 1,
			},
			{PublicKey: key(2), ProtocolVersion: 1},
		},
	}
}

// TestLinesAreTelegrafs: the text is what Telegraf's serializer gives for the
// same point, but for the order of fields and the split into two lines.
func TestLinesAreTelegrafs(t *testing.T) {
	at := time.Unix(1763700010, 0)
	got, _, skipped := encodeAll(nil, "gw 1", 1000, func(e *encoder) { d := testDevice(); e.device(&d, at) })
	const want = `wireguard_device,host=gw\ 1,name=wg0,type=linux_kernel firewall_mark=51i,listen_port=51820i,peers=2i 1763700010000000000
wireguard_peer,device=wg0,host=gw\ 1,public_key=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\= allowed_ips=2i,allowed_peer_cidr="10.0.0.1/32,fd00::1/128",endpoint="192.0.2.1:1234",last_handshake_time_ns=1763700000000000005i,persistent_keepalive_interval_ns=25000000000i,protocol_version=1i,rx_bytes=40i,tx_bytes=9223372036854775807i 1763700010000000000
wireguard_peer,device=wg0,host=gw\ 1,public_key=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI\= allowed_ips=0i,persistent_keepalive_interval_ns=0i,protocol_version=1i,rx_bytes=0i,tx_bytes=0i 1763700010000000000
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if len(skipped) > 0 {
		t.Errorf("skipped %v; want nothing", skipped)
	}
}

// TestNeverConnectedPeerHasNoHandshake: Telegraf writes 1677-09-21 for it.
func TestNeverConnectedPeerHasNoHandshake(t *testing.T) {
	for _, at := range []time.Time{{}, time.Unix(0, 0), time.Unix(-62135596800, 0), time.Unix(0, -5)} {
		text, _, _ := encodeAll(nil, "", 10, func(e *encoder) {
			e.device(&Device{Name: "wg0", Type: "userspace", Peers: []Peer{{LastHandshake: at}}}, time.Unix(1, 0))
		})
		if strings.Contains(string(text), "last_handshake") {
			t.Errorf("last handshake %v: %s", at, text)
		}
	}
}

func TestOwnTagWinsOverCommon(t *testing.T) {
	text, _, _ := encodeAll(map[string]string{"name": "x", "dc": "fra"}, "h", 10, func(e *encoder) {
		e.device(&Device{Name: "wg0", Type: "unknown"}, time.Unix(1, 0))
	})
	want := map[string]string{"name": "wg0", "dc": "fra", "host": "h", "type": "unknown"}
	if diff := cmp.Diff(want, decode(t, text)[0].tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

// TestNamesThatInfluxDBKeepsForItself: a tag or field named time is refused by
// the server, and a measurement that begins with # makes the line a comment.
func TestNamesThatInfluxDBKeepsForItself(t *testing.T) {
	text, _, _ := encodeAll(nil, "", 10, func(e *encoder) {
		e.start()
		e.tag("time", "x")
		e.floatField("time", 1)
		e.end("#m", time.Unix(0, 1))
	})
	if want := "_#m,label_time=x label_time=1 1\n"; string(text) != want {
		t.Errorf("line = %q; want %q", text, want)
	}
}

func TestBatchesAreFull(t *testing.T) {
	_, batches, _ := encodeAll(nil, "", 4, func(e *encoder) {
		e.device(&Device{Name: "wg0", Type: "unknown", Peers: make([]Peer, 10)}, time.Unix(1, 0))
	})
	if diff := cmp.Diff([]int{4, 4, 3}, batches); diff != "" {
		t.Errorf("lines by batch (-want +got):\n%s", diff)
	}
}

func families() []*dto.MetricFamily {
	label := []*dto.LabelPair{{Name: new("job"), Value: new(`a=b, "c"\`)}, {Name: new("empty"), Value: new("")}}
	return []*dto.MetricFamily{
		{Name: new("up"), Type: dto.MetricType_GAUGE.Enum(), Metric: []*dto.Metric{
			{Label: label, Gauge: &dto.Gauge{Value: new(1.5)}},
			{Gauge: &dto.Gauge{Value: new(math.NaN())}},
			{Gauge: &dto.Gauge{Value: new(math.Inf(-1))}},
		}},
		{Name: new("n_total"), Type: dto.MetricType_COUNTER.Enum(), Metric: []*dto.Metric{{Counter: &dto.Counter{Value: new(3.0)}, TimestampMs: new(int64(7))}}},
		{Name: new("u"), Type: dto.MetricType_UNTYPED.Enum(), Metric: []*dto.Metric{{Untyped: &dto.Untyped{Value: new(4.0)}}}},
		{Name: new("h"), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{{Histogram: &dto.Histogram{
			SampleCount: new(uint64(5)), SampleSum: new(9.5), Bucket: []*dto.Bucket{{UpperBound: new(0.5), CumulativeCount: new(uint64(2))}},
		}}}},
		{Name: new("s"), Type: dto.MetricType_SUMMARY.Enum(), Metric: []*dto.Metric{{Summary: &dto.Summary{
			SampleCount: new(uint64(5)), SampleSum: new(9.5), Quantile: []*dto.Quantile{
				{Quantile: new(0.9), Value: new(2.0)}, {Quantile: new(0.99), Value: new(math.NaN())},
			},
		}}}},
	}
}

func TestMetricVersions(t *testing.T) {
	for version, want := range map[int]string{
		2: `prometheus,host=h,job=a\=b\,\ "c" up=1.5 1000000000
prometheus,host=h n_total=3 7000000
prometheus,host=h u=4 1000000000
prometheus,host=h h_count=5,h_sum=9.5 1000000000
prometheus,host=h,le=0.5 h_bucket=2 1000000000
prometheus,host=h,le=+Inf h_bucket=5 1000000000
prometheus,host=h s_count=5,s_sum=9.5 1000000000
prometheus,host=h,quantile=0.9 s=2 1000000000
`,
		1: `up,host=h,job=a\=b\,\ "c" gauge=1.5 1000000000
n_total,host=h counter=3 7000000
u,host=h value=4 1000000000
h,host=h count=5,sum=9.5,0.5=2 1000000000
s,host=h count=5,sum=9.5,0.9=2 1000000000
`,
	} {
		got, _, skipped := encodeAll(nil, "h", 1000, func(e *encoder) {
			for _, mf := range families() {
				e.family(mf, version, time.Unix(1, 0))
			}
		})
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("version %d (-want +got):\n%s", version, diff)
		}
		if skipped[skipNotFinite] != 2 {
			t.Errorf("version %d: skipped %v; want 2 not finite", version, skipped)
		}
		decode(t, got)
	}
}

// FuzzEncode: whatever the texts and the number, what the decoder reads is what
// was meant, and a line that cannot be said is skipped and counted, alone.
func FuzzEncode(f *testing.F) {
	f.Add("up", "job", `a "quoted" one`, 1.0, "10.0.0.1/32,fd00::1/128")
	f.Add("m", "k=,v ", "ends with \\", math.NaN(), "a\nb")
	f.Add("# comment", "time", "two\nlines\\\\", math.Inf(1), `\"`)
	f.Add("", "", "", math.Copysign(0, -1), "")
	f.Add("m\\", "k\\", "a\\,b\\ c\\=d", 1e300, "\xff\x00\x7f")
	f.Add(" ,=", " ", "ключ", -1.5, strings.Repeat("x", 70_000))
	f.Fuzz(func(t *testing.T, measurement, key, value string, number float64, text string) {
		text0, _, skipped := encodeAll(map[string]string{"dc": "x"}, "h", 1000, func(e *encoder) {
			e.start()
			e.tag(key, value)
			e.tag("device", "wg0")
			e.floatField("f", number)
			e.intField("i", 1)
			e.stringField("s", text)
			e.end(measurement, time.Unix(1, 2))
			e.start()
			e.intField("after", 1)
			e.end("after", time.Unix(1, 2))
		})
		got := decode(t, text0)
		if n := strings.Count(string(text0), "\n"); n != len(got) {
			t.Fatalf("%d line ends in %d lines: a text broke out\n%s", n, len(got), text0)
		}
		if len(got) == 0 || got[len(got)-1].measurement != "after" {
			t.Fatalf("the line after is missing:\n%s", text0)
		}
		if len(got) == 1 {
			if skipped[skipInvalid]+skipped[skipTooLong] == 0 {
				t.Fatalf("a line is missing and was not counted: %v", skipped)
			}
			if cleanMeasurement(measurement) != "" && len(value)+len(key) < 1000 {
				t.Fatalf("skipped %v; want the line", skipped)
			}
			return
		}
		tags := map[string]string{"dc": "x", "host": "h", "device": "wg0"}
		if k, v := cleanKey(key), cleanText(value); k != "" && v != "" {
			tags[k] = v
		}
		fields := map[string]any{"i": int64(1)}
		if finite(number) {
			fields["f"] = number
		}
		if len(text) <= maxString {
			fields["s"] = strings.ToValidUTF8(text, "\uFFFD")
		}
		want := line{measurement: cleanMeasurement(measurement), tags: tags, fields: fields, at: 1e9 + 2}
		if diff := cmp.Diff(want, got[0], cmp.AllowUnexported(line{})); diff != "" {
			t.Errorf("decoded (-want +got):\n%s\n%q", diff, text0)
		}
	})
}

// FuzzCleanText: what is clean stays, the result is clean, and nothing but the
// unspeakable changes.
func FuzzCleanText(f *testing.F) {
	for _, s := range []string{"", "plain", "a\nb\\", "\\\\", "\xff", "é\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c := cleanText(s)
		if !isClean(c) || !utf8.ValidString(c) || cleanText(c) != c {
			t.Errorf("cleanText(%q) = %q, which is not clean", s, c)
		}
		if isClean(s) && c != s {
			t.Errorf("cleanText(%q) = %q; it was clean", s, c)
		}
	})
}
