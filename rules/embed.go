// Package rules holds the recording rules and alerts that Oriel loads into its embedded
// Prometheus. They are plain Prometheus rule files, so that any other Prometheus, Mimir
// or Thanos loads them too; the files named *_test.yml are their cases, for promtool.
package rules

import (
	"embed"
	"io/fs"
	"strings"
)

// Files holds the rule files. It holds their cases as well, as embed has no way to leave
// a name out: take the rule files from Names.
//
//go:embed *.yml
var Files embed.FS

// Names returns the names of the rule files in Files, sorted, without the cases.
func Names() []string {
	all, err := fs.Glob(Files, "*.yml")
	if err != nil {
		panic(err) // the pattern is constant
	}
	names := make([]string, 0, len(all))
	for _, n := range all {
		if !strings.HasSuffix(n, "_test.yml") {
			names = append(names, n)
		}
	}
	return names
}
