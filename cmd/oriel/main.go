// Command oriel watches a secured network. See the README.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/orielhq/oriel/internal/app"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	return app.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
}
