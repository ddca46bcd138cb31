package timeseries

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/orielhq/oriel/internal/query/lex"
)

// Group is some functions of the dialect that belong together.
type Group struct {
	Name      string
	Functions []string // sorted
}

// Refused are functions that IBM's pages name and that are not supported, with the reason.
var Refused = map[string]string{
	"TS_FIND": "IBM's pages list its name and say nothing about it",
}

// Catalogue lists the functions of the dialect that are supported. It is made from
// what the rewriter works with.
func Catalogue() []Group {
	const reducers, pairs, artifacts = "Reducers, also of segments", "Of two series, also of segments", "Interpolators, combiners, models, matchers and time references"
	groups := map[string][]string{
		"Series of columns": {
			"TIME_SERIES_FORMAT", "TIME_SERIES", "TIME_SERIES_S", "TIME_SERIES_DA", "TIME_SERIES_SA",
			"TIME_SERIES_WITH_TRS", "TIME_SERIES_S_WITH_TRS", "TIME_SERIES_DA_WITH_TRS", "TIME_SERIES_SA_WITH_TRS", "TS_WITH_TRS",
		},
		reducers:           {"TS_COUNT", "TS_SEG_COUNT", "TS_FFT", "TS_SEG_FFT", "TS_AUTO_CORRELATION", "TS_SEG_AUTO_CORRELATION"},
		"Forecasts":        {"TS_FORECAST", "TS_DETECT_ANOMALIES"},
		"String matching":  {"TS_MATCH"},
		"Gaps":             {"TS_RESAMPLE", "TS_FILLNA"},
		"Joins and aligns": {"TS_VECTORN"},
		"Segments":         {"TS_SEGMENT_BY_TIME"},
		"Filters and transforms": {
			"TS_COMBINE_DUPLICATE_TIMETICKS",
		},
		"Expressions of a value":     {"TS_EXP_ID", "TS_EXP_ID_INDEX", "TS_EXP_ID_TO_STRING", "TS_EXP_MATCH_CASE"},
		"Anchors, the older wording": {"TS_ANCHOR_AND", "TS_ANCHOR_OR", "TS_ANCHOR_NOT", "TS_ANCHOR_INDEX"},
		artifacts: {
			"TS_INTERPOLATOR_FILL", "TS_INTERPOLATOR_PREV", "TS_INTERPOLATOR_NEXT", "TS_INTERPOLATOR_NEAREST", "TS_INTERPOLATOR_LINEAR", "TS_INTERPOLATOR_SPLINE",
			"TS_COMBINER_CONCATENATE", "TS_TRS", "TS_TRS_DEFAULT", "TS_TRS_DEFAULT_STARTTIME", "TS_FORECAST_LINEAR", "TS_FORECAST_AVERAGE",
		},
	}
	add := func(group string, names ...string) { groups[group] = append(groups[group], names...) }
	for name := range aggregates {
		add(reducers, "TS_"+name, "TS_SEG_"+name)
	}
	for name := range segmentPairs {
		add(pairs, "TS_"+name, "TS_SEG_"+name)
	}
	for name := range operators {
		add("Expressions of a value", "TS_EXP_"+name)
	}
	for name := range anchors {
		add("Anchors, the older wording", "TS_ANCHOR_"+name)
	}
	for name := range ofTicks {
		add("Joins and aligns", name+"_JOIN", name+"_ALIGN")
	}
	for n := 2; n <= 10; n++ {
		add("Joins and aligns", "TS_VECTOR"+strconv.Itoa(n))
	}
	for name := range combiners {
		add(artifacts, name)
	}
	for _, name := range fitted {
		add(artifacts, "TS_FORECAST_"+name)
	}
	for _, name := range matchers {
		add(artifacts, "TS_MATCHER_"+name)
	}
	listed := map[string]bool{}
	for _, names := range groups {
		for _, n := range names {
			listed[n] = true
		}
	}
	all := more()
	maps.Copy(all, functions)
	for name := range all {
		switch {
		case listed[name]:
		case len(explodes(lex.Token{Kind: lex.Name, Text: name})) > 0:
			add("Rows of a series", name)
		case strings.HasPrefix(name, "TS_SEGMENT"):
			add("Segments", name)
		case name == "TS_DESCRIBE" || name == "TS_COUNT_ANCHOR" || name == "TS_GRANGER" || name == "TS_TIMESTAMP":
			add("Summaries and others", name)
		default:
			add("Filters and transforms", name)
		}
	}
	var out []Group
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		names := groups[name]
		slices.Sort(names)
		out = append(out, Group{name, slices.Compact(names)})
	}
	return out
}
