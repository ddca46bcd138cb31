package query

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// decodeJSON reads one JSON value. Numbers stay as they are written; unknown keys are errors.
func decodeJSON(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}
