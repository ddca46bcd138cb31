//go:build cgo

package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/orielhq/oriel/internal/query/duckdb"
)

// beside is what the process may have beside DuckDB's own limit: what no limit
// of DuckDB's counts (parsed queries, texts under way), Go's heap, and what the allocator holds back.
const beside = 384 << 20

// perThread is the stack of a thread, and what the allocators keep for each.
const perThread = 16 << 20

// confine bounds this process. What the kernel refuses stays as it was: the
// program ends a process that takes too long in any case.
func confine(cfg duckdb.Config) {
	_ = os.WriteFile("/proc/self/comm", []byte("oriel-sql"), 0)     // for ps and top
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0) // the first to go when the machine has no memory left
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})            // the memory holds what was asked
	threads := max(cfg.Threads, runtime.GOMAXPROCS(0))
	limit := dataSize() + uint64(cfg.MemoryLimit) + beside + uint64(threads)*perThread //nolint:gosec // not negative
	_ = unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: limit, Max: limit})
}

// dataSize is what RLIMIT_DATA counts of this process now, in bytes.
func dataSize() uint64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(b, []byte("\nVmData:"))
	var kb uint64
	_, _ = fmt.Sscan(string(rest), &kb)
	return kb << 10
}
