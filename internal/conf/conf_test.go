package conf

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

func TestParseDuration(t *testing.T) {
	tests := []struct {
		in   string
		want time.Duration
		ok   bool
	}{
		{"0", 0, true},
		{"15s", 15 * time.Second, true},
		{"1h30m", 90 * time.Minute, true},
		{"2w", 14 * 24 * time.Hour, true},
		{"1y", 365 * 24 * time.Hour, true},
		{"250ms", 250 * time.Millisecond, true},
		{"1m5ms", time.Minute + 5*time.Millisecond, true},
		{"", 0, false},
		{"5", 0, false},
		{"-5s", 0, false},
		{"5s1m", 0, false},
		{"5s5s", 0, false},
		{"1.5h", 0, false},
		{"1000y", 0, false},
		{"99999999999999999999s", 0, false},
		{"5 s", 0, false},
	}
	for _, tt := range tests {
		got, err := ParseDuration(tt.in)
		if (err == nil) != tt.ok || got.Std() != tt.want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v, ok %v", tt.in, got.Std(), err, tt.want, tt.ok)
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"0", "15s", "1h30m", "1y2w3d4h5m6s7ms", "s", "1000y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDuration(s)
		if err != nil {
			return
		}
		again, err := ParseDuration(d.String())
		if err != nil || again != d {
			t.Errorf("ParseDuration(%q) = %d, written %q, read back %d, %v", s, d, d, again, err)
		}
	})
}

func TestParseByteSize(t *testing.T) {
	tests := []struct {
		in   string
		want ByteSize
		ok   bool
	}{
		{"4096", 4096, true},
		{"10B", 10, true},
		{"512MB", 512 << 20, true},
		{"1.5GiB", 3 << 29, true},
		{"1k", 1024, true},
		{"2TB", 2 << 40, true},
		{"", 0, false},
		{"-1MB", 0, false},
		{"12XB", 0, false},
		{"NaN", 0, false},
		{"9e9", 0, false},
		{"8EiB", 0, false},
	}
	for _, tt := range tests {
		got, err := ParseByteSize(tt.in)
		if (err == nil) != tt.ok || got != tt.want {
			t.Errorf("ParseByteSize(%q) = %d, %v; want %d, ok %v", tt.in, got, err, tt.want, tt.ok)
		}
	}
}

func FuzzByteSize(f *testing.F) {
	for _, s := range []string{"4096", "512MB", "1.5GiB", "0", "B"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := ParseByteSize(s)
		if err != nil {
			return
		}
		if again, err := ParseByteSize(v.String()); err != nil || again != v && v < 1<<52 {
			t.Errorf("ParseByteSize(%q) = %d, written %q, read back %d, %v", s, v, v, again, err)
		}
	})
}

type section struct {
	Name  string   `yaml:"name"`
	Every Duration `yaml:"every"`
	Max   ByteSize `yaml:"max"`
	Token Secret   `yaml:"token"`
}

func TestDecodeErrorShowsTheLine(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"unknown key", "name: x\nbogus: 1\n", "f.yml: [2:1] unknown field \"bogus\"\n   1 | name: x\n>  2 | bogus: 1"},
		{"bad duration", "name: x\nevery: 5x\n", "f.yml: [2:8] duration \"5x\": want"},
		{"bad size", "max: lots\n", "f.yml: [1:6] size \"lots\": want"},
		{"repeated key", "name: x\nname: y\n", "f.yml: [2:1] mapping key \"name\" already defined"},
		{"not closed", "name: [\n", "f.yml: [1:7] sequence end token"},
		{"two documents", "name: x\n---\nname: y\n", "f.yml: more than one YAML document"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s section
			err := Decode("f.yml", []byte(tt.in), &s)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Decode(%q) = %v; want an error with %q", tt.in, err, tt.want)
			}
		})
	}
}

func TestLocateShowsTheLine(t *testing.T) {
	data := []byte("a: 1\nwireguard:\n  names:\n    - public_key: zzz\n")
	err := Locate("oriel.yml", data, "wireguard", Field("names[0].public_key", "%q is not a key", "zzz"))
	for _, want := range []string{`oriel.yml: [4:19] wireguard.names[0].public_key: "zzz" is not a key`, ">  4 |     - public_key: zzz"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Locate = %v; want %q in it", err, want)
		}
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	const text = "hunter2"
	s := section{Token: text}
	y, err := yaml.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	j, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for how, got := range map[string]string{
		"yaml": string(y), "json": string(j), "%v": fmt.Sprintf("%v", s), "%+v": fmt.Sprintf("%+v", s),
		"%#v": fmt.Sprintf("%#v", s), "%s": s.Token.String(), "%q": fmt.Sprintf("%q", s.Token), "log": s.Token.LogValue().String(),
	} {
		if strings.Contains(got, text) {
			t.Errorf("%s shows the secret: %s", how, got)
		}
	}
	if s.Token.Reveal() != text {
		t.Errorf("Reveal() = %q; want %q", s.Token.Reveal(), text)
	}
}

func TestSecretFromFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("abc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Secret("").Or(file); err != nil || got.Reveal() != "abc" {
		t.Errorf("Or(file) = %q, %v; want abc", got.Reveal(), err)
	}
	if got, err := Secret("x").Or(""); err != nil || got.Reveal() != "x" {
		t.Errorf("Or() = %q, %v; want x", got.Reveal(), err)
	}
	if _, err := Secret("x").Or(file); err == nil {
		t.Error("both value and file: no error")
	}
	if _, err := Secret("").Or(file + ".missing"); err == nil {
		t.Error("missing file: no error")
	}
}
