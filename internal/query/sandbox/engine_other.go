//go:build !unix || !cgo

package sandbox

import (
	"context"
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/orielhq/oriel/internal/query/duckdb"
)

// Engine is one in this process: there are no sockets to pass on here.
type Engine struct{ *duckdb.Engine }

// Open is that of duckdb.
func Open(ctx context.Context, cfg duckdb.Config, _ *slog.Logger) (*Engine, error) {
	e, err := duckdb.Open(ctx, cfg)
	return &Engine{e}, err
}

// Collect sends nothing.
func (*Engine) Collect(context.Context, chan<- prometheus.Metric) error { return nil }

// Serve is not called here.
func Serve(context.Context, func()) error {
	return errors.New("the SQL engine needs no process of its own here")
}
