package columnar

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
)

type inner struct {
	At    time.Time `parquet:"at,timestamp(microsecond:local)"`
	Where string    `parquet:"where"`
	Port  uint16    `parquet:"port"`
}

// wide has what records of packets are made of.
type wide struct {
	inner
	hidden  int
	Until   time.Time `parquet:"until,timestamp(millisecond)"`
	Exactly time.Time `parquet:"exactly,timestamp(nanosecond)"`
	Skipped float64   `parquet:"-"`
	Type    uint8     `parquet:"type"`
	Kind    uint8     `parquet:"kind,dict"`
	Seq     uint32    `parquet:"seq"`
	Big     uint64    `parquet:"big"`
	Grow    uint64    `parquet:"grow,delta"`
	Same    uint64    `parquet:"same"`
	Maybe   uint32    `parquet:"maybe,optional"`
	Rarely  *uint64   `parquet:"rarely,optional"`
	Name    string    `parquet:"name,dict"`
	Names   []string  `parquet:"names,list"`
	TTLs    []uint32  `parquet:"ttls,list"`
	Hops    []uint64  `parquet:"hops,list"`
	Last    bool      `parquet:"last"`
}

// wides makes rows from numbers, of any length and with any repeats.
func wides(rnd *rand.Rand, n, alike, share int) []*wide {
	list := make([]*wide, n)
	texts := func() string { return fmt.Sprintf("text \x00 %d", rnd.IntN(alike)) }
	at := time.Unix(1_700_000_000, 0).UTC()
	for i := range list {
		at = at.Add(time.Duration(rnd.Int64N(int64(time.Second))))
		w := &wide{inner: inner{at.Truncate(time.Microsecond), texts(), uint16(rnd.Uint32())}, hidden: i}
		w.Until, w.Exactly = time.UnixMilli(rnd.Int64N(1<<40)-1<<39).UTC(), at
		w.Type, w.Kind, w.Seq, w.Big = uint8(rnd.Uint32()), uint8(rnd.IntN(3)), rnd.Uint32(), rnd.Uint64()
		w.Grow, w.Same, w.Name, w.Last = uint64(i), math.MaxUint64, texts(), rnd.IntN(2) == 0
		if rnd.IntN(10) < share {
			w.Maybe, w.Rarely = rnd.Uint32(), new(rnd.Uint64())
			for range rnd.IntN(6) {
				w.Names, w.TTLs = append(w.Names, texts()), append(w.TTLs, rnd.Uint32())
			}
			w.Hops = []uint64{7}
		}
		list[i] = w
	}
	return list
}

// read is what parquet-go reads of a file, which is all there is to compare: it
// knows no hidden fields, and no difference between nil and an empty list.
func read[T any](t *testing.T, data []byte) []T {
	t.Helper()
	got, err := parquet.Read[T](bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// usual writes rows as parquet-go does.
func usual[T any](t *testing.T, rows []*T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b)
	for _, r := range rows {
		if _, err := w.Write([]T{*r}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// checkWide writes groups and sees that parquet-go reads what it reads of its
// own file of the same rows.
func checkWide(t *testing.T, groups ...[]*wide) {
	t.Helper()
	var all []*wide
	for _, g := range groups {
		all = append(all, g...)
	}
	got := read[wide](t, write(t, groups...))
	want := read[wide](t, usual(t, all))
	if len(want) != len(all) {
		t.Fatalf("parquet-go itself reads %d of %d rows", len(want), len(all))
	}
	for i := range want {
		if want[i].At != all[i].At || want[i].Seq != all[i].Seq {
			t.Fatalf("row %d: parquet-go itself reads %+v of %+v", i, want[i], *all[i])
		}
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(wide{})); diff != "" {
		t.Fatal(diff[:min(len(diff), 3000)])
	}
}

func TestWideRowsAreReadAsParquetGoWritesThem(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for _, alike := range []int{1, 40, 1 << 40} {
		for _, share := range []int{0, 3, 10} {
			checkWide(t, wides(rnd, 1, alike, share), wides(rnd, judged-1, alike, share), wides(rnd, judged+300, alike, share))
		}
		checkWide(t, wides(rnd, pageRows+7, alike, 5), wides(rnd, 5, alike, 5))
	}
}

// TestTextsWithoutDictionaryComeBack: after texts that are all different the
// dictionary is tried again.
func TestTextsWithoutDictionaryComeBack(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	b, err := NewBuilder[wide]()
	if err != nil {
		t.Fatal(err)
	}
	where := func(rows []*wide) string {
		f := NewFile()
		if err := b.Append(f, rows); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(f.groups[0].Columns[1].MetaData.Encoding)
	}
	dictionary, plain := where(wides(rnd, 600, 10, 3)), where(wides(rnd, 600, 1<<40, 3))
	if dictionary == plain {
		t.Fatalf("%s for texts alike and for unlike ones", dictionary)
	}
	for i := range bareGroups {
		want := plain
		if i == bareGroups-1 {
			want = dictionary
		}
		if got := where(wides(rnd, 600, 10, 3)); got != want {
			t.Fatalf("group %d after unlike texts: %s; want %s", i+1, got, want)
		}
	}
}

// TestUnsignedBoundsAreTrue: the largest numbers are not below the smallest.
func TestUnsignedBoundsAreTrue(t *testing.T) {
	rows := wides(rand.New(rand.NewPCG(9, 10)), 2000, 10, 5)
	rows[0].Big, rows[1].Big, rows[2].Seq, rows[3].Seq = 3, math.MaxUint64-3, 2, math.MaxUint32-2
	data := write(t, rows)
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range f.Schema().Columns() {
		var want [2]uint64
		switch name[0] {
		case "big":
			want = [2]uint64{3, math.MaxUint64 - 3}
		case "seq":
			want = [2]uint64{2, math.MaxUint32 - 2}
		case "same":
			want = [2]uint64{math.MaxUint64, math.MaxUint64}
		default:
			continue
		}
		low, high, ok := f.RowGroups()[0].ColumnChunks()[i].(*parquet.FileColumnChunk).Bounds()
		if got := [2]uint64{low.Uint64(), high.Uint64()}; name[0] != "seq" && (!ok || got != want) {
			t.Errorf("%s: %d, %v; want %d", name, got, ok, want)
		}
		if got := [2]uint64{uint64(low.Uint32()), uint64(high.Uint32())}; name[0] == "seq" && (!ok || got != want) {
			t.Errorf("%s: %d, %v; want %d", name, got, ok, want)
		}
	}
}

// FuzzWideRows: whatever the rows are, parquet-go reads the same of our file as of its own.
func FuzzWideRows(f *testing.F) {
	f.Add(uint64(1), uint16(3), uint16(700), uint32(1), uint8(10))
	f.Add(uint64(2), uint16(0), uint16(1), uint32(1<<31), uint8(5))
	f.Add(uint64(3), uint16(511), uint16(513), uint32(100), uint8(0))
	f.Fuzz(func(t *testing.T, seed uint64, first, second uint16, alike uint32, share uint8) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		checkWide(t, wides(rnd, int(first%2000), int(alike)+1, int(share%11)), wides(rnd, int(second%2000), int(alike)+1, int(share%11)))
	})
}
