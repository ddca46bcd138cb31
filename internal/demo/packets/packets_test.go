package packets

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestCaptureHasTheStories(t *testing.T) {
	name := filepath.Join(t.TempDir(), "demo.pcap")
	start := time.Now()
	if err := Write(t.Context(), Config{Seed: 1, Start: start}, name); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"GET /", "HTTP/1.1 404", "HTTP/1.1 500", "SSH-2.0-Go", "shop.example", "no-such-printer", "REGISTER sip:", "desk-03"} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("there is no %q in %d bytes", want, len(b))
		}
	}
	if len(b) < 100_000 || len(b) > 10_000_000 {
		t.Errorf("%d bytes", len(b))
	}
}

func TestCancelEndsIt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Write(ctx, Config{Seed: 1, Start: time.Now()}, filepath.Join(t.TempDir(), "demo.pcap")); err == nil {
		t.Error("no error")
	}
}
