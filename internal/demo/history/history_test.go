package history

import (
	"maps"
	"math"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

func page(t *testing.T, text string) []*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var list []*dto.MetricFamily
	for _, f := range families {
		list = append(list, f)
	}
	return list
}

// values walks each series through the span.
func values(t *testing.T, first, second string, end time.Time) map[string][]float64 {
	t.Helper()
	span := Span{Start: end.Add(-3 * time.Hour), End: end}
	out := map[string][]float64{}
	for _, s := range Of(page(t, first), page(t, second), 10*time.Second, Round{}, span) {
		name := s.Metric["__name__"] + s.Metric["le"] + s.Metric["peer"]
		for at := span.Start; at.Before(end); at = at.Add(15 * time.Second) {
			out[name] = append(out[name], s.At(at))
		}
	}
	return out
}

func TestCountersRiseToWhatIsThere(t *testing.T) {
	first := "# TYPE old counter\nold 1e9\n# TYPE young counter\nyoung 100\n# TYPE idle counter\nidle 7\n# TYPE mid counter\nmid 9000\n# TYPE grown counter\ngrown 49000\n"
	second := "# TYPE old counter\nold 1.000001e9\n# TYPE young counter\nyoung 1100\n# TYPE idle counter\nidle 7\n# TYPE mid counter\nmid 9020\n# TYPE grown counter\ngrown 50000\n# TYPE fresh counter\nfresh 1\n# TYPE new gauge\nnew 3\n# TYPE renamed_info gauge\nrenamed_info{peer=\"b\"} 1\n"
	first += "# TYPE renamed_info gauge\nrenamed_info{peer=\"a\"} 1\n"
	got := values(t, first, second, time.Unix(1_800_000_000, 0))
	restarts := map[string]int{}
	for name, list := range got {
		for i, v := range list {
			if v < 0 || math.IsNaN(v) {
				t.Fatalf("%s at %d: %v", name, i, v)
			}
			// A run before this one ended where this one begins: nothing is counted at once.
			if i > 0 && v < list[i-1] {
				restarts[name]++
				if rate := list[i-1] - list[i-2]; v > 2*rate {
					t.Errorf("%s begins again with %v; it counts %v in a step", name, v, rate)
				}
			}
		}
	}
	if want := map[string]int{"mid": 1, "grown": 1}; !maps.Equal(restarts, want) {
		t.Errorf("restarts %v; want %v", restarts, want)
	}
	if n := got["fresh"]; len(n) == 0 || n[len(n)-1] < 500 { // one in ten seconds
		t.Errorf("a counter that began in between was before at %v", n)
	}
	if n := got["new"]; len(n) == 0 || n[0] != 3 {
		t.Errorf("a gauge that came in between was before %v", n)
	}
	if len(got["renamed_infoa"])+len(got["renamed_infob"]) > 0 {
		t.Error("a description that has changed has a past")
	}
	last := func(name string) float64 { return got[name][len(got[name])-1] }
	for name, now := range map[string][2]float64{"old": {1.000001e9, 100}, "idle": {7, 0}, "mid": {9020, 2}, "grown": {50_000, 100}} {
		if v := last(name); v > now[0] || v < now[0]-now[1]*15*1.2 {
			t.Errorf("%s ends at %v; there is %v, and it counts %v a second", name, v, now[0], now[1])
		}
	}
	if rate := (got["young"][200] - got["young"][100]) / 1500; rate < 60 || rate > 150 {
		t.Errorf("young counts %v a second; the pages show 100", rate)
	}
}

func TestHistogramsStayInOrder(t *testing.T) {
	text := func(a, b, n, sum string) string {
		return "# TYPE h histogram\nh_bucket{le=\"0.1\"} " + a + "\nh_bucket{le=\"1\"} " + b + "\nh_bucket{le=\"+Inf\"} " + n + "\nh_sum " + sum + "\nh_count " + n + "\n"
	}
	got := values(t, text("10", "20", "30", "12"), text("15", "40", "60", "30"), time.Unix(1_800_000_000, 0))
	for i := range got["h_count"] {
		a, b, inf, n := got["h_bucket0.1"][i], got["h_bucket1.0"][i], got["h_bucket+Inf"][i], got["h_count"][i]
		if a > b || b > inf || inf != n {
			t.Fatalf("at %d: %v, %v, %v, count %v", i, a, b, inf, n)
		}
	}
}

func TestGauges(t *testing.T) {
	end := time.Unix(1_800_000_000, 0)
	first := "# TYPE g gauge\ng{peer=\"state\"} 1\ng{peer=\"latency\"} 0.02\ng{peer=\"handshake\"} 1799999950\ng{peer=\"old\"} 1700000000\ng{peer=\"ns\"} 1.79999995e+18\ng{peer=\"nan\"} NaN\ng{peer=\"never\"} 0\ng{peer=\"expiry\"} 1800400000\n"
	second := strings.Replace(first, "0.02", "0.021", 1)
	got := values(t, first, second, end)
	if _, ok := got["gnan"]; ok {
		t.Error("NaN has a past")
	}
	start := float64(end.Add(-3 * time.Hour).Unix())
	for i := range got["gstate"] {
		at := start + float64(i)*15
		if got["gexpiry"][i] != 1800400000 {
			t.Fatalf("at %d: what expires in five days did so at %v", i, got["gexpiry"][i])
		}
		if got["gstate"][i] != 1 || got["gnever"][i] != 0 {
			t.Fatalf("at %d: a state moved: %v, %v", i, got["gstate"][i], got["gnever"][i])
		}
		if l := got["glatency"][i]; l < 0.012 || l > 0.032 {
			t.Fatalf("at %d: latency %v", i, l)
		}
		if age := at - got["ghandshake"][i]; age < 0 || age > 120 {
			t.Fatalf("at %d: the handshake is %v s old", i, age)
		}
		if age := at - got["gns"][i]/1e9; age < -1e-3 || age > 120.001 {
			t.Fatalf("at %d: the handshake is %v s old", i, age)
		}
	}
}

// TestPartsStayBelowTheWhole: layers of one interface move together, and meet what is there now.
func TestPartsStayBelowTheWhole(t *testing.T) {
	end := time.Unix(1_800_000_000, 0)
	text := func(ip, tcp string) string {
		return "# TYPE bytes counter\nbytes{interface=\"eth0\",peer=\"ip\"} " + ip + "\nbytes{interface=\"eth0\",peer=\"tcp\"} " + tcp + "\n"
	}
	got := values(t, text("5000", "1000"), text("6000", "1950"), end)
	rates := func(name string) (list []float64) {
		for i := 1; i < len(got[name]); i++ {
			if r := (got[name][i] - got[name][i-1]) / 15; r >= 0 { // not where a run began
				list = append(list, r)
			}
		}
		return list
	}
	ip, tcp := rates("bytesip"), rates("bytestcp")
	for i := range min(len(ip), len(tcp)) {
		if tcp[i] > ip[i] {
			t.Fatalf("at %d: TCP %v above IP %v", i, tcp[i], ip[i])
		}
	}
	if r := ip[len(ip)-1]; r < 85 || r > 115 {
		t.Errorf("the history ends with %v a second; the pages show 100", r)
	}
}

// TestAgesAreThoseOfHandshakes: an age grows with the clock and starts again within two minutes.
func TestAgesAreThoseOfHandshakes(t *testing.T) {
	first := "# TYPE peer_age_seconds gauge\npeer_age_seconds 40\n"
	top := 0.0
	for i, v := range values(t, first, strings.Replace(first, "40", "50", 1), time.Unix(1_800_000_000, 0))["peer_age_seconds"] {
		if top = max(top, v); v < 0 || v > 120 {
			t.Fatalf("at %d: %v", i, v)
		}
	}
	if top < 100 {
		t.Errorf("no age above %v s", top)
	}
}

// TestEventsHappenedBefore: what counts a few things that did not come while the pages were read has a past of steps;
// what came in a burst just now has the rate of the whole run.
func TestEventsHappenedBefore(t *testing.T) {
	end := time.Unix(1_800_000_000, 0)
	span := Span{Start: end.Add(-24 * time.Hour), Began: end.Add(-20 * time.Second), End: end}
	text := func(burst string) string {
		return "# TYPE refusals_total counter\nrefusals_total{tunnel=\"a\"} 2\n# TYPE idle_bytes_total counter\nidle_bytes_total 3\n# TYPE many_total counter\nmany_total 5000\n" +
			"# TYPE never_total counter\nnever_total 0\n# TYPE x_alerts_total counter\nx_alerts_total " + burst + "\n# TYPE burst_total counter\nburst_total " + burst + "\n"
	}
	rises := map[string][]time.Time{}
	counted := map[string]float64{}
	for _, s := range Of(page(t, text("10")), page(t, text("20")), time.Second, Round{}, span) {
		name := s.Metric["__name__"]
		before := s.At(span.Start)
		for at := span.Start.Add(15 * time.Second); at.Before(end); at = at.Add(15 * time.Second) {
			v := s.At(at)
			if v != math.Trunc(v) && name != "burst_total" {
				t.Fatalf("%s: %v events", name, v)
			}
			if v > before {
				rises[name] = append(rises[name], at)
				counted[name] += v - before
			}
			before = v
		}
	}
	if n := counted["refusals_total"]; n < 100 || n > 200 { // two in twenty minutes
		t.Errorf("%v refusals in a day", n)
	}
	if at := rises["refusals_total"]; len(at) < 50 || at[0].Sub(span.Start) > 2*time.Hour || end.Sub(at[len(at)-1]) > 2*time.Hour {
		t.Errorf("refusals at %v", at)
	}
	if n := counted["x_alerts_total"]; n < 1000 || n > 2000 { // twenty in twenty minutes
		t.Errorf("%v alerts in a day", n)
	}
	for _, name := range []string{"idle_bytes_total", "many_total", "never_total"} {
		if counted[name] != 0 {
			t.Errorf("%s counted %v", name, counted[name])
		}
	}
	if rate := counted["burst_total"] / span.End.Sub(span.Start).Seconds(); rate < 0.7 || rate > 1.4 {
		t.Errorf("the burst is %v a second; the run counted 1", rate)
	}
}

// TestARoundGivesItsRates: what a source does again and again is counted by whole rounds, what it did not do yet too.
func TestARoundGivesItsRates(t *testing.T) {
	end := time.Unix(1_800_000_000, 0)
	span := Span{Start: end.Add(-3 * time.Hour), Began: end.Add(-20 * time.Second), End: end}
	first := page(t, "# TYPE packets_total counter\npackets_total 0\n# TYPE open gauge\nopen 30\n")
	second := page(t, "# TYPE packets_total counter\npackets_total 9000\n# TYPE open gauge\nopen 40\n") // it begins with a burst
	round := Round{Page: page(t, "# TYPE packets_total counter\npackets_total 6000\n# TYPE late_total counter\nlate_total 60\n# TYPE open gauge\nopen 0\n"), Length: time.Minute}
	rates, top := map[string]float64{}, 0.0
	for _, s := range Of(first, second, 5*time.Second, round, span) {
		name, before := s.Metric["__name__"], s.At(span.Start)
		for at := span.Start.Add(15 * time.Second); at.Before(end); at = at.Add(15 * time.Second) {
			v := s.At(at)
			if name == "open" {
				if top = max(top, v); v < 0 {
					t.Fatalf("%v are open", v)
				}
			}
			rates[name] += max(0, v-before) / end.Sub(span.Start).Seconds()
			before = v
		}
	}
	if r := rates["packets_total"]; r < 70 || r > 130 {
		t.Errorf("%v packets a second; a round has 100", r)
	}
	if r := rates["late_total"]; r < 0.7 || r > 1.3 {
		t.Errorf("%v a second of what comes late in a round; want 1", r)
	}
	if top < 80 || top > 120 { // 40 after a third of a round
		t.Errorf("at most %v are open; want 120 at the end of a round", top)
	}
}

// TestNowEndsThePast: a page goes on with what it shows, and ends what it has no longer.
func TestNowEndsThePast(t *testing.T) {
	text := "# TYPE a_info gauge\na_info{peer=\"old\"} 1\n# TYPE g gauge\ng 3\n"
	end := time.Unix(1_800_000_000, 0)
	past := Of(page(t, text), page(t, text), 5*time.Second, Round{}, Span{Start: end.Add(-time.Hour), End: end})
	got := map[string]bool{}
	for _, s := range Now(past, page(t, strings.Replace(strings.Replace(text, "old", "new", 1), "g 3", "g 4", 1))) {
		got[s.Metric["__name__"]+s.Metric["peer"]] = s.Gone
		if s.Metric["__name__"] == "g" && s.At(end) != 4 {
			t.Errorf("g is %v", s.At(end))
		}
	}
	if want := map[string]bool{"a_infoold": true, "a_infonew": false, "g": false}; !maps.Equal(got, want) {
		t.Errorf("gone: %v; want %v", got, want)
	}
}

// TestADescriptionOfALateSourceHasAPast: there was none that it would stand beside.
func TestADescriptionOfALateSourceHasAPast(t *testing.T) {
	end := time.Unix(1_800_000_000, 0)
	list := Of(nil, page(t, "# TYPE a_info gauge\na_info 1\n"), 5*time.Second, Round{}, Span{Start: end.Add(-time.Hour), End: end})
	if len(list) != 1 || list[0].At(end.Add(-time.Minute)) != 1 {
		t.Errorf("%v", list)
	}
}
