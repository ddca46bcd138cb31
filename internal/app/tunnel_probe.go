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

	"github.com/orielhq/oriel/internal/tunnel/probe"
)

// serviceFlags are what `tunnel probe` and `tunnel doctor` share.
func serviceFlags(cmd *cobra.Command, s *probe.Service) {
	*s = probe.DefaultService()
	flags := cmd.Flags()
	flags.StringVar(&s.TLS.CAFile, "ca-file", "", "PEM file of the authorities to trust; none: the system's")
	flags.StringVar(&s.TLS.CertFile, "cert-file", "", "PEM file of the client certificate")
	flags.StringVar(&s.TLS.KeyFile, "key-file", "", "PEM file of its key")
	flags.StringVar(&s.CRLFile, "crl-file", "", "PEM file of revocation lists")
	flags.StringVar(&s.TLS.ServerName, "server-name", "", "name that the server's certificate must have; none: HOST")
	flags.BoolVar(&s.TLS.InsecureSkipVerify, "insecure-skip-verify", false, "take any server certificate")
	flags.StringVar(&s.Transport, "transport", s.Transport, "tls, or tcp as towards a guardian")
	flags.BoolVar(&s.Confirm, "confirm", s.Confirm, "ask our own gateways for their word (ALPN ct/1)")
	flags.StringVar(&s.API, "format", s.API, "what to say: none, excrypt, international, json, json_raw or plain")
	flags.StringVar(&s.Header, "header", "", "International's message header (default 0000)")
	flags.StringVar(&s.Command, "command", "", "International's command, B2 (an echo) or NC (diagnostics) (default B2)")
	flags.BoolVar(&s.ASCIILength, "ascii-length", false, "International with a length of four digits")
	flags.StringVar(&s.Path, "path", "", "path of the JSON request (default /guardian)")
}

func tunnelProbeCommand() *cobra.Command {
	var service probe.Service
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
			if err := service.Validate(); err != nil {
				return &usageError{err}
			}
			t, _, err := service.Target(host, port)
			if err != nil {
				return err
			}
			t.Anonymous = anonymous
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
	serviceFlags(cmd, &service)
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Second, "time for all steps together")
	cmd.Flags().BoolVar(&anonymous, "anonymous", false, "also connect without certificate, to see whether that is allowed")
	return cmd
}

// showProbe writes what is known, one fact per line; what is not known has no line.
func showProbe(w io.Writer, r *probe.Result) {
	if r.Address.IsValid() {
		fmt.Fprintf(w, "address      %s\n", r.Address)
	}
	for _, phase := range probe.Phases() {
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
