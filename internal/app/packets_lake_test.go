package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/orielhq/oriel/internal/lake"
	"github.com/orielhq/oriel/internal/packet"
	"github.com/orielhq/oriel/internal/query"
	"github.com/orielhq/oriel/internal/query/duckdb"
)

// fillRecord gives every column of a record a value; at is the row's time.
func fillRecord(rnd *rand.Rand, v reflect.Value, at time.Time) {
	for i := range v.NumField() {
		f, typ := v.Field(i), v.Type().Field(i)
		switch {
		case typ.Anonymous:
			fillRecord(rnd, f, at)
		case !typ.IsExported():
		case typ.Type == reflect.TypeFor[time.Time]():
			if typ.Name == "Time" {
				f.Set(reflect.ValueOf(at))
			} else {
				f.Set(reflect.ValueOf(time.UnixMilli(rnd.Int64N(1 << 42)).UTC()))
			}
		case f.Kind() == reflect.Slice:
			list := reflect.MakeSlice(f.Type(), rnd.IntN(4), 4)
			for i := range list.Len() {
				fillValue(rnd, list.Index(i))
			}
			f.Set(list)
		default:
			fillValue(rnd, f)
		}
	}
}

func fillValue(rnd *rand.Rand, f reflect.Value) {
	switch {
	case f.CanInt():
		f.SetInt(rnd.Int64() >> rnd.IntN(64))
	case f.CanUint():
		f.SetUint(rnd.Uint64() >> rnd.IntN(64))
	case f.Kind() == reflect.Bool:
		f.SetBool(rnd.IntN(2) == 0)
	case f.Kind() == reflect.String:
		f.SetString([]string{"", "a", "ä \"\\\n", fmt.Sprint(rnd.Uint64())}[rnd.IntN(4)])
	default:
		panic(f.Type().String())
	}
}

// jsonOf is a record by its columns, as DuckDB's to_json has it.
func jsonOf(v reflect.Value, to map[string]any) map[string]any {
	for i := range v.NumField() {
		f, typ := v.Field(i), v.Type().Field(i)
		name, _, _ := strings.Cut(typ.Tag.Get("parquet"), ",")
		switch {
		case typ.Anonymous:
			jsonOf(f, to)
		case typ.IsExported():
			to[name] = jsonValue(f)
		}
	}
	return to
}

func jsonValue(f reflect.Value) any {
	switch {
	case f.Type() == reflect.TypeFor[time.Time]():
		return f.Interface().(time.Time).UTC()
	case f.CanInt():
		return json.Number(fmt.Sprint(f.Int()))
	case f.CanUint():
		return json.Number(fmt.Sprint(f.Uint()))
	case f.Kind() == reflect.Slice:
		list := []any{}
		for i := range f.Len() {
			list = append(list, jsonValue(f.Index(i)))
		}
		return list
	}
	return f.Interface()
}

// times makes times of the texts that DuckDB writes for them.
func times(t *testing.T, row, like map[string]any) {
	t.Helper()
	for name, v := range like {
		if _, ok := v.(time.Time); !ok {
			continue
		}
		at, err := time.Parse("2006-01-02 15:04:05.999999", strings.TrimSuffix(fmt.Sprint(row[name]), "+00"))
		if err != nil {
			t.Fatal(err)
		}
		row[name] = at
	}
}

// emptyLike is an empty record of the type of another, of the same kind.
func emptyLike(like packet.Record) reflect.Value {
	v := reflect.New(reflect.TypeOf(like).Elem())
	v.Elem().Set(reflect.ValueOf(like).Elem())
	return v
}

// TestRecordsOfEveryKindReadBackEqual: parquet-go and DuckDB read from the lake
// what was recorded, of each kind and each column; and all kinds are written
// column by column, not by parquet-go's reflection, which takes twice as long.
func TestRecordsOfEveryKindReadBackEqual(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	l, err := (&lake.Config{Dir: dir}).Open(quiet)
	if err != nil {
		t.Fatal(err)
	}
	out, err := newLakeOutput(l)
	if err != nil {
		t.Fatal(err)
	}
	const n = 700
	written := map[string][]packet.Record{}
	var batch []packet.Record
	for i := range n {
		for _, like := range packet.Samples() {
			v := emptyLike(like)
			fillRecord(rnd, v.Elem(), time.Date(2026, 8, 20, 1, 0, 0, i*1000, time.UTC))
			if m, ok := like.(*packet.Mailbox); ok {
				v.Interface().(*packet.Mailbox).Service = m.Service // it is the kind
			}
			r := v.Interface().(packet.Record)
			written[like.Kind()] = append(written[like.Kind()], r)
			batch = append(batch, r)
		}
	}
	if lost, err := out.Write(t.Context(), batch); lost > 0 || err != nil {
		t.Fatalf("%d lost: %v", lost, err)
	}
	if lost, err := out.Close(t.Context()); lost > 0 || err != nil {
		t.Fatalf("%d lost: %v", lost, err)
	}
	engine, err := duckdb.Open(t.Context(), duckdb.Config{MemoryLimit: 256 << 20, Threads: 1, TempDir: filepath.Join(dir, "tmp"), Dirs: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() })
	for kind, want := range written {
		t.Run(kind, func(t *testing.T) {
			var files []string
			if err := filepath.WalkDir(filepath.Join(dir, kind), func(path string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					files = append(files, path)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			byParquetGo(t, files, want)
			rows, err := engine.Query(t.Context(), query.Statement{SQL: "SELECT to_json(r)::VARCHAR FROM records r ORDER BY time", Views: []query.View{{Name: "records", Files: files}}})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = rows.Close() }()
			for i, r := range want {
				line := make([]any, 1)
				if err := rows.Next(line); err != nil {
					t.Fatal(err)
				}
				decode := json.NewDecoder(strings.NewReader(line[0].(string)))
				decode.UseNumber()
				got, want := map[string]any{}, jsonOf(reflect.ValueOf(r).Elem(), map[string]any{})
				if err := decode.Decode(&got); err != nil {
					t.Fatal(err)
				}
				times(t, got, want)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("DuckDB, row %d: %s", i, diff)
				}
			}
			if err := rows.Next(make([]any, 1)); !errors.Is(err, io.EOF) {
				t.Fatalf("more rows than were written: %v", err)
			}
		})
	}
}

// byParquetGo reads the files with parquet-go.
func byParquetGo(t *testing.T, files []string, want []packet.Record) {
	t.Helper()
	i := 0
	for _, name := range files {
		data, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = data.Close() }()
		info, err := data.Stat()
		if err != nil {
			t.Fatal(err)
		}
		f, err := parquet.OpenFile(data, info.Size())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range f.Metadata().RowGroups[0].Columns[0].MetaData.Encoding {
			if c == format.Plain && len(want) > 1 {
				t.Fatal("the column of times is not packed: parquet-go's reflection wrote it")
			}
		}
		r := parquet.NewReader(f, parquet.SchemaOf(want[0]))
		for ; ; i++ {
			v := emptyLike(want[0])
			if err := r.Read(v.Interface()); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if i >= len(want) {
				t.Fatal("more rows than were written")
			}
			got, want := jsonOf(v.Elem(), map[string]any{}), jsonOf(reflect.ValueOf(want[i]).Elem(), map[string]any{})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("parquet-go, row %d: %s", i, diff)
			}
		}
		_ = r.Close()
	}
	if i != len(want) {
		t.Fatalf("%d rows; want %d", i, len(want))
	}
}
