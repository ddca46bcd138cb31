package app

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	demoflows "github.com/orielhq/oriel/internal/demo/flows"
)

const (
	demoFlowRows  = 4_000 // of each cloud
	demoFlowHours = 24    // up to now
)

// openDemoFlows writes the flow logs of four clouds, with a scan and an
// exfiltration in them, where `serve` finds them and imports them.
func openDemoFlows(ctx context.Context, dir string, _ *slog.Logger) (demoPart, error) {
	var sources []map[string]any
	for i, vendor := range []string{"ibm", "aws", "gcp", "azure"} {
		if err := ctx.Err(); err != nil {
			return demoPart{}, err
		}
		source := filepath.Join(dir, vendor)
		span := demoFlowHours * time.Hour
		cfg := demoflows.Config{Seed: uint64(i) + 1, Rows: demoFlowRows, Start: time.Now().Add(-span), Duration: span, Every: time.Hour}
		if _, err := demoflows.Write(cfg, vendor, demoflows.Directory(source)); err != nil {
			return demoPart{}, fmt.Errorf("write flow logs: %w", err)
		}
		sources = append(sources, map[string]any{"name": vendor, "dir": source, "interval": "1m"})
	}
	return demoPart{
		run:      func(ctx context.Context) error { <-ctx.Done(); return nil },
		sections: map[string]any{"flows": map[string]any{"dir": demoLake(dir), "sources": sources}, "query": map[string]any{}},
	}, nil
}
