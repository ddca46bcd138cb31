package wireguard

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"
	"time"
)

// TestEchoesGoThroughTheTunnel: a peer that is there answers, one that is not does not, and the interface counts both ways.
func TestEchoesGoThroughTheTunnel(t *testing.T) {
	m, err := New(Config{Dir: t.TempDir()}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	before, ok := m.Interface(office)
	if !ok || len(before.Addresses) != 1 || before.Addresses[0].String() != "10.9.0.1/24" {
		t.Fatalf("interface %+v, %v", before, ok)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	took, err := m.Echo(ctx, office, netip.MustParseAddr("10.9.0.3")) // the build server, 4 ms away
	if err != nil || took < 3*time.Millisecond {
		t.Errorf("echo took %s, %v; the peer is 4 ms away", took, err)
	}
	after, _ := m.Interface(office)
	if after.Received-before.Received < echoSize || after.Transmitted-before.Transmitted < echoSize {
		t.Errorf("the interface counted %d and %d bytes; an echo has %d", after.Received-before.Received, after.Transmitted-before.Transmitted, echoSize)
	}
	short, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer stop()
	if _, err := m.Echo(short, office, netip.MustParseAddr("10.9.0.7")); err == nil {
		t.Error("a tablet that was never there answers")
	}
	if _, ok := m.Interface("wg-none"); ok {
		t.Error("a device that is not in the mesh has an interface")
	}
}
