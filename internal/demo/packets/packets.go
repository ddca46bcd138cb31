// Package packets makes a capture of traffic that is real above TCP and UDP:
// programs of the standard library speak HTTP, TLS, SSH and DNS with each other
// over loopback, what they say is recorded, and becomes the packets of a small
// office. Nothing leaves the machine, and nobody needs to be root.
package packets

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"time"
)

// Actors of the stories, so that readers can look for them.
var (
	Scanner  = netip.MustParseAddr("10.20.0.66") // calls every port of the web server
	Web      = netip.MustParseAddr("10.20.1.10")
	Resolver = netip.MustParseAddr("10.20.1.53")
	Shell    = netip.MustParseAddr("10.20.1.22")
)

// Length is how much time the capture covers.
const Length = time.Minute

// Config says what is made.
type Config struct {
	Seed  uint64    // another seed, another order of things
	Start time.Time // of the first packet
}

// Write makes the capture and puts it into a file.
func Write(ctx context.Context, cfg Config, name string) error {
	r := rand.New(rand.NewPCG(cfg.Seed, 1)) //nolint:gosec // a story, not a secret
	w := &wire{start: cfg.Start, random: r}
	talks, err := record(ctx, r)
	if err != nil {
		return fmt.Errorf("make traffic: %w", err)
	}
	for i, t := range talks {
		// Spread over the minute, the last one early enough to end in it.
		at := time.Duration(float64(Length-5*time.Second) * float64(i) / float64(len(talks)))
		w.talk(at+time.Duration(r.IntN(200))*time.Millisecond, t)
	}
	w.names(r)
	w.scan()
	w.office()
	w.plant()
	w.media()
	if err := os.WriteFile(name, w.capture(), 0o600); err != nil {
		return fmt.Errorf("write capture: %w", err)
	}
	return nil
}

func client(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 20, 0, byte(20 + n%12)})
}
