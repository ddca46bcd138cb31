package flow

import (
	"bytes"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-json"
	"github.com/klauspost/compress/gzip"
)

// cpu is the processor time that this process has used, all threads together.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const benchFlows = 10_000

// BenchmarkDecode unpacks and decodes an object of 10,000 flows.
func BenchmarkDecode(b *testing.B) {
	for name, text := range map[string]string{
		"ibm": ibmHead + `"flow_logs":[` + strings.Repeat(ibmFlowText+",", benchFlows-1) + ibmFlowText + "]}",
		"aws": awsDefault + "\n" + strings.Repeat(awsLine+"\n", benchFlows),
		"gcp": strings.Repeat(gcpFlow+"\n", benchFlows),
	} {
		packed := pack(text)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			before := cpu()
			for range b.N {
				n := 0
				if _, err := Decode(Object{Key: "k", Body: strings.NewReader(packed)}, func(b *Batch) error { n += len(b.Rows); b.Free(); return nil }); err != nil || n != benchFlows {
					b.Fatal(n, err)
				}
			}
			b.ReportMetric(benchFlows*float64(b.N)/(cpu()-before).Seconds(), "rows/cpu-s")
		})
	}
}

// BenchmarkUnmarshalIBM is the same object read into structs, for comparison.
func BenchmarkUnmarshalIBM(b *testing.B) {
	packed := pack(ibmHead + `"flow_logs":[` + strings.Repeat(ibmFlowText+",", benchFlows-1) + ibmFlowText + "]}")
	type flowLog struct {
		Start      string `json:"start_time"`
		End        string `json:"end_time"`
		Connection string `json:"connection_start_time"`
		Direction  string `json:"direction"`
		Action     string `json:"action"`
		Initiator  string `json:"initiator_ip"`
		Target     string `json:"target_ip"`
		Port       int    `json:"initiator_port"`
		TargetPort int    `json:"target_port"`
		Protocol   int    `json:"transport_protocol"`
		EtherType  string `json:"ether_type"`
		Initiated  bool   `json:"was_initiated"`
		Terminated bool   `json:"was_terminated"`
		BytesI     uint64 `json:"bytes_from_initiator"`
		PacketsI   uint64 `json:"packets_from_initiator"`
		BytesT     uint64 `json:"bytes_from_target"`
		PacketsT   uint64 `json:"packets_from_target"`
		CBytesI    uint64 `json:"cumulative_bytes_from_initiator"`
		CPacketsI  uint64 `json:"cumulative_packets_from_initiator"`
		CBytesT    uint64 `json:"cumulative_bytes_from_target"`
		CPacketsT  uint64 `json:"cumulative_packets_from_target"`
	}
	b.ReportAllocs()
	before := cpu()
	for range b.N {
		unzip, err := gzip.NewReader(strings.NewReader(packed))
		if err != nil {
			b.Fatal(err)
		}
		var buf bytes.Buffer
		if _, err := io.Copy(&buf, unzip); err != nil {
			b.Fatal(err)
		}
		var o struct {
			Flows []flowLog `json:"flow_logs"`
		}
		if err := json.Unmarshal(buf.Bytes(), &o); err != nil || len(o.Flows) != benchFlows {
			b.Fatal(err)
		}
	}
	b.ReportMetric(benchFlows*float64(b.N)/(cpu()-before).Seconds(), "rows/cpu-s")
}
