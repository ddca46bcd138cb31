package app

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/guptarohit/asciigraph"
	"github.com/prometheus/common/model"
)

const (
	promqlPlotSeries = 8
	promqlPlotHeight = 15
	promqlPlotMargin = 4 // of the axis, and half a time at its right end
)

var (
	promqlColors = []asciigraph.AnsiColor{
		asciigraph.Blue, asciigraph.Green, asciigraph.Red, asciigraph.Yellow,
		asciigraph.Magenta, asciigraph.Cyan, asciigraph.Orange, asciigraph.White,
	}
	// promqlMarks tell series apart where there are no colours.
	promqlMarks = []string{"*", "+", "o", "x", "#", "@", "%", "&"}
)

// promqlPlot draws the series of a range query.
func promqlPlot(stdout, stderr io.Writer, v model.Value, q promqlQuery, screen promqlScreen) error {
	matrix, ok := v.(model.Matrix)
	if !ok {
		return fmt.Errorf("promql: an answer of type %q cannot be drawn: use -o table", v.Type())
	}
	series, lost := promqlDrawable(matrix)
	if lost > 0 {
		fmt.Fprintf(stderr, "promql: series of histograms or without finite values, not drawn: %d; use -o table\n", lost)
	}
	if len(series) == 0 {
		fmt.Fprintln(stderr, "promql: no data")
		return nil
	}
	metrics := make([]model.Metric, len(series))
	for i, s := range series {
		metrics[i] = s.Metric
	}
	common, differing := promqlLabels(metrics)
	slices.SortStableFunc(series, func(a, b *model.SampleStream) int {
		return promqlCompare(a.Metric, b.Metric, differing)
	})
	if more := len(series) - promqlPlotSeries; more > 0 {
		series = series[:promqlPlotSeries]
		fmt.Fprintf(stderr, "promql: series not drawn: %d; choose with topk(%d, ...)\n", more, promqlPlotSeries)
	}
	var b strings.Builder
	if len(common) > 0 {
		fmt.Fprintln(&b, promqlSelector(common))
	}
	promqlDraw(&b, series, q, screen)
	promqlLegend(&b, series, differing, screen)
	_, err := io.WriteString(stdout, b.String())
	return err
}

// promqlDrawable returns the series that have a finite point, and how many have none.
func promqlDrawable(matrix model.Matrix) (series []*model.SampleStream, lost int) {
	for _, s := range matrix {
		if slices.ContainsFunc(s.Values, func(p model.SamplePair) bool { return promqlFinite(float64(p.Value)) }) {
			series = append(series, s)
		} else {
			lost++
		}
	}
	return series, lost
}

func promqlFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// promqlDraw draws the lines and both axes. asciigraph gets values from 0 to 1:
// its own arithmetic overflows on large numbers that are close together.
func promqlDraw(b *strings.Builder, series []*model.SampleStream, q promqlQuery, screen promqlScreen) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, s := range series {
		for _, p := range s.Values {
			if v := float64(p.Value); promqlFinite(v) {
				low, high = min(low, promqlBound(v)), max(high, promqlBound(v))
			}
		}
	}
	label := promqlAxis(low, high, promqlPlotHeight)
	labels := 0
	for i := range promqlPlotHeight + 1 {
		f := float64(i) / promqlPlotHeight
		labels = max(labels, utf8.RuneCountInString(label(low+f*(high-low))))
	}
	start, end := q.over.Start, q.over.End
	if !end.After(start) {
		end = start.Add(q.over.Step) // a single point has an axis too
	}
	clock := promqlClock(end.Sub(start))
	width := max(screen.width-labels-promqlPlotMargin-len(clock)/2, 10)

	data := make([][]float64, len(series))
	for i, s := range series {
		data[i] = promqlColumns(s.Values, start, end, q.over.Step, width)
		for j, v := range data[i] {
			if high > low {
				data[i][j] = (v - low) / (high - low)
			} else {
				data[i][j] = v - low // 0, or NaN where there is a gap
			}
		}
	}
	options := []asciigraph.Option{
		asciigraph.Height(promqlPlotHeight),
		// asciigraph misplaces an axis whose labels have one character.
		asciigraph.YAxisValueFormatter(func(f float64) string { return fmt.Sprintf("%2s", label(low+f*(high-low))) }),
		asciigraph.XAxisRange(0, 1),
		asciigraph.XAxisValueFormatter(func(f float64) string {
			return start.Add(time.Duration(f * float64(end.Sub(start)))).In(screen.zone).Format(clock)
		}),
	}
	if high > low {
		// The axis is that of the points, also where means of them are drawn.
		options = append(options, asciigraph.LowerBound(0), asciigraph.UpperBound(1))
	}
	switch {
	case screen.color:
		options = append(options, asciigraph.SeriesColors(promqlColors[:len(series)]...))
	case len(series) > 1:
		var marks []asciigraph.CharSet
		for _, m := range promqlMarks[:len(series)] {
			marks = append(marks, asciigraph.CreateCharSet(m))
		}
		options = append(options, asciigraph.SeriesChars(marks...))
	}
	for line := range strings.Lines(asciigraph.PlotMany(data, options...) + "\n") {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	fmt.Fprintf(b, "%s to %s, step %s\n", q.over.Start.In(screen.zone).Format(promqlTimeLayout),
		q.over.End.In(screen.zone).Format(promqlTimeLayout), promqlStep(q.over.Step))
}

// promqlStep writes a step as PromQL does, which knows no fractions.
func promqlStep(d time.Duration) string { return model.Duration(d).String() }

// promqlLegend names the series by the labels in which they differ.
func promqlLegend(b *strings.Builder, series []*model.SampleStream, differing []model.LabelName, screen promqlScreen) {
	if len(series) == 1 && len(differing) == 0 {
		return // named above the plot
	}
	for i, s := range series {
		mark := promqlMarks[i]
		switch {
		case screen.color:
			mark = promqlColors[i].String() + "■" + asciigraph.Default.String()
		case len(series) == 1:
			mark = "─"
		}
		labels := model.Metric{}
		for _, name := range differing {
			if value, ok := s.Metric[name]; ok {
				labels[name] = value
			}
		}
		fmt.Fprintf(b, "%s %s\n", mark, promqlSelector(labels))
	}
}

// promqlColumns puts the points of a series into the columns of the plot: the
// mean where several share one, a straight line where neighbours are further
// apart, and NaN where there is no point for longer than a step.
func promqlColumns(points []model.SamplePair, start, end time.Time, step time.Duration, width int) []float64 {
	columns, count := make([]float64, width), make([]int, width)
	for i := range columns {
		columns[i] = math.NaN()
	}
	scale := float64(width-1) / float64(end.Sub(start))
	type place struct {
		x, v float64
		t    time.Time
	}
	var last *place
	for _, p := range points {
		v, t := promqlBound(float64(p.Value)), p.Timestamp.Time()
		x := float64(t.Sub(start)) * scale
		if math.IsNaN(v) || x < 0 || x > float64(width-1)+1e-6 {
			continue
		}
		here := &place{x, v, t}
		c := int(math.Round(x))
		count[c]++
		if count[c] == 1 {
			columns[c] = v
		} else {
			columns[c] += (v - columns[c]) / float64(count[c])
		}
		if last != nil && t.Sub(last.t) <= step+step/2 {
			for i := int(math.Round(last.x)) + 1; i < c; i++ {
				columns[i] = last.v + (v-last.v)*(float64(i)-last.x)/(x-last.x)
			}
		}
		last = here
	}
	return columns
}

// promqlBound makes a value one that can be subtracted from another; infinity becomes a gap.
func promqlBound(v float64) float64 {
	if math.IsInf(v, 0) {
		return math.NaN()
	}
	return min(max(v, -math.MaxFloat64/4), math.MaxFloat64/4)
}

// promqlClock is how times are written below a plot of this length.
func promqlClock(d time.Duration) string {
	switch {
	case d <= 10*time.Minute:
		return "15:04:05"
	case d <= 24*time.Hour:
		return "15:04"
	default:
		return "01-02 15:04"
	}
}

var promqlUnits = []struct {
	factor float64
	name   string
}{{1e15, "P"}, {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}, {1, ""}}

// promqlAxis returns the writer of the values of an axis from low to high: with
// SI prefixes, and as many decimals as tell neighbouring rows apart.
func promqlAxis(low, high float64, rows int) func(float64) string {
	step := (high - low) / float64(rows)
	largest := max(math.Abs(low), math.Abs(high))
	if largest != 0 && (largest < 1e-3 || largest >= 1e18) {
		return func(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }
	}
	return func(v float64) string {
		factor, unit := 1.0, ""
		for _, u := range promqlUnits {
			if math.Abs(v) >= u.factor {
				factor, unit = u.factor, u.name
				break
			}
		}
		text := strconv.FormatFloat(v/factor, 'g', 4, 64)
		if step > 0 {
			decimals := math.Ceil(-math.Log10(step / factor))
			text = strconv.FormatFloat(v/factor, 'f', int(min(max(decimals, 0), 9)), 64)
		}
		if f, err := strconv.ParseFloat(text, 64); err == nil && f == 0 {
			return "0" // not -0.0
		}
		return text + unit
	}
}
