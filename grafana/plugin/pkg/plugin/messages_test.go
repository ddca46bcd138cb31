package plugin

import (
	"bytes"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// TestRowsThatDoNotHoldTogether are an error of their query, before anybody believes them.
func TestRowsThatDoNotHoldTogether(t *testing.T) {
	texts := []arrow.Field{{Name: "s", Type: arrow.BinaryTypes.String, Nullable: true}}
	var good bytes.Buffer
	writeRows(&good, texts, [][]any{{"aa"}, {"bb"}})
	offsets := []byte{0, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0}
	if bytes.Count(good.Bytes(), offsets) != 1 {
		t.Fatal("the offsets are not where they were looked for")
	}
	with := func(ends ...byte) []byte {
		return bytes.Replace(good.Bytes(), offsets, []byte{0, 0, 0, 0, ends[0], 0, 0, 0, ends[1], 0, 0, 0}, 1)
	}
	other := func(fields []arrow.Field, options ...ipc.Option) []byte {
		var b bytes.Buffer
		schema := arrow.NewSchema(fields, nil)
		build := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		defer build.Release()
		for i := range fields {
			for range 100 {
				build.Field(i).AppendEmptyValue()
			}
		}
		out := ipc.NewWriter(&b, append(options, ipc.WithSchema(schema))...)
		if err := out.Write(build.NewRecordBatch()); err != nil {
			t.Fatal(err)
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for _, tt := range []struct {
		name string
		rows []byte
		want string // nothing: they are good
	}{
		{"good", good.Bytes(), ""},
		{"texts that overlap", with(4, 2), "texts overlap"},
		{"a text beyond the end", with(2, 99), "text ends at 99"},
		{"compressed", other(oneNumber, ipc.WithLZ4()), "compressed"},
		{"a list", other([]arrow.Field{{Name: "l", Type: arrow.ListOf(arrow.PrimitiveTypes.Int64)}}), "nested or a dictionary"},
		{"a dictionary", other([]arrow.Field{{Name: "d", Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}}}), "nested or a dictionary"},
		{"another type", other([]arrow.Field{{Name: "d", Type: arrow.FixedWidthTypes.Date32}}), "not known"},
		{"two schemas", append(append([]byte{}, good.Bytes()[:len(good.Bytes())-8]...), good.Bytes()...), "second schema"},
		{"no message", []byte("SELECT 1 FROM somewhere"), "no message of Arrow"},
		{"half", good.Bytes()[:good.Len()/2], "unexpected EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := "--b\r\nContent-Type: " + arrowType + "\r\nOriel-Ref-Id: A\r\n\r\n" + string(tt.rows) + "\r\n--b\r\nContent-Type: application/json\r\nOriel-Ref-Id: A\r\n\r\n{\"row_count\":2}\r\n--b--\r\n"
			if tt.name == "half" {
				body = body[:strings.Index(body, "\r\n\r\n")+4+len(tt.rows)]
			}
			server, req := asGrafana(t, junk(t, 200, "multipart/mixed; boundary=b", []byte(body)))
			resp, err := server.QueryData(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			if got := resp.Responses["A"].GetError(); !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
				t.Errorf("error %q; want %q", got, tt.want)
			}
		})
	}
}
