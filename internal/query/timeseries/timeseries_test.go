package timeseries

import (
	"errors"
	"strings"
	"testing"
	"time"
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

// TestWorkGrowsWithTheText, and not with its square; and what is made of it is bounded.
func TestWorkGrowsWithTheText(t *testing.T) {
	const n = 300_000
	explodes := strings.Repeat("TS_EXPLODE(", 14) + "x" + strings.Repeat(")", 14)
	for name, sql := range map[string]string{
		"brackets one after the other": "SELECT TS_COUNT(x), " + strings.Repeat("(", 4900) + strings.Repeat("(1),", n) + strings.Repeat(")", 4900),
		"names of names":               "SELECT TS_COUNT(x), " + strings.Repeat("a.", n) + "a",
		"formats in formats":           "SELECT " + strings.Repeat("TIME_SERIES_FORMAT(", 4900) + strings.Repeat("a ", n),
		"relations of names":           "SELECT TS_COUNT(x) FROM " + strings.Repeat("a.a USING ", n/10),
		"many large ones":              "SELECT " + strings.Repeat(explodes+", ", 5000) + "1",
		"many series":                  "SELECT ts FROM a USING TIME_SERIES_FORMAT(timetick='t', value='v') IN " + strings.Repeat("a, ", n) + "a",
	} {
		t.Run(name, func(t *testing.T) {
			done := make(chan string, 1)
			go func() {
				text, _ := Rewrite(sql, interval) // an error is as good
				done <- text
			}()
			select {
			case text := <-done:
				if len(text) > 2*maxText {
					t.Errorf("%d bytes were made of %d", len(text), len(sql))
				}
			case <-time.After(30 * time.Second): // some tenths are enough
				t.Fatal("it does not end")
			}
		})
	}
}
