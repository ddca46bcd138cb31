package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var quiet = slog.New(slog.DiscardHandler)

// notes is what fakes did, in order.
type notes struct {
	mu   sync.Mutex // guards list
	list []string
}

func (n *notes) add(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, s)
}

// fake is a feature that notes what is done with it.
type fake struct {
	name  string
	notes *notes
	open  error
	run   error
}

func (f *fake) Open(context.Context) error {
	f.notes.add("open " + f.name)
	return f.open
}

func (f *fake) Run(ctx context.Context) error {
	if f.run != nil {
		return f.run
	}
	<-ctx.Done()
	f.notes.add("end " + f.name)
	return nil
}

func TestReplaceStopsTheOldBeforeItStartsTheNew(t *testing.T) {
	var did notes
	a := newFeature("a", 1, made{}, &fake{name: "a1", notes: &did})
	kept := newFeature("k", 1, made{}, &fake{name: "k", notes: &did})
	b := newFeature("a", 2, made{}, &fake{name: "a2", notes: &did})
	r := newRunning(quiet)
	if err := r.replace(t.Context(), nil, []*feature{a, kept}); err != nil {
		t.Fatal(err)
	}
	if err := r.replace(t.Context(), []*feature{a, kept}, []*feature{b, kept}); err != nil {
		t.Fatal(err)
	}
	r.stopAll()
	if diff := cmp.Diff([]string{"open a1", "open k", "end a1", "open a2"}, did.list[:4]); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if len(did.list) != 6 {
		t.Errorf("notes = %v; want both ended", did.list)
	}
}

func TestFailedStartBringsTheOldBack(t *testing.T) {
	var did notes
	a := newFeature("a", 1, made{}, &fake{name: "a1", notes: &did})
	fresh := newFeature("x", 1, made{}, &fake{name: "x", notes: &did})
	bad := newFeature("a", 2, made{}, &fake{name: "a2", notes: &did, open: errors.New("address in use")})
	r := newRunning(quiet)
	if err := r.replace(t.Context(), nil, []*feature{a}); err != nil {
		t.Fatal(err)
	}
	err := r.replace(t.Context(), []*feature{a}, []*feature{fresh, bad})
	if err == nil || err.Error() != "a: address in use" {
		t.Errorf("replace = %v; want the reason", err)
	}
	if diff := cmp.Diff([]string{"open a1", "end a1", "open x", "open a2", "end x", "open a1"}, did.list); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	r.stopAll()
}

func TestRunThatFailsIsReported(t *testing.T) {
	var did notes
	r := newRunning(quiet)
	if err := r.replace(t.Context(), nil, []*feature{newFeature("a", 1, made{}, &fake{name: "a", notes: &did, run: errors.New("gone")})}); err != nil {
		t.Fatal(err)
	}
	if err := <-r.failed; err == nil || err.Error() != "a: gone" {
		t.Errorf("failed = %v", err)
	}
	r.stopAll()
}

func TestUnchangedSectionIsTakenOver(t *testing.T) {
	one, err := parseConfig("f.yml", []byte("wireguard: {timeout: 5s}\n"))
	if err != nil {
		t.Fatal(err)
	}
	before, err := one.build(nil, quiet)
	if err != nil {
		t.Fatal(err)
	}
	same, err := parseConfig("f.yml", []byte("instance: other\nwireguard:\n  timeout: 5s\n"))
	if err != nil {
		t.Fatal(err)
	}
	after, err := same.build(before, quiet)
	if err != nil || after[0] != before[0] {
		t.Errorf("an unchanged section was built again: %v", err)
	}
	changed, err := parseConfig("f.yml", []byte("wireguard: {timeout: 6s}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if after, err = changed.build(before, quiet); err != nil || after[0] == before[0] {
		t.Errorf("a changed section was taken over: %v", err)
	}
}

func TestFindSections(t *testing.T) {
	tests := []struct {
		name, in, prometheus, alertmanager, queryURL string
	}{
		{"none", "instance: x\n", "", "", ""},
		{"block", "a: 1\nprometheus:\n  global: {}\n  # c\nb: 2\n", "\n\n  global: {}\n  # c\n", "", ""},
		{"both, reversed", "alertmanager:\n  route: {}\nprometheus:\n  global: {}\n", "\n\n\n  global: {}\n", "\n  route: {}\n", ""},
		{"flow", "a: 1\nprometheus: {global: {}}\n", "\n{global: {}}\n", "", ""},
		{"empty", "prometheus:\nalertmanager: null\n", "", "", ""},
		{"query url", "prometheus:\n  query_url: http://x\n  global: {}\n", "\n\n  global: {}\n", "", "http://x"},
		{"only query url", "prometheus:\n  query_url: http://x\n", "\n\n", "", "http://x"},
		{"no line end", "prometheus:\n  global: {}", "\n  global: {}", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := findSections([]byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if string(s.prometheus) != tt.prometheus || string(s.alertmanager) != tt.alertmanager || s.queryURL != tt.queryURL {
				t.Errorf("findSections = %q, %q, %q; want %q, %q, %q", s.prometheus, s.alertmanager, s.queryURL, tt.prometheus, tt.alertmanager, tt.queryURL)
			}
		})
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, s := range []string{"wireguard:\n", "prometheus: {global: {}}\n", "prometheus:\n  query_url: x\n", "a: &b 1\nprometheus: *b\n", "- 1\n", "prometheus: |\n  x\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := parseConfig("f.yml", in)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f.yml: ") {
				t.Errorf("error does not name the file: %v", err)
			}
			return
		}
		features, err := c.build(nil, quiet)
		if err != nil {
			t.Errorf("a valid configuration cannot be built: %v", err)
		}
		_, _ = c.plan(features, quiet) // may be refused, but must not panic
	})
}

func TestTranslate(t *testing.T) {
	tests := []struct{ in, want []string }{
		{[]string{"serve", "-v", "true"}, []string{"serve", "-v", "true"}},
		{[]string{"export", "wireguard", "-v", "true", "-s", "FALSE", "-r", "-d"}, []string{"export", "wireguard", "-v=true", "-s=false", "-r", "-d"}},
		{[]string{"export", "wireguard", "-metrics.addr", ":1", "-wireguard.peer-file=x"}, []string{"export", "wireguard", "--metrics.addr", ":1", "--wireguard.peer-file=x"}},
		{[]string{"export", "wireguard", "-n", "true", "-v"}, []string{"export", "wireguard", "-n", "true", "-v"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, translate(tt.in)); diff != "" {
			t.Errorf("translate(%q) (-want +got):\n%s", tt.in, diff)
		}
	}
}

func TestLogger(t *testing.T) {
	f := logFlags{level: "info", format: "json"}
	var b strings.Builder
	log, err := f.logger(&b)
	if err != nil {
		t.Fatal(err)
	}
	engine := warnings(log)
	engine.Info("hidden")
	engine.With("a", 1).WithGroup("g").Info("hidden too")
	engine.Warn("shown")
	if got := b.String(); strings.Contains(got, "hidden") || !strings.Contains(got, "shown") {
		t.Errorf("log = %s", got)
	}
	f.level = "debug"
	if log, err = f.logger(io.Discard); err != nil || warnings(log) != log {
		t.Errorf("debug does not show everything: %v", err)
	}
}
