package wireguard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/conf"
)

func TestPeersThatAreShown(t *testing.T) {
	tests := []struct {
		name    string
		filters []PeerFilter
		shown   string // the peers 1 to 4; 1 is Ana
		hidden  string
	}{
		{"no filter", nil, "1 2 3 4", ""},
		{"a name", []PeerFilter{{Include: []string{"Ana"}}}, "1", "excluded 3, limit 0"},
		{"a pattern", []PeerFilter{{Exclude: []string{"A*"}}}, "2 3 4", "excluded 1, limit 0"},
		{"a key", []PeerFilter{{Exclude: []string{keyOf(3).String()}}}, "1 2 4", "excluded 1, limit 0"},
		{"exclude wins", []PeerFilter{{Include: []string{"*"}, Exclude: []string{"Ana"}}}, "2 3 4", "excluded 1, limit 0"},
		{"another interface", []PeerFilter{{Interfaces: []string{"wg1"}, Exclude: []string{"*"}}}, "1 2 3 4", ""},
		{"the first that is about it", []PeerFilter{{Interfaces: []string{"wg?"}, Include: []string{"Ana"}}, {Exclude: []string{"*"}}}, "1", "excluded 3, limit 0"},
		{"a limit keeps the latest handshakes", []PeerFilter{{Limit: 2}}, "3 4", "excluded 0, limit 2"},
		{"a limit of those included", []PeerFilter{{Exclude: []string{keyOf(4).String()}, Limit: 2}}, "2 3", "excluded 1, limit 1"},
		{"nobody", []PeerFilter{{Exclude: []string{"*"}}}, "", "excluded 4, limit 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t)
			s.cfg.Peers, s.tracker.cfg.Peers = tt.filters, tt.filters
			for b := range byte(4) {
				p := somePeer(b+1, fmt.Sprintf("10.9.0.%d/32", b+2))
				p.LastHandshake = time.Now().Add(time.Duration(b) * time.Minute).Add(-time.Hour)
				s.peers = append(s.peers, p)
			}
			text := page(t, s.Collector)
			rows, err := s.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var shown []string
			for b := range byte(4) {
				key := keyOf(b + 1).String()
				if strings.Contains(text, key) {
					shown = append(shown, fmt.Sprint(b+1))
				}
				inTable := false
				for _, r := range rows {
					inTable = inTable || r.PublicKey == key
				}
				if inTable != strings.Contains(text, key) {
					t.Errorf("peer %d is in the table: %t, and not so on the page", b+1, inTable)
				}
			}
			if got := strings.Join(shown, " "); got != tt.shown {
				t.Errorf("shown are %q; want %q", got, tt.shown)
			}
			if !strings.Contains(text, `wireguard_device_peers{device="wg0",interface="wg0"} 4`+"\n") {
				t.Errorf("hidden peers do not count:\n%s", text)
			}
			var hidden []string
			for _, reason := range []string{"excluded", "limit"} {
				const series = `oriel_wireguard_peers_hidden{device="wg0",interface="wg0",reason="`
				if _, after, ok := strings.Cut(text, series+reason+`"} `); ok {
					n, _, _ := strings.Cut(after, "\n")
					hidden = append(hidden, reason+" "+n)
				}
			}
			if got := strings.Join(hidden, ", "); got != tt.hidden {
				t.Errorf("hidden: %q; want %q", got, tt.hidden)
			}
		})
	}
}

// Who is shown stays so, or a page of the limit's size would change its series with every handshake.
func TestALimitKeepsWhoIsShown(t *testing.T) {
	s := newStage(t)
	s.tracker.cfg.Peers = []PeerFilter{{Limit: 1}}
	first, second := somePeer(1, "10.9.0.2/32"), somePeer(2, "10.9.0.3/32")
	first.LastHandshake = time.Now().Add(-time.Minute)
	s.happens(t, first, second)
	second.LastHandshake = time.Now()
	s.happens(t, second, first)
	if text := page(t, s.Collector); strings.Contains(text, keyOf(2).String()) || !strings.Contains(text, keyOf(1).String()) {
		t.Errorf("the later handshake has taken the place:\n%s", text)
	}
	s.happens(t, second)
	if text := page(t, s.Collector); !strings.Contains(text, keyOf(2).String()) {
		t.Errorf("a free place is not given away:\n%s", text)
	}
}

func TestPeerFilterValidate(t *testing.T) {
	for in, want := range map[string]string{
		"peers: [{exclude: ['[']}]":                      "peers[0].exclude[0]",
		"peers: [{}, {include: ['']}]":                   "peers[1].include[0]",
		"peers: [{interfaces: ['[']}]":                   "peers[0].interfaces[0]",
		"peers: [{limit: -1}]":                           "peers[0].limit",
		"peers: [" + strings.Repeat("{}, ", 257) + "{}]": "peers: more than 256",
	} {
		var c Config
		if err := conf.Decode("f", []byte(in), &c); err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: Validate = %v; want %q", in, err, want)
		}
	}
}
