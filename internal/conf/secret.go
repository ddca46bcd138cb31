// Package conf holds the value types of the configuration file: secrets that
// never print themselves, durations, byte sizes and TLS settings, and the one
// strict decoder that all sections go through.
package conf

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
)

const hidden = "<secret>"

// maxSecretFile bounds a secret read from a file: it is a token or a password, not a document.
const maxSecretFile = 64 << 10

// Secret is a text that must not be shown. Every way of printing it, in
// formats, logs, YAML and JSON, gives "<secret>"; only Reveal gives the text.
type Secret string

// Reveal returns the text itself, for the one place that sends it.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the text from %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the text from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the text from JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Or returns the secret, or the content of file without its line end when the
// secret is empty: the rule of every `x` and `x_file` pair in the
// configuration. Both at once are an error.
func (s Secret) Or(file string) (Secret, error) {
	if file == "" {
		return s, nil
	}
	if s != "" {
		return "", fmt.Errorf("secret given both as a value and as file %q", file)
	}
	info, err := os.Stat(file)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	if info.Size() > maxSecretFile {
		return "", fmt.Errorf("read secret: %q is larger than %d bytes", file, maxSecretFile)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	return Secret(strings.TrimRight(string(b), "\r\n")), nil
}
