package timeseries

import (
	"errors"
	"strings"
	"testing"
)

func interval(text string) (int64, error) {
	if text == "hour" {
		return 3_600_000, nil
	}
	return 0, errors.New("want hour")
}

func TestOtherSQLStaysAsItIs(t *testing.T) {
	for _, sql := range []string{"SELECT 'TS_EXPLODE(x)' -- TS_DIFF(y)", "SELECT ts FROM a JOIN b USING (k)", ""} {
		if got, err := Rewrite(sql, interval); err != nil || got != sql {
			t.Errorf("Rewrite(%q) = %q, %v", sql, got, err)
		}
	}
}

func TestFormatsAreRefusedWithTheirPlace(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT ts FROM a USING TIME_SERIES_FORMAT(value=\"v\")":                                    "line 1, column 24: TIME_SERIES_FORMAT needs timetick and value",
		"SELECT ts FROM a USING TIME_SERIES_FORMAT(timetick=\"t\", value=\"v\", nosuch=\"x\")":      `unknown property "nosuch"`,
		"SELECT ts FROM a USING TIME_SERIES_FORMAT(timetick=\"t\", granularity=\"x\", value=\"v\")": "granularity 'x': want one as PT15M",
		"SELECT ts FROM a USING TIME_SERIES_FORMAT(timetick":                                        "the bracket is not closed",
		"SELECT TS_EXPLODE(ts) AS (a) FROM a":                                                       "TS_EXPLODE has 2 columns: AS (timestamp, value)",
		"SELECT TS_SEGMENT_BY_TIME(ts, day, hour) FROM a":                                           "line 1, column 8: TS_SEGMENT_BY_TIME: want hour",
		"SELECT " + strings.Repeat("TS_DIFF(", 200) + "ts" + strings.Repeat(")", 200):               "nested more than 100 deep",
	} {
		if _, err := Rewrite(sql, interval); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Rewrite(%.80q) = %v; want %s", sql, err, want)
		}
	}
}

// FuzzRewrite: what is rewritten has no word of the dialect left, and is bounded.
func FuzzRewrite(f *testing.F) {
	for _, s := range []string{
		`WITH t AS (SELECT k, ts FROM x USING TIME_SERIES_FORMAT(key="k", timetick="t", value="v") IN ts) SELECT TS_EXPLODE(TS_SEG_COUNT(TS_SEGMENT_BY_TIME(ts, hour, hour))) AS (tt, count), k FROM t`,
		"SELECT TS_FILTER(ts, TS_EXP_GT(TS_EXP_ID(), 1))", "SELECT TS_RESAMPLE(ts, 60*1000, TS_INTERPOLATOR_PREV(0.0))", "TS_COMBINE_DUPLICATE_TIMETICKS(a, TS_COMBINER_AVG())",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 4096 {
			return
		}
		got, err := Rewrite(s, interval)
		if err == nil && len(got) > 64<<20 {
			t.Errorf("Rewrite(%q) makes %d bytes", s, len(got))
		}
	})
}
