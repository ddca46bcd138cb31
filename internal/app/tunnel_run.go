package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/server"
)

// tunnelJob is a tunnel command at work: a part of the configuration file, with
// its metrics on /metrics and its state on /status, reloaded as serve does it.
type tunnelJob struct {
	role     string
	file     string
	log      *slog.Logger
	only     func(*Config) (*Config, bool) // what of the file this command runs
	base     context.Context               //nolint:containedctx // what features run under; outlives a reload
	running  *running
	reloads  *reloads
	features []*feature
	shown    atomic.Pointer[collector.Set]
	status   atomic.Pointer[http.Handler]
}

func tunnelJobCommand(role, short, listen, about string, only func(*Config) (*Config, bool)) *cobra.Command {
	j := &tunnelJob{role: role, only: only, reloads: newReloads()}
	var web server.Config
	var lf logFlags
	cmd := &cobra.Command{
		Use: role, Short: short, Args: cobra.NoArgs,
		Long: short + ".\n" + about + "\n\nChanged certificate, key, CA and revocation files take effect within seconds, or not at all. SIGHUP or POST /-/reload\n" +
			"reads the configuration file again: it takes effect wholly or not at all, and touches only what has changed.",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if j.log, err = lf.logger(cmd.ErrOrStderr()); err != nil {
				return err
			}
			return j.run(cmd.Context(), web)
		},
	}
	cmd.Flags().StringVar(&j.file, "config.file", "oriel.yml", "configuration file")
	cmd.Flags().StringArrayVar(&web.Addresses, "web.listen-address", []string{listen}, "address for metrics and status; can be repeated")
	cmd.Flags().StringVar(&web.WebConfigFile, "web.config.file", "", "TLS and authentication, as in Prometheus' exporters")
	cmd.Flags().StringVar(&web.AddrFile, "web.addr-file", "", "write the addresses bound to this file")
	lf.add(cmd)
	return cmd
}

// replace makes the configuration file what runs, or leaves all as it was.
func (j *tunnelJob) replace() error {
	whole, err := loadConfig(j.file, "")
	if err != nil {
		return err
	}
	cfg, ok := j.only(whole)
	if !ok {
		return fmt.Errorf("%s: there is no %s", j.file, j.role)
	}
	features, err := cfg.build(j.features, j.log)
	if err != nil {
		return err
	}
	if err := j.running.replace(j.base, j.features, features); err != nil {
		return err
	}
	self := prometheus.NewRegistry()
	self.MustRegister(buildInfo(), j.reloads)
	all := map[string]collector.Collector{selfName: collector.From(self)}
	for _, f := range features {
		all[f.name] = f.collector
		if h, ok := f.part.(http.Handler); ok {
			j.status.Store(&h)
		}
	}
	j.shown.Store(collector.NewSet(j.log, all))
	j.features = features
	return nil
}

func (j *tunnelJob) reload() {
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReloading)
	defer func() { _, _ = daemon.SdNotify(false, daemon.SdNotifyReady) }()
	if err := j.replace(); err != nil {
		j.reloads.failed()
		j.log.Error("reload: what was in force stays", "err", oneLine(err))
		return
	}
	j.reloads.succeeded()
	j.log.Info("reloaded", "file", j.file)
}

func (j *tunnelJob) run(ctx context.Context, web server.Config) error {
	j.base, j.running = context.WithoutCancel(ctx), newRunning(j.log)
	asked := make(chan chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) { j.shown.Load().ServeHTTP(w, r) })
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		if h := j.status.Load(); h != nil {
			(*h).ServeHTTP(w, r)
			return
		}
		http.NotFound(w, r)
	})
	mux.HandleFunc("POST /-/reload", func(w http.ResponseWriter, r *http.Request) {
		done := make(chan struct{})
		select {
		case asked <- done:
			<-done
			say(w, "See oriel_config_last_reload_successful.")
		case <-r.Context().Done():
		}
	})
	srv := server.New(web, mux, j.log)
	if err := srv.Open(ctx); err != nil {
		return err
	}
	if err := j.replace(); err != nil {
		stopped, cancel := context.WithCancel(ctx)
		cancel()
		return errors.Join(err, srv.Run(stopped)) // closes the listeners
	}
	j.reloads.succeeded()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	served := make(chan error, 1)
	go func() {
		err := srv.Run(ctx)
		stop(err)
		served <- err
	}()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	debug.SetGCPercent(tunnelsGC)
	j.log.Info("ready", "role", j.role, "address", strings.Join(srv.Addrs(), ","))
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady) // no systemd is no error
	var failed error
	for ctx.Err() == nil {
		select {
		case <-hup:
			j.reload()
		case done := <-asked:
			j.reload()
			close(done)
		case failed = <-j.running.failed:
			stop(failed)
		case <-ctx.Done():
		}
	}
	_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
	j.running.stopAll()
	return errors.Join(failed, <-served)
}
