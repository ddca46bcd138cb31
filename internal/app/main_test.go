package app

import (
	"context"
	"os"
	"testing"

	"github.com/orielhq/oriel/internal/query/sandbox"
)

// TestMain makes this program its own SQL engine's process.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == sandbox.Argument {
		os.Exit(serveEngine(context.Background(), os.Stderr))
	}
	os.Exit(m.Run())
}
