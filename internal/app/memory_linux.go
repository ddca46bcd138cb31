package app

import (
	"bufio"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

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

// dropProgramPages unmaps clean pages of the program file from this process;
// what is needed again comes back from the page cache. The libraries of the
// engine touch some forty megabytes before main begins, most of it never again.
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
			if fields[len(fields)-1] == exe && !strings.Contains(fields[1], "w") {
				a, b, _ := strings.Cut(fields[0], "-")
				from, _ = strconv.ParseUint(a, 16, 64)
				to, _ = strconv.ParseUint(b, 16, 64)
			}
		case len(fields) == 3 && fields[0] == "Private_Dirty:" && fields[1] == "0" && to > from:
			// Clean: a page that a relocation has written would lose that.
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(from), uintptr(to-from), unix.MADV_DONTNEED)
		}
	}
}
