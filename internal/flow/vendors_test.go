package flow

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
)

// awsAll is a record of version 11 with every field up to it, in AWS' order of versions.
var awsAll = pairs(`
	version 11 account-id 123456789010 interface-id eni-1 srcaddr 10.0.0.1 dstaddr 198.51.100.2 srcport 50000 dstport 443 protocol 6
	packets 10 bytes 840 start 1418530010 end 1418530070 action REJECT log-status OK
	vpc-id vpc-1 subnet-id subnet-1 instance-id i-1 tcp-flags 3 type IPv4 pkt-srcaddr 10.9.0.1 pkt-dstaddr 10.9.0.2
	region us-east-1 az-id use1-az1 sublocation-type outpost sublocation-id op-1
	pkt-src-aws-service S3 pkt-dst-aws-service EC2 flow-direction egress traffic-path 8
	ecs-cluster-arn arn:cluster ecs-cluster-name c ecs-container-instance-arn arn:ci ecs-container-instance-id ci ecs-container-id co ecs-second-container-id co2
	ecs-service-name svc ecs-task-definition-arn arn:td ecs-task-arn arn:t ecs-task-id t
	reject-reason BPA resource-id nat-1 encryption-status 1
	instance-tag a interface-tag b asg-tag c interface-type nat next-hop-interface-id eni-2 next-hop-subnet-id subnet-2 next-hop-az-id use1-az2 next-hop-vpc-id vpc-2
`)

func pairs(text string) (all [][2]string) {
	for pair := range slices.Chunk(strings.Fields(text), 2) {
		all = append(all, [2]string{pair[0], pair[1]})
	}
	return all
}

func awsText(fields [][2]string) string {
	var names, values []string
	for _, f := range fields {
		names, values = append(names, f[0]), append(values, f[1])
	}
	return strings.Join(names, " ") + "\n" + strings.Join(values, " ") + "\n"
}

// TestEveryColumnThatAVendorCarries: the columns that a vendor's fullest record
// leaves empty are those of which the vendor says nothing (spec/flowlogs.md 3.5).
func TestEveryColumnThatAVendorCarries(t *testing.T) {
	gcp := strings.Replace(gcpFlow, `"dest_port":443`, `"dest_port":443,"nat_src_ip":"192.0.2.1","nat_dest_ip":"192.0.2.2"`, 1)
	counters := []string{"CumulativeBytesFromInitiator", "CumulativeBytesFromTarget", "CumulativePacketsFromInitiator", "CumulativePacketsFromTarget"}
	ibmOnly := []string{"CollectorID", "EndpointType", "NumberOfFlows", "RecordType", "StreamID"}
	nat := []string{"OrigInitiatorIP", "OrigTargetIP"}
	for _, tt := range []struct {
		name, key string
		texts     []string
		empty     []string
	}{
		{
			"ibm", ibmObject,
			[]string{ibmText(ibmFlowText, strings.Replace(ibmFlowText, `"was_terminated":false`, `"was_terminated":true`, 1))},
			slices.Concat(nat, []string{"Encryption", "Extra", "RejectReason", "RuleID", "RuleName", "Sampled", "Swapped", "TCPFlags", "Zone"}),
		},
		{
			"aws", "k",
			[]string{awsText(awsAll), "start srcaddr dstaddr srcport dstport tcp-flags bytes packets\n1418530010 10.0.0.2 10.0.0.1 443 50000 18 9 1\n"},
			slices.Concat(counters, ibmOnly, []string{"Bidirectional", "CaptureEndTime", "CaptureStartTime", "ConnectionStartTime", "RuleID", "RuleName", "Sampled"}),
		},
		{
			"gcp", "k",
			[]string{gcp, gcpDeny},
			slices.Concat(counters, ibmOnly, []string{"Bidirectional", "BytesFromTarget", "CaptureEndTime", "ConnectionStartTime", "Encryption", "InterfaceID", "LogStatus", "PacketsFromTarget", "RejectReason", "RuleID", "Swapped", "TCPFlags", "Version", "WasInitiated", "WasTerminated"}),
		},
		{
			"azure", "k",
			[]string{azureV4},
			slices.Concat(counters, ibmOnly, nat, []string{"CaptureEndTime", "Extra", "InstanceID", "LogStatus", "Sampled", "SubnetID", "Swapped", "TCPFlags", "Zone"}),
		},
		{
			"nsg", "k",
			[]string{nsgV2, strings.Replace(nsgV2, "U,O,A,E", "U,O,A,B", 1)},
			slices.Concat(counters, ibmOnly, nat, []string{"CaptureEndTime", "Encryption", "Extra", "InstanceID", "LogStatus", "Region", "Sampled", "SubnetID", "Swapped", "TCPFlags", "VPCID", "Zone"}),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			filled := map[string]bool{}
			for _, text := range tt.texts {
				rows, res, err := decode(tt.key, text)
				if err != nil || res.Bad > 0 || len(rows) == 0 {
					t.Fatalf("%d rows, %+v, %v", len(rows), res, err)
				}
				for _, r := range rows {
					v := reflect.ValueOf(r)
					for i := range v.NumField() {
						if !v.Field(i).IsZero() {
							filled[v.Type().Field(i).Name] = true
						}
					}
					if r.Extra != "" && !json.Valid([]byte(r.Extra)) {
						t.Errorf("extra %s is no JSON", r.Extra)
					}
				}
			}
			var empty []string
			for f := range reflect.TypeFor[Record]().Fields() {
				if !filled[f.Name] {
					empty = append(empty, f.Name)
				}
			}
			slices.Sort(empty)
			slices.Sort(tt.empty)
			if diff := cmp.Diff(tt.empty, empty); diff != "" {
				t.Errorf("columns that nothing fills (-expected +found):\n%s", diff)
			}
		})
	}
}

// TestAWSFieldsInAnyOrder: whatever a custom format leaves out or turns round, each
// field comes to where it belongs, and what has no column is kept in extra.
func TestAWSFieldsInAnyOrder(t *testing.T) {
	whole, _, err := decode("k", awsText(awsAll))
	if err != nil || len(whole) != 1 || whole[0].SourceFormat != "aws_v11" {
		t.Fatalf("%+v, %v", whole, err)
	}
	var extra map[string]string
	if err := json.Unmarshal([]byte(whole[0].Extra), &extra); err != nil {
		t.Fatal(err)
	}
	for _, f := range awsAll {
		if awsSetter(f[0]) == nil && extra[f[0]] != f[1] {
			t.Errorf("extra has %q for %s; want %q", extra[f[0]], f[0], f[1])
		}
	}
	turned := slices.Clone(awsAll)
	slices.Reverse(turned)
	for n := 1; n < len(turned); n += 7 {
		turned = append(turned[n:], turned[:n]...) // and round
		for _, spelling := range []func(string) string{func(s string) string { return s }, func(s string) string { return strings.ReplaceAll(s, "-", "_") }} {
			fields := slices.Clone(turned)
			for i := range fields {
				fields[i][0] = spelling(fields[i][0])
			}
			rows, _, err := decode("k", awsText(fields))
			if err != nil || len(rows) != 1 {
				t.Fatalf("%d rows, %v", len(rows), err)
			}
			var other map[string]string
			if err := json.Unmarshal([]byte(rows[0].Extra), &other); err != nil {
				t.Fatal(err)
			}
			rows[0].Extra = whole[0].Extra
			if diff := cmp.Diff(whole[0], rows[0]) + cmp.Diff(extra, other); diff != "" {
				t.Fatalf("turned by %d:\n%s", n, diff)
			}
		}
	}
	for i := range awsAll { // one left out
		if awsAll[i][0] == "start" {
			continue
		}
		rows, res, err := decode("k", awsText(slices.Delete(slices.Clone(awsAll), i, i+1)))
		if err != nil || len(rows) != 1 || res.Bad != 0 {
			t.Errorf("without %s: %d rows, %+v, %v", awsAll[i][0], len(rows), res, err)
		}
	}
}

// TestAWSStates: NODATA and SKIPDATA are rows without addresses, and are counted.
func TestAWSStates(t *testing.T) {
	for _, status := range []string{"NODATA", "SKIPDATA"} {
		rows, res, err := decode("k", awsDefault+"\n2 1 eni - - - - - - - 1431280876 1431280934 - "+status+"\n"+awsLine+"\n")
		if err != nil || len(rows) != 2 || res.Skipped != 1 || res.Bad != 0 || rows[0].LogStatus != status || rows[0].InitiatorIP != "" || rows[0].BytesFromInitiator != nil || rows[1].LogStatus != "OK" {
			t.Errorf("%s: %+v, %+v, %v", status, rows, res, err)
		}
	}
	for _, state := range []string{"skip data", "SKIP DATA"} {
		_, res, err := decode("k", strings.Replace(ibmText(ibmFlowText), `"state":"ok"`, `"state":"`+state+`"`, 1))
		if err != nil || res.Skipped != 1 || res.Records != 1 {
			t.Errorf("IBM's %q: %+v, %v", state, res, err)
		}
	}
}

// TestAWSParquetOfWrongTypes: columns may have other types than AWS gives them; what cannot be read costs the row.
func TestAWSParquetOfWrongTypes(t *testing.T) {
	file := func(write func(*bytes.Buffer) error) string {
		var buf bytes.Buffer
		if err := write(&buf); err != nil {
			t.Fatal(err)
		}
		return buf.String()
	}
	type texts struct {
		Version string `parquet:"version"`
		Src     string `parquet:"srcaddr"`
		Port    string `parquet:"srcport"`
		Start   string `parquet:"start"`
	}
	type numbers struct {
		Src   int64   `parquet:"srcaddr"`
		Start float64 `parquet:"start"`
	}
	type lists struct {
		Src   []string `parquet:"srcaddr,list"`
		Start int64    `parquet:"start"`
	}
	for _, tt := range []struct {
		name, text string
		rows       int
	}{
		{"texts for numbers", file(func(b *bytes.Buffer) error {
			return parquet.Write(b, []texts{{"5", "10.0.0.1", "1000", "1418530010"}, {"x", "10.0.0.1", "1000", "1418530010"}, {"5", "10.0.0.1", "70000", "1418530010"}})
		}), 1},
		{"names of later fields", file(func(b *bytes.Buffer) error {
			return parquet.Write(b, []struct {
				Start int64  `parquet:"start"`
				Path  int32  `parquet:"traffic_path"`
				Later string `parquet:"something_new"`
			}{{1418530010, 8, "x"}})
		}), 1},
		{"numbers for texts", file(func(b *bytes.Buffer) error { return parquet.Write(b, []numbers{{7, 1418530010}}) }), 0},
		{"a list", file(func(b *bytes.Buffer) error {
			return parquet.Write(b, []lists{{[]string{"10.0.0.1", "10.0.0.2"}, 1418530010}})
		}), -1},
		{"no start", file(func(b *bytes.Buffer) error {
			return parquet.Write(b, []struct {
				Src string `parquet:"srcaddr"`
			}{{"10.0.0.1"}})
		}), -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rows, res, err := decode("k", tt.text)
			if tt.rows < 0 {
				if err == nil && len(rows) > 0 && rows[0].InitiatorIP != "" {
					t.Errorf("%d rows: %+v", len(rows), rows)
				}
				return
			}
			if err != nil || len(rows) != tt.rows || res.Bad+int64(len(rows)) == 0 {
				t.Errorf("%d rows, %+v, %v; want %d", len(rows), res, err, tt.rows)
			}
			if want := `{"traffic-path":"8","something-new":"x"}`; tt.name == "names of later fields" && rows[0].Extra != want {
				t.Errorf("extra %s; want %s", rows[0].Extra, want)
			}
		})
	}
}
