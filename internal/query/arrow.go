package query

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"mime/multipart"
	"net/textproto"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

const (
	arrowType = "application/vnd.apache.arrow.stream"
	arrowRows = 8192 // rows in a record batch, at most
)

// writeArrow writes each answer as two parts of a multipart body, with the
// header Oriel-Ref-Id: its rows as an Arrow IPC stream (none if the query
// failed at once), and what writeJSON has beside the rows, as JSON.
func writeArrow(ctx context.Context, mw *multipart.Writer, answers []*Answer, flush func()) error {
	for _, a := range answers {
		columns, batches, err := a.Batches(ctx)
		count := 0
		if err == nil {
			part, perr := createPart(mw, a.Query.RefID, arrowType)
			if perr != nil {
				return perr
			}
			var werr error
			if count, err, werr = arrowStream(part, columns, batches, flush); werr != nil {
				return werr
			}
		}
		part, perr := createPart(mw, a.Query.RefID, "application/json")
		if perr != nil {
			return perr
		}
		if perr := json.NewEncoder(part).Encode(a.tail(count, err)); perr != nil {
			return perr
		}
		flush()
	}
	return mw.Close()
}

func createPart(mw *multipart.Writer, ref, contentType string) (io.Writer, error) {
	return mw.CreatePart(textproto.MIMEHeader{"Content-Type": {contentType}, "Oriel-Ref-Id": {ref}})
}

// arrowStream writes one stream. err is the query's, werr the writer's.
func arrowStream(w io.Writer, columns []Column, batches func(func([][]any, error) bool), flush func()) (count int, err, werr error) {
	schema, werr := arrowSchema(columns)
	if werr != nil {
		return 0, nil, werr
	}
	out := ipc.NewWriter(w, ipc.WithSchema(schema))
	build := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer build.Release()
	for rows, rerr := range batches {
		if rerr != nil {
			err = rerr
			break
		}
		for len(rows) > 0 {
			n := min(arrowRows, len(rows))
			for _, row := range rows[:n] {
				for i := range columns {
					var v any
					if i < len(row) {
						v = row[i]
					}
					appendArrow(build.Field(i), v)
				}
			}
			rec := build.NewRecordBatch()
			werr = out.Write(rec)
			rec.Release()
			if werr != nil {
				return count, err, werr
			}
			count, rows = count+n, rows[n:]
		}
		flush()
	}
	return count, err, out.Close()
}

func arrowSchema(columns []Column) (*arrow.Schema, error) {
	types := map[Kind]arrow.DataType{
		Bool: arrow.FixedWidthTypes.Boolean, Int: arrow.PrimitiveTypes.Int64, Float: arrow.PrimitiveTypes.Float64, String: arrow.BinaryTypes.String,
		Time: &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "UTC"},
	}
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		meta := map[string]string{"type": c.Type}
		if len(c.Labels) > 0 {
			labels, err := json.Marshal(c.Labels)
			if err != nil {
				return nil, err
			}
			meta["labels"] = string(labels)
		}
		fields[i] = arrow.Field{Name: c.Name, Type: types[c.Kind], Nullable: true, Metadata: arrow.MetadataFrom(meta)}
	}
	return arrow.NewSchema(fields, nil), nil
}

// appendArrow appends a value. A time that nanoseconds cannot tell is NULL.
func appendArrow(b array.Builder, v any) {
	switch b := b.(type) {
	case *array.BooleanBuilder:
		if v, ok := v.(bool); ok {
			b.Append(v)
			return
		}
	case *array.Int64Builder:
		if v, ok := v.(int64); ok {
			b.Append(v)
			return
		}
	case *array.Float64Builder:
		switch v := v.(type) {
		case float64:
			b.Append(v)
			return
		case int64:
			b.Append(float64(v))
			return
		}
	case *array.StringBuilder:
		if v, ok := v.(string); ok {
			b.Append(v)
			return
		}
	case *array.TimestampBuilder:
		if v, ok := v.(time.Time); ok && v.Unix() > math.MinInt64/1_000_000_000 && v.Unix() < math.MaxInt64/1_000_000_000 {
			b.Append(arrow.Timestamp(v.UnixNano()))
			return
		}
	}
	b.AppendNull()
}
