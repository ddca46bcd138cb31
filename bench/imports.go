package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	_ "github.com/duckdb/duckdb-go/v2" // the driver
)

// duckArg makes this program DuckDB, importing.
const duckArg = "duckdb-import"

// importTries is how often each imports; the run with the least CPU counts.
const importTries = 3

// importRows is 2 M unless ORIEL_BENCH_ROWS says otherwise.
func importRows() int64 { return rowsOr(2_000_000) }

func rowsOr(n int64) int64 {
	if given, err := strconv.ParseInt(os.Getenv("ORIEL_BENCH_ROWS"), 10, 64); err == nil && given > 0 {
		return given
	}
	return n
}

// imports measures how fast IBM's objects become Parquet, beside DuckDB, which
// neither sorts nor files them by the hour nor remembers what it has read.
func imports(t tools) error {
	in := filepath.Join(t.dir, "ibm")
	defer func() { _ = os.RemoveAll(in) }()
	if out, err := exec.Command(t.oriel, "flows", "generate", "ibm", in, "--rows", strconv.FormatInt(importRows(), 10), "--start", "2026-08-20").CombinedOutput(); err != nil { //nolint:noctx // it ends by itself
		return fmt.Errorf("generate: %w: %s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fmt.Printf("%d flows, IBM's JSON.gz to Parquet, the best of %d runs in turn\n", importRows(), importTries)
	var oriel, duck run1
	for range importTries {
		to := filepath.Join(t.dir, "imported")
		one, err := spend(t.oriel, "flows", "import", in, "--lake.dir", to)
		if err := errors.Join(err, os.RemoveAll(to)); err != nil {
			return err
		}
		oriel.better(one)
		to = filepath.Join(t.dir, "imported.parquet")
		one, err = spend(self, duckArg, in, to)
		if err := errors.Join(err, os.RemoveAll(to)); err != nil {
			return err
		}
		duck.better(one)
	}
	for _, l := range []struct {
		name string
		run1
	}{{"oriel flows import", oriel}, {"DuckDB, read_json and COPY", duck}} {
		fmt.Printf("%-28s %7.2f s of CPU, %8.0f rows per CPU-second, peak RSS %4d MB\n", l.name, l.cpu.Seconds(), float64(importRows())/l.cpu.Seconds(), l.rss>>20)
	}
	fmt.Printf("ratio %.2f\n\n", duck.cpu.Seconds()/oriel.cpu.Seconds())
	return nil
}

// run1 is what a program took.
type run1 struct {
	cpu time.Duration
	rss int64
}

func (r *run1) better(o run1) {
	if r.cpu == 0 || o.cpu < r.cpu {
		*r = o
	}
}

func spend(name string, args ...string) (run1, error) {
	cmd := exec.Command(name, args...) //nolint:noctx // it ends by itself
	if out, err := cmd.CombinedOutput(); err != nil {
		return run1{}, fmt.Errorf("%s %s: %w: %s", name, args[0], err, out)
	}
	return run1{cmd.ProcessState.SystemTime() + cmd.ProcessState.UserTime(), cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10}, nil
}

// duckImport is what one would write with DuckDB alone.
func duckImport(in, to string) error {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	quoted := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	var flow []string
	for kind, names := range map[string]string{
		"VARCHAR": "direction action initiator_ip target_ip ether_type", "TIMESTAMP": "start_time end_time connection_start_time", "INTEGER": "initiator_port target_port transport_protocol", "BOOLEAN": "was_initiated was_terminated",
		"BIGINT": "bytes_from_initiator packets_from_initiator bytes_from_target packets_from_target cumulative_bytes_from_initiator cumulative_packets_from_initiator cumulative_bytes_from_target cumulative_packets_from_target",
	} {
		for name := range strings.FieldsSeq(names) {
			flow = append(flow, name+" "+kind)
		}
	}
	slices.Sort(flow)
	for _, q := range []string{
		"SET threads = 2", "SET memory_limit = '1GB'", "SET preserve_insertion_order = false",
		`COPY (SELECT * EXCLUDE (flow), flow.* FROM (SELECT * EXCLUDE (flow_logs), unnest(flow_logs) AS flow FROM read_json(` + quoted(filepath.Join(in, "**", "*.gz")) + `, compression = 'gzip', format = 'auto', hive_partitioning = true,
			hive_types = {account: VARCHAR, region: VARCHAR, "vpc-id": VARCHAR, "subnet-id": VARCHAR, "endpoint-type": VARCHAR, "instance-id": VARCHAR, "vnic-id": VARCHAR, "record-type": VARCHAR, year: INTEGER, month: INTEGER, day: INTEGER, hour: INTEGER, "stream-id": VARCHAR},
			maximum_object_size = 67108864, columns = {version: 'VARCHAR', collector_crn: 'VARCHAR', attached_endpoint_type: 'VARCHAR', network_interface_id: 'VARCHAR', instance_crn: 'VARCHAR', vpc_crn: 'VARCHAR',
			capture_start_time: 'TIMESTAMP', capture_end_time: 'TIMESTAMP', state: 'VARCHAR', number_of_flow_logs: 'INTEGER', flow_logs: ` + quoted("STRUCT("+strings.Join(flow, ", ")+")[]") + `}))) TO ` + quoted(to) + ` (FORMAT parquet, COMPRESSION zstd)`,
	} {
		if _, err := db.ExecContext(context.Background(), q); err != nil {
			return fmt.Errorf("duckdb: %w", err)
		}
	}
	return nil
}
