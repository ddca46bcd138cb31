// Package flow has the one row type of all flow logs and the decoders that make
// it of IBM Cloud's, AWS', Google Cloud's and Azure's objects.
package flow

import "time"

// Values of Record.Provider.
const (
	IBM     = "ibm"
	AWS     = "aws"
	GCP     = "gcp"
	Azure   = "azure"
	NetFlow = "netflow" // NetFlow v5, v9, IPFIX and sFlow, by the wire
)

// Values of Record.Action and Record.Direction.
const (
	Accepted = "accepted"
	Rejected = "rejected"
	Inbound  = "I"
	Outbound = "O"
)

// Time is a time in microseconds since 1970, UTC. The zero value means "not known" (NULL).
type Time int64

// At returns t as Time; the zero time gives 0.
func At(t time.Time) Time {
	if t.IsZero() {
		return 0
	}
	return Time(t.UnixMicro())
}

// Std returns the time in UTC, the zero time for 0.
func (t Time) Std() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(t)).UTC()
}

// Record is one row of the table `flows`: what one observer saw of one flow in
// one window. An empty string, a zero Time and a nil pointer are NULL in the
// lake; a pointer may be shared between records and must not be written through.
//
// "Initiator" is who sent the first packet where the vendor says so (IBM, Azure)
// and else the sender of the packets counted (AWS, GCP, NetFlow).
type Record struct {
	Provider     string `parquet:"provider,dict"`      // ibm, aws, gcp, azure, netflow
	SourceFormat string `parquet:"source_format,dict"` // ibm_v1, aws_v5, vpc_flows, vnet_v4, nsg_v2, netflow_v9, ...

	StartTime           Time `parquet:"start_time,timestamp(microsecond:local),delta"`
	EndTime             Time `parquet:"end_time,optional,timestamp(microsecond:local),delta"`
	ConnectionStartTime Time `parquet:"connection_start_time,optional,timestamp(microsecond:local),delta"`
	CaptureStartTime    Time `parquet:"capture_start_time,optional,timestamp(microsecond:local),dict"`
	CaptureEndTime      Time `parquet:"capture_end_time,optional,timestamp(microsecond:local),dict"`

	Action       string `parquet:"action,optional,dict"` // accepted, rejected; NULL where the vendor does not tell
	RejectReason string `parquet:"reject_reason,optional,dict"`
	Direction    string `parquet:"direction,optional,dict"` // I or O, as seen from the observer

	InitiatorIP     string `parquet:"initiator_ip,optional,dict"`
	TargetIP        string `parquet:"target_ip,optional,dict"`
	InitiatorPort   *int32 `parquet:"initiator_port,optional"`
	TargetPort      *int32 `parquet:"target_port,optional,dict"`
	OrigInitiatorIP string `parquet:"orig_initiator_ip,optional,dict"` // before NAT
	OrigTargetIP    string `parquet:"orig_target_ip,optional,dict"`

	TransportProtocol *int32 `parquet:"transport_protocol,optional,dict"` // IANA number: 6 TCP, 17 UDP
	EtherType         string `parquet:"ether_type,optional,dict"`         // IPv4, IPv6

	// Counters of this window; from_target is NULL where records count one direction only.
	BytesFromInitiator   *int64 `parquet:"bytes_from_initiator,optional"`
	PacketsFromInitiator *int64 `parquet:"packets_from_initiator,optional"`
	BytesFromTarget      *int64 `parquet:"bytes_from_target,optional"`
	PacketsFromTarget    *int64 `parquet:"packets_from_target,optional"`
	// Counters since the connection began.
	CumulativeBytesFromInitiator   *int64 `parquet:"cumulative_bytes_from_initiator,optional"`
	CumulativePacketsFromInitiator *int64 `parquet:"cumulative_packets_from_initiator,optional"`
	CumulativeBytesFromTarget      *int64 `parquet:"cumulative_bytes_from_target,optional"`
	CumulativePacketsFromTarget    *int64 `parquet:"cumulative_packets_from_target,optional"`

	WasInitiated  *bool  `parquet:"was_initiated,optional"`  // the connection began in this window
	WasTerminated *bool  `parquet:"was_terminated,optional"` // it ended in this window
	TCPFlags      *int32 `parquet:"tcp_flags,optional,dict"` // all flags seen, or-ed
	Encryption    string `parquet:"encryption,optional,dict"`

	AccountID   string `parquet:"account_id,optional,dict"` // account, project or subscription
	Region      string `parquet:"region,optional,dict"`
	Zone        string `parquet:"zone,optional,dict"`
	VPCID       string `parquet:"vpc_id,optional,dict"`
	SubnetID    string `parquet:"subnet_id,optional,dict"`
	InstanceID  string `parquet:"instance_id,optional,dict"`
	InterfaceID string `parquet:"interface_id,optional,dict"`
	RuleID      string `parquet:"rule_id,optional,dict"`
	RuleName    string `parquet:"rule_name,optional,dict"`

	LogStatus     string `parquet:"log_status,optional,dict"`      // OK, NODATA, SKIPDATA; IBM's state
	Bidirectional bool   `parquet:"bidirectional"`                 // the record counts both directions
	Sampled       bool   `parquet:"sampled"`                       // counters are estimates
	Swapped       bool   `parquet:"swapped"`                       // initiator and target were told apart by ports or flags, not by the vendor
	Observer      string `parquet:"observer,optional,dict"`        // who saw it: two observers report one flow twice
	Version       string `parquet:"version,optional,dict"`         // of the vendor's format
	CollectorID   string `parquet:"collector_id,optional,dict"`    // IBM's collector_crn
	EndpointType  string `parquet:"endpoint_type,optional,dict"`   // IBM's attached_endpoint_type
	RecordType    string `parquet:"record_type,optional,dict"`     // IBM's partition: all, ingress, egress
	StreamID      string `parquet:"stream_id,optional,dict"`       // IBM's partition; the observation domain of NetFlow, the sub-agent of sFlow
	NumberOfFlows *int32 `parquet:"number_of_flows,optional,dict"` // in the IBM object: number_of_flow_logs

	// Of StartTime, so that a filter on them is exact.
	Year  int32 `parquet:"year,dict"`
	Month int32 `parquet:"month,dict"`
	Day   int32 `parquet:"day,dict"`
	Hour  int32 `parquet:"hour,dict"`

	ObjectKey string `parquet:"object_key,optional,dict"` // the object the record was read from
	RecordNo  int32  `parquet:"record_no,delta"`          // its position there, from 1
	Extra     string `parquet:"extra,optional,dict"`      // vendor fields without a column, as a JSON object
}

// SetStart sets StartTime and what follows from it: Year, Month, Day, Hour.
func (r *Record) SetStart(t Time) {
	r.StartTime = t
	days := int64(t) / dayMicros
	rest := int64(t) % dayMicros
	if rest < 0 {
		days, rest = days-1, rest+dayMicros
	}
	y, m, d := civil(days)
	r.Year, r.Month, r.Day, r.Hour = int32(y), int32(m), int32(d), int32(rest/(3600*1e6)) //nolint:gosec // small by construction
}

const dayMicros = 24 * 3600 * 1e6

// civil turns days since 1970 into a date (the usual 400-year era arithmetic;
// time.Time's Date costs three times as much, once for each row).
func civil(days int64) (y, m, d int64) {
	days += 719468
	era := days / 146097
	if days < 0 {
		era = (days - 146096) / 146097
	}
	doe := days - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d = doy - (153*mp+2)/5 + 1
	m = mp + 3
	if m > 12 {
		m -= 12
	}
	y = yoe + era*400
	if m <= 2 {
		y++
	}
	return y, m, d
}
