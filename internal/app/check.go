package app

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/orielhq/oriel/internal/prom"
)

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "check", Short: "Check files without starting anything"}
	cmd.AddCommand(&cobra.Command{
		Use:   "config FILE",
		Short: "Check a configuration file, the rule files it names included",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := loadConfig(args[0], "")
			if err != nil {
				return err
			}
			quiet := slog.New(slog.DiscardHandler)
			features, err := cfg.build(nil, quiet)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if _, err := cfg.plan(features, quiet); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: valid\n", args[0])
			return err
		},
	})
	cmd.AddCommand(&cobra.Command{
		Use:   "rules FILE...",
		Short: "Check files of recording rules and alerts",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var bad []error
			for _, file := range args {
				n, err := prom.CheckRules(file, slog.New(slog.DiscardHandler))
				if err != nil {
					bad = append(bad, err)
					continue
				}
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %d rules\n", file, n); err != nil {
					return err
				}
			}
			return errors.Join(bad...)
		},
	}, &cobra.Command{
		Use:   "dashboards FILE|DIRECTORY...",
		Short: "Check the queries of dashboards in Grafana's JSON: PromQL, and the macros of SQL",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, queries, err := checkDashboards(args)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d dashboards, %d queries: valid\n", files, queries)
			return err
		},
	})
	return cmd
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := thisBuild()
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "oriel %s (revision %s, %s, prometheus %s)\n", b.version, b.revision, b.goVersion, b.engine)
			return err
		},
	}
}
