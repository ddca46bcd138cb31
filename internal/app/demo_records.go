package app

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/orielhq/oriel/internal/collector"
	demopackets "github.com/orielhq/oriel/internal/demo/packets"
	"github.com/orielhq/oriel/internal/lake"
	"github.com/orielhq/oriel/internal/packet"
)

const (
	demoRecordHours = 24               // before the demo began
	demoAllHours    = 3                // with records of all kinds; dashboards show the others only
	demoAlertsEvery = 20 * time.Minute // detections of the past
)

// dashboardKinds are the records that the dashboards of packets ask for. A table
// is some files more for each hour, all of which a look-up reads.
var dashboardKinds = []string{"connection", "dns", "http", "tls", "alert"}

// demoLake is where the demo's records go. Each part has a folder of its own beside it.
func demoLake(dir string) string { return filepath.Join(filepath.Dir(dir), "lake") }

// readCapture reads a capture at once: its records, and what is counted of it.
func readCapture(ctx context.Context, name string, log *slog.Logger) ([]packet.Record, []*dto.MetricFamily, error) {
	cfg := packet.Default()
	cfg.Files = []string{name}
	var mu sync.Mutex // guards list
	var list []packet.Record
	monitor, err := packet.New(cfg, func(r packet.Record) error {
		mu.Lock()
		defer mu.Unlock()
		list = append(list, r)
		return nil
	}, log)
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(monitor.Open(ctx), monitor.Run(ctx)); err != nil {
		return nil, nil, err
	}
	page, err := gather(ctx, collector.NewSet(log, map[string]collector.Collector{"packets": monitor}))
	return list, page, err
}

// pastRecords stores what the packets of the hours before the demo would have
// left: the records of a capture are written for each minute of
// the past, more of them by day than by night.
func pastRecords(ctx context.Context, list []packet.Record, dir string, hours int, log *slog.Logger) error {
	begin := time.Now()
	l, err := (&lake.Config{Dir: dir}).Open(log)
	if err != nil {
		return err
	}
	out, err := newLakeOutput(l)
	if err != nil {
		return err
	}
	rows := 0
	for hour := range hours { // the newest first: it is what people look at
		if hour == demoAllHours {
			list = slices.DeleteFunc(list, func(r packet.Record) bool { return !slices.Contains(dashboardKinds, r.Kind()) })
		}
		for minute := range 60 {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // to be stopped is no error
			}
			ago := time.Duration(hour+1)*time.Hour - time.Duration(minute)*time.Minute
			moved := earlier(list, begin.Add(-ago), -ago)
			rows += len(moved)
			if _, err := out.Write(ctx, moved); err != nil {
				return err
			}
		}
		if _, err := out.Flush(ctx); err != nil {
			return err
		}
	}
	if _, err := out.Close(ctx); err != nil {
		return err
	}
	log.Debug("made records", "rows", rows, "took", time.Since(begin).Round(time.Millisecond).String())
	return nil
}

// earlier are the records of a minute that begins at a time, moved there: a part
// of the connections, and the scan and what was detected in some minutes only.
func earlier(list []packet.Record, at time.Time, by time.Duration) []packet.Record {
	share := uint32(100 * (0.75 + 0.25*math.Cos(2*math.Pi*float64(at.Unix()-14*3600)/86400)))
	minute := at.Unix() / 60
	quiet := minute%int64(demoAlertsEvery.Minutes()) != 0
	scanner := demopackets.Scanner.String()
	var out []packet.Record
	for _, r := range list {
		_, told := r.(*packet.Alert)
		v := reflect.ValueOf(r).Elem()
		f, ok := reflect.TypeAssert[packet.Flow](v.FieldByName("Flow"))
		switch {
		case !ok, quiet && (told || f.OrigAddr == scanner), !told && drawn(f.UID, minute)%100 >= share:
			continue
		}
		moved := reflect.New(v.Type())
		moved.Elem().Set(v)
		flow := moved.Elem().FieldByName("Flow").Addr().Interface().(*packet.Flow)
		flow.Time = f.Time.Add(by)
		if len(f.UID) > 8 {
			flow.UID = fmt.Sprintf("%s%08x", f.UID[:len(f.UID)-8], uint32(minute)) //nolint:gosec // a name
		}
		out = append(out, moved.Interface().(packet.Record))
	}
	return out
}

// drawn is a number of a connection in a minute, the same for all of its records.
func drawn(uid string, minute int64) uint32 {
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, uid, minute) // a hash takes all
	return h.Sum32() >> 8
}
