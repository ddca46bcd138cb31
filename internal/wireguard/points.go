package wireguard

import "context"

// View is a device of a reading with what other outputs than the metrics need of it.
type View struct {
	*Device
	// PoolTotal and PoolUsed count the IPv4 addresses of the interface's own
	// networks; both are 0 if those are not known.
	PoolTotal, PoolUsed uint64
}

// Views returns the devices that could be read, sorted by name, from a reading
// that is at most Cache old, and the errors of the others. The devices are
// shared: nobody may change them.
func (c *Collector) Views(ctx context.Context) ([]View, error) {
	s, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	views := make([]View, 0, len(s.devices))
	for _, d := range s.devices {
		if d.err == nil {
			views = append(views, View{Device: d.device, PoolTotal: d.pool.total, PoolUsed: d.pool.used})
		}
	}
	return views, s.err()
}
