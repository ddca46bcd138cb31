package app

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	demoneuvector "github.com/orielhq/oriel/internal/demo/neuvector"
	"github.com/orielhq/oriel/internal/neuvector"
)

// openDemoNeuVector makes a simulated controller with two clusters below it.
func openDemoNeuVector(ctx context.Context, dir string, log *slog.Logger) (demoPart, error) {
	cfg := demoneuvector.Config{Dir: dir, Password: rand.Text()}
	now := time.Now()
	primary, err := demoneuvector.New(cfg, demoneuvector.DemoSize().World(now), log)
	if err != nil {
		return demoPart{}, err
	}
	edges := []string{"edge1", "edge2"}
	for i, name := range edges {
		size := demoneuvector.DemoSize()
		size.Seed, size.Hosts, size.Workloads, size.Images, size.Restless = uint64(i)+2, 2, 12, 10, false
		edge, err := demoneuvector.New(cfg, size.World(now), log)
		if err != nil {
			return demoPart{}, err
		}
		primary.Join(name, name, []string{"synced", "out_of_sync"}[i], edge)
	}
	if err := primary.Open(ctx); err != nil {
		return demoPart{}, err
	}
	quick := map[string]string{}
	for _, group := range neuvector.Groups() {
		quick[group] = "4s"
	}
	// Each cluster tells of each group, and which clusters there are tells the first one.
	groups := len(quick) + len(edges)*(len(quick)-1)
	return demoPart{run: primary.Run, past: demoPast{expected: map[string]expected{"neuvector": {"oriel_neuvector_group_success", groups}}}, sections: map[string]any{"neuvector": map[string]any{
		"address": primary.Addr(), "cluster": "primary", "username": "monitor", "password": cfg.Password, "groups": neuvector.Groups(), "intervals": quick,
		"tls": map[string]any{"ca_file": primary.CAFile()},
	}}}, nil
}
