//go:build cgo

package app

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSQLKnowsShortFormsAndOutputs(t *testing.T) {
	lake := filepath.Join(sqlLake(t), "lake")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-o", "csv", `\d`}, "name,kind,columns,time_column\nflow_flat,view,35,start_time\nflows,table,57,start_time\n"},
		{[]string{"-o", "csv", "show tables;"}, "name,kind,columns,time_column\nflow_flat,view,35,start_time\nflows,table,57,start_time\n"},
		{[]string{"-o", "csv", `SELECT count(*) AS n FROM (DESCRIBE flow_flat)`}, "n\n35\n"},
		{[]string{"-o", "vertical", `SELECT 1 AS a, 'x' AS longer`}, "row 1\n     a  1\nlonger  x\n"},
		{[]string{`SELECT '日本語' AS "é", 1 AS n UNION ALL SELECT 'e' || chr(769) || 'x', 2 ORDER BY n`}, "é       n\n日本語  1\ne\u0301x      2\n"},
		{[]string{"-o", "vertical", `SELECT 1 AS a, 2 AS "日本"`}, "row 1\n   a  1\n日本  2\n"},
		{[]string{"SELECT 5 AS n, 'b' AS t UNION ALL SELECT 12345, 'a' ORDER BY 1"}, "    n  t\n    5  b\n12345  a\n"},
		{[]string{"-o", "sql", "--range", "1h", "--to", "2026-08-20T01:00:00Z", "SELECT 1 WHERE $__timeFrom < $__timeTo"}, "SELECT 1 WHERE TIMESTAMP '2026-08-20 00:00:00.000' < TIMESTAMP '2026-08-20 01:00:00.000'\n"},
		{[]string{"--lake.dir", lake, "-o", "csv", "SELECT 1 AS a"}, "a\n1\n"},
	} {
		out, errs, code := sqlRun(t, append([]string{"--lake", lake}, tt.args...)...)
		if code != 0 || out != tt.want {
			t.Errorf("sql %q = %d, %q, %s; want %q", tt.args, code, out, errs, tt.want)
		}
	}
	for arg, want := range map[string]string{
		`\foo`:                   `\foo is not known`,
		"SELECT\n  x FROM flows": "line 2, column 3: Referenced column",
	} {
		if _, errs, code := sqlRun(t, "--lake", lake, arg); code == 0 || !strings.Contains(errs, want) {
			t.Errorf("sql %q = %d, %s; want %q", arg, code, errs, want)
		}
	}
}

func TestRangeEndsWhereToSays(t *testing.T) {
	for _, tt := range []struct{ to, window, want string }{
		{"", "6h", "now-21600000ms"},
		{"now", "1m", "now-60000ms"},
		{"now-1h", "1h", "now-7200000ms"},
		{"2026-08-20T06:00:00Z", "6h", "2026-08-20T00:00:00Z"},
		{"1000", "1s", "1970-01-01T00:00:00Z"},
	} {
		if got, err := before(tt.to, tt.window); err != nil || got != tt.want {
			t.Errorf("before(%q, %q) = %q, %v; want %q", tt.to, tt.window, got, err, tt.want)
		}
	}
	for _, bad := range [][2]string{{"", "x"}, {"tomorrow", "1h"}, {"now-x", "1h"}, {"", "1M"}} {
		if got, err := before(bad[0], bad[1]); err == nil {
			t.Errorf("before(%q, %q) = %q; want an error", bad[0], bad[1], got)
		}
	}
}

func TestShellIsSetUpByItsOwnCommands(t *testing.T) {
	var out bytes.Buffer
	s := &sqlShell{flags: &sqlFlags{output: "table"}, out: &out}
	for _, line := range []string{`\x`, `\range 6h`, `\var a=1`, `\var b=2`, `\var a=3`, `\var b=`, `\?`} {
		if done, leave := s.set(line); !done || leave {
			t.Errorf("set(%q) = %v, %v", line, done, leave)
		}
	}
	if s.flags.output != "vertical" || s.flags.window != "6h" || !slices.Equal(s.flags.variables, []string{"a=3"}) || out.String() != sqlShellHelp {
		t.Errorf("flags = %+v, %q", s.flags, out.String())
	}
	if _, leave := s.set(`\q`); !leave {
		t.Error(`\q does not leave`)
	}
	if done, _ := s.set(`\d flows`); done {
		t.Error(`\d is not the shell's own`)
	}
	for text, want := range map[string]bool{"SELECT 1": false, "SELECT 1; ": true, "SELECT ';": false, "SELECT 1 -- ;": false, "SELECT 1; -- x": true} {
		if complete(text) != want {
			t.Errorf("complete(%q) = %v", text, !want)
		}
	}
}
