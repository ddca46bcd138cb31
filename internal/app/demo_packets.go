package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/orielhq/oriel/internal/demo/history"
	demopackets "github.com/orielhq/oriel/internal/demo/packets"
)

// openDemoPackets records a minute of an office, which is replayed again and
// again with the times of now. Its records have a past.
func openDemoPackets(ctx context.Context, dir string, log *slog.Logger) (demoPart, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return demoPart{}, fmt.Errorf("make directory: %w", err)
	}
	name := filepath.Join(dir, "office.pcap")
	if err := demopackets.Write(ctx, demopackets.Config{Seed: 1, Start: time.Now()}, name); err != nil {
		return demoPart{}, err
	}
	list, page, err := readCapture(ctx, name, log)
	if err != nil {
		return demoPart{}, err
	}
	return demoPart{
		past: demoPast{rounds: map[string]history.Round{"packets": {Page: page, Length: demopackets.Length}}},
		run: func(ctx context.Context) error {
			if err := pastRecords(ctx, list, demoLake(dir), demoRecordHours, log); err != nil && ctx.Err() == nil {
				log.Warn("no past records of packets", "err", err) // they come by and by
			}
			<-ctx.Done()
			return nil
		},
		sections: map[string]any{"packets": map[string]any{
			"files": []string{name}, "replay": true, "loop": true, "records": map[string]any{"flush_interval": "10s"},
			"detections": map[string]any{"repeat": "10m"}, // what is seen each minute is told more often than a network would want it
		}},
	}, nil
}
