//go:build !linux

package packet

import (
	"fmt"
	"runtime"
)

type device struct {
	name   string
	worker int
	closed bool
}

func openDevice(_ Config, name string, _ int) (*device, error) {
	return nil, fmt.Errorf("open ring %s: no live capture on %s", name, runtime.GOOS)
}

func (*device) next(*frame) error       { return errNothing }
func (*device) stats() (uint64, uint64) { return 0, 0 }
func (*device) close()                  {}
