package flow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/parquet-go/parquet-go"
)

// decode returns copies of all rows.
func decode(key, text string) ([]Record, Result, error) {
	var rows []Record
	res, err := Decode(Object{Key: key, Body: strings.NewReader(text), Size: int64(len(text))}, func(b *Batch) error {
		for _, r := range b.Rows {
			rows = append(rows, own(r))
		}
		b.Free()
		return nil
	})
	return rows, res, err
}

// own makes a row independent of its batch.
func own(r Record) Record {
	for _, p := range []**int64{&r.BytesFromInitiator, &r.PacketsFromInitiator, &r.BytesFromTarget, &r.PacketsFromTarget, &r.CumulativeBytesFromInitiator, &r.CumulativePacketsFromInitiator, &r.CumulativeBytesFromTarget, &r.CumulativePacketsFromTarget} {
		if *p != nil {
			*p = new(**p)
		}
	}
	for _, p := range []**int32{&r.InitiatorPort, &r.TargetPort, &r.TransportProtocol, &r.TCPFlags, &r.NumberOfFlows} {
		if *p != nil {
			*p = new(**p)
		}
	}
	for _, p := range []**bool{&r.WasInitiated, &r.WasTerminated} {
		if *p != nil {
			*p = new(**p)
		}
	}
	return r
}

func at(text string) Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return At(t)
}

func started(r Record, text string) Record {
	r.SetStart(at(text))
	return r
}

const (
	ibmHead = `{"version":"0.0.1","collector_crn":"crn:collector","attached_endpoint_type":"vnic","network_interface_id":"vnic-1","instance_crn":"crn:instance","vpc_crn":"crn:vpc",` +
		`"capture_start_time":"2026-08-20T01:00:00Z","capture_end_time":"2026-08-20T01:05:00Z","state":"ok","number_of_flow_logs":1,`
	ibmFlowText = `{"start_time":"2026-08-20T01:00:07Z","end_time":"2026-08-20T01:00:09.5Z","connection_start_time":"2026-08-20T00:59:00","direction":"I","action":"rejected","initiator_ip":"203.0.113.5","target_ip":"10.0.0.4",` +
		`"initiator_port":40000,"target_port":0,"transport_protocol":17,"ether_type":"IPv4","was_initiated":true,"was_terminated":false,"bytes_from_initiator":18446744073709551615,"packets_from_initiator":3,"bytes_from_target":0,"packets_from_target":0,` +
		`"cumulative_bytes_from_initiator":500,"cumulative_packets_from_initiator":9,"cumulative_bytes_from_target":1,"cumulative_packets_from_target":1}`
	ibmObject = "ibm_vpc_flowlogs_v1/account=acct/region=us-south/vpc-id=crn%3Av1%3Avpc/subnet-id=crn:v1:subnet/endpoint-type=vnics/instance-id=i/vnic-id=v/record-type=ingress/year=2026/month=08/day=20/hour=01/stream-id=20260820T010000Z/00000001.gz"
	azureV4   = `{"records":[{"time":"2026-08-20T01:02:00.0000000Z","flowLogVersion":4,"macAddress":"0022","category":"FlowLogFlowEvent","flowLogResourceID":"/SUBSCRIPTIONS/SUB/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.NETWORK/NETWORKWATCHERS/NETWORKWATCHER_EASTUS/FLOWLOGS/F",` +
		`"targetResourceID":"/subscriptions/sub/vnet","flowRecords":{"flows":[{"aclID":"acl","flowGroups":[{"rule":"r1","flowTuples":["1663146003599,10.0.0.6,192.0.2.180,23956,443,6,O,B,NX,0,0,0,0","1663146003606,10.0.0.6,192.0.2.180,23956,443,6,O,E,NX,3,767,2,1580","1663146003637,203.0.113.17,10.0.0.6,22730,3389,6,I,D,NX,,,,"]}]}]}}]}`
	nsgV2 = `{"records":[{"time":"2026-08-20T01:02:00Z","category":"NetworkSecurityGroupFlowEvent","resourceId":"/SUBSCRIPTIONS/SUB/NSG","properties":{"Version":2,"flows":[{"rule":"DefaultRule_Deny","flows":[{"mac":"000D","flowTuples":["1542110402,10.5.16.4,13.67.143.118,59831,443,T,I,D,B,,,,"]}]},` +
		`{"rule":"UserRule_x","flows":[{"mac":"000D","flowTuples":["1542110406,10.5.16.4,198.51.100.225,59929,53,U,O,A,E,15,8489,12,7054"]}]}]}}]}`
	nsgV1   = `{"records":[{"time":"2026-08-20T01:02:00Z","resourceId":"/SUBSCRIPTIONS/SUB/NSG","properties":{"Version":1,"flows":[{"rule":"r","flows":[{"mac":"000D","flowTuples":["1542110402,10.5.16.4,13.67.143.118,59831,443,T,O,A"]}]}]}}]}`
	gcpFlow = `{"logName":"projects/p/logs/compute.googleapis.com%2Fvpc_flows","timestamp":"2026-08-20T01:00:07.123456789Z","jsonPayload":{"connection":{"src_ip":"10.128.0.2","src_port":44382,"dest_ip":"2001:db8::1","dest_port":443,"protocol":6},"reporter":"SRC","start_time":"2026-08-20T01:00:01.5Z","end_time":"2026-08-20T01:00:06Z","bytes_sent":"5342","packets_sent":12,"rtt_msec":"34","src_instance":{"project_id":"p","region":"r","vm_name":"vm","zone":"z"},"src_vpc":{"vpc_name":"v","subnetwork_name":"s","project_id":"p"}}}`
	gcpDeny = `{"logName":"projects/p/logs/compute.googleapis.com%2Ffirewall","timestamp":"2026-08-20T01:00:07Z","jsonPayload":{"connection":{"src_ip":"203.0.113.5","src_port":1,"dest_ip":"10.0.0.1","dest_port":22,"protocol":6},"disposition":"DENIED","rule_details":{"reference":"network:n/firewall:deny","direction":"INGRESS"},"instance":{"vm_name":"vm"}}}`
	awsLine = "2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK"
)

func TestDecode(t *testing.T) {
	six, seventeen := new(int32(6)), new(int32(17))
	yes, no := new(true), new(false)
	ibm := started(Record{
		Provider: IBM, SourceFormat: "ibm_v1", EndTime: at("2026-08-20T01:00:09.5Z"), ConnectionStartTime: at("2026-08-20T00:59:00Z"), CaptureStartTime: at("2026-08-20T01:00:00Z"), CaptureEndTime: at("2026-08-20T01:05:00Z"),
		Action: Rejected, Direction: Inbound, InitiatorIP: "203.0.113.5", TargetIP: "10.0.0.4", InitiatorPort: new(int32(40000)), TargetPort: new(int32(0)), TransportProtocol: seventeen, EtherType: "IPv4",
		BytesFromInitiator: new(int64(1<<63 - 1)), PacketsFromInitiator: new(int64(3)), BytesFromTarget: new(int64(0)), PacketsFromTarget: new(int64(0)),
		CumulativeBytesFromInitiator: new(int64(500)), CumulativePacketsFromInitiator: new(int64(9)), CumulativeBytesFromTarget: new(int64(1)), CumulativePacketsFromTarget: new(int64(1)),
		WasInitiated: yes, WasTerminated: no, AccountID: "acct", Region: "us-south", VPCID: "crn:vpc", SubnetID: "crn:v1:subnet", InstanceID: "crn:instance", InterfaceID: "vnic-1", Observer: "v",
		LogStatus: "ok", Bidirectional: true, Version: "0.0.1", CollectorID: "crn:collector", EndpointType: "vnic", RecordType: "ingress", StreamID: "20260820T010000Z", NumberOfFlows: new(int32(1)), ObjectKey: ibmObject, RecordNo: 1,
	}, "2026-08-20T01:00:07Z")
	aws := started(Record{
		Provider: AWS, SourceFormat: "aws_v2", EndTime: at("2014-12-14T04:07:50Z"), Action: Accepted, InitiatorIP: "172.31.16.139", TargetIP: "172.31.16.21", InitiatorPort: new(int32(20641)), TargetPort: new(int32(22)), TransportProtocol: six,
		BytesFromInitiator: new(int64(4249)), PacketsFromInitiator: new(int64(20)), AccountID: "123456789010", InterfaceID: "eni-1235b8ca123456789", Observer: "eni-1235b8ca123456789", LogStatus: "OK", Version: "2", ObjectKey: "k", RecordNo: 1,
	}, "2014-12-14T04:06:50Z")
	noData := started(Record{
		Provider: AWS, SourceFormat: "aws_v2", EndTime: at("2015-05-10T18:02:14Z"), AccountID: "1", InterfaceID: "eni", Observer: "eni", LogStatus: "NODATA", Version: "2", ObjectKey: "k", RecordNo: 1,
	}, "2015-05-10T18:01:16Z")
	synAck := started(Record{
		Provider: AWS, SourceFormat: "aws", InitiatorIP: "10.0.0.1", TargetIP: "10.0.0.2", OrigInitiatorIP: "10.9.0.1", OrigTargetIP: "10.9.0.2", InitiatorPort: new(int32(443)), TargetPort: new(int32(50000)),
		BytesFromTarget: new(int64(99)), TCPFlags: new(int32(18)), WasInitiated: yes, WasTerminated: no, Direction: Inbound, Swapped: true, VPCID: "vpc-1", Zone: "use1-az1", Extra: `{"traffic-path":"8","new \"field":"x"}`, ObjectKey: "AWSLogs/12/vpcflowlogs/eu-west-1/2026/08/20/x.log", RecordNo: 1, AccountID: "12", Region: "eu-west-1",
	}, "2014-12-14T04:06:50Z")
	gcp := started(Record{
		Provider: GCP, SourceFormat: "vpc_flows", EndTime: at("2026-08-20T01:00:06Z"), CaptureStartTime: at("2026-08-20T01:00:07.123456Z"), Direction: Outbound, InitiatorIP: "10.128.0.2", TargetIP: "2001:db8::1",
		InitiatorPort: new(int32(44382)), TargetPort: new(int32(443)), TransportProtocol: six, EtherType: "IPv4", BytesFromInitiator: new(int64(5342)), PacketsFromInitiator: new(int64(12)), AccountID: "p", Region: "r", Zone: "z",
		VPCID: "v", SubnetID: "s", InstanceID: "vm", Observer: "SRC/vm", Sampled: true, Extra: `{"rtt_msec":34}`, ObjectKey: "k", RecordNo: 1,
	}, "2026-08-20T01:00:01.5Z")
	deny := started(Record{
		Provider: GCP, SourceFormat: "gcp_firewall", CaptureStartTime: at("2026-08-20T01:00:07Z"), Action: Rejected, Direction: Inbound, InitiatorIP: "203.0.113.5", TargetIP: "10.0.0.1",
		InitiatorPort: new(int32(1)), TargetPort: new(int32(22)), TransportProtocol: six, EtherType: "IPv4", RuleName: "network:n/firewall:deny", InstanceID: "vm", Observer: "vm", ObjectKey: "k", RecordNo: 1,
	}, "2026-08-20T01:00:07Z")
	v4 := started(Record{
		Provider: Azure, SourceFormat: "vnet_v4", CaptureStartTime: at("2026-08-20T01:02:00Z"), EndTime: at("2022-09-14T09:00:03.606Z"), ConnectionStartTime: at("2022-09-14T09:00:03.599Z"), Action: Accepted, Direction: Outbound,
		InitiatorIP: "10.0.0.6", TargetIP: "192.0.2.180", InitiatorPort: new(int32(23956)), TargetPort: new(int32(443)), TransportProtocol: six, EtherType: "IPv4", Encryption: "NX",
		BytesFromInitiator: new(int64(767)), PacketsFromInitiator: new(int64(3)), BytesFromTarget: new(int64(1580)), PacketsFromTarget: new(int64(2)), WasInitiated: no, WasTerminated: yes, AccountID: "sub", Region: "eastus",
		VPCID: "/subscriptions/sub/vnet", InterfaceID: "0022", Observer: "0022", RuleID: "acl", RuleName: "r1", Bidirectional: true, Version: "4", ObjectKey: "k", RecordNo: 2,
	}, "2022-09-14T09:00:03.606Z")
	v4deny := started(Record{
		Provider: Azure, SourceFormat: "vnet_v4", CaptureStartTime: at("2026-08-20T01:02:00Z"), EndTime: at("2022-09-14T09:00:03.637Z"), ConnectionStartTime: at("2022-09-14T09:00:03.637Z"), Action: Rejected, RejectReason: "r1", Direction: Inbound,
		InitiatorIP: "203.0.113.17", TargetIP: "10.0.0.6", InitiatorPort: new(int32(22730)), TargetPort: new(int32(3389)), TransportProtocol: six, EtherType: "IPv4", Encryption: "NX", WasInitiated: yes, WasTerminated: no, AccountID: "sub", Region: "eastus",
		VPCID: "/subscriptions/sub/vnet", InterfaceID: "0022", Observer: "0022", RuleID: "acl", RuleName: "r1", Bidirectional: true, Version: "4", ObjectKey: "k", RecordNo: 3,
	}, "2022-09-14T09:00:03.637Z")
	nsg := started(Record{
		Provider: Azure, SourceFormat: "nsg_v2", CaptureStartTime: at("2026-08-20T01:02:00Z"), EndTime: at("2018-11-13T12:00:06Z"), Action: Accepted, Direction: Outbound, InitiatorIP: "10.5.16.4", TargetIP: "198.51.100.225",
		InitiatorPort: new(int32(59929)), TargetPort: new(int32(53)), TransportProtocol: seventeen, EtherType: "IPv4", BytesFromInitiator: new(int64(8489)), PacketsFromInitiator: new(int64(15)), BytesFromTarget: new(int64(7054)), PacketsFromTarget: new(int64(12)),
		WasInitiated: no, WasTerminated: yes, AccountID: "SUB", InterfaceID: "000D", Observer: "000D", RuleID: "/SUBSCRIPTIONS/SUB/NSG", RuleName: "UserRule_x", Bidirectional: true, Version: "2", ObjectKey: "k", RecordNo: 2,
	}, "2018-11-13T12:00:06Z")
	nsg1 := started(Record{
		Provider: Azure, SourceFormat: "nsg_v1", CaptureStartTime: at("2026-08-20T01:02:00Z"), EndTime: at("2018-11-13T12:00:02Z"), Action: Accepted, Direction: Outbound, InitiatorIP: "10.5.16.4", TargetIP: "13.67.143.118",
		InitiatorPort: new(int32(59831)), TargetPort: new(int32(443)), TransportProtocol: six, EtherType: "IPv4", AccountID: "SUB", InterfaceID: "000D", Observer: "000D", RuleID: "/SUBSCRIPTIONS/SUB/NSG", RuleName: "r", Version: "1", ObjectKey: "k", RecordNo: 1,
	}, "2018-11-13T12:00:02Z")

	for _, tt := range []struct {
		name, key, text, format string
		rows, skipped           int
		want                    Record // the last
	}{
		{"ibm", ibmObject, ibmHead + `"flow_logs":[` + ibmFlowText + `]}`, FormatIBM, 1, 0, ibm},
		{"ibm, header behind, pretty", ibmObject, "{\n \"flow_logs\" : [ " + ibmFlowText + " ] ,\n" + strings.TrimSuffix(ibmHead[1:], ",") + "}\n\n", FormatIBM, 1, 0, ibm},
		{"ibm, unknown keys", ibmObject, ibmHead + `"new":{"a":[1,{"b":null}]},"flow_logs":[` + strings.Replace(ibmFlowText, "{", `{"later":[{}],"x":1,"y":"z",`, 1) + `]}`, FormatIBM, 1, 0, ibm},
		{"ibm, no traffic", "k", ibmHead + `"flow_logs":[]}`, FormatIBM, 0, 0, Record{}},
		{"ibm, data lost", "k", strings.Replace(ibmHead, `"ok"`, `"skip data"`, 1) + `"flow_logs":[]}`, FormatIBM, 0, 1, Record{}},
		{"aws without header", "k", awsLine + "\n", FormatAWS, 1, 0, aws},
		{"aws with header", "k", awsDefault + "\r\n" + awsLine, FormatAWS, 1, 0, aws},
		{"aws no data", "k", awsDefault + "\n2 1 eni - - - - - - - 1431280876 1431280934 - NODATA\n", FormatAWS, 1, 1, noData},
		{"aws custom, answer", synAck.ObjectKey, "bytes start srcaddr dstaddr pkt-srcaddr pkt-dstaddr srcport dstport tcp-flags flow-direction vpc-id az-id traffic-path new\"field\n99 1418530010 10.0.0.2 10.0.0.1 10.9.0.2 10.9.0.1 50000 443 18 egress vpc-1 use1-az1 8 x", FormatAWS, 1, 0, synAck},
		{"aws header only", "k", awsDefault + "\n", FormatAWS, 0, 0, Record{}},
		{"gcp", "k", gcpFlow + "\n", FormatGCP, 1, 0, gcp},
		{"gcp firewall", "k", gcpDeny, FormatGCP, 1, 0, deny},
		{"gcp other log", "k", strings.Replace(gcpFlow, "vpc_flows", "other", 1), FormatGCP, 0, 1, Record{}},
		{"azure v4", "k", strings.Replace(azureV4, `,"1663146003637,203.0.113.17,10.0.0.6,22730,3389,6,I,D,NX,,,,"`, "", 1), FormatAzure, 2, 0, v4},
		{"azure v4 denied", "k", azureV4, FormatAzure, 3, 0, v4deny},
		{"nsg v2", "k", nsgV2, FormatAzure, 2, 0, nsg},
		{"nsg v1", "k", nsgV1, FormatAzure, 1, 0, nsg1},
		{"azure, another log", "k", `{"records":[{"category":"x"}]}`, FormatAzure, 0, 1, Record{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, packed := range []bool{false, true} {
				text := tt.text
				if packed {
					text = pack(text)
				}
				rows, res, err := decode(tt.key, text)
				if err != nil || res.Bad != 0 || len(rows) != tt.rows || res.Skipped != int64(tt.skipped) || res.Format != tt.format {
					t.Fatalf("Decode: %d rows, %+v, %v; want %d rows, %d skipped, %s", len(rows), res, err, tt.rows, tt.skipped, tt.format)
				}
				if tt.rows == 0 {
					continue
				}
				want := tt.want
				if tt.name == "aws custom, answer" {
					want.Extra = strings.Replace(want.Extra, "new ", "new", 1)
				}
				if diff := cmp.Diff(want, rows[len(rows)-1]); diff != "" {
					t.Errorf("last row (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func pack(text string) string {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return buf.String()
}

func TestOneBadRecordCostsOneRecord(t *testing.T) {
	bad := func(old, with string) string { return strings.Replace(ibmFlowText, old, with, 1) }
	tuple := func(text string) string { return strings.Replace(azureV4, "1663146003606,", text, 1) }
	for _, tt := range []struct {
		name, text string
		good       int
		want       string // in the error
	}{
		{"ibm port", ibmHead + `"flow_logs":[` + ibmFlowText + "," + bad(":40000", ":70000") + "," + ibmFlowText + "]}", 2, `"k": record 2 at byte `},
		{"ibm type", ibmHead + `"flow_logs":[` + bad(":40000", `:"40000"`) + "," + ibmFlowText + "]}", 1, `initiator_port: "40000" is a string`},
		{"ibm float", ibmHead + `"flow_logs":[` + bad(":40000", `:4e4`) + "," + ibmFlowText + "]}", 1, `initiator_port: "4e4" is not a whole number`},
		{"ibm address", ibmHead + `"flow_logs":[` + bad("203.0.113.5", "203.0.113.500") + "," + ibmFlowText + "]}", 1, `"203.0.113.500" is not an address`},
		{"ibm time", ibmHead + `"flow_logs":[` + bad("2026-08-20T01:00:07Z", "2026-02-30T01:00:07Z") + "," + ibmFlowText + "]}", 1, `start_time: "2026-02-30T01:00:07Z" is not a time`},
		{"ibm action", ibmHead + `"flow_logs":[` + bad("rejected", "dropped") + "," + ibmFlowText + "]}", 1, `action: "dropped" is neither`},
		{"ibm no start", ibmHead + `"flow_logs":[{},` + ibmFlowText + "]}", 1, "no start_time"},
		{"ibm not an object", ibmHead + `"flow_logs":[7,"x",[],` + ibmFlowText + "]}", 1, "where"},
		{"aws fields", awsDefault + "\n" + awsLine + "\n2 1 eni\n" + awsLine + "\n", 2, `"k": record 2 at byte 230: 3 fields, the header has 14`},
		{"aws status", awsDefault + "\n" + strings.Replace(awsLine, " OK", " MAYBE", 1) + "\n" + awsLine, 1, `log-status: "MAYBE"`},
		{"aws time", awsDefault + "\n" + strings.Replace(awsLine, "1418530010", "14185300101418530010", 1) + "\n" + awsLine, 1, "start: "},
		{"gcp line", gcpFlow + "\n{not json\n" + gcpFlow, 2, `"k": record 2 at byte`},
		{"gcp port", gcpFlow + "\n" + strings.Replace(gcpFlow, "44382", "444382", 1), 1, "src_port: 444382"},
		{"gcp type", gcpFlow + "\n" + strings.Replace(gcpFlow, `"5342"`, `{"a":1}`, 1), 1, "record 2"},
		{"azure fields", tuple("1,"), 3, ""},
		{"azure short", strings.Replace(azureV4, ",O,E,NX,3,767,2,1580", ",O,E", 1), 2, "has 8 fields instead of 13"},
		{"azure state", strings.Replace(azureV4, ",O,E,NX", ",O,Q,NX", 1), 2, `state "Q" is unknown`},
		{"azure tuple type", strings.Replace(azureV4, `"1663146003606,10.0.0.6,192.0.2.180,23956,443,6,O,E,NX,3,767,2,1580"`, "17", 1), 2, `tuple "17" is not a string`},
		{"nsg protocol", strings.Replace(nsgV2, ",T,I", ",X,I", 1), 1, `protocol "X"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rows, res, err := decode("k", tt.text)
			if err != nil || len(rows) != tt.good {
				t.Fatalf("Decode: %d rows, %+v, %v; want %d", len(rows), res, err, tt.good)
			}
			if tt.want == "" {
				return
			}
			if res.Bad == 0 || len(res.Errors) == 0 || !strings.Contains(res.Errors[0].Error(), tt.want) {
				t.Errorf("%d bad: %v; want one with %q", res.Bad, res.Errors, tt.want)
			}
		})
	}
}

func TestDamagedObjectsAreErrors(t *testing.T) {
	whole := pack(ibmHead + `"flow_logs":[` + strings.Repeat(ibmFlowText+",", 100) + ibmFlowText + "]}")
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "empty object"},
		{"white", "  \n ", "empty object"},
		{"empty, packed", pack(""), "empty object"},
		{"text", "hello world\n", "known format"},
		{"binary", "\x00\x01\x02\x03\x04", "known format"},
		{"other json", `{"a":1}`, "known format"},
		{"gzip cut", whole[:len(whole)-12], "unexpected EOF"},
		{"gzip damaged", whole[:200] + "xxxxxxxxxxxxxxxx" + whole[216:], ""},
		{"gzip header", "\x1f\x8bxxxxxxxxxxxx", "gzip"},
		{"ibm cut", ibmHead + `"flow_logs":[` + ibmFlowText + ",", "cut off"},
		{"ibm syntax", ibmHead + `"flow_logs":[` + ibmFlowText + " " + ibmFlowText + "]}", "where a comma should be"},
		{"ibm version", strings.Replace(ibmHead, `"0.0.1"`, `"2.0.0"`, 1) + `"flow_logs":[]}`, `version: "2.0.0" is unknown`},
		{"ibm flow_logs", ibmHead + `"flow_logs":{}}`, "flow_logs"},
		{"azure version", strings.Replace(azureV4, `"flowLogVersion":4`, `"flowLogVersion":5`, 1), "unknown version"},
		{"azure no version", strings.Replace(azureV4, `"flowLogVersion":4,`, ``, 1), "unknown version"},
		{"nsg version", strings.Replace(nsgV2, `"Version":2`, `"Version":7`, 1), "Version 7"},
		{"azure cut", azureV4[:400], "cut off"},
		{"aws header", "version srcaddr dstaddr\n", "no field start"},
		{"aws header twice", "start start srcaddr\n", "twice"},
		{"parquet cut", "PAR1xxxxxxxxxxxx", "parquet"},
		{"deep", `{"records":[` + strings.Repeat(`[`, 200) + strings.Repeat("]", 200) + `]}`, "nested"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, res, err := decode("some/key", tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), `"some/key": `) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Decode = %+v, %v; want an error with %q", res, err, tt.want)
			}
		})
	}
}

func TestLargeObjectsAreStreamed(t *testing.T) {
	const n = 3 * maxHeld
	for name, text := range map[string]string{
		"ibm": ibmHead + `"flow_logs":[` + strings.Repeat(ibmFlowText+",", n-1) + ibmFlowText + "]}",
		"aws": awsDefault + "\n" + strings.Repeat(awsLine+"\n", n),
	} {
		got := 0
		_, err := Decode(Object{Key: "k", Body: strings.NewReader(text)}, func(b *Batch) error {
			for i := range b.Rows {
				got++
				if b.Rows[i].RecordNo != int32(got) {
					return fmt.Errorf("row %d has number %d", got, b.Rows[i].RecordNo)
				}
			}
			b.Free()
			return nil
		})
		if err != nil || got != n {
			t.Errorf("%s: %d rows, %v; want %d", name, got, err, n)
		}
	}
	late := `{"flow_logs":[` + strings.Repeat(ibmFlowText+",", n-1) + ibmFlowText + "]," + ibmHead[1:] + `"x":1}`
	if _, _, err := decode("k", late); err == nil || !strings.Contains(err.Error(), "header is behind") {
		t.Errorf("header behind %d flows: %v", n, err)
	}
}

func TestYieldsErrorEndsDecoding(t *testing.T) {
	stop := errors.New("stop")
	for _, text := range []string{ibmHead + `"flow_logs":[` + ibmFlowText + "]}", awsLine, gcpFlow, azureV4, nsgV2} {
		_, err := Decode(Object{Key: "k", Body: strings.NewReader(text)}, func(*Batch) error { return stop })
		if err != stop { //nolint:errorlint // as it is
			t.Errorf("Decode = %v; want what yield returned", err)
		}
	}
}

func TestAWSParquet(t *testing.T) {
	type row struct {
		Version int32  `parquet:"version"`
		Src     string `parquet:"srcaddr,optional"`
		Dst     string `parquet:"dstaddr,optional"`
		SrcPort int32  `parquet:"srcport,optional"`
		Bytes   int64  `parquet:"bytes"`
		Start   int64  `parquet:"start"`
		VPC     string `parquet:"vpc_id"`
	}
	var buf bytes.Buffer
	if err := parquet.Write(&buf, []row{{5, "10.0.0.1", "10.0.0.2", 1000, 7, 1418530010, "vpc"}, {5, "bad", "", 0, 1, 1418530010, "vpc"}, {5, "", "", 0, 0, 1418530010, ""}}); err != nil {
		t.Fatal(err)
	}
	rows, res, err := decode("k", buf.String())
	if err != nil || len(rows) != 2 || res.Bad != 1 || rows[0].InitiatorIP != "10.0.0.1" || *rows[0].BytesFromInitiator != 7 || rows[0].VPCID != "vpc" || rows[1].InitiatorIP != "" || rows[1].InitiatorPort != nil {
		t.Errorf("%+v, %+v, %v", rows, res, err)
	}
	for cut := 4; cut < buf.Len(); cut += 7 {
		if _, _, err := decode("k", buf.String()[:cut]); err == nil {
			t.Errorf("cut at %d: no error", cut)
		}
	}
}

func TestParseTime(t *testing.T) {
	for _, text := range []string{"2026-08-20T01:00:07Z", "2026-08-20T01:00:07.123456789Z", "2024-02-29T23:59:59.1+02:00", "1999-12-31T00:00:00-11:30", "2026-08-20T01:00:07.5Z", "0001-01-01T00:00:00Z"} {
		if got, err := parseTime([]byte(text)); err != nil || got.Std() != at(text).Std() {
			t.Errorf("parseTime(%q) = %s, %v", text, got.Std(), err)
		}
	}
	for _, text := range []string{"", "2026-08-20", "2026-13-20T01:00:07Z", "2026-02-29T01:00:07Z", "2026-08-20T24:00:07Z", "2026-08-20T01:00:07.Z", "2026-08-20T01:00:07+2", "2026-08-20T01:00:07Zx", "２026-08-20T01:00:0"} {
		if got, err := parseTime([]byte(text)); err == nil {
			t.Errorf("parseTime(%q) = %s; want an error", text, got.Std())
		}
	}
}

func TestSetStart(t *testing.T) {
	for s := at("1969-11-30T01:02:03Z").Std(); s.Year() < 2110; s = s.Add(7919 * time.Minute) {
		var r Record
		r.SetStart(At(s))
		if int(r.Year) != s.Year() || int(r.Month) != int(s.Month()) || int(r.Day) != s.Day() || int(r.Hour) != s.Hour() {
			t.Fatalf("SetStart(%s) = %d-%d-%d %d", s, r.Year, r.Month, r.Day, r.Hour)
		}
	}
}

// FuzzDecode: whatever comes, the sums are right, rows are sane, texts can stand
// in the lake, and decoding again gives the same.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{
		ibmHead + `"flow_logs":[` + ibmFlowText + "]}", `{"flow_logs":[` + ibmFlowText + `],"state":"ok"}`, awsDefault + "\n" + awsLine, awsLine,
		"start srcaddr dstaddr tcp-flags srcport dstport x\n1418530010 ::1 10.0.0.1 18 1 2 \"", gcpFlow, gcpDeny, azureV4, nsgV2, nsgV1, pack(awsLine), "PAR1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rows, res, err := decode("a=b/account=x%zz/vpcflowlogs/k", text)
		if err == nil && (int64(len(rows)) != res.Records || res.Seen < res.Records+res.Bad) {
			t.Fatalf("%d rows, %+v", len(rows), res)
		}
		if len(res.Errors) > maxErrors || int64(len(res.Errors)) > res.Bad {
			t.Fatalf("%d errors of %d bad records", len(res.Errors), res.Bad)
		}
		for i, r := range rows {
			if r.StartTime <= 0 || r.Year < 1970 || r.Year > maxYear || r.Provider == "" || r.RecordNo < 1 || i > 0 && r.RecordNo <= rows[i-1].RecordNo {
				t.Fatalf("row %+v", r)
			}
			if r.Extra != "" && !json.Valid([]byte(r.Extra)) {
				t.Fatalf("extra %q is not JSON", r.Extra)
			}
			b, err := json.Marshal(r)
			if err != nil || bytes.Contains(b, []byte(`\ufffd`)) && !strings.Contains(text, "\uFFFD") && valid([]byte(text)) == text && !strings.Contains(text, `\u`) {
				t.Fatalf("row %s: %v", b, err)
			}
		}
		again, _, err2 := decode("a=b/account=x%zz/vpcflowlogs/k", text)
		if (err == nil) != (err2 == nil) || err == nil && !cmp.Equal(rows, again) {
			t.Fatalf("decoded twice: %v, %v\n%s", err, err2, cmp.Diff(rows, again))
		}
	})
}
