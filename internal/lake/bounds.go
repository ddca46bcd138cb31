package lake

import (
	"context"
	"encoding/binary"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
	"golang.org/x/sync/errgroup"
)

// Bound says that only rows count whose time in a column lies from From to To,
// both included. A zero end is open. Rows without that time do not count.
type Bound struct {
	Column   string
	From, To time.Time
}

// maxExtents is how many files' times are kept in memory, some hundred bytes each.
const maxExtents = 100_000

// extents remembers, of files that never change, from when to when the times in
// their columns are: so that a query about another time than that by which files
// are filed need not read, or fetch, files that cannot have its rows.
type extents struct {
	mu    sync.Mutex
	files map[string][]extent // by key and ETag
}

// extent is what one TIMESTAMP column of a file holds, in microseconds.
type extent struct {
	column   string
	min, max int64
}

// within drops the files that have no row within all bounds.
func (l *Lake) within(ctx context.Context, list []File, bounds []Bound) (kept []File, err error) {
	if len(bounds) == 0 {
		return list, nil
	}
	drop := make([]bool, len(list))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(fetchers)
	for i, f := range list {
		g.Go(func() error {
			have, err := l.extent(gctx, f)
			if err != nil {
				return err
			}
			for _, b := range bounds {
				at := slices.IndexFunc(have, func(e extent) bool { return e.column == b.Column })
				if at < 0 {
					continue
				}
				e := have[at]
				drop[i] = drop[i] || e.min > e.max || !b.From.IsZero() && e.max < b.From.UnixMicro() || !b.To.IsZero() && e.min > b.To.UnixMicro()
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, f := range list {
		if !drop[i] {
			kept = append(kept, f)
		}
	}
	return kept, nil
}

// extent returns what is known of a file's times; from its footer, the first time.
func (l *Lake) extent(ctx context.Context, f File) ([]extent, error) {
	id := f.Key + "\x00" + f.ETag
	l.extents.mu.Lock()
	have, ok := l.extents.files[id]
	l.extents.mu.Unlock()
	if ok {
		return have, nil
	}
	file, err := l.openFile(ctx, Object{Key: f.Key, ETag: f.ETag, Size: f.Size})
	if err != nil {
		return nil, err
	}
	have = timesOf(file)
	l.extents.mu.Lock()
	defer l.extents.mu.Unlock()
	if l.extents.files == nil || len(l.extents.files) >= maxExtents {
		l.extents.files = map[string][]extent{}
	}
	l.extents.files[id] = have
	return have, nil
}

// timesOf reads the bounds of all TIMESTAMP columns from a file's footer. A column
// of which a row group does not tell them is not among them; one without any time
// has a greatest one before its least.
func timesOf(file *parquet.File) []extent {
	units := map[string]int64{} // in nanoseconds
	for _, f := range file.Schema().Fields() {
		if !f.Leaf() || f.Type().LogicalType() == nil {
			continue
		}
		ts, ok := f.Type().LogicalType().Value.(*format.TimestampType)
		if !ok {
			continue
		}
		switch ts.Unit.Value.(type) {
		case *format.MilliSeconds:
			units[f.Name()] = 1_000_000
		case *format.MicroSeconds:
			units[f.Name()] = 1000
		case *format.NanoSeconds:
			units[f.Name()] = 1
		}
	}
	var list []extent
	for name, unit := range units {
		e, known := extent{name, math.MaxInt64, math.MinInt64}, true
		for _, g := range file.Metadata().RowGroups {
			for i := range g.Columns {
				m := &g.Columns[i].MetaData
				if len(m.PathInSchema) != 1 || m.PathInSchema[0] != name {
					continue
				}
				low, high := m.Statistics.MinValue, m.Statistics.MaxValue
				switch {
				case len(low) == 8 && len(high) == 8:
					e.min = min(e.min, micros(low, unit, false))
					e.max = max(e.max, micros(high, unit, true))
				case m.Statistics.NullCount != m.NumValues:
					known = false
				}
			}
		}
		if known {
			list = append(list, e)
		}
	}
	return list
}

// micros is a time as Parquet has it in microseconds, rounded outwards.
func micros(b []byte, unit int64, up bool) int64 {
	v := int64(binary.LittleEndian.Uint64(b)) //nolint:gosec // it is signed
	switch {
	case unit == 1_000_000:
		if v > math.MaxInt64/1000 || v < math.MinInt64/1000 {
			return map[bool]int64{true: math.MaxInt64, false: math.MinInt64}[up]
		}
		return v * 1000
	case unit == 1 && up:
		return v/1000 + 1
	case unit == 1:
		return v/1000 - 1
	}
	return v
}
