package app

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestGuidesConfigurationsAreValid: what the guides of tunnels say of tunnels, proxy and probes can be copied as it stands.
func TestGuidesConfigurationsAreValid(t *testing.T) {
	pages, err := filepath.Glob("../../docs/guides/tunnels-*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	found := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("(?s)```yaml[^\n]*\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
			if !regexp.MustCompile(`^(tunnels|tunnel_proxy|probes):`).MatchString(m[1]) {
				continue // Prometheus' own
			}
			found++
			if _, err := parseConfig(filepath.Base(page), []byte(m[1])); err != nil {
				t.Errorf("%v in\n%s", err, strings.TrimSpace(m[1]))
			}
		}
	}
	if found < 5 {
		t.Errorf("%d configurations in %d pages", found, len(pages))
	}
}
