package app

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"time"

	demoinflux "github.com/orielhq/oriel/internal/demo/influx"
)

// openDemoInflux makes a simulated InfluxDB 2, to which everything is pushed.
// It has too much to do now and then, so that the buffer on disk is seen at work.
func openDemoInflux(ctx context.Context, dir string, log *slog.Logger) (demoPart, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return demoPart{}, err
	}
	cfg := demoinflux.Config{Token: rand.Text(), Organization: "oriel", Bucket: "demo", BusyEvery: 4 * time.Minute, BusyFor: 20 * time.Second}
	receiver := demoinflux.New(cfg, log)
	if err := receiver.Open(ctx); err != nil {
		return demoPart{}, err
	}
	return demoPart{run: receiver.Run, sections: map[string]any{"influx": map[string]any{
		"interval": "5s", "metrics": true, "buffer_dir": dir,
		"outputs": []map[string]any{{
			"name": "demo", "version": 2, "url": receiver.URL(), "organization": cfg.Organization, "bucket": cfg.Bucket, "token": cfg.Token,
		}},
	}}}, nil
}
