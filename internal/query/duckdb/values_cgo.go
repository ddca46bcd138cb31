//go:build cgo

package duckdb

import (
	"database/sql/driver"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/orielhq/oriel/internal/query"
)

// conversion returns what the values of a type look like in a result.
// HUGEINT, which is the type of sum(BIGINT), and DECIMAL become floats, so that
// they can be drawn.
func conversion(typ string) (query.Kind, func(driver.Value) any) {
	base, _, _ := strings.Cut(typ, "(")
	if strings.HasSuffix(typ, "]") {
		base = "LIST"
	}
	switch base {
	case "BOOLEAN":
		return query.Bool, func(v driver.Value) any { return v }
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER":
		return query.Int, integer
	case "UBIGINT", "HUGEINT", "UHUGEINT", "DECIMAL", "FLOAT", "DOUBLE", "BIGNUM":
		return query.Float, float
	case "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE", "DATE":
		return query.Time, func(v driver.Value) any {
			if t, ok := v.(time.Time); ok {
				return t.UTC()
			}
			return words(v)
		}
	case "TIME", "TIMETZ", "TIME_NS":
		return query.String, func(v driver.Value) any {
			if t, ok := v.(time.Time); ok {
				return t.Format("15:04:05.999999999")
			}
			return words(v)
		}
	case "UUID":
		return query.String, func(v driver.Value) any {
			if b, ok := v.([]byte); ok && len(b) == 16 {
				return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
			}
			return words(v)
		}
	case "BLOB", "GEOMETRY":
		return query.String, func(v driver.Value) any {
			if b, ok := v.([]byte); ok {
				return hex.EncodeToString(b)
			}
			return words(v)
		}
	}
	return query.String, words
}

func integer(v driver.Value) any {
	switch v := v.(type) {
	case int8:
		return int64(v)
	case int16:
		return int64(v)
	case int32:
		return int64(v)
	case uint8:
		return int64(v)
	case uint16:
		return int64(v)
	case uint32:
		return int64(v)
	}
	return v // int64
}

func float(v driver.Value) any {
	switch v := v.(type) {
	case float32:
		return float64(v)
	case uint64:
		return float64(v)
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		return f
	case duckdb.Decimal:
		return v.Float64()
	}
	return v // float64
}

// words is the text of what is no number and no time: lists and structs as JSON.
func words(v driver.Value) any {
	switch v := v.(type) {
	case string:
		return v
	case duckdb.Interval:
		return interval(v)
	}
	b, err := json.Marshal(plain(v))
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

func interval(v duckdb.Interval) string {
	return fmt.Sprintf("%d months %d days %s", v.Months, v.Days, time.Duration(v.Micros)*time.Microsecond)
}

// plain makes JSON can write of what the driver makes of nested values.
func plain(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = plain(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = plain(e)
		}
		return out
	case duckdb.OrderedMap:
		out := map[string]any{}
		for i, k := range v.Keys() {
			out[fmt.Sprint(plain(k))] = plain(v.Values()[i])
		}
		return out
	case duckdb.Union:
		return plain(v.Value)
	case duckdb.Decimal:
		return v.Float64()
	case duckdb.Interval:
		return interval(v)
	case *big.Int:
		return json.Number(v.String())
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprint(v)
		}
	case float32:
		return plain(float64(v))
	case []byte:
		return hex.EncodeToString(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	}
	return v
}
