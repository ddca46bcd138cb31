package neuvector

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// Why something could not be read; values of the label reason.
const (
	badField     = "field"     // a field of another type
	badItem      = "item"      // an element that is no object
	badList      = "list"      // a list that is something else
	badNotJSON   = "not_json"  // no JSON object at all, like a proxy's HTML
	badTruncated = "truncated" // the answer ended early
	badTooLarge  = "too_large" // the answer did not end
	badPaging    = "paging"    // the same page again
	badTooMany   = "too_many"  // more items than we hold
	badMissing   = "missing"   // the object that the answer is about is not there
)

var (
	errNotJSON  = errors.New("the answer is not a JSON object")
	errTooLarge = errors.New("the answer is larger than allowed")
)

// limited is a body that fails when it is longer than it may be.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooLarge
	}
	if int64(len(b)) > l.left {
		b = b[:l.left]
	}
	n, err := l.r.Read(b)
	l.left -= int64(n)
	return n, err
}

// reader reads one element of a list. An error ends the reading of the answer.
type reader func(dec *json.Decoder) error

// rawReader reads elements as they are.
func rawReader(item func(raw json.RawMessage)) reader {
	return func(dec *json.Decoder) error {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return err
		}
		item(raw)
		return nil
	}
}

// itemReader reads elements into a T each: twice as fast as by way of the raw
// text. A field of another type costs that field alone; what is no object is passed over.
func itemReader[T comparable](bad func(reason string), item func(v *T)) reader {
	return func(dec *json.Decoder) error {
		var v, zero T
		err := dec.Decode(&v)
		var field *json.UnmarshalTypeError
		if err != nil && !errors.As(err, &field) {
			return err
		}
		if field != nil && field.Field != "" {
			bad(badField) // json goes on behind it
		}
		if v == zero {
			bad(badItem)
			item(nil)
			return nil
		}
		item(&v)
		return nil
	}
}

// walk reads an object and hands the elements of the lists named in each to
// their function, one by one: no more than an element is held. Other keys are
// passed over, null is an empty list. What came before an error counts.
func walk(r io.Reader, each map[string]reader, bad func(reason string)) error {
	dec := json.NewDecoder(r)
	if err := begin(dec); err != nil {
		return err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		first, err := dec.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		item := each[name]
		if item == nil || first != json.Delim('[') {
			if item != nil && first != nil {
				bad(badList)
			}
			if err := skip(dec, first); err != nil {
				return err
			}
			continue
		}
		for dec.More() {
			if err := item(dec); err != nil {
				return err
			}
		}
		if _, err := dec.Token(); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

// begin reads the opening brace.
func begin(dec *json.Decoder) error {
	tok, err := dec.Token()
	if err == nil && tok == json.Delim('{') {
		return nil
	}
	var syntax *json.SyntaxError
	if err == nil || errors.As(err, &syntax) || errors.Is(err, io.EOF) {
		return errNotJSON
	}
	return err
}

// skip reads to the end of the value that began with first.
func skip(dec *json.Decoder, first json.Token) error {
	depth := 0
	for tok := first; ; {
		switch tok {
		case json.Delim('['), json.Delim('{'):
			depth++
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
		if depth == 0 {
			return nil
		}
		var err error
		if tok, err = dec.Token(); err != nil {
			return err
		}
	}
}

// item reads one object into v. A field of another type costs that field
// alone; what is no object at all is refused.
func item(raw json.RawMessage, v any, bad func(reason string)) bool {
	if trimmed := bytes.TrimSpace(raw); len(trimmed) == 0 || trimmed[0] != '{' {
		bad(badItem)
		return false
	}
	err := json.Unmarshal(raw, v)
	var field *json.UnmarshalTypeError
	switch {
	case errors.As(err, &field):
		bad(badField) // json goes on behind it
	case err != nil:
		bad(badItem)
		return false
	}
	return true
}

// object reads a whole answer into v.
func object(r io.Reader, v any, bad func(reason string)) error {
	dec := json.NewDecoder(r)
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) || errors.Is(err, io.EOF) {
			return errNotJSON
		}
		return err
	}
	if !item(raw, v, bad) {
		return errNotJSON
	}
	return nil
}

// reasonOf names an error of reading a body.
func reasonOf(err error) string {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, errNotJSON):
		return badNotJSON
	case errors.Is(err, errTooLarge):
		return badTooLarge
	case errors.As(err, &syntax):
		return badNotJSON
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return badTruncated
	}
	return ""
}

// texts is a list of texts that may also come as one text.
type texts []string

// UnmarshalJSON takes a list, a text or null; of anything else it makes an empty list.
func (t *texts) UnmarshalJSON(b []byte) error {
	var list []string
	var one string
	switch {
	case json.Unmarshal(b, &one) == nil:
		*t = nil
		if one != "" {
			*t = texts{one}
		}
	case json.Unmarshal(b, &list) == nil:
		*t = list
	default:
		*t = nil
	}
	return nil
}

func (t texts) String() string { return strings.Join(t, ",") }
