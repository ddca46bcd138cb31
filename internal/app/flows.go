package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/orielhq/oriel/internal/conf"
	demoflows "github.com/orielhq/oriel/internal/demo/flows"
	"github.com/orielhq/oriel/internal/flow"
	"github.com/orielhq/oriel/internal/flow/netflow"
	"github.com/orielhq/oriel/internal/lake"
)

func flowsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "flows", Short: "Flow logs and the lake: import, ls, compact"}
	cmd.AddCommand(flowsImportCommand(), flowsListCommand(), flowsCompactCommand(), flowsGenerateCommand())
	return cmd
}

// lakeFlags say which lake a command is about.
type lakeFlags struct {
	config, dir string
	log         logFlags
}

func (f *lakeFlags) add(cmd *cobra.Command) {
	cmd.Flags().SetNormalizeFunc(otherName("lake", "lake.dir"))
	cmd.Flags().StringVar(&f.config, "config.file", "", "configuration file whose section flows names the lake")
	cmd.Flags().StringVar(&f.dir, "lake.dir", "", "directory of the lake (default "+lake.Default().Dir+")")
	f.log.add(cmd)
}

// otherName lets a flag be called by another name too: the commands about the lake
// are used in turns, and what one of them calls it the others should know.
func otherName(other, name string) func(*pflag.FlagSet, string) pflag.NormalizedName {
	return func(_ *pflag.FlagSet, given string) pflag.NormalizedName {
		if given == other {
			given = name
		}
		return pflag.NormalizedName(given)
	}
}

func (f *lakeFlags) open(cmd *cobra.Command) (*lake.Lake, lake.Config, error) {
	log, err := f.log.logger(cmd.ErrOrStderr())
	if err != nil {
		return nil, lake.Config{}, err
	}
	cfg := lake.Default()
	if f.config != "" {
		file, err := loadConfig(f.config, "")
		if err != nil {
			return nil, cfg, err
		}
		if file.Flows == nil {
			return nil, cfg, fmt.Errorf("%s: there is no section flows", f.config)
		}
		cfg = *file.Flows
	}
	if f.dir != "" {
		cfg.Dir, cfg.Bucket = f.dir, nil
	}
	l, err := cfg.Open(log)
	return l, cfg, err
}

func flowsImportCommand() *cobra.Command {
	var f lakeFlags
	var s lake.S3Config
	var name, format, prefix string
	cmd := &cobra.Command{
		Use:   "import DIR|s3://BUCKET[/PREFIX]",
		Short: "Import the flow logs of a cloud into the lake, each object once",
		Long: "Import the flow logs of IBM Cloud, AWS, Google Cloud and Azure from a directory or a bucket.\n" +
			"Objects that have been imported before are not imported again; one that grew gives its new rows. After an\n" +
			"interruption the same call goes on. Keys of a bucket come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,\n" +
			"from ~/.aws/credentials, or, for IBM Cloud Object Storage, from an API key in IBMCLOUD_API_KEY.",
		Args: exactly("a directory or s3:// URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, cfg, err := f.open(cmd)
			if err != nil {
				return err
			}
			source := lake.Source{Name: name, Prefix: prefix, Format: format}
			if source.Name == "" {
				source.Name = strings.TrimSuffix(args[0], "/")
			}
			if cfg.Retention > 0 {
				source.Oldest = time.Now().Add(-cfg.Retention.Std())
			}
			if s.URL = args[0]; strings.HasPrefix(s.URL, "s3://") {
				s.IAMAPIKey = conf.Secret(os.Getenv("IBMCLOUD_API_KEY"))
				if s.IAMAPIKeyFile != "" || s.Anonymous || os.Getenv("AWS_ACCESS_KEY_ID") != "" {
					s.IAMAPIKey = ""
				}
				if source.Store, err = lake.NewS3(s); err != nil {
					return err
				}
			} else {
				if info, err := os.Stat(args[0]); err != nil {
					return err
				} else if !info.IsDir() {
					return fmt.Errorf("%q is not a directory", args[0])
				}
				source.Store = lake.NewDir(args[0])
			}
			return flowsImport(cmd, l, source)
		},
	}
	f.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&name, "name", "", "what the lake remembers the source by (default the directory or URL)")
	flags.StringVar(&format, "format", "", "ibm, aws, aws_parquet, gcp or azure (default: found out from each object)")
	flags.StringVar(&prefix, "prefix", "", "import only objects whose name begins with this")
	flags.StringVar(&s.Endpoint, "s3.endpoint", "", "server of the bucket (default Amazon's)")
	flags.StringVar(&s.Region, "s3.region", "", "region of the bucket")
	flags.StringVar(&s.IAMAPIKeyFile, "s3.iam-api-key-file", "", "file with an IBM Cloud API key")
	flags.BoolVar(&s.Anonymous, "s3.anonymous", false, "send no keys: the bucket is public")
	return cmd
}

// exactly demands one argument.
func exactly(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return &usageError{fmt.Errorf("want %s (see %q)", what, cmd.CommandPath()+" --help")}
		}
		return nil
	}
}

// importGC is by how many percent the heap may grow before it is collected.
const importGC = 300

func flowsImport(cmd *cobra.Command, l *lake.Lake, source lake.Source) error {
	ctx, errOut := cmd.Context(), cmd.ErrOrStderr()
	p := newProgress(errOut)
	if p != nil {
		// Only who watches wants to know how much there is.
		for o, err := range source.Store.List(ctx, source.Prefix, "") {
			if err != nil {
				return err
			}
			p.total += o.Size
		}
	}
	start := time.Now()
	// Rows come and go by the hundred thousand: less collecting for some more memory.
	defer debug.SetGCPercent(debug.SetGCPercent(importGC))
	sum, err := l.Import(ctx, source, p.show)
	p.end()
	for _, problem := range sum.Problems {
		_, _ = fmt.Fprintln(errOut, "left out:", problem)
	}
	if sum.BadRecords > 0 {
		_, _ = fmt.Fprintf(errOut, "left out: %d records in all\n", sum.BadRecords)
	}
	_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%d rows of %d objects imported in %s (%s), %d objects known already, %d damaged\n",
		sum.Rows, sum.Objects-sum.ObjectsFailed, time.Since(start).Round(time.Millisecond), bytesText(sum.Bytes), sum.ObjectsKnown, sum.ObjectsFailed)
	if err == nil && sum.Objects > 0 && sum.Objects == sum.ObjectsFailed {
		return errors.New("no object could be imported")
	}
	return err
}

// progress is one line on a terminal.
type progress struct {
	w     io.Writer
	start time.Time
	shown time.Time
	total int64
	wide  int
}

// newProgress is nil if nobody looks on.
func newProgress(w io.Writer) *progress {
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return &progress{w: file, start: time.Now()}
	}
	return nil
}

// show tells how far an import is.
func (p *progress) show(s lake.Summary) {
	p.line(func(took float64) string {
		line := fmt.Sprintf("%d objects, %d rows, %s of %s, %s/s", s.Objects, s.Rows, bytesText(s.Bytes), bytesText(p.total), bytesText(int64(float64(s.Bytes)/took)))
		if s.Bytes > 0 && p.total > s.Bytes && s.ObjectsKnown == 0 {
			left := time.Duration(took * float64(p.total-s.Bytes) / float64(s.Bytes) * float64(time.Second))
			line += ", " + left.Round(time.Second).String() + " left"
		}
		return line
	})
}

// line may be called of a nil progress, and often. text is told the seconds since the start.
func (p *progress) line(text func(took float64) string) {
	if p == nil || time.Since(p.shown) < 100*time.Millisecond {
		return
	}
	p.shown = time.Now()
	line := text(time.Since(p.start).Seconds())
	_, _ = fmt.Fprintf(p.w, "\r%-*s", p.wide, line)
	p.wide = len(line)
}

func (p *progress) end() {
	if p != nil && p.wide > 0 {
		_, _ = fmt.Fprintf(p.w, "\r%-*s\r", p.wide, "")
	}
}

func bytesText(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n), -1
	for ; f >= unit && i < 4; i++ {
		f /= unit
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGTP"[i])
}

func flowsListCommand() *cobra.Command {
	var f lakeFlags
	cmd := &cobra.Command{
		Use:   "ls [TABLE]",
		Short: "List the tables of the lake, or the hours of one",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, _, err := f.open(cmd)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return listHours(cmd, l, args[0])
			}
			return listTables(cmd, l)
		},
	}
	f.add(cmd)
	return cmd
}

// known refuses a table that the lake does not have.
func known(ctx context.Context, l *lake.Lake, table string) error {
	tables, err := l.Tables(ctx)
	if err != nil {
		return err
	}
	names := make([]string, len(tables))
	for i, t := range tables {
		if names[i] = t.Name; t.Name == table {
			return nil
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("there is no table %q: the lake is empty", table)
	}
	return fmt.Errorf("there is no table %q; there are: %s", table, strings.Join(names, ", "))
}

func listTables(cmd *cobra.Command, l *lake.Lake) error {
	tables, err := l.Tables(cmd.Context())
	if err != nil {
		return err
	}
	if len(tables) == 0 {
		_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "the lake is empty")
		return nil
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "TABLE\tFIRST HOUR\tLAST HOUR\tFILES\tSIZE\tCOLUMNS")
	for _, t := range tables {
		n, size := 0, int64(0)
		for h, err := range l.Hours(cmd.Context(), t.Name) {
			if err != nil {
				return err
			}
			n, size = n+h.Files, size+h.Size
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%d\n", t.Name, t.First.Format("2006-01-02 15h"), t.Last.Format("2006-01-02 15h"), n, bytesText(size), len(t.Columns))
	}
	return w.Flush()
}

func listHours(cmd *cobra.Command, l *lake.Lake, table string) error {
	if err := known(cmd.Context(), l, table); err != nil {
		return err
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "HOUR\tFILES\tSIZE")
	for h, err := range l.Hours(cmd.Context(), table) {
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(w, "%s\t%d\t%s\n", h.Hour.Format("2006-01-02 15h"), h.Files, bytesText(h.Size))
	}
	return w.Flush()
}

func flowsCompactCommand() *cobra.Command {
	var f lakeFlags
	var age string
	cmd := &cobra.Command{
		Use:   "compact [TABLE]",
		Short: "Put the small files of each hour together into large ones",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			old, err := conf.ParseDuration(age)
			if err != nil {
				return &usageError{fmt.Errorf("--age: %w", err)}
			}
			l, _, err := f.open(cmd)
			if err != nil {
				return err
			}
			tables := args
			if len(tables) == 0 {
				all, err := l.Tables(cmd.Context())
				if err != nil {
					return err
				}
				for _, t := range all {
					tables = append(tables, t.Name)
				}
			}
			var errs []error
			for _, table := range args {
				if err := known(cmd.Context(), l, table); err != nil {
					return err
				}
			}
			for _, table := range tables {
				p := newProgress(cmd.ErrOrStderr())
				c, err := l.Compact(cmd.Context(), table, time.Now().Add(-old.Std()), func(c lake.Compaction) {
					p.line(func(float64) string {
						return fmt.Sprintf("%s: %d hours, %d files, %d rows, %s", table, c.Hours, c.Before, c.Rows, bytesText(c.Bytes))
					})
				})
				p.end()
				errs = append(errs, err)
				_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d files of %d hours made %d, %d rows, %s read\n", table, c.Before, c.Hours, c.After, c.Rows, bytesText(c.Bytes))
			}
			return errors.Join(errs...)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&age, "age", "1h", "leave hours alone that are younger")
	return cmd
}

func flowsGenerateCommand() *cobra.Command {
	var c demoflows.Config
	var start string
	cmd := &cobra.Command{
		Use:   "generate " + strings.Join(demoflows.Vendors(), "|") + " DIR",
		Short: "Write made-up flow logs in a vendor's format, to try things with",
		Long: "Write a day of made-up flow logs of a small company's cloud: services, clients in a daily wave, and among them\n" +
			"a port scan, an exfiltration and a beacon. The same seed gives the same bytes.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if start == "" {
				start = time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly)
			}
			var err error
			if c.Start, err = time.Parse(time.DateOnly, start); err != nil {
				return &usageError{fmt.Errorf("--start %q: want a date like 2026-08-20", start)}
			}
			s, err := demoflows.Write(c, args[0], demoflows.Directory(args[1]))
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%d records of %d flows in %d objects\n", s.Records, s.Flows, s.Objects)
			return nil
		},
	}
	cmd.Flags().Int64Var(&c.Rows, "rows", 100_000, "how many flows")
	cmd.Flags().Uint64Var(&c.Seed, "seed", 1, "another seed, other flows")
	cmd.Flags().DurationVar(&c.Duration, "duration", 24*time.Hour, "the time they are spread over")
	cmd.Flags().StringVar(&start, "start", "", "their first day, like 2026-08-20 (default yesterday)")
	return cmd
}

// newFlows makes the feature of the section flows.
func newFlows(cfg lake.Config, log *slog.Logger) (*lake.Watcher, error) {
	l, err := cfg.Open(log)
	if err != nil {
		return nil, err
	}
	return lake.NewWatcher(cfg, l, log)
}

// newNetFlow makes the feature of the section netflow, which writes to the lake.
func newNetFlow(cfg netflow.Config, where lake.Config, log *slog.Logger) (*netflow.Receiver, error) {
	l, err := where.Open(log)
	if err != nil {
		return nil, err
	}
	rows := lake.NewWriter(l, lake.FlowTable, func(r *flow.Record) time.Time { return r.StartTime.Std() })
	return netflow.New(cfg, rows, log)
}
