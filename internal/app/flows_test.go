package app

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// call runs a command line and returns what it wrote.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Main(context.Background(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestFlowsCommands(t *testing.T) {
	dir := t.TempDir()
	in, lake := filepath.Join(dir, "in"), filepath.Join(dir, "lake")
	for _, step := range []struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{[]string{"flows", "generate", "azure", in, "--rows", "500", "--start", "2026-08-20"}, 0, "500 records of 500 flows", ""},
		{[]string{"flows", "import", in, "--lake.dir", lake}, 0, "500 rows of ", ""},
		{[]string{"flows", "import", in, "--lake.dir", lake}, 0, "0 rows of 0 objects", ""},
		{[]string{"flows", "ls", "--lake.dir", lake}, 0, "flows  2026-08-20 00h  2026-08-20 23h", ""},
		{[]string{"flows", "ls", "flows", "--lake.dir", lake}, 0, "2026-08-20 05h", ""},
		{[]string{"flows", "compact", "--lake.dir", lake}, 0, "flows: ", ""},
		{[]string{"flows", "ls", "--lake.dir", filepath.Join(dir, "none")}, 0, "", "the lake is empty"},
		{[]string{"flows", "ls", "No", "--lake", lake}, 1, "", `there is no table "No"; there are: flows`},
		{[]string{"flows", "compact", "none", "--lake", lake}, 1, "", `there is no table "none"; there are: flows`},
		{[]string{"flows", "import", filepath.Join(dir, "none"), "--lake.dir", lake}, 1, "", "no such file"},
		{[]string{"flows", "import", "s3://X", "--lake.dir", lake}, 1, "", "names no bucket"},
		{[]string{"flows", "import"}, 2, "", "want a directory or s3:// URL"},
		{[]string{"flows", "compact", "--age", "x"}, 2, "", "--age"},
		{[]string{"flows", "generate", "nobody", in}, 1, "", `there is no vendor "nobody"`},
		{[]string{"flows", "generate", "ibm", in, "--start", "x"}, 2, "", "--start"},
	} {
		code, stdout, stderr := call(t, step.args...)
		if code != step.code || !strings.Contains(stdout, step.stdout) || !strings.Contains(stderr, step.stderr) {
			t.Errorf("%q: %d, %q, %q; want %d, %q, %q", step.args, code, stdout, stderr, step.code, step.stdout, step.stderr)
		}
	}
	if err := os.WriteFile(filepath.Join(in, "x.gz"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := call(t, "flows", "import", in, "--lake.dir", lake); code != 1 || !strings.Contains(stderr, `left out: "x.gz": not a flow log`) {
		t.Errorf("only a damaged object: %d, %q", code, stderr)
	}
}

func TestFlowsSectionErrorsShowTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"flows:\n  sources:\n  - {name: a, dir: x}\n  - {name: a, dir: y}\n": "[4:12] flows.sources[1].name: \"a\" is there twice",
		"flows: {dir: ''}\n":        "flows.dir: empty",
		"netflow: {netflow: [x]}\n": "netflow.netflow[0]: \"x\" is not an address with a port",
		"flows: {bogus: 1}\n":       "unknown field \"bogus\"",
	} {
		if _, err := parseConfig("oriel.yml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
	}
	c, err := parseConfig("oriel.yml", []byte("flows:\nnetflow: {netflow: ['127.0.0.1:0']}\n"))
	if err != nil || c.Flows == nil || c.Flows.Dir == "" || c.NetFlow == nil {
		t.Errorf("empty section: %+v, %v", c, err)
	}
}
