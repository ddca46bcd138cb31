package app

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/prometheus/common/model"
)

// promqlTimeLayout has milliseconds only where there are some.
const promqlTimeLayout = "2006-01-02T15:04:05.999Z07:00"

// promqlRow is one value of a table.
type promqlRow struct {
	metric model.Metric
	time   model.Time
	value  string
}

// promqlTable prints a value: one row per series, or per point of a series. The
// labels that all rows share stand above it, once.
func promqlTable(stdout, stderr io.Writer, v model.Value, ordered bool, limit int, zone *time.Location) error {
	var rows []promqlRow
	timed := false
	switch v := v.(type) {
	case *model.Scalar:
		_, err := fmt.Fprintln(stdout, promqlNumber(float64(v.Value)))
		return err
	case *model.String:
		_, err := fmt.Fprintln(stdout, promqlClean(v.Value))
		return err
	case model.Vector:
		for _, s := range v {
			value := promqlNumber(float64(s.Value))
			if s.Histogram != nil {
				value = promqlHistogram(s.Histogram)
			}
			rows = append(rows, promqlRow{s.Metric, s.Timestamp, value})
		}
	case model.Matrix:
		timed = true
		for _, s := range v {
			for _, p := range s.Values {
				rows = append(rows, promqlRow{s.Metric, p.Timestamp, promqlNumber(float64(p.Value))})
			}
			for _, p := range s.Histograms {
				rows = append(rows, promqlRow{s.Metric, p.Timestamp, promqlHistogram(p.Histogram)})
			}
		}
	default:
		return fmt.Errorf("promql: an answer of type %q is not known", fmt.Sprint(v))
	}
	if len(rows) == 0 {
		fmt.Fprintln(stderr, "promql: no data")
		return nil
	}
	metrics := make([]model.Metric, len(rows))
	for i, r := range rows {
		metrics[i] = r.metric
	}
	common, differing := promqlLabels(metrics)
	if !ordered || timed { // the order of a range is never the expression's
		slices.SortStableFunc(rows, func(a, b promqlRow) int {
			return cmp.Or(promqlCompare(a.metric, b.metric, differing), cmp.Compare(a.time, b.time))
		})
	}
	left := 0
	if limit > 0 && len(rows) > limit {
		left = len(rows) - limit
		rows = rows[:limit]
	}
	if err := promqlWriteRows(stdout, rows, common, differing, timed, zone); err != nil {
		return err
	}
	if left > 0 {
		fmt.Fprintf(stderr, "promql: rows left out: %d; --limit 0 shows all\n", left)
	}
	return nil
}

func promqlWriteRows(w io.Writer, rows []promqlRow, common model.Metric, differing []model.LabelName, timed bool, zone *time.Location) error {
	var b bytes.Buffer
	if len(common) > 0 {
		fmt.Fprintln(&b, promqlSelector(common))
	}
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, name := range differing {
		fmt.Fprint(tw, promqlClean(string(name)), "\t")
	}
	if timed {
		fmt.Fprint(tw, "TIME\t")
	}
	fmt.Fprintln(tw, "VALUE")
	for _, r := range rows {
		for _, name := range differing {
			fmt.Fprint(tw, cmp.Or(promqlClean(string(r.metric[name])), "-"), "\t")
		}
		if timed {
			fmt.Fprint(tw, r.time.Time().In(zone).Format(promqlTimeLayout), "\t")
		}
		fmt.Fprintln(tw, r.value)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// promqlLabels returns the labels that are equal on all metrics, and the names
// of the others, the metric's own first. A label that is not there is empty.
func promqlLabels(metrics []model.Metric) (common model.Metric, differing []model.LabelName) {
	common = model.Metric{}
	seen := map[model.LabelName]bool{}
	for _, m := range metrics {
		for name, value := range m {
			if !seen[name] {
				seen[name] = true
				common[name] = value
			}
		}
	}
	for _, m := range metrics {
		for name, value := range common {
			if m[name] != value {
				delete(common, name)
			}
		}
	}
	for name := range seen {
		if _, ok := common[name]; !ok {
			differing = append(differing, name)
		}
	}
	slices.SortFunc(differing, func(a, b model.LabelName) int {
		if (a == model.MetricNameLabel) != (b == model.MetricNameLabel) {
			if a == model.MetricNameLabel {
				return -1
			}
			return 1
		}
		return cmp.Compare(a, b)
	})
	return common, differing
}

func promqlCompare(a, b model.Metric, names []model.LabelName) int {
	for _, name := range names {
		if c := cmp.Compare(a[name], b[name]); c != 0 {
			return c
		}
	}
	return 0
}

// promqlSelector writes labels so that they can be pasted into an expression.
func promqlSelector(m model.Metric) string {
	name := string(m[model.MetricNameLabel])
	var inside []string
	for label, value := range m {
		if label == model.MetricNameLabel {
			continue
		}
		l := string(label)
		if !model.LegacyValidation.IsValidLabelName(l) {
			l = strconv.Quote(l)
		}
		inside = append(inside, l+"="+strconv.Quote(string(value)))
	}
	slices.Sort(inside)
	if name != "" && !model.LegacyValidation.IsValidMetricName(name) {
		inside = slices.Insert(inside, 0, strconv.Quote(name))
		name = ""
	}
	if name != "" && len(inside) == 0 {
		return name
	}
	return name + "{" + strings.Join(inside, ", ") + "}"
}

// promqlNumber writes a number exactly and as short as can be read at a glance:
// with an exponent only where the plain form is mostly zeros.
func promqlNumber(v float64) string {
	switch a := math.Abs(v); {
	case math.IsInf(v, 0) || math.IsNaN(v), a == 0, a >= 1e-6 && a < 1e21:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return strconv.FormatFloat(v, 'e', -1, 64)
	}
}

// promqlHistogram writes a native histogram as PromQL's own text has it.
func promqlHistogram(h *model.SampleHistogram) string {
	if h == nil {
		return "-"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "{count:%s, sum:%s", promqlNumber(float64(h.Count)), promqlNumber(float64(h.Sum)))
	for _, bucket := range h.Buckets {
		if bucket != nil {
			fmt.Fprintf(&b, ", %s", bucket)
		}
	}
	return b.String() + "}"
}
