package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	demopackets "github.com/orielhq/oriel/internal/demo/packets"
)

// openDemoPackets records a minute of an office, which is replayed again and
// again with the times of now.
func openDemoPackets(ctx context.Context, dir string, _ *slog.Logger) (demoPart, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return demoPart{}, fmt.Errorf("make directory: %w", err)
	}
	name := filepath.Join(dir, "office.pcap")
	if err := demopackets.Write(ctx, demopackets.Config{Seed: 1, Start: time.Now()}, name); err != nil {
		return demoPart{}, err
	}
	return demoPart{
		run: func(ctx context.Context) error { <-ctx.Done(); return nil },
		sections: map[string]any{"packets": map[string]any{
			"files": []string{name}, "replay": true, "loop": true, "records": map[string]any{"flush_interval": "10s"},
		}},
	}, nil
}
