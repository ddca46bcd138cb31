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
)

// Row is a row of the table flows.
type Row struct {
	Provider                       string `parquet:"provider,dict"`
	SourceFormat                   string `parquet:"source_format,dict"`
	StartTime                      int64  `parquet:"start_time,timestamp(microsecond:local),delta"`
	EndTime                        *int64 `parquet:"end_time,optional,timestamp(microsecond:local)"`
	ConnectionStartTime            *int64 `parquet:"connection_start_time,optional,timestamp(microsecond:local)"`
	CaptureStartTime               *int64 `parquet:"capture_start_time,optional,timestamp(microsecond:local)"`
	CaptureEndTime                 *int64 `parquet:"capture_end_time,optional,timestamp(microsecond:local)"`
	Action                         string `parquet:"action,optional,dict"`
	RejectReason                   string `parquet:"reject_reason,optional,dict"`
	Direction                      string `parquet:"direction,optional,dict"`
	InitiatorIP                    string `parquet:"initiator_ip,optional,dict"`
	TargetIP                       string `parquet:"target_ip,optional,dict"`
	InitiatorPort                  *int32 `parquet:"initiator_port,optional"`
	TargetPort                     *int32 `parquet:"target_port,optional,dict"`
	OrigInitiatorIP                string `parquet:"orig_initiator_ip,optional,dict"`
	OrigTargetIP                   string `parquet:"orig_target_ip,optional,dict"`
	TransportProtocol              *int32 `parquet:"transport_protocol,optional,dict"`
	EtherType                      string `parquet:"ether_type,optional,dict"`
	BytesFromInitiator             *int64 `parquet:"bytes_from_initiator,optional"`
	PacketsFromInitiator           *int64 `parquet:"packets_from_initiator,optional"`
	BytesFromTarget                *int64 `parquet:"bytes_from_target,optional"`
	PacketsFromTarget              *int64 `parquet:"packets_from_target,optional"`
	CumulativeBytesFromInitiator   *int64 `parquet:"cumulative_bytes_from_initiator,optional"`
	CumulativePacketsFromInitiator *int64 `parquet:"cumulative_packets_from_initiator,optional"`
	CumulativeBytesFromTarget      *int64 `parquet:"cumulative_bytes_from_target,optional"`
	CumulativePacketsFromTarget    *int64 `parquet:"cumulative_packets_from_target,optional"`
	WasInitiated                   *bool  `parquet:"was_initiated,optional"`
	WasTerminated                  *bool  `parquet:"was_terminated,optional"`
	TCPFlags                       *int32 `parquet:"tcp_flags,optional,dict"`
	Encryption                     string `parquet:"encryption,optional,dict"`
	AccountID                      string `parquet:"account_id,optional,dict"`
	Region                         string `parquet:"region,optional,dict"`
	Zone                           string `parquet:"zone,optional,dict"`
	VPCID                          string `parquet:"vpc_id,optional,dict"`
	SubnetID                       string `parquet:"subnet_id,optional,dict"`
	InstanceID                     string `parquet:"instance_id,optional,dict"`
	InterfaceID                    string `parquet:"interface_id,optional,dict"`
	RuleID                         string `parquet:"rule_id,optional,dict"`
	RuleName                       string `parquet:"rule_name,optional,dict"`
	LogStatus                      string `parquet:"log_status,optional,dict"`
	Bidirectional                  bool   `parquet:"bidirectional"`
	Sampled                        bool   `parquet:"sampled"`
	Swapped                        bool   `parquet:"swapped"`
	Observer                       string `parquet:"observer,optional,dict"`
	Version                        string `parquet:"version,optional,dict"`
	CollectorID                    string `parquet:"collector_id,optional,dict"`
	EndpointType                   string `parquet:"endpoint_type,optional,dict"`
	RecordType                     string `parquet:"record_type,optional,dict"`
	StreamID                       string `parquet:"stream_id,optional,dict"`
	NumberOfFlows                  *int32 `parquet:"number_of_flows,optional,dict"`
	Year                           int32  `parquet:"year,dict"`
	Month                          int32  `parquet:"month,dict"`
	Day                            int32  `parquet:"day,dict"`
	Hour                           int32  `parquet:"hour,dict"`
	ObjectKey                      string `parquet:"object_key,optional,dict"`
	RecordNo                       int32  `parquet:"record_no,delta"`
	Extra                          string `parquet:"extra,optional,dict"`
}

// Flow makes a plain row: what tests change is in it, the rest as IBM has it.
func Flow(at time.Time, initiator, target string, port int32, action, direction string, bytes int64) Row {
	at = at.UTC()
	start, end, protocol, source, yes := at.UnixMicro(), at.Add(30*time.Second).UnixMicro(), int32(6), int32(40000), true
	packets := bytes/1000 + 1
	return Row{
		Provider: "ibm", SourceFormat: "ibm_v1", StartTime: start, EndTime: &end, ConnectionStartTime: &start, CaptureStartTime: &start, CaptureEndTime: &end,
		Action: action, Direction: direction, InitiatorIP: initiator, TargetIP: target, InitiatorPort: &source, TargetPort: &port, TransportProtocol: &protocol,
		EtherType: "IPv4", BytesFromInitiator: &bytes, PacketsFromInitiator: &packets, BytesFromTarget: &bytes, PacketsFromTarget: &packets, WasInitiated: &yes,
		WasTerminated: &yes, Observer: "vnic-1", Version: "0.0.1", RecordType: "all", Bidirectional: true,
		Year: int32(at.Year()), Month: int32(at.Month()), Day: int32(at.Day()), Hour: int32(at.Hour()), //nolint:gosec // small
	}
}

// Write writes rows of one hour into the lake's layout below dir.
func Write(dir string, hour time.Time, rows []Row) error {
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
		rows := make([]Row, perHour)
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
