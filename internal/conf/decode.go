package conf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Decode reads one YAML document into v. Unknown and repeated keys are errors.
// An error names file and shows the line it is about, with a few around it.
func Decode(file string, data []byte, v any) error {
	// The library sets v to zero when there is nothing to decode; its defaults shall stay.
	if file, err := parser.ParseBytes(data, 0); err == nil && (len(file.Docs) == 0 || file.Docs[0].Body == nil) {
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	if err := dec.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %s", file, strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: more than one YAML document", file)
	}
	return nil
}

// FieldError is what Validate returns: which key is wrong, as a path from its
// section ("names[0].public_key"), and why.
type FieldError struct {
	Path string
	Err  error
}

// Field makes a FieldError.
func Field(path, format string, args ...any) error {
	return &FieldError{Path: path, Err: fmt.Errorf(format, args...)}
}

func (e *FieldError) Error() string { return e.Path + ": " + e.Err.Error() }

func (e *FieldError) Unwrap() error { return e.Err }

// Locate adds to an error of a section's Validate the file and the line of the key it is about.
func Locate(file string, data []byte, section string, err error) error {
	var field *FieldError
	if !errors.As(err, &field) {
		return fmt.Errorf("%s: %s: %w", file, section, err)
	}
	shown, line := "", ""
	if path, perr := yaml.PathString("$." + section + "." + field.Path); perr == nil {
		if node, nerr := path.ReadNode(bytes.NewReader(data)); nerr == nil {
			p := node.GetToken().Position
			line = fmt.Sprintf("[%d:%d] ", p.Line, p.Column)
		}
		if src, serr := path.AnnotateSource(data, false); serr == nil {
			shown = "\n" + strings.TrimRight(string(src), "\n ")
		}
	}
	return fmt.Errorf("%s: %s%s.%w%s", file, line, section, err, shown)
}

// scalar returns the text of a plain or quoted value.
func scalar(node ast.Node) string {
	if s, ok := node.(*ast.StringNode); ok {
		return s.Value
	}
	return node.String()
}
