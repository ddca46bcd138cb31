package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	demowireguard "github.com/orielhq/oriel/internal/demo/wireguard"
	"github.com/spf13/cobra"
)

func demoCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run everything on traffic that it makes itself; leaves nothing behind",
		Long: "Starts WireGuard devices inside this process, which shake hands and move traffic, and watches them as `oriel serve`\n" +
			"watches real ones. Needs no root. All it writes is below a temporary directory that goes at the end.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := f.log.logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return demo(cmd.Context(), f, cmd.OutOrStdout(), log)
		},
	}
	f.add(cmd)
	f.log.add(cmd)
	return cmd
}

// demo starts the traffic, then serves as `serve` would with a file that names it.
func demo(ctx context.Context, f serveFlags, out io.Writer, log *slog.Logger) (err error) {
	dir, err := os.MkdirTemp("", "oriel-demo-")
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	mesh, err := demowireguard.New(demowireguard.Config{Dir: filepath.Join(dir, "wireguard")}, log.With("feature", "demo"))
	if err != nil {
		return err
	}
	openCtx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := mesh.Open(openCtx); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	ended := make(chan error, 1)
	go func() {
		err := mesh.Run(ctx)
		stop(err)
		ended <- err
	}()
	defer func() {
		stop(nil)
		err = errors.Join(err, <-ended)
	}()
	wirerest, err := startDemoWireRest(ctx, mesh, dir, filepath.Join(dir, "wireguard"), log.With("feature", "demo"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, wirerest.stop()) }()
	f.dataDir, f.config = filepath.Join(dir, "data"), filepath.Join(dir, "oriel.yml")
	if err := writeDemoConfig(f.config, mesh, filepath.Join(dir, "wireguard"), map[string]any{"wirerest": wirerest.section}); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, demoText, "http://"+f.web.Addresses[0])
	return serve(ctx, f, log)
}

// writeDemoConfig writes the configuration that a user of these devices would write, with more sections.
func writeDemoConfig(file string, mesh *demowireguard.Mesh, sockets string, more map[string]any) error {
	addresses := map[string][]string{}
	for _, d := range mesh.Devices() {
		for _, a := range d.Addresses {
			addresses[d.Name] = append(addresses[d.Name], a.String())
		}
	}
	sections := map[string]any{
		"instance":         "demo",
		"collect_interval": "5s",
		"prometheus":       map[string]any{"global": map[string]any{"scrape_interval": "5s", "evaluation_interval": "5s"}},
		"wireguard":        map[string]any{"socket_dir": sockets, "names": mesh.Names(), "addresses": addresses},
	}
	maps.Copy(sections, more)
	text, err := yaml.Marshal(sections)
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

var demoText = strings.TrimLeft(`
Two WireGuard devices run in this process, wg-office and wg-backup, with peers that move traffic.

  peers        oriel promql wireguard_latest_handshake_seconds
  traffic      oriel promql --range 5m 'sum by (device) (rate(wireguard_peer_receive_bytes_total[30s]))'
  alerts       oriel promql 'ALERTS'
  everything   %s

A peer that nobody named is reported within a minute (WireGuardUnknownPeerActive).
"Lisbon branch" is cut off after 30 s. Its tunnel counts as stale after five minutes, not before: a healthy
one renews its keys every two to three. WireGuardPeerStale fires a minute after that.

Ctrl-C ends it all; nothing stays behind.

`, "\n")
