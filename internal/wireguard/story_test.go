package wireguard

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/orielhq/oriel/internal/conf"
)

// stage is a device whose peers a test moves about.
type stage struct {
	*Collector
	peers  []Peer
	events []PeerEvent
}

func newStage(t *testing.T) *stage {
	t.Helper()
	cfg := Default()
	cfg.SocketDir, cfg.Cache = t.TempDir(), 0
	cfg.Names = map[string]string{keyOf(1).String(): "Ana"}
	s := &stage{Collector: newTest(t, cfg)}
	s.reader.kernel = kernel{
		list: func() []string { return []string{"wg0"} },
		read: func(string) (*Device, error) {
			return &Device{Name: "wg0", Peers: slices.Clone(s.peers)}, nil
		},
	}
	s.history.keep.Store(true)
	return s
}

// happens returns what a reading of these peers tells.
func (s *stage) happens(t *testing.T, peers ...Peer) []string {
	t.Helper()
	s.peers = peers
	if _, err := s.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, e := range s.history.next() {
		who := func(key string) string {
			for b := range byte(20) {
				if keyOf(b).String() == key {
					return fmt.Sprint(b)
				}
			}
			return key
		}
		text := e.Event + " " + who(e.PublicKey)
		if e.OtherKey != "" {
			text += " from " + who(e.OtherKey)
		}
		if e.PreviousEndpoint != "" {
			text += " from " + e.PreviousEndpoint + " to " + e.Endpoint
		}
		if e.First {
			text += " first"
		}
		texts = append(texts, text)
		s.events = append(s.events, e)
	}
	s.history.taken(len(texts), 0)
	return texts
}

func somePeer(b byte, allowed ...string) Peer {
	p := Peer{PublicKey: keyOf(b)}
	for _, a := range allowed {
		p.AllowedIPs = append(p.AllowedIPs, netip.MustParsePrefix(a))
	}
	return p
}

func TestStories(t *testing.T) {
	a, b := "10.9.0.2/32", "10.9.0.3/32"
	tests := []struct {
		name  string
		steps [][]Peer
		wait  time.Duration
		want  []string // of the last step
	}{
		{"nothing", [][]Peer{{somePeer(1, a)}, {somePeer(1, a)}}, 0, nil},
		{"added", [][]Peer{{somePeer(1, a)}, {somePeer(1, a), somePeer(2, b)}}, 0, []string{"created 2"}},
		{"removed", [][]Peer{{somePeer(1, a), somePeer(2, b)}, {somePeer(2, b)}}, 0, []string{"removed 1"}},
		{"new key, old one removed", [][]Peer{{somePeer(1, a)}, {somePeer(2, a)}}, 0, []string{"created 2", "removed 1", "rotate 2 from 1"}},
		{"new key, old one stays without addresses", [][]Peer{{somePeer(1, a)}, {somePeer(1), somePeer(2, a)}}, 0, []string{"created 2", "rotate 2 from 1"}},
		{"removed first, new key later", [][]Peer{{somePeer(1, a)}, {}, {somePeer(2, a)}}, 0, []string{"created 2", "rotate 2 from 1"}},
		{"new key added first, addresses later", [][]Peer{{somePeer(1, a)}, {somePeer(1, a), somePeer(2)}, {somePeer(1), somePeer(2, a)}}, 0, []string{"rotate 2 from 1"}},
		{"the address is given to somebody else much later", [][]Peer{{somePeer(1, a)}, {}, {somePeer(2, a)}}, 2 * time.Hour, []string{"created 2"}},
		{"an old peer takes an address", [][]Peer{{somePeer(1, a), somePeer(2, b)}, {somePeer(1), somePeer(2, a, b)}}, 0, []string{"takeover 2 from 1"}},
		{"a new peer takes one of two", [][]Peer{{somePeer(1, a, b)}, {somePeer(1, b), somePeer(2, a)}}, 0, []string{"created 2", "takeover 2 from 1"}},
		{"many addresses are one story", [][]Peer{{somePeer(1, a, b, "fd09::2/128")}, {somePeer(2, a, b, "fd09::2/128")}}, 0, []string{"created 2", "removed 1", "rotate 2 from 1"}},
		{"unknown peer with an address of its own", [][]Peer{{somePeer(1, a)}, {somePeer(1, a), somePeer(9, "10.9.0.9/32")}}, 0, []string{"created 9"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				var got []string
				for _, peers := range tt.steps {
					got = s.happens(t, peers...)
					time.Sleep(tt.wait)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestConnectionsBecomeHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		p := somePeer(1, "10.9.0.2/32")
		p.Endpoint = netip.MustParseAddrPort("192.0.2.7:1000")
		q := somePeer(2)
		q.LastHandshake = time.Now()
		step := func(want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, s.happens(t, p, q)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		step("connect 2 first")
		p.LastHandshake = time.Now()
		step("connect 1")
		p.Endpoint = netip.MustParseAddrPort("198.51.100.9:1000")
		step("roam 1 from 192.0.2.7:1000 to 198.51.100.9:1000")
		p.Endpoint = netip.AddrPort{}
		step()
		time.Sleep(6 * time.Minute)
		step("disconnect 1", "disconnect 2")
		p.LastHandshake, p.ReceiveBytes = time.Now(), 7
		step("connect 1")
		last := s.events[len(s.events)-1]
		if last.Name != "Ana" || last.ReceiveBytes != 7 || last.LastHandshake == nil || !slices.Equal(last.AllowedIPs, []string{"10.9.0.2/32"}) {
			t.Errorf("event = %+v", last)
		}
		text := page(t, s.Collector)
		for _, want := range []string{
			`wireguard_peer_state_changes_total{device="wg0",interface="wg0",public_key="` + keyOf(1).String() + `"} 3`,
			`wireguard_peer_events_total{device="wg0",interface="wg0",event="connect"} 2`,
			`wireguard_peer_events_total{device="wg0",interface="wg0",event="disconnect"} 2`,
		} {
			if !strings.Contains(text, want+"\n") {
				t.Errorf("page lacks %s:\n%s", want, text)
			}
		}
		rows := s.Peers()
		if len(rows) != 2 || rows[0].Name != "Ana" || !rows[0].Up || rows[1].Up || rows[0].StateChanges != 3 || rows[0].LatencySeconds != nil {
			t.Errorf("rows = %+v", rows)
		}
	})
}

func TestRotationIsOnThePage(t *testing.T) {
	s := newStage(t)
	s.happens(t, somePeer(1, "10.9.0.2/32"), somePeer(3, "10.9.0.4/32"), somePeer(5, "10.9.0.5/32"))
	s.happens(t, somePeer(1), somePeer(2, "10.9.0.2/32"), somePeer(3, "10.9.0.4/32", "10.9.0.5/32"), somePeer(5))
	text := page(t, s.Collector)
	label := func(b byte) string {
		return `device="wg0",interface="wg0",public_key="` + keyOf(b).String() + `"`
	}
	for _, want := range []string{
		`wireguard_peer_rotation_info{` + label(2) + `,previous_public_key="` + keyOf(1).String() + `"} 1`,
		`wireguard_peer_without_allowed_ips{` + label(1) + `,taken_by="` + keyOf(2).String() + `"} 1`,
		`wireguard_peer_without_allowed_ips{` + label(5) + `,taken_by="` + keyOf(3).String() + `"} 1`,
		`wireguard_peer_events_total{device="wg0",interface="wg0",event="rotate"} 1`,
		`wireguard_peer_events_total{device="wg0",interface="wg0",event="takeover"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("page lacks %s:\n%s", want, text)
		}
	}
	if n := strings.Count(text, "wireguard_peer_rotation_info{"); n != 1 {
		t.Errorf("%d rotations; want 1", n)
	}
	if rows := s.Peers(); rows[1].PreviousKey != keyOf(1).String() {
		t.Errorf("PreviousKey = %q", rows[1].PreviousKey)
	}
	// The old peer gets an address again: nothing is missing any more.
	s.happens(t, somePeer(1, "10.9.0.7/32"), somePeer(2, "10.9.0.2/32"), somePeer(3, "10.9.0.4/32"), somePeer(5, "10.9.0.5/32"))
	if text := page(t, s.Collector); strings.Contains(text, "wireguard_peer_without_allowed_ips{") {
		t.Errorf("a peer with addresses is reported:\n%s", text)
	}
}

func TestEndpointsAreNoLabelsOfTheHistory(t *testing.T) {
	s := newStage(t)
	s.cfg.EndpointLabel, s.tracker.cfg.EndpointLabel = false, false
	p := somePeer(1, "10.9.0.2/32")
	for i := range 100 {
		p.Endpoint = netip.AddrPortFrom(netip.MustParseAddr("192.0.2.7"), uint16(1000+i))
		s.happens(t, p)
	}
	if len(s.events) != 99 {
		t.Errorf("%d events; want 99", len(s.events))
	}
	if text := page(t, s.Collector); strings.Contains(text, "192.0.2.7") {
		t.Errorf("an endpoint is on the page:\n%s", text)
	}
}

func TestRunRecordsAndTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.cfg.Poll = conf.Duration(10 * time.Second)
		var mu sync.Mutex // guards got, fail and the stage's peers
		var got []string
		fail := true
		set := func(change func()) {
			mu.Lock()
			defer mu.Unlock()
			change()
		}
		s.reader.kernel.read = func(string) (*Device, error) {
			mu.Lock()
			defer mu.Unlock()
			return &Device{Name: "wg0", Peers: slices.Clone(s.peers)}, nil
		}
		s.Record = func(events []PeerEvent) error {
			mu.Lock()
			defer mu.Unlock()
			if fail {
				return errors.New("lake is full")
			}
			for _, e := range events {
				got = append(got, e.Event)
			}
			return nil
		}
		s.peers = []Peer{somePeer(1, "10.9.0.2/32")}
		ended := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { ended <- s.Run(ctx) }()
		time.Sleep(time.Second)
		set(func() { s.peers = append(s.peers, somePeer(2)) })
		time.Sleep(30 * time.Second)
		set(func() {
			if _, failed := s.history.counts(); len(got) != 0 || failed == 0 {
				t.Errorf("recorded %q, %d failures", got, failed)
			}
			fail = false
		})
		time.Sleep(5 * time.Second)
		set(func() {
			if !slices.Equal(got, []string{EventCreated}) {
				t.Errorf("recorded %q; want created once", got)
			}
			s.peers = s.peers[:1]
		})
		time.Sleep(20 * time.Second)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if !slices.Equal(got, []string{EventCreated, EventRemoved}) {
			t.Errorf("recorded %q; want created, removed", got)
		}
	})
}

func TestHistoryIsBounded(t *testing.T) {
	var h history
	for i := range 3 {
		h.add(make([]PeerEvent, maxEvents/2))
		if i == 0 {
			h.next()
		}
	}
	if dropped, _ := h.counts(); dropped != maxEvents/2 || len(h.waiting) != maxEvents {
		t.Errorf("%d dropped, %d wait", dropped, len(h.waiting))
	}
	// What was given up while a batch was on its way is not forgotten twice.
	before, _ := h.counts()
	batch := h.next()
	h.add(make([]PeerEvent, len(batch)/2))
	h.taken(len(batch), before)
	if len(h.waiting) != maxEvents-len(batch)/2 {
		t.Errorf("%d wait; want %d", len(h.waiting), maxEvents-len(batch)/2)
	}
}

func TestRowsHaveParquetSchemas(t *testing.T) {
	for _, s := range []*parquet.Schema{parquet.SchemaOf(PeerRow{}), parquet.SchemaOf(PeerEvent{})} {
		for _, want := range []string{"optional int64 last_handshake (TIMESTAMP(isAdjustedToUTC=false,unit=MICROS))", "required group allowed_ips (LIST)"} {
			if !strings.Contains(s.String(), want) {
				t.Errorf("schema lacks %q:\n%s", want, s)
			}
		}
	}
}

func TestOwnershipForgets(t *testing.T) {
	var o ownership
	at := time.Now()
	for i := range 200 {
		peers := make([]Peer, 0, 1000)
		for j := range 1000 {
			addr := netip.AddrFrom4([4]byte{10, byte(i), byte(j >> 8), byte(j)})
			peers = append(peers, Peer{PublicKey: keyOf(1), AllowedIPs: []netip.Prefix{netip.PrefixFrom(addr, 32)}})
		}
		o.update(peers, at)
	}
	if len(o.before) > maxFormer {
		t.Errorf("%d former owners are remembered", len(o.before))
	}
	o.update(nil, at.Add(2*handover))
	o.update(nil, at.Add(4*handover))
	if len(o.before) != 0 {
		t.Errorf("%d former owners are remembered after %s", len(o.before), 4*handover)
	}
}
