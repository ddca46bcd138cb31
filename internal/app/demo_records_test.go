package app

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	demopackets "github.com/orielhq/oriel/internal/demo/packets"
	"github.com/orielhq/oriel/internal/packet"
)

// TestRecordsHaveAPast: the dashboards of records show a day at once, with what was detected every now and then.
func TestRecordsHaveAPast(t *testing.T) {
	begin := time.Now().Truncate(time.Second)
	flow := func(uid, from string) packet.Flow { return packet.Flow{Time: begin, UID: uid, OrigAddr: from} }
	var list []packet.Record
	for i := range 200 {
		uid := "C" + string(rune('a'+i%26)) + string(rune('a'+i/26)) + "0123456789"
		list = append(list, &packet.Connection{Flow: flow(uid, "10.20.0.20")}, &packet.DNS{Flow: flow(uid, "10.20.0.20")})
	}
	scanner := demopackets.Scanner.String()
	list = append(list, &packet.Connection{Flow: flow("scan", scanner)}, &packet.Alert{Flow: flow("scan", scanner), Rule: "port_scan"})
	alerts, busiest, calmest := 0, 0, len(list)
	uids := map[string]bool{}
	for ago := 24 * time.Hour; ago > 0; ago -= time.Minute {
		at := begin.Add(-ago)
		minute := earlier(list, at, -ago)
		told := false
		pairs := map[string]int{}
		for _, r := range minute {
			if !r.When().Equal(at) {
				t.Fatalf("a record of %v is at %v", at, r.When())
			}
			switch r := r.(type) {
			case *packet.Alert:
				alerts++
				told = true
			case *packet.Connection:
				if r.OrigAddr == scanner {
					told = true
					break
				}
				if uids[r.UID] {
					t.Fatalf("two connections are %q", r.UID)
				}
				uids[r.UID] = true
				pairs[r.UID]++
			case *packet.DNS:
				pairs[r.UID]++
			}
		}
		for uid, n := range pairs {
			if n != 2 {
				t.Fatalf("%q has %d of 2 records", uid, n)
			}
		}
		if told && at.Unix()/60%int64(demoAlertsEvery.Minutes()) != 0 {
			t.Fatalf("something was detected at %v", at)
		}
		busiest, calmest = max(busiest, len(minute)), min(calmest, len(minute))
	}
	if alerts != 72 {
		t.Errorf("%d detections in a day; want one every %v", alerts, demoAlertsEvery)
	}
	if busiest < 380 || calmest > 240 {
		t.Errorf("between %d and %d records in a minute: no night", calmest, busiest)
	}
	if list[0].When() != begin {
		t.Error("what was captured has been changed")
	}
}

// TestPastRecordsAreInTheLake: a capture of the demo becomes tables.
func TestPastRecordsAreInTheLake(t *testing.T) {
	dir := t.TempDir()
	capture := filepath.Join(dir, "packets", "office.pcap")
	part, err := openDemoPackets(t.Context(), filepath.Dir(capture), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if got := part.sections["packets"].(map[string]any)["files"].([]string)[0]; got != capture {
		t.Fatalf("the capture is %s", got)
	}
	list, _, err := readCapture(t.Context(), capture, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, r := range list {
		if n, ok := r.(*packet.NTP); ok && n.Answered {
			if told++; n.OffsetNanos < int64(100*time.Microsecond) || n.OffsetNanos > int64(10*time.Millisecond) {
				t.Errorf("a clock is off by %v", time.Duration(n.OffsetNanos))
			}
		}
	}
	if told == 0 {
		t.Error("no server told the time")
	}
	if err := pastRecords(t.Context(), list, demoLake(filepath.Dir(capture)), 2, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"connection", "dns", "http", "tls", "alert", "modbus", "enip", "stun", "ipsec", "wireguard", "ntp", "dhcp", "sip", "ssh", "credentials"} {
		files, err := filepath.Glob(filepath.Join(dir, "lake", table, "date=*", "hour=*", "*.parquet"))
		if err != nil || len(files) < 2 {
			t.Errorf("table %s: %d files, %v", table, len(files), err)
		}
	}
}
