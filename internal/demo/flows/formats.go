package flows

import (
	"bufio"
	"fmt"
	"net/url"
	"time"

	"github.com/parquet-go/parquet-go"
)

const (
	account = "5ba0bd8d7a6f4b1f9c3f2f4a1c2d3e4f"
	awsAcct = "123456789010"
	sub     = "11111111-2222-3333-4444-555555555555"
	rfc3339 = "2006-01-02T15:04:05Z"
)

func formats() map[string]format {
	return map[string]format{
		"ibm":         {zip: true, key: ibmKey, new: newIBM},
		"aws":         {zip: true, key: awsKey(".log.gz"), new: newAWS},
		"aws_parquet": {key: awsKey(".log.parquet"), new: newAWSParquet},
		"gcp":         {key: gcpKey, new: newGCP},
		"azure":       {span: time.Hour, key: azureKey, new: newAzure},
		"nsg":         {span: time.Hour, key: nsgKey, new: newNSG},
	}
}

func crn(kind string, i int) string {
	return fmt.Sprintf("crn:v1:bluemix:public:is:us-south-1:a/%s::%s:0717_%04d", account, kind, i)
}

func ibmKey(t time.Time, observer, seq int) string {
	return fmt.Sprintf("ibm_vpc_flowlogs_v1/account=%s/region=us-south/vpc-id=%s/subnet-id=%s/endpoint-type=vnics/instance-id=%s/vnic-id=0717-vnic-%02d/record-type=all/"+
		"year=%s/month=%s/day=%s/hour=%s/stream-id=%s/%08d.gz", account, url.QueryEscape(crn("vpc", 1)), url.QueryEscape(crn("subnet", observer/4)), url.QueryEscape(crn("instance", observer)), observer,
		t.Format("2006"), t.Format("01"), t.Format("02"), t.Format("15"), t.Truncate(time.Hour).Format("20060102T150405Z"), t.Minute()*1000+seq)
}

type ibm struct {
	w        *bufio.Writer
	begin    time.Time
	observer int
	flows    []Flow
}

func newIBM(w *bufio.Writer, begin time.Time, observer int) encoder {
	return &ibm{w: w, begin: begin, observer: observer}
}

func (e *ibm) add(f Flow) (int, error) {
	e.flows = append(e.flows, f) // their number comes first
	return 1, nil
}

// finish is when the window of the last flow ends.
func (e *ibm) finish() time.Time {
	last := e.begin
	if n := len(e.flows); n > 0 {
		last = e.flows[n-1].Start.Truncate(window)
	}
	return last.Add(window)
}

func (e *ibm) end() error {
	_, err := fmt.Fprintf(e.w, `{"version":"0.0.1","collector_crn":%q,"attached_endpoint_type":"vnic","network_interface_id":"0717-vnic-%02d","instance_crn":%q,"vpc_crn":%q,`+
		`"capture_start_time":%q,"capture_end_time":%q,"state":"ok","number_of_flow_logs":%d,"flow_logs":[`,
		crn("flow-log-collector", 1), e.observer, crn("instance", e.observer), crn("vpc", 1), e.begin.Format(rfc3339), e.finish().Format(rfc3339), len(e.flows))
	for i, f := range e.flows {
		comma := ","
		if i == 0 {
			comma = ""
		}
		_, err = fmt.Fprintf(e.w, `%s{"start_time":%q,"end_time":%q,"connection_start_time":%q,"direction":%q,"action":%q,"initiator_ip":%q,"target_ip":%q,"initiator_port":%d,"target_port":%d,`+
			`"transport_protocol":%d,"ether_type":"IPv4","was_initiated":%t,"was_terminated":%t,"bytes_from_initiator":%d,"packets_from_initiator":%d,"bytes_from_target":%d,"packets_from_target":%d,`+
			`"cumulative_bytes_from_initiator":%d,"cumulative_packets_from_initiator":%d,"cumulative_bytes_from_target":%d,"cumulative_packets_from_target":%d}`,
			comma, f.Start.Format(rfc3339), f.End.Format(rfc3339), f.Connection.Format(rfc3339), direction(f), choose(f.Rejected, "rejected", "accepted"), f.Initiator, f.Target, f.InitiatorPort, f.Port,
			f.Protocol, f.Begins, f.Ends, f.Sent, f.SentPkts, f.Received, f.RecvPkts, f.Sent, f.SentPkts, f.Received, f.RecvPkts)
	}
	if err != nil {
		return err
	}
	_, err = e.w.WriteString("]}\n")
	return err
}

func direction(f Flow) string { return choose(f.Inbound, "I", "O") }

func choose(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

func awsKey(extension string) func(t time.Time, observer, seq int) string {
	return func(t time.Time, observer, seq int) string {
		return fmt.Sprintf("AWSLogs/%s/vpcflowlogs/us-east-1/%s/%s_vpcflowlogs_us-east-1_fl-%04d_%s_%08x%s", awsAcct, t.Format("2006/01/02"), awsAcct, observer, t.Format("20060102T1504Z"), seq, extension)
	}
}

// awsRow is version 5's fields.
type awsRow struct {
	Version   int32  `parquet:"version"`
	Account   string `parquet:"account_id,dict"`
	Interface string `parquet:"interface_id,dict"`
	Src       string `parquet:"srcaddr,dict"`
	Dst       string `parquet:"dstaddr,dict"`
	SrcPort   int32  `parquet:"srcport"`
	DstPort   int32  `parquet:"dstport"`
	Protocol  int32  `parquet:"protocol"`
	Packets   int64  `parquet:"packets"`
	Bytes     int64  `parquet:"bytes"`
	Start     int64  `parquet:"start"`
	End       int64  `parquet:"end"`
	Action    string `parquet:"action,dict"`
	Status    string `parquet:"log_status,dict"`
	VPC       string `parquet:"vpc_id,dict"`
	Flags     int32  `parquet:"tcp_flags"`
	Direction string `parquet:"flow_direction,dict"`
	Path      int32  `parquet:"traffic_path,optional"`
}

// awsRows are a flow as AWS tells it: a record for each direction.
func awsRows(f Flow) []awsRow {
	r := awsRow{
		Version: 5, Account: awsAcct, Interface: fmt.Sprintf("eni-%017x", f.Observer), Src: f.Initiator, Dst: f.Target, SrcPort: int32(f.InitiatorPort), DstPort: int32(f.Port),
		Protocol: int32(f.Protocol), Packets: int64(f.SentPkts), Bytes: int64(f.Sent), Start: f.Start.Unix(), End: f.End.Unix(), Action: choose(f.Rejected, "REJECT", "ACCEPT"), Status: "OK", //nolint:gosec // small
		VPC: "vpc-0a1b2c3d", Direction: choose(f.Inbound, "ingress", "egress"),
	}
	if f.Protocol == 6 {
		r.Flags = flags(f, 2)
	}
	if f.RecvPkts == 0 {
		return []awsRow{r}
	}
	back := r
	back.Src, back.Dst, back.SrcPort, back.DstPort = r.Dst, r.Src, r.DstPort, r.SrcPort
	back.Packets, back.Bytes = int64(f.RecvPkts), int64(f.Received) //nolint:gosec // small
	back.Direction = choose(f.Inbound, "egress", "ingress")
	if f.Protocol == 6 {
		back.Flags = flags(f, 18)
	}
	return []awsRow{r, back}
}

func flags(f Flow, syn int32) (n int32) {
	if f.Begins {
		n |= syn
	}
	if f.Ends {
		n |= 1
	}
	return n
}

type aws struct{ w *bufio.Writer }

func newAWS(w *bufio.Writer, _ time.Time, _ int) encoder {
	_, _ = w.WriteString("version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status vpc-id tcp-flags flow-direction traffic-path\n") // bufio keeps the error
	return &aws{w}
}

func (e *aws) add(f Flow) (int, error) {
	rows := awsRows(f)
	var err error
	for _, r := range rows {
		_, err = fmt.Fprintf(e.w, "%d %s %s %s %s %d %d %d %d %d %d %d %s %s %s %d %s -\n", r.Version, r.Account, r.Interface, r.Src, r.Dst, r.SrcPort, r.DstPort, r.Protocol, r.Packets, r.Bytes, r.Start, r.End, r.Action, r.Status, r.VPC, r.Flags, r.Direction)
	}
	return len(rows), err
}

func (e *aws) end() error { return nil }

type awsParquet struct {
	w *parquet.GenericWriter[awsRow]
}

func newAWSParquet(w *bufio.Writer, _ time.Time, _ int) encoder {
	return &awsParquet{parquet.NewGenericWriter[awsRow](w, parquet.Compression(&parquet.Snappy))}
}

func (e *awsParquet) add(f Flow) (int, error) { return e.w.Write(awsRows(f)) }

func (e *awsParquet) end() error { return e.w.Close() }

func gcpKey(t time.Time, observer, seq int) string {
	return fmt.Sprintf("compute.googleapis.com/vpc_flows/%s/%s_%s_S%d_%d.json", t.Format("2006/01/02"), t.Format("15:04:05"), t.Add(window-time.Second).Format("15:04:05"), observer, seq)
}

type gcp struct {
	w        *bufio.Writer
	observer int
}

func newGCP(w *bufio.Writer, _ time.Time, observer int) encoder { return &gcp{w, observer} }

// add tells the initiator's direction; GCP samples, and what it rejects is in another log.
func (e *gcp) add(f Flow) (int, error) {
	if f.Rejected {
		_, err := fmt.Fprintf(e.w, `{"insertId":"x","logName":"projects/demo/logs/compute.googleapis.com%%2Ffirewall","timestamp":%q,"jsonPayload":{"connection":{"src_ip":%q,"src_port":%d,"dest_ip":%q,"dest_port":%d,"protocol":%d},`+
			`"disposition":"DENIED","rule_details":{"reference":"network:prod/firewall:default-deny","direction":"INGRESS"},"instance":{"project_id":"demo","vm_name":"vm-%02d","region":"europe-west1","zone":"europe-west1-b"},"vpc":{"project_id":"demo","vpc_name":"prod","subnetwork_name":"sub-%d"}}}`+"\n",
			f.Start.Format(time.RFC3339Nano), f.Initiator, f.InitiatorPort, f.Target, f.Port, f.Protocol, e.observer, e.observer/4)
		return 1, err
	}
	side := choose(f.Inbound, "dest", "src")
	_, err := fmt.Fprintf(e.w, `{"insertId":"x","logName":"projects/demo/logs/compute.googleapis.com%%2Fvpc_flows","timestamp":%q,"jsonPayload":{"connection":{"src_ip":%q,"src_port":%d,"dest_ip":%q,"dest_port":%d,"protocol":%d},`+
		`"reporter":%q,"start_time":%q,"end_time":%q,"bytes_sent":"%d","packets_sent":"%d","rtt_msec":"%d",`+
		`"%s_instance":{"project_id":"demo","vm_name":"vm-%02d","region":"europe-west1","zone":"europe-west1-b"},"%s_vpc":{"project_id":"demo","vpc_name":"prod","subnetwork_name":"sub-%d"}}}`+"\n",
		f.End.Format(time.RFC3339Nano), f.Initiator, f.InitiatorPort, f.Target, f.Port, f.Protocol, choose(f.Inbound, "DEST", "SRC"), f.Start.Format(time.RFC3339Nano), f.End.Format(time.RFC3339Nano),
		f.Sent, f.SentPkts, 1+f.InitiatorPort%40, side, e.observer, side, e.observer/4)
	return 1, err
}

func (e *gcp) end() error { return nil }
