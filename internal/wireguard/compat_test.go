package wireguard

import (
	"strings"
	"testing"

	"github.com/orielhq/oriel/internal/collector"
)

func TestUnknownProfile(t *testing.T) {
	if _, ok := newStage(t).Compat("zabbix"); ok {
		t.Error("there is a profile zabbix")
	}
}

// A page with the same series twice is refused whole by Prometheus: two
// clients of one name, or without a name and an address, must stay two.
func TestProfilesNeverRepeatSeries(t *testing.T) {
	s := newStage(t)
	s.tracker.names.explicit[keyOf(2)] = name{friendly: "Ana"}
	s.tracker.names.explicit[keyOf(3)] = name{friendly: "Ana " + keyOf(2).String()}
	s.happens(t, somePeer(1), somePeer(2), somePeer(3), somePeer(4), somePeer(5))
	for _, profile := range Profiles() {
		one, _ := s.Compat(profile)
		seen := map[string]bool{}
		for line := range strings.Lines(page(t, one)) {
			series, _, _ := strings.Cut(line, "} ")
			if strings.HasPrefix(line, "wireguard") && strings.Contains(line, "{") && seen[series] {
				t.Errorf("%s: twice: %s", profile, series)
			}
			seen[series] = true
		}
	}
}

func TestInterfaceTrafficSurvivesRemoval(t *testing.T) {
	s := newStage(t)
	with := func(b byte, rx uint64) Peer {
		p := somePeer(b)
		p.ReceiveBytes = rx
		return p
	}
	s.happens(t, with(1, 100), with(2, 50))
	s.happens(t, with(1, 130), with(2, 50))
	s.happens(t, with(1, 140))           // 2 is removed
	s.happens(t, with(1, 5), with(2, 7)) // 1 began anew, 2 is back
	kb, _ := s.Compat("kbknapp")
	want := `wireguard_bytes_total{interface="wg0",direction="rx"} 202`
	if text := page(t, kb); !strings.Contains(text, want+"\n") {
		t.Errorf("page lacks %s:\n%s", want, text)
	}
}

var _ collector.Collector = (*Collector)(nil)
