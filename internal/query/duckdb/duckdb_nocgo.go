//go:build !cgo

package duckdb

import (
	"context"

	"github.com/orielhq/oriel/internal/query"
)

// Engine is nothing without cgo.
type Engine struct{ query.Engine }

// Open says that this build has no DuckDB.
func Open(context.Context, Config) (*Engine, error) { return nil, query.ErrNoEngine }

// Close does nothing.
func (*Engine) Close() error { return nil }
