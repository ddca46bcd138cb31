package columnar

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/orielhq/oriel/internal/flow"
)

type row struct {
	At       int64  `parquet:"at,timestamp(microsecond:local),delta"`
	Maybe    int64  `parquet:"maybe,optional,timestamp(microsecond:local),delta"`
	Often    int64  `parquet:"often,optional,dict"`
	Name     string `parquet:"name,dict"`
	Note     string `parquet:"note,optional"`
	Port     *int32 `parquet:"port,optional"`
	Protocol *int32 `parquet:"protocol,optional,dict"`
	Bytes    *int64 `parquet:"bytes,optional"`
	Began    *bool  `parquet:"began,optional"`
	Both     bool   `parquet:"both"`
	No       int32  `parquet:"no,delta"`
	Hour     int32  `parquet:"hour,dict"`
}

// random makes rows of which share/10 of the optional values are there.
func random(rnd *rand.Rand, n, share int) []*row {
	rows := make([]*row, n)
	for i := range rows {
		r := &row{At: int64(i) * 1e6, Name: fmt.Sprint("n", rnd.IntN(3000)), Both: rnd.IntN(2) == 0, No: rnd.Int32() - 1<<30, Hour: 7}
		maybe := func() bool { return rnd.IntN(10) < share }
		if maybe() {
			r.Maybe = rnd.Int64()
		}
		if maybe() {
			r.Often = int64(rnd.IntN(5))
		}
		if maybe() {
			r.Note = fmt.Sprint(rnd.IntN(10))
		}
		if maybe() {
			r.Port = new(rnd.Int32())
		}
		if maybe() {
			r.Protocol = new(int32(rnd.IntN(3)))
		}
		if maybe() {
			r.Bytes = new(-rnd.Int64())
		}
		if maybe() {
			r.Began = new(rnd.IntN(2) == 0)
		}
		rows[i] = r
	}
	return rows
}

func write[T any](t *testing.T, groups ...[]*T) []byte {
	t.Helper()
	b, err := NewBuilder[T]()
	if err != nil {
		t.Fatal(err)
	}
	f := NewFile()
	for _, g := range groups {
		if err := b.Append(f, g); err != nil {
			t.Fatal(err)
		}
	}
	data, err := b.Close(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestParquetGoReadsTheSameRows: another implementation reads what was written.
func TestParquetGoReadsTheSameRows(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, share := range []int{0, 1, 5, 10} {
		for _, sizes := range [][]int{{1}, {7, 8, 9}, {127, 128, 129}, {pageRows, 2*pageRows + 3, 1}} {
			var groups [][]*row
			var want []row
			for _, n := range sizes {
				g := random(rnd, n, share)
				groups = append(groups, g)
				for _, r := range g {
					want = append(want, *r)
				}
			}
			data := write(t, groups...)
			got, err := parquet.Read[row](bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatalf("share %d, groups %v: %v", share, sizes, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("share %d, groups %v: %s", share, sizes, diff[:min(len(diff), 2000)])
			}
			f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
			if err != nil || len(f.RowGroups()) != len(sizes) || !parquet.EqualNodes(f.Schema(), parquet.SchemaOf(row{})) {
				t.Fatalf("%d row groups, schema\n%s, %v; want %d,\n%s", len(f.RowGroups()), f.Schema(), err, len(sizes), parquet.SchemaOf(row{}))
			}
		}
	}
}

// TestBoundsAreTrue: readers leave row groups out by them.
func TestBoundsAreTrue(t *testing.T) {
	rows := random(rand.New(rand.NewPCG(3, 4)), 1000, 5)
	data := write(t, rows)
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	low, high, name := rows[0].No, rows[0].No, rows[0].Name
	for _, r := range rows {
		low, high, name = min(low, r.No), max(high, r.No), min(name, r.Name)
	}
	for i, want := range map[int][2]parquet.Value{
		0:  {parquet.ValueOf(int64(0)), parquet.ValueOf(int64(999e6))},
		10: {parquet.ValueOf(low), parquet.ValueOf(high)},
		11: {parquet.ValueOf(int32(7)), parquet.ValueOf(int32(7))},
	} {
		c := f.RowGroups()[0].ColumnChunks()[i].(*parquet.FileColumnChunk)
		gotLow, gotHigh, ok := c.Bounds()
		if !ok || !parquet.Equal(gotLow, want[0]) || !parquet.Equal(gotHigh, want[1]) {
			t.Errorf("column %d: %v to %v, %v; want %v", i, gotLow, gotHigh, ok, want)
		}
	}
	if got := string(f.Metadata().RowGroups[0].Columns[3].MetaData.Statistics.MinValue); got != name {
		t.Errorf("least name %q; want %q", got, name)
	}
}

// TestFlowsArePlain: the rows that have to be fast are.
func TestFlowsArePlain(t *testing.T) {
	r := &flow.Record{Provider: "ibm", InitiatorIP: "10.0.0.1"}
	r.SetStart(1)
	data := write(t, []*flow.Record{r})
	got, err := parquet.Read[flow.Record](bytes.NewReader(data), int64(len(data)))
	if err != nil || len(got) != 1 || !cmp.Equal(got[0], *r) {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestOtherTypesAreRefused(t *testing.T) {
	_, err := NewBuilder[struct {
		At *time.Time `parquet:"at,optional,timestamp"`
	}]()
	_, err2 := NewBuilder[struct {
		List []float64 `parquet:"list,list"`
	}]()
	_, err3 := NewBuilder[struct {
		List []string `parquet:"list"`
	}]()
	if !errors.Is(err, ErrUnsupported) || !errors.Is(err2, ErrUnsupported) || !errors.Is(err3, ErrUnsupported) {
		t.Fatalf("%v, %v, %v; want ErrUnsupported", err, err2, err3)
	}
}
