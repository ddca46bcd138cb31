package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/orielhq/oriel/internal/prom"
	"github.com/orielhq/oriel/internal/server"
	"github.com/orielhq/oriel/internal/wireguard"
	"github.com/orielhq/oriel/rules"
)

const (
	defaultListen = "127.0.0.1:9190"
	stopTimeout   = 30 * time.Second
)

// serveFlags are the flags of `serve`, named as Prometheus names its own.
type serveFlags struct {
	config      string
	dataDir     string
	externalURL string
	web         server.Config
	log         logFlags
	past        *demoPast        // of the demo: what the hours before it are made of
	inside      wireguard.Inside // of the demo: its devices are in this process
}

func serveCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run everything the configuration names: collectors, Prometheus, Alertmanager",
		Long: "Run everything the configuration names: collectors, an embedded Prometheus and Alertmanager.\n" +
			"Without a configuration file it watches the WireGuard interfaces of this machine.\n\n" +
			"SIGHUP or POST /-/reload reads the file again: it takes effect wholly or not at all.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := f.log.logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return serve(cmd.Context(), f, log, func(string) {})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.config, "config.file", "", "configuration file; none: what this machine offers")
	cmd.Flags().StringVar(&f.dataDir, "data.dir", "oriel-data", "where metrics and records are kept")
	f.log.add(cmd)
	return cmd
}

// add adds what `serve` and `demo` share.
func (f *serveFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.externalURL, "web.external-url", "", "how people reach this server, for links in alerts (default http://ADDRESS)")
	cmd.Flags().StringArrayVar(&f.web.Addresses, "web.listen-address", []string{defaultListen}, "address to listen on; can be repeated")
	cmd.Flags().StringVar(&f.web.WebConfigFile, "web.config.file", "", "TLS and authentication, as in Prometheus' exporters")
	cmd.Flags().BoolVar(&f.web.Insecure, "web.insecure", false, "allow other machines in without authentication")
	cmd.Flags().StringVar(&f.web.AddrFile, "web.addr-file", "", "write the addresses bound to this file")
	f.web.LoopbackOnly = true
}

// serve runs until ctx is done. What it starts last it stops first: requests
// end, then collectors, then the engine writes out what it holds. ready is
// called with the server's URL when it answers.
func serve(ctx context.Context, f serveFlags, log *slog.Logger, ready func(url string)) error {
	start := time.Now()
	cfg, err := loadConfig(f.config, f.dataDir)
	if err != nil {
		return err
	}
	cfg.within(f.inside)
	a := &application{flags: f, log: log, running: newRunning(log), reloads: newReloads()}
	a.base = context.WithoutCancel(ctx)
	if f.past != nil {
		a.hold = make(chan struct{})
	}
	a.console = a.newConsole()
	srv := server.New(f.web, a.handler(), log)
	if err := srv.Open(ctx); err != nil {
		return err
	}
	if f.externalURL == "" {
		f.externalURL = defaultURL(srv.Addrs()[0], f.web.WebConfigFile)
	}
	if err := a.open(ctx, f, cfg); err != nil {
		stopped, cancel := context.WithCancel(ctx)
		cancel()
		return errors.Join(err, srv.Run(stopped)) // closes the listeners
	}
	return a.run(ctx, srv, func(ctx context.Context) {
		if f.past != nil {
			if err := a.backfill(ctx); err != nil && ctx.Err() == nil {
				log.Warn("no history", "err", err) // graphs fill up by and by
			}
			close(a.hold)
		}
		if ctx.Err() != nil {
			return
		}
		log.Info("ready", "address", strings.Join(srv.Addrs(), ","), "after", time.Since(start).Round(time.Millisecond).String())
		a.ready.Store(true)
		dropProgramPages()
		ready(defaultURL(srv.Addrs()[0], f.web.WebConfigFile))
		_, _ = daemon.SdNotify(false, daemon.SdNotifyReady) // no systemd is no error
	})
}

// open builds the engine and starts the features of the first configuration.
func (a *application) open(ctx context.Context, f serveFlags, cfg *Config) error {
	var err error
	if a.engine, err = prom.New(prom.Config{
		Dir: f.dataDir, ExternalURL: f.externalURL, Rules: rules.Files, Metrics: http.HandlerFunc(a.metrics), Hold: a.hold,
	}, warnings(a.log)); err != nil {
		return err
	}
	cfg.api = a.engine
	features, err := cfg.build(nil, a.log)
	if err != nil {
		return err
	}
	plan, err := cfg.plan(features, warnings(a.log))
	if err != nil {
		return err
	}
	a.publish(features)
	if err := a.engine.Open(ctx, plan); err != nil {
		return err
	}
	if err := a.running.replace(a.base, nil, features); err != nil {
		return errors.Join(err, a.engine.Close())
	}
	a.console.Use(cfg.Console)
	a.features, a.plan, a.config = features, plan, cfg
	a.reloads.succeeded()
	return nil
}

// run serves, reloads on SIGHUP, and stops everything in order when ctx is
// done or something ends that should not. begin is called when all of it runs.
func (a *application) run(ctx context.Context, srv *server.Server, begin func(context.Context)) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	engineCtx, stopEngine := context.WithCancel(a.base)
	defer stopEngine()
	engine, web := make(chan error, 1), make(chan error, 1)
	go func() {
		err := a.engine.Run(engineCtx)
		if engineCtx.Err() == nil {
			stop(fmt.Errorf("engine ended: %w", err))
		}
		engine <- err
	}()
	go func() {
		err := srv.Run(ctx)
		if ctx.Err() == nil {
			stop(err)
		}
		web <- err
	}()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	begin(ctx)
	for ctx.Err() == nil {
		select {
		case <-hup:
			if err := a.reload(); err != nil {
				a.log.Error("reload", "err", oneLine(err))
			}
		case err := <-a.running.failed:
			stop(err)
		case <-ctx.Done():
		}
	}
	a.ready.Store(false)
	_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
	a.log.Info("stopping")
	ended := make(chan error, 1)
	go func() {
		err := <-web
		a.running.stopAll()
		stopEngine()
		ended <- errors.Join(err, <-engine)
	}()
	select {
	case err := <-ended:
		if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
			err = errors.Join(cause, err)
		}
		return err
	case <-time.After(stopTimeout):
		return fmt.Errorf("stop: not all ended within %s", stopTimeout)
	}
}

// defaultURL is how this machine itself reaches the server.
func defaultURL(addr, webConfig string) string {
	scheme := "http"
	if webConfig != "" {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			addr = net.JoinHostPort(name, port)
		}
	}
	return scheme + "://" + addr
}
