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

// openDemoFlows writes the flow logs of four clouds, with a scan, an exfiltration
// and a beacon in the last hour of one, where `serve` finds them and imports them.
func openDemoFlows(ctx context.Context, dir string, _ *slog.Logger) (demoPart, error) {
	var sources []map[string]any
	const span = demoFlowHours * time.Hour
	start := time.Now().Add(-span)
	for i, vendor := range []string{"ibm", "aws", "gcp", "azure"} {
		if err := ctx.Err(); err != nil {
			return demoPart{}, err
		}
		source := filepath.Join(dir, vendor)
		cfg := demoflows.Config{Seed: uint64(i) + 1, Rows: demoFlowRows, Start: start, Duration: span, Every: time.Hour}
		if i == 0 {
			cfg.Incident = start.Add(span - time.Hour)
		}
		if _, err := demoflows.Write(cfg, vendor, demoflows.Directory(source)); err != nil {
			return demoPart{}, fmt.Errorf("write flow logs: %w", err)
		}
		sources = append(sources, map[string]any{"name": vendor, "dir": source, "interval": "1m"})
	}
	return demoPart{
		run: func(ctx context.Context) error { <-ctx.Done(); return nil },
		sections: map[string]any{
			"flows": map[string]any{"dir": demoLake(dir), "sources": sources},
			// What is found stays for as long as somebody looks on.
			"query": map[string]any{"detections": map[string]any{"interval": "1m", "window": "24h"}},
		},
	}, nil
}
