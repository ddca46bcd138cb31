package app

import (
	"context"
	"log/slog"
	"testing"

	"github.com/goccy/go-yaml"
)

// TestDemoTunnelsAreAUsersConfiguration: what the demo says of its tunnels is a valid file, and everything in it can be built.
func TestDemoTunnelsAreAUsersConfiguration(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	part, err := openDemoTunnels(t.Context(), t.TempDir(), log)
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	defer func() {
		if err := part.run(ended); err != nil {
			t.Error(err)
		}
	}()
	text, err := yaml.Marshal(part.sections)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := parseConfig("demo.yml", text)
	if err != nil {
		t.Fatal(err)
	}
	features, err := cfg.build(nil, log)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, f := range features {
		names[f.name] = true
	}
	if !names["tunnels"] || !names["tunnel_proxy"] || !names["probes"] {
		t.Errorf("built %v", names)
	}
}
