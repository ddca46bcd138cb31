package app

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// smallHeap is for commands whose work is small beside the program they are
// part of: garbage is collected earlier, and the pages of the program file that
// only the start-up of linked libraries has touched are let go.
func smallHeap() {
	debug.SetGCPercent(30)
	debug.FreeOSMemory()
	dropProgramPages()
}

// keepSmall drops again what the first scrapes have needed once and what has
// been touched since beside them, until ctx is done. It costs a millisecond a minute.
func keepSmall(ctx context.Context) {
	for wait := 10 * time.Second; ; wait = time.Minute {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
			dropProgramPages()
		}
	}
}

// dropProgramPages unmaps pages of the program file and of its libraries from
// this process; what is needed again comes back from the page cache, 64 kB at a
// time. The libraries of the engine touch some forty megabytes before main
// begins, most of it never again. A program just linked comes back in pieces of
// 2 MB, since the linker writes it so: it looks larger than one that is installed.
func dropProgramPages() {
	exe, err := os.Executable()
	if err != nil {
		return
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	var from, to uint64
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) >= 5 && strings.Contains(fields[0], "-"): // 00400000-0252a000 r-xp 00000000 fe:00 1234 /usr/bin/oriel
			from, to = 0, 0
			path := fields[len(fields)-1]
			if (path == exe || strings.Contains(filepath.Base(path), ".so")) && !strings.Contains(fields[1], "w") {
				a, b, _ := strings.Cut(fields[0], "-")
				from, _ = strconv.ParseUint(a, 16, 64)
				to, _ = strconv.ParseUint(b, 16, 64)
			}
		case len(fields) == 3 && fields[0] == "Anonymous:" && fields[1] == "0" && to > from:
			// Not where a relocation has written: that would be lost. What is dirty
			// but not anonymous is only not on the disk yet.
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(from), uintptr(to-from), unix.MADV_DONTNEED)
		}
	}
}
