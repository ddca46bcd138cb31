package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/orielhq/oriel/internal/tunnel/doctor"
	"github.com/orielhq/oriel/internal/tunnel/probe"
)

func tunnelDoctorCommand() *cobra.Command {
	var service probe.Service
	var file string
	var timeout time.Duration
	var proxy bool
	cmd := &cobra.Command{
		Use:   "doctor [ID|HOST:PORT]",
		Short: "Find the first thing that is wrong with a tunnel, and say what mends it",
		Long: "Walk a tunnel as a client would: files, resolve, connect, tls, acceptance, echo, proxy. Prints what each step found,\n" +
			"the first thing that is wrong, and the fix. Exits with 1 if something is.\n\n" +
			"ID is a target of the section probes in --config.file; without ID all of them are examined. With HOST:PORT the flags\n" +
			"say how to speak. --proxy asks the tenant proxy at the tunnel's end, instead of an echo.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			patients, err := patients(args, file, service)
			if err != nil {
				return err
			}
			sick := 0
			for i, p := range patients {
				p.Proxy = p.Proxy || proxy
				ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
				findings := doctor.Examine(ctx, p.Patient)
				cancel()
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				if showFindings(cmd.OutOrStdout(), p.name, findings) {
					sick++
				}
			}
			if sick > 0 {
				return fmt.Errorf("%d of %d tunnels do not work", sick, len(patients))
			}
			return nil
		},
	}
	serviceFlags(cmd, &service)
	cmd.Flags().StringVar(&file, "config.file", "", "configuration file with the section probes")
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Second, "time for one tunnel")
	cmd.Flags().BoolVar(&proxy, "proxy", false, "a tenant proxy stands at the tunnel's end: ask it")
	return cmd
}

type patient struct {
	name string
	doctor.Patient
}

// patients are the tunnels that the words of the call mean.
func patients(args []string, file string, service probe.Service) ([]patient, error) {
	if file == "" {
		if len(args) == 0 {
			return nil, &usageError{fmt.Errorf("want HOST:PORT, or --config.file")}
		}
		host, port, err := net.SplitHostPort(args[0])
		if err != nil {
			return nil, &usageError{fmt.Errorf("%w; the id of a target needs --config.file", err)}
		}
		if err := service.Validate(); err != nil {
			return nil, &usageError{err}
		}
		return []patient{{args[0], doctor.Patient{Host: host, Port: port, Service: service}}}, nil
	}
	cfg, err := loadConfig(file, "")
	if err != nil {
		return nil, err
	}
	if cfg.Probes == nil || len(cfg.Probes.Targets) == 0 {
		return nil, fmt.Errorf("%s: probes: there are no targets", file)
	}
	var list []patient
	for _, t := range cfg.Probes.Targets {
		host, port := t.Where()
		name := fmt.Sprintf("%s (%s, %s)", t.ID, t.Company, net.JoinHostPort(host, port))
		if len(args) == 0 || args[0] == t.ID || args[0] == t.Name || args[0] == net.JoinHostPort(host, port) {
			list = append(list, patient{name, doctor.Patient{Host: host, Port: port, Service: t.Service}})
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: probes: there is no target %q", file, args[0])
	}
	return list, nil
}

// showFindings prints a line for each step, and the fix; it tells whether one is bad.
func showFindings(w io.Writer, name string, findings []doctor.Finding) bool {
	fmt.Fprintln(w, name)
	for _, f := range findings {
		detail := f.Detail
		if f.Type != "" {
			detail = f.Type + ": " + detail
		}
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("  %-12s %-8s %s", f.Step, f.State, detail), " "))
	}
	first, sick := doctor.First(findings)
	if sick {
		fmt.Fprintf(w, "wrong: %s: %s\nfix:   %s\n", first.Step, first.Type, first.Fix)
	}
	return sick
}
