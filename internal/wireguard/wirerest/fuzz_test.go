package wirerest

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// FuzzRelay: whatever WireRest answers, only allowed names, bounded labels and
// no secret come out, and not more series than are allowed.
func FuzzRelay(f *testing.F) {
	f.Add([]byte("# HELP wirerest_peers_total x\n# TYPE wirerest_peers_total gauge\nwirerest_peers_total{application=\"WireRest-wg0\",} 3.0\n"))
	f.Add([]byte("http_server_requests_seconds_count{uri=\"/v1/peers?token=the-admin-token\"} 1\nbad{ 1\njvm_x NaN\n"))
	f.Add([]byte("# TYPE jvm_h histogram\njvm_h_bucket{le=\"+Inf\"} 1\njvm_h_count 1\njvm_h_sum 2\nwirerest_up 7\nprocess_x{k=\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=\"} 1\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		families, bad, err := parse(body)
		if bad > maxBadLines {
			t.Fatalf("%d bad lines were forgiven", bad)
		}
		if err != nil {
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 100 {
				t.Fatalf("error %q quotes the answer", err)
			}
			return
		}
		cfg := Default()
		cfg.MaxSeries = 3
		r := newRelay(cfg, nil)
		ch := make(chan prometheus.Metric, 3*maxRelayed)
		sent, _ := r.send(families, testToken, nil, ch)
		close(ch)
		n := 0
		for m := range ch {
			n++
			var out dto.Metric
			if err := m.Write(&out); err != nil {
				t.Fatal(err)
			}
			name := m.Desc().String()
			if strings.Contains(name, `"wirerest_up"`) || strings.Contains(name, `"oriel_`) {
				t.Errorf("relayed %s", name)
			}
			for _, l := range out.GetLabel() {
				if len(l.GetValue()) > maxLabelValue || strings.Contains(l.GetValue(), testToken) || hasKey(l.GetValue()) {
					t.Errorf("relayed label %s=%q", l.GetName(), l.GetValue())
				}
			}
		}
		if n != sent {
			t.Errorf("sent %d and said %d", n, sent)
		}
	})
}

// FuzzPeers: only whole keys and counters that are not negative come out, each key once.
func FuzzPeers(f *testing.F) {
	f.Add([]byte(`{"totalPages":1,"currentPage":0,"content":[{"publicKey":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=","presharedKey":"x","transferRx":1,"transferTx":2}]}`))
	f.Add([]byte(`{"content":[{"publicKey":"AAAA","transferRx":-1}, null, {}]}`))
	f.Add([]byte(`{"code":403}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		peers, err := parsePeers(body)
		if err != nil && err.Error() != errPeers.Error() {
			t.Fatalf("error %q quotes the answer", err)
		}
		seen := map[[32]byte]bool{}
		for _, p := range peers {
			if seen[p.PublicKey] || p.ReceiveBytes > 1<<63-1 || p.TransmitBytes > 1<<63-1 {
				t.Errorf("peer %+v", p)
			}
			seen[p.PublicKey] = true
		}
	})
}
