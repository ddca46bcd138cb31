package app

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/orielhq/oriel/internal/lake"
	"github.com/orielhq/oriel/internal/neuvector"
	"github.com/orielhq/oriel/internal/wireguard"
)

// Tables of records that collectors write to the lake.
const (
	tableWireGuardEvents = "wireguard_events"
	tableNeuVectorEvents = "neuvector_events"
)

// storeTimeout is how long a collector waits for the lake before it tries again later.
const storeTimeout = 30 * time.Second

// recorded tells whether what collectors see is kept in the lake: when the file
// has the section that keeps the lake tidy.
func (c *Config) recorded() bool { return c.Flows != nil }

// storeIn returns a function that stores rows in a table of the lake. They are
// safe when it returns nil.
func storeIn[T any](where lake.Config, table string, timeOf func(*T) time.Time, log *slog.Logger) (func([]T) error, error) {
	l, err := where.Open(log)
	if err != nil {
		return nil, err
	}
	return func(rows []T) error {
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		defer cancel()
		return lake.Append(ctx, l, table, timeOf, rows)
	}, nil
}

// buildWireGuard makes the collector, whose history goes to the lake.
func (c *Config) buildWireGuard(cfg wireguard.Config, b *builder) (any, error) {
	w, err := wireguard.New(cfg, b.log)
	if err != nil || !c.recorded() {
		return w, err
	}
	w.Record, err = storeIn(c.lakeConfig(), tableWireGuardEvents, func(e *wireguard.PeerEvent) time.Time { return e.Time }, b.log)
	return w, err
}

// buildNeuVector makes the collector, whose security events go to the lake. It
// remembers across restarts which of them it has seen.
func (c *Config) buildNeuVector(cfg neuvector.Config, b *builder) (any, error) {
	if cfg.StateFile == "" && c.dataDir != "" {
		cfg.StateFile = filepath.Join(c.dataDir, "neuvector-events.json")
	}
	n, err := neuvector.New(cfg, b.log)
	if err != nil || !c.recorded() {
		return n, err
	}
	n.Record, err = storeIn(c.lakeConfig(), tableNeuVectorEvents, func(e *neuvector.Event) time.Time { return e.Time }, b.log)
	return n, err
}
