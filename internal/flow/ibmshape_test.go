package flow

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// morsels is read from a little at a time, so that flows end within what is at hand.
type morsels struct{ text string }

func (m *morsels) Read(p []byte) (int, error) {
	if m.text == "" {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 97)], m.text)
	m.text = m.text[n:]
	return n, nil
}

// decodeIBM decodes with the shape of the flows before in use, also of those of
// objects before, or without.
func decodeIBM(text string, shaped bool, before ...string) (rows []Record, result string, last shape) {
	kit := kits.New().(*kit)
	if !shaped {
		kit.shape.tries = maxShapes
	}
	for _, text := range append(before, text) {
		rows = nil
		d := &decoder{key: "k", strings: kit.strings, kit: kit, batch: newBatch()}
		d.yield = func(b *Batch) error {
			for _, r := range b.Rows {
				rows = append(rows, own(r))
			}
			b.Free()
			return nil
		}
		err := d.ibm(&morsels{text})
		if err == nil {
			err = d.flush()
		}
		d.batch.Free()
		result, last = fmt.Sprint(d.result, d.no, err), kit.shape
		if shaped {
			kit.forget()
		}
	}
	return rows, result, last
}

func ibmText(flows ...string) string {
	return ibmHead + `"flow_logs":[` + strings.Join(flows, ",") + "]}"
}

// usualFlow has nothing that needs a second look.
var usualFlow = strings.Replace(ibmFlowText, "18446744073709551615", "1844", 1)

// variants are flows that are written otherwise than the first one, or are not right.
func variants() []string {
	change := func(old, to string) string { return strings.Replace(usualFlow, old, to, 1) }
	return []string{
		usualFlow, ibmFlowText,
		change(`"direction":"I"`, `"direction":"O"`), change(`"rejected"`, `"accepted"`), change("203.0.113.5", "198.51.100.255"),
		change(`:40000`, `:1`), change(`:40000`, `:70000`), change(`:40000`, `:4e4`), change(`:40000`, `:-1`), change(`:40000`, `: 40000`), change(`:40000`, `:040000`), change(`:40000`, `:null`), change(`:40000`, `:"40000"`),
		change("1844", "99999999999999999999999"), change("1844", "999999999999999999"), change("1844", "9999999999999999999"),
		change("01:00:07Z", "01:59:07.123456Z"), change("01:00:07Z", "01:59:07.1234567Z"), change("01:00:07Z", "01:59:60Z"), change("01:00:07Z", "01:60:00Z"), change("01:00:07Z", "01:00:07.Z"), change("01:00:07Z", "03:00:07+02:00"),
		change("01:00:07Z", "01:00:07"), change("2026-08-20T01:00:07Z", "2026-08-20T23:59:59.999999Z"), change("2026-08-20T01:00:07Z", "2026-02-30T01:00:07Z"), change("2026-08-20T01:00:07Z", "0001-01-01T01:00:07Z"),
		change("2026-08-20T01:00:07Z", ""), change(`"start_time":"2026-08-20T01:00:07Z",`, ""), change(`"start_time"`, `"start"`),
		change("203.0.113.5", "203.0.113.05"), change("203.0.113.5", "203.0.113.256"), change("203.0.113.5", "2001:db8::1"), change("203.0.113.5", "203.0.113"), change("203.0.113.5", "203.0.113.5.6"), change("203.0.113.5", ""),
		change("IPv4", "IPv6"), change("true", "false"), change("true", "truth"), change("true", "1"),
		change(`,"direction"`, ` , "direction"`), change(`"direction"`, `"new":{"a":[1]},"direction"`), change(`"direction"`, `"new":7,"direction"`), change(`"direction":"I",`, ""),
		change(`"direction":"I"`, `"direction":"I","direction":"O"`), change(`}`, ` }`), change(`}`, `,}`), change("rejected", "dropped"), change("rejected", `reje\u0063ted`),
		"{}", "7", `"x"`, "[]", "null",
	}
}

// TestShapeChangesNothing: a flow reads the same whether those before it were written like it or not.
func TestShapeChangesNothing(t *testing.T) {
	all := variants()
	for i, v := range all {
		for _, text := range []string{ibmText(usualFlow, v), ibmText(usualFlow, v, usualFlow, v), ibmText(v, v, usualFlow), ibmText(all[:i+1]...)} {
			rows, result, _ := decodeIBM(text, true)
			want, wantResult, _ := decodeIBM(text, false)
			if diff := cmp.Diff(want, rows); diff != "" || result != wantResult {
				t.Errorf("behind others, %s\nreads as %s, alone as %s\n-alone +behind:\n%s", v, result, wantResult, diff)
			}
			rows, result, _ = decodeIBM(text, true, ibmText(usualFlow), ibmText(v))
			if diff := cmp.Diff(want, rows); diff != "" || result != wantResult {
				t.Errorf("in a later object, %s\nreads as %s, alone as %s\n-alone +later:\n%s", v, result, wantResult, diff)
			}
		}
	}
}

// TestShapeIsGivenUp: an object whose flows are all written in another way is no trap.
func TestShapeIsGivenUp(t *testing.T) {
	var flows []string
	for i := range 4 * maxMisses {
		flows = append(flows, strings.Replace(usualFlow, "{", "{"+strings.Repeat(" ", i), 1))
	}
	rows, _, last := decodeIBM(ibmText(flows...), true)
	if len(rows) != len(flows) || last.fields != nil {
		t.Errorf("%d rows of %d, a shape of %d fields", len(rows), len(flows), len(last.fields))
	}
	if _, _, last = decodeIBM(ibmText(usualFlow, usualFlow), true); len(last.fields) != int(ibmOther) || last.misses != 0 {
		t.Errorf("a shape of %d fields, want %d; %d misses", len(last.fields), ibmOther, last.misses)
	}
}

// FuzzShape: what an object says does not depend on the shape either.
func FuzzShape(f *testing.F) {
	for _, v := range variants() {
		f.Add(usualFlow, v)
	}
	f.Fuzz(func(t *testing.T, first, then string) {
		text := ibmText(first, then, then, first)
		rows, result, _ := decodeIBM(text, true)
		want, wantResult, _ := decodeIBM(text, false)
		if diff := cmp.Diff(want, rows); diff != "" || result != wantResult {
			t.Fatalf("with the shape %s, without %s\n%s", result, wantResult, diff)
		}
		rows, result, _ = decodeIBM(text, true, ibmText(first), ibmText(then))
		if diff := cmp.Diff(want, rows); diff != "" || result != wantResult {
			t.Fatalf("with the shape of other objects %s, without %s\n%s", result, wantResult, diff)
		}
	})
}
