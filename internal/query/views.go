package query

import (
	_ "embed"
	"slices"
	"time"
)

//go:embed flow_flat.sql
var flowFlatSQL string

// Names of the table of flow logs and of IBM's view of it.
const (
	Flows    = "flows"
	FlowFlat = "flow_flat"
)

// late is how far a flow's other times may lie from its start, by which files are chosen.
const late = 24 * time.Hour

// FlowTimes are the time columns of flows and flow_flat.
func FlowTimes() []TimeColumn {
	return []TimeColumn{
		{Name: "start_time"},
		// A connection begins before each of its flows, nobody knows how long.
		{Name: "connection_start_time", Before: late, After: -1},
	}
}

// FlowColumns are the columns of flows as long as there is no file.
func FlowColumns() []Column {
	var list []Column
	add := func(typ string, kind Kind, names ...string) {
		for _, n := range names {
			list = append(list, Column{Name: n, Type: typ, Kind: kind})
		}
	}
	add("VARCHAR", String, "provider", "source_format")
	add("TIMESTAMP", Time, "start_time", "end_time", "connection_start_time", "capture_start_time", "capture_end_time")
	add("VARCHAR", String, "action", "reject_reason", "direction", "initiator_ip", "target_ip")
	add("INTEGER", Int, "initiator_port", "target_port")
	add("VARCHAR", String, "orig_initiator_ip", "orig_target_ip")
	add("INTEGER", Int, "transport_protocol")
	add("VARCHAR", String, "ether_type")
	add("BIGINT", Int, "bytes_from_initiator", "packets_from_initiator", "bytes_from_target", "packets_from_target",
		"cumulative_bytes_from_initiator", "cumulative_packets_from_initiator", "cumulative_bytes_from_target", "cumulative_packets_from_target")
	add("BOOLEAN", Bool, "was_initiated", "was_terminated")
	add("INTEGER", Int, "tcp_flags")
	add("VARCHAR", String, "encryption", "account_id", "region", "zone", "vpc_id", "subnet_id", "instance_id", "interface_id", "rule_id", "rule_name", "log_status")
	add("BOOLEAN", Bool, "bidirectional", "sampled", "swapped")
	add("VARCHAR", String, "observer", "version", "collector_id", "endpoint_type", "record_type", "stream_id")
	add("INTEGER", Int, "number_of_flows", "year", "month", "day", "hour")
	add("VARCHAR", String, "object_key")
	add("INTEGER", Int, "record_no")
	add("VARCHAR", String, "extra")
	return list
}

// FlowViews completes the tables of a lake: flows, even if it has no file yet,
// with its time columns, and the view flow_flat.
func FlowViews(tables []Table) []Table {
	i := slices.IndexFunc(tables, func(t Table) bool { return t.Name == Flows })
	if i < 0 {
		tables = append(tables, Table{Name: Flows, Columns: FlowColumns()})
		i = len(tables) - 1
	}
	tables[i].Times = FlowTimes()
	byName := map[string]Column{}
	for _, c := range tables[i].Columns {
		byName[c.Name] = c
	}
	flat := Table{Name: FlowFlat, View: flowFlatSQL, Of: []string{Flows}, Times: FlowTimes()}
	for _, c := range flowFlatColumns {
		column := byName[c[1]]
		column.Name = c[0]
		flat.Columns = append(flat.Columns, column)
	}
	return append(tables, flat)
}

// flowFlatColumns are the columns of flow_flat and what they are in flows.
var flowFlatColumns = [][2]string{
	{"version", "version"},
	{"collector_crn", "collector_id"},
	{"attached_endpoint_type", "endpoint_type"},
	{"network_interface_id", "interface_id"},
	{"instance_crn", "instance_id"},
	{"capture_start_time", "capture_start_time"},
	{"capture_end_time", "capture_end_time"},
	{"vnic-id", "observer"},
	{"record-type", "record_type"},
	{"year", "year"},
	{"month", "month"},
	{"day", "day"},
	{"hour", "hour"},
	{"stream-id", "stream_id"},
	{"start_time", "start_time"},
	{"end_time", "end_time"},
	{"connection_start_time", "connection_start_time"},
	{"direction", "direction"},
	{"action", "action"},
	{"initiator_ip", "initiator_ip"},
	{"target_ip", "target_ip"},
	{"initiator_port", "initiator_port"},
	{"target_port", "target_port"},
	{"transport_protocol", "transport_protocol"},
	{"ether_type", "ether_type"},
	{"was_initiated", "was_initiated"},
	{"was_terminated", "was_terminated"},
	{"bytes_from_initiator", "bytes_from_initiator"},
	{"packets_from_initiator", "packets_from_initiator"},
	{"bytes_from_target", "bytes_from_target"},
	{"packets_from_target", "packets_from_target"},
	{"cumulative_bytes_from_initiator", "cumulative_bytes_from_initiator"},
	{"cumulative_packets_from_initiator", "cumulative_packets_from_initiator"},
	{"cumulative_bytes_from_target", "cumulative_bytes_from_target"},
	{"cumulative_packets_from_target", "cumulative_packets_from_target"},
}
