// Package sample makes a small lake with made-up flows, the same for the same
// seed, for tests and benchmarks of queries.
package sample

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/orielhq/oriel/internal/flow"
)

// Flow makes a plain row: what tests change is in it, the rest as IBM has it.
func Flow(at time.Time, initiator, target string, port int32, action, direction string, bytes int64) flow.Record {
	start, end := flow.At(at), flow.At(at.Add(30*time.Second))
	packets := bytes/1000 + 1
	r := flow.Record{
		Provider: flow.IBM, SourceFormat: "ibm_v1", EndTime: end, ConnectionStartTime: start, CaptureStartTime: start, CaptureEndTime: end,
		Action: action, Direction: direction, InitiatorIP: initiator, TargetIP: target, InitiatorPort: new(int32(40000)), TargetPort: &port, TransportProtocol: new(int32(6)),
		EtherType: "IPv4", BytesFromInitiator: &bytes, PacketsFromInitiator: &packets, BytesFromTarget: &bytes, PacketsFromTarget: &packets, WasInitiated: new(true),
		WasTerminated: new(true), Observer: "vnic-1", Version: "0.0.1", RecordType: "all", Bidirectional: true,
	}
	r.SetStart(start)
	return r
}

// Write writes rows of one hour into the lake's layout below dir.
func Write(dir string, hour time.Time, rows []flow.Record) error {
	hour = hour.UTC().Truncate(time.Hour)
	folder := filepath.Join(dir, "flows", hour.Format("date=2006-01-02"), hour.Format("hour=15"))
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return err
	}
	file := filepath.Join(folder, fmt.Sprintf("%d-sample-1.parquet", hour.Unix()))
	return parquet.WriteFile(file, rows, parquet.Compression(&parquet.Zstd))
}

// Lake writes some hours of flows from start on: 200 initiators, 40 targets, a tenth rejected.
func Lake(dir string, seed uint64, start time.Time, hours, perHour int) error {
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // made-up data
	ports := []int32{22, 53, 80, 443, 3389, 5432, 8080}
	for h := range hours {
		hour := start.Add(time.Duration(h) * time.Hour)
		rows := make([]flow.Record, perHour)
		for i := range rows {
			at := hour.Add(time.Duration(i) * time.Hour / time.Duration(perHour))
			action, direction := "accepted", "I"
			if r.IntN(10) == 0 {
				action = "rejected"
			}
			if r.IntN(3) == 0 {
				direction = "O"
			}
			rows[i] = Flow(at, fmt.Sprintf("10.0.%d.%d", r.IntN(2), r.IntN(100)), fmt.Sprintf("192.168.0.%d", r.IntN(40)), ports[r.IntN(len(ports))], action, direction, r.Int64N(100_000))
			rows[i].RecordNo = int32(i + 1)
		}
		if err := Write(dir, hour, rows); err != nil {
			return err
		}
	}
	return nil
}
