package app

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/flow"
	"github.com/orielhq/oriel/internal/lake"
	"github.com/orielhq/oriel/internal/neuvector"
	"github.com/orielhq/oriel/internal/packet"
	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/query/timeseries"
	"github.com/orielhq/oriel/internal/tunnel/probe"
	"github.com/orielhq/oriel/internal/wireguard"
	"github.com/orielhq/oriel/rules"
)

const root = "../.."

const generated = "\nMade from the program itself by `make generate`; a test holds it.\n"

// TestReference writes docs/reference: what is said there is what the code says.
func TestReference(t *testing.T) {
	docs := &fieldDocs{dirs: map[string]map[string]string{}}
	for file, text := range map[string]string{
		"commands.md":      commandReference(),
		"configuration.md": configReference(t, docs),
		"metrics.md":       metricReference(t),
		"tables.md":        tableReference(t, docs),
		"alerts.md":        alertReference(t),
		"timeseries.md":    seriesReference(),
	} {
		proctest.Golden(t, filepath.Join(root, "docs/reference", file), []byte(text))
	}
}

// seriesReference lists the time-series functions, from what the rewriter of queries works with.
func seriesReference() string {
	var b strings.Builder
	b.WriteString("# Time-series functions of SQL\n" + generated + "\nWhat they mean, and where they differ from IBM's: [the guide](../guides/sql.md#series).\n\n| | |\n|---|---|\n")
	for _, g := range timeseries.Catalogue() {
		fmt.Fprintf(&b, "| %s | `%s` |\n", g.Name, strings.Join(g.Functions, "`, `"))
	}
	b.WriteString("\nRefused, with an error that names them:\n\n| | |\n|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(timeseries.Refused)) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, inCell(timeseries.Refused[name]))
	}
	return b.String()
}

// inCell makes a text fit a table's cell.
func inCell(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return strings.ReplaceAll(s, "|", "\\|")
}

func commandReference() string {
	var b strings.Builder
	b.WriteString("# Commands\n" + generated)
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Hidden || c.Name() == "help" {
			return
		}
		c.InitDefaultHelpFlag()
		if c.Runnable() && c.HasParent() {
			fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n    %s\n", c.CommandPath(), strings.TrimSuffix(c.Short, "."), c.UseLine())
			if c.Long != "" {
				fmt.Fprintf(&b, "\n%s\n", c.Long)
			}
			if c.Example != "" {
				fmt.Fprintf(&b, "\n%s\n", c.Example)
			}
			rows := 0
			c.Flags().VisitAll(func(f *pflag.Flag) {
				if f.Hidden || f.Name == "help" {
					return
				}
				if rows++; rows == 1 {
					b.WriteString("\n| flag | default | |\n|---|---|---|\n")
				}
				name := "`--" + f.Name + "`"
				if f.Shorthand != "" {
					name = "`-" + f.Shorthand + "`, " + name
				}
				def := ""
				if f.DefValue != "" && f.DefValue != "[]" {
					def = "`" + f.DefValue + "`"
				}
				_, usage := pflag.UnquoteUsage(f)
				fmt.Fprintf(&b, "| %s | %s | %s |\n", name, inCell(def), inCell(usage))
			})
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(rootCommand())
	return b.String()
}

func configReference(t *testing.T, docs *fieldDocs) string {
	var b strings.Builder
	b.WriteString("# Configuration file\n" + generated + "\n" +
		"One YAML file, given to `oriel serve --config.file`. A section that is not there is a feature that is off, unless its heading says otherwise; an unknown key\n" +
		"is an error. `oriel check config FILE` reads it without starting anything.\n\n## Top level\n")
	c := defaultConfig()
	c.Instance = "the machine's name"
	c.keys(t, &b, docs)
	for _, s := range c.specs() {
		s.fill()
		fmt.Fprintf(&b, "\n## %s\n", s.name)
		if s.always {
			b.WriteString("\nOn without a configuration file.\n")
		}
		value := reflect.ValueOf(s.value())
		if about, ok := strings.CutPrefix(docs.of(t, value.Type(), ""), "Config is the section `"+s.name+"` of the configuration file:"); ok {
			fmt.Fprintf(&b, "\nIt says%s\n", about)
		}
		docs.table(t, &b, value, "")
	}
	b.WriteString("\n## console\n")
	docs.table(t, &b, reflect.ValueOf(c.Console), "")
	for _, s := range shared {
		fmt.Fprintf(&b, "\n## %s of a section\n", s.key)
		docs.table(t, &b, reflect.ValueOf(s.value), "")
	}
	return b.String()
}

type sharedKeys struct {
	key   string
	value any
}

// shared are structs that several sections have.
var shared = []sharedKeys{{"tls", conf.TLS{}}, {"bucket", lake.S3Config{}}}

// keys writes those of the top that are no sections of features.
func (c *Config) keys(t *testing.T, b *strings.Builder, docs *fieldDocs) {
	v := reflect.ValueOf(*c)
	b.WriteString("\n| key | default | |\n|---|---|---|\n")
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if key := f.Tag.Get("yaml"); key != "" && f.Type.Kind() != reflect.Pointer && key != "console" {
			fmt.Fprintf(b, "| `%s` | %s | %s |\n", key, plain(t, v.Field(i)), inCell(docs.keyDoc(t, v.Type(), f)))
		}
	}
}

// table writes the keys of a struct and of those within it.
func (d *fieldDocs) table(t *testing.T, b *strings.Builder, v reflect.Value, prefix string) {
	b.WriteString("\n| key | default | |\n|---|---|---|\n")
	d.seen = map[reflect.Type]string{}
	d.rows(t, b, v, prefix, 0)
}

func (d *fieldDocs) rows(t *testing.T, b *strings.Builder, v reflect.Value, prefix string, depth int) {
	if depth > 6 {
		t.Fatalf("%s: too deep", prefix)
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() || key == "-" {
			continue
		}
		if strings.Contains(options, "inline") {
			d.rows(t, b, v.Field(i), prefix, depth+1)
			continue
		}
		if key == "" {
			t.Errorf("%s.%s has no yaml key", v.Type(), f.Name)
			continue
		}
		doc := inCell(d.keyDoc(t, v.Type(), f))
		if doc == "" {
			t.Errorf("%s.%s has no comment", v.Type(), f.Name)
		}
		name := prefix + key
		inner, suffix := f.Type, ""
		for {
			switch inner.Kind() {
			case reflect.Slice:
				inner, suffix = inner.Elem(), suffix+"[]"
				continue
			case reflect.Map:
				inner, suffix = inner.Elem(), suffix+".NAME"
				continue
			case reflect.Pointer:
				inner = inner.Elem()
				continue
			}
			break
		}
		if i := slices.IndexFunc(shared, func(s sharedKeys) bool { return reflect.TypeOf(s.value) == inner }); i >= 0 {
			fmt.Fprintf(b, "| `%s` | | %s ([keys](#%s-of-a-section)) |\n", name+suffix, doc, shared[i].key)
			continue
		}
		if first, ok := d.seen[inner]; ok {
			fmt.Fprintf(b, "| `%s` | | %s (keys as in `%s`) |\n", name+suffix, doc, first)
			continue
		}
		nested := inner.Kind() == reflect.Struct && hasKeys(inner)
		if !nested {
			fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, plain(t, v.Field(i)), doc)
			continue
		}
		fmt.Fprintf(b, "| `%s` | | %s |\n", name+suffix, doc)
		if suffix == "[]" {
			d.seen[inner] = name + suffix
		}
		value := reflect.New(inner).Elem()
		if f.Type.Kind() == reflect.Struct {
			value = v.Field(i)
		} else if err := yaml.Unmarshal([]byte("{}"), value.Addr().Interface()); err != nil {
			t.Fatal(err)
		}
		d.rows(t, b, value, name+suffix+".", depth+1)
	}
}

func hasKeys(s reflect.Type) bool {
	for f := range s.Fields() {
		if f.IsExported() && f.Tag.Get("yaml") != "" {
			return true
		}
	}
	return false
}

// plain is a value as the file has it.
func plain(t *testing.T, v reflect.Value) string {
	if v.IsZero() && v.Kind() != reflect.Bool && v.Kind() != reflect.Int && v.Kind() != reflect.Float64 {
		return ""
	}
	text, err := yaml.MarshalWithOptions(v.Interface(), yaml.Flow(true))
	if err != nil {
		t.Fatal(err)
	}
	return inCell("`" + strings.TrimSpace(string(text)) + "`")
}

var sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? `)

var labelName = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="(?:[^"\\]|\\.)*"`)

// metricReference reads the pages that the features' own tests hold.
func metricReference(t *testing.T) string {
	var b strings.Builder
	b.WriteString("# Metrics\n" + generated)
	err := fs.WalkDir(os.DirFS(root), "internal", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "metrics.prom" {
			return err
		}
		page, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			return err
		}
		feature := strings.TrimSuffix(strings.TrimPrefix(path, "internal/"), "/testdata/metrics.prom")
		fmt.Fprintf(&b, "\n## %s\n\n| metric | type | labels | |\n|---|---|---|---|\n", feature)
		metricRows(&b, page)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func metricRows(b *strings.Builder, page []byte) {
	var name, kind, help string
	labels := map[string]bool{}
	end := func() {
		if name != "" {
			fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", name, kind, strings.Join(slices.Sorted(maps.Keys(labels)), ", "), inCell(help))
		}
		name, labels = "", map[string]bool{}
	}
	for lines := bufio.NewScanner(bytes.NewReader(page)); lines.Scan(); {
		line := lines.Text()
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			end()
			name, help, _ = strings.Cut(rest, " ")
			continue
		}
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			_, kind, _ = strings.Cut(rest, " ")
			continue
		}
		if m := sampleLine.FindStringSubmatch(line); m != nil {
			for _, l := range labelName.FindAllStringSubmatch(m[2], -1) {
				if l[1] != "le" && l[1] != "quantile" {
					labels[l[1]] = true
				}
			}
		}
	}
	end()
}

func tableReference(t *testing.T, docs *fieldDocs) string {
	var b strings.Builder
	b.WriteString("# Tables of the lake\n" + generated + "\nAsk in SQL: `oriel sql 'SELECT ... FROM dns'`, or `/api/sql/query`.\n")
	write := func(name, about string, row any) {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| column | type | |\n|---|---|---|\n", name, about)
		docs.columns(t, &b, reflect.Indirect(reflect.ValueOf(row)).Type())
	}
	write("flows", "Flow logs of all clouds and exporters of NetFlow, IPFIX and sFlow. The view `flow_flat` has IBM's 35 columns.", flow.Record{})
	samples := packet.Samples()
	slices.SortFunc(samples, func(a, b packet.Record) int { return strings.Compare(a.Kind(), b.Kind()) })
	for _, s := range samples {
		write(s.Kind(), docs.of(t, reflect.TypeOf(s).Elem(), ""), s)
	}
	write(tableWireGuardEvents, "What happened to WireGuard's peers.", wireguard.PeerEvent{})
	write(tableNeuVectorEvents, "NeuVector's security events.", neuvector.Event{})
	b.WriteString("\n# Tables of now\n\nThey have no history: each query reads what the collectors see.\n")
	write("wireguard_peers", "WireGuard's peers.", wireguard.PeerRow{})
	write("neuvector_workloads", "NeuVector's workloads.", neuvector.Workload{})
	write("neuvector_images", "Images that NeuVector has scanned.", neuvector.Image{})
	write("tunnels", "TLS tunnels that are probed.", probe.Row{})
	return b.String()
}

func alertReference(t *testing.T) string {
	var b strings.Builder
	b.WriteString("# Alerts\n" + generated)
	for _, file := range rules.Names() {
		text, err := rules.Files.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var groups struct {
			Groups []struct {
				Rules []struct {
					Alert       string
					Expr        string
					For         string
					Labels      map[string]string
					Annotations map[string]string
				}
			}
		}
		if err := yaml.Unmarshal(text, &groups); err != nil {
			t.Fatal(err)
		}
		first := true
		for _, g := range groups.Groups {
			for _, r := range g.Rules {
				if r.Alert == "" {
					continue
				}
				if first {
					fmt.Fprintf(&b, "\n## %s\n\n| alert | severity | after | |\n|---|---|---|---|\n", strings.TrimSuffix(file, ".yml"))
					first = false
				}
				_, guide, _ := strings.Cut(r.Annotations["runbook_url"], "/docs/")
				fmt.Fprintf(&b, "| [%s](../%s) | %s | %s | %s |\n", r.Alert, guide, r.Labels["severity"], r.For, inCell(r.Annotations["summary"]))
			}
		}
	}
	return b.String()
}
