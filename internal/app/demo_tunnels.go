package app

import (
	"context"
	"log/slog"

	demotunnels "github.com/orielhq/oriel/internal/demo/tunnels"
)

// openDemoTunnels makes the chain of two companies: guardian, gateway, tenant
// proxy, and the services that are probed. One certificate ends in five days,
// and one client is refused.
func openDemoTunnels(ctx context.Context, dir string, log *slog.Logger) (demoPart, error) {
	lab, err := demotunnels.New(dir, log)
	if err != nil {
		return demoPart{}, err
	}
	if err := lab.Open(ctx); err != nil {
		return demoPart{}, err
	}
	return demoPart{run: lab.Run, sections: lab.Sections()}, nil
}
