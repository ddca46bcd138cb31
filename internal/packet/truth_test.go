package packet

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/orielhq/oriel/internal/proctest"
)

// TestTsharkAgrees compares with tshark: packets and bytes on the wire of each capture.
func TestTsharkAgrees(t *testing.T) {
	tshark := proctest.External(t, "tshark")
	for _, file := range corpus(t, "*") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), tshark, "-n", "-r", file, "-T", "fields", "-e", "frame.len").Output()
			if err != nil {
				t.Logf("tshark: %v", err) // it also stops at a cut packet
			}
			var packets, size uint64
			for line := range strings.Lines(string(out)) {
				n, err := strconv.ParseUint(strings.TrimSpace(line), 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				packets++
				size += n
			}
			_, w, _ := run(t, Default(), file)
			if w.packets != packets || w.wire != size {
				t.Errorf("%d packets of %d bytes; tshark has %d of %d", w.packets, w.wire, packets, size)
			}
		})
	}
}
