package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/tunnel/echo"
	"github.com/orielhq/oriel/internal/tunnel/probe"
)

func tunnelProbeCommand() *cobra.Command {
	var settings conf.TLS
	var format string
	var options echo.Options
	var timeout time.Duration
	var anonymous bool
	cmd := &cobra.Command{
		Use:   "probe HOST:PORT",
		Short: "Walk one connection through a tunnel and tell where it fails",
		Long: "Walk one connection through a tunnel: resolve, connect, tls, acceptance, echo. Prints how long each\n" +
			"step took, or the first that failed and why. Exits with 1 if one failed.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			host, port, err := net.SplitHostPort(args[0])
			if err != nil {
				return &usageError{err}
			}
			t := probe.Target{Host: host, Port: port, Anonymous: anonymous}
			if format != "none" {
				options.Host = args[0]
				codec, err := echo.New(echo.Format(format), options)
				if err != nil {
					return &usageError{fmt.Errorf("--format: %w", err)}
				}
				t.Echo = &codec
			}
			if t.TLS, err = settings.Client(); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			r := probe.Probe(ctx, t)
			showProbe(cmd.OutOrStdout(), r)
			if r.Err != nil {
				return fmt.Errorf("probe %q: %s: %s: %w", args[0], r.Step, r.ErrorType, r.Err)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&settings.CAFile, "ca-file", "", "PEM file of the authorities to trust; none: the system's")
	flags.StringVar(&settings.CertFile, "cert-file", "", "PEM file of the client certificate")
	flags.StringVar(&settings.KeyFile, "key-file", "", "PEM file of its key")
	flags.StringVar(&settings.ServerName, "server-name", "", "name that the server's certificate must have; none: HOST")
	flags.BoolVar(&settings.InsecureSkipVerify, "insecure-skip-verify", false, "take any server certificate")
	flags.StringVar(&format, "format", "none", "what to say: none, excrypt, international, json, json_raw or plain")
	flags.StringVar(&options.Header, "header", "", "International's message header (default 0000)")
	flags.BoolVar(&options.ASCIILength, "ascii-length", false, "International with a length of four digits")
	flags.StringVar(&options.Path, "path", "", "path of the JSON request (default /guardian)")
	flags.DurationVar(&timeout, "timeout", 10*time.Second, "time for all steps together")
	flags.BoolVar(&anonymous, "anonymous", false, "also connect without certificate, to see whether that is allowed")
	return cmd
}

// showProbe writes what is known, one fact per line; what is not known has no line.
func showProbe(w io.Writer, r *probe.Result) {
	if r.Address.IsValid() {
		fmt.Fprintf(w, "address      %s\n", r.Address)
	}
	for _, phase := range []string{"resolve", "connect", "tls", "processing", "transfer"} {
		if took, ok := r.Phases[phase]; ok {
			fmt.Fprintf(w, "%-12s %s\n", phase, took.Round(time.Microsecond))
		}
	}
	if r.Version != 0 {
		fmt.Fprintf(w, "version      %s\n", strings.TrimPrefix(tls.VersionName(r.Version), "TLS "))
	}
	if end := r.NotAfter(); !end.IsZero() {
		fmt.Fprintf(w, "expires      %s\n", end.UTC().Format(time.RFC3339))
	}
	if r.Anonymous != nil {
		fmt.Fprintf(w, "anonymous    %t\n", *r.Anonymous)
	}
}
