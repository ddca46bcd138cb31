package lake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"
)

// Append stores rows that are few and must be safe at once, a file for each
// hour: when it returns nil they are in the store. A file is named by its
// content, so whoever calls it again with the same rows, after an error or a
// crash, stores none of them twice.
func Append[T any](ctx context.Context, l *Lake, table string, timeOf func(*T) time.Time, rows []T) error {
	if !validTable(table) {
		return fmt.Errorf("append: table %q: not a name of a table", table)
	}
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b T) int { return timeOf(&a).Compare(timeOf(&b)) })
	for len(rows) > 0 {
		p := partitionOf(table, timeOf(&rows[0]))
		n := 1
		for n < len(rows) && partitionOf(table, timeOf(&rows[n])) == p {
			n++
		}
		var file bytes.Buffer
		if err := Encode(&file, rows[:n]); err != nil {
			return fmt.Errorf("append to %s: %w", table, err)
		}
		sum := sha256.Sum256(file.Bytes())
		key := p.key(timeOf(&rows[0]), "b"+hex.EncodeToString(sum[:12]), 1)
		if err := l.store.Put(ctx, key, &file, int64(file.Len()), true); err != nil && !errors.Is(err, ErrExists) {
			return fmt.Errorf("append to %s: %w", table, err)
		}
		rows = rows[n:]
	}
	return nil
}

// Encode writes rows as one Parquet file.
func Encode[T any](w io.Writer, rows []T) error {
	encoder := parquet.NewGenericWriter[T](w, encoderOptions()...)
	if _, err := encoder.Write(rows); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if err := encoder.Close(); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return nil
}

// ColumnsOf returns the columns of a table with rows like this one.
func ColumnsOf(row any) []Column { return columns(parquet.SchemaOf(row)) }
