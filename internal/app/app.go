// Package app is the only place that knows every feature: it has the commands
// and the configuration file, and wires, reloads and stops what they name.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/orielhq/oriel/internal/query/sandbox"
)

// Main runs the command line and returns the exit code: 0, 1 after an error, 2 if the words of the call were wrong.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 1 && args[0] == sandbox.Argument {
		return serveEngine(ctx, stderr)
	}
	root := rootCommand()
	root.SetArgs(translate(args))
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintf(stderr, "oriel: %s\n", err)
	if _, ok := errors.AsType[*usageError](err); ok {
		return 2
	}
	return 1
}

// serveEngine is the SQL engine's process.
func serveEngine(ctx context.Context, stderr io.Writer) int {
	if err := sandbox.Serve(context.WithoutCancel(ctx), dropProgramPages); err != nil {
		_, _ = fmt.Fprintf(stderr, "oriel: %s\n", err)
		return 1
	}
	return 0
}

// usageError is an error in the words of the call.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "oriel",
		Short:         "Watches a secured network: metrics, alerts and records of its tunnels",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{fmt.Errorf("%w (see %q)", err, cmd.CommandPath()+" --help")}
	})
	root.AddCommand(
		serveCommand(),
		demoCommand(),
		exportCommand(),
		promqlCommand(),
		wireguardCommand(),
		sqlCommand(),
		flowsCommand(),
		captureCommand(),
		pkiCommand(),
		tunnelCommand(),
		grafanaCommand(),
		checkCommand(),
		versionCommand(),
	)
	return root
}

// logFlags are the flags of every command that runs on.
type logFlags struct{ level, format string }

func (f *logFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.level, "log.level", "info", "what to log: debug, info, warn or error")
	cmd.Flags().StringVar(&f.format, "log.format", "logfmt", "how to log: logfmt or json")
}

// logger writes to w. Debug shows the engine's own messages too.
func (f *logFlags) logger(w io.Writer) (*slog.Logger, error) {
	var opts slog.HandlerOptions
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.level)); err != nil {
		return nil, &usageError{fmt.Errorf("--log.level %q: want debug, info, warn or error", f.level)}
	}
	opts.Level = level
	switch f.format {
	case "logfmt":
		return slog.New(slog.NewTextHandler(w, &opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, &opts)), nil
	}
	return nil, &usageError{fmt.Errorf("--log.format %q: want logfmt or json", f.format)}
}

// warnings hides what is less than a warning, for parts that talk too much, unless the user asked for debug.
func warnings(log *slog.Logger) *slog.Logger {
	if log.Enabled(context.Background(), slog.LevelDebug) {
		return log
	}
	return slog.New(&warningHandler{log.Handler()})
}

type warningHandler struct{ slog.Handler }

// Enabled tells whether a record passes.
func (h *warningHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

// WithAttrs keeps the level.
func (h *warningHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &warningHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the level.
func (h *warningHandler) WithGroup(name string) slog.Handler {
	return &warningHandler{h.Handler.WithGroup(name)}
}

// oneLine shortens an error for a log: the first line says it, the rest are excerpts for people.
func oneLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}
