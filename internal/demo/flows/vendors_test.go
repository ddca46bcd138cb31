package flows

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orielhq/oriel/internal/flow"
)

// told is what every vendor tells of a flow.
type told struct {
	Second, Initiator, Target string
	From, To, Protocol        int32
	Rejected                  bool
}

// sum is of flows that are told alike.
type sum struct{ Flows, Bytes int64 }

type kept struct {
	bytes.Buffer
	key string
}

func (k *kept) Close() error { return nil }

// TestSameFlowsInEveryFormat: what a seed makes is the same traffic whoever tells it,
// read back by the decoders that import uses.
func TestSameFlowsInEveryFormat(t *testing.T) {
	cfg := Config{Seed: 7, Start: start, Duration: 2 * time.Hour, Rows: 3000}
	made := map[told]sum{}
	add := func(all map[told]sum, k told, flows, bytes int64) {
		s := all[k]
		all[k] = sum{s.Flows + flows, s.Bytes + bytes}
	}
	for f := range cfg.All() {
		add(made, told{f.Start.UTC().Format(time.DateTime), f.Initiator, f.Target, int32(f.InitiatorPort), int32(f.Port), int32(f.Protocol), f.Rejected}, 1, int64(f.Sent+f.Received))
	}
	for _, vendor := range Vendors() {
		t.Run(vendor, func(t *testing.T) {
			var objects []*kept
			if _, err := Write(cfg, vendor, func(key string) (io.WriteCloser, error) {
				objects = append(objects, &kept{key: key})
				return objects[len(objects)-1], nil
			}); err != nil {
				t.Fatal(err)
			}
			read := map[told]sum{}
			for _, o := range objects {
				result, err := flow.Decode(flow.Object{Key: o.key, Body: &o.Buffer, Size: int64(o.Len())}, func(b *flow.Batch) error {
					for i := range b.Rows {
						r := &b.Rows[i]
						bytes := int64(0)
						for _, n := range []*int64{r.BytesFromInitiator, r.BytesFromTarget} {
							if n != nil {
								bytes += *n
							}
						}
						flows := int64(1)
						if r.Provider == flow.AWS && r.Swapped { // the answers have a record of their own
							flows = 0
						}
						add(read, told{r.StartTime.Std().Format(time.DateTime), r.InitiatorIP, r.TargetIP, *r.InitiatorPort, *r.TargetPort, *r.TransportProtocol, r.Action == flow.Rejected}, flows, bytes)
					}
					b.Free()
					return nil
				})
				if err != nil || result.Bad > 0 {
					t.Fatalf("%s: %v, %+v", o.key, err, result)
				}
			}
			want := made
			if vendor == "gcp" { // counts what was sent, and of what was denied nothing
				want = map[told]sum{}
				for k, s := range made {
					want[k] = sum{Flows: s.Flows}
				}
				for k, s := range read {
					read[k] = sum{Flows: s.Flows}
				}
			}
			if diff := cmp.Diff(want, read); diff != "" {
				t.Errorf("flows (-made +read back): %.2000s", diff)
			}
		})
	}
}
