//go:build cgo

package duckdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/orielhq/oriel/internal/query/timeseries/calc"
)

// macros tell apart what the values of a series are. SQL has no other place where an
// expression may depend on a type.
var macros = []string{
	`CREATE MACRO oriel_value(v DOUBLE) AS v, (v BOOLEAN) AS CAST(v AS DOUBLE), (v VARCHAR) AS v, (v DOUBLE[]) AS v, (v VARCHAR[]) AS v`,
	`CREATE MACRO oriel_missing(v DOUBLE) AS (v IS NULL OR isnan(v)), (v VARCHAR) AS (v IS NULL), ` +
		`(v DOUBLE[]) AS (v IS NULL OR len(list_filter(v, lambda e: e IS NULL OR isnan(e))) > 0), (v VARCHAR[]) AS (v IS NULL OR len(list_filter(v, lambda e: e IS NULL)) > 0)`,
	`CREATE MACRO oriel_join(a DOUBLE, b DOUBLE) AS [a, b], (a VARCHAR, b VARCHAR) AS [a, b], (a DOUBLE[], b DOUBLE[]) AS list_concat(a, b), (a VARCHAR[], b VARCHAR[]) AS list_concat(a, b), ` +
		`(a DOUBLE[], b DOUBLE) AS list_append(a, b), (a VARCHAR[], b VARCHAR) AS list_append(a, b)`,
}

// define gives the engine the functions of the time-series dialect.
func define(ctx context.Context, db *sql.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	for _, f := range calc.Functions() {
		u := &function{f: f}
		if err := errors.Join(u.describe(), duckdb.RegisterScalarUDF(conn, f.Name, u)); err != nil {
			return errors.Join(fmt.Errorf("function %s: %w", f.Name, err), conn.Close())
		}
	}
	for _, m := range macros {
		if _, err := conn.ExecContext(ctx, m); err != nil {
			return errors.Join(err, conn.Close())
		}
	}
	return conn.Close()
}

// function is a calc.Function for DuckDB, which calls it from several threads.
type function struct {
	f      calc.Function
	config duckdb.ScalarFuncConfig
}

func (u *function) describe() error {
	number, err1 := duckdb.NewTypeInfo(duckdb.TYPE_DOUBLE)
	word, err2 := duckdb.NewTypeInfo(duckdb.TYPE_VARCHAR)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	numbers, err1 := duckdb.NewListInfo(number)
	words, err2 := duckdb.NewListInfo(word)
	u.config.ResultTypeInfo = numbers
	for _, k := range u.f.Kinds {
		if k == 's' {
			u.config.InputTypeInfos = append(u.config.InputTypeInfos, words)
		} else {
			u.config.InputTypeInfos = append(u.config.InputTypeInfos, numbers)
		}
	}
	return errors.Join(err1, err2)
}

// Config is documented at duckdb.ScalarFunc.
func (u *function) Config() duckdb.ScalarFuncConfig { return u.config }

// Executor is documented at duckdb.ScalarFunc.
func (u *function) Executor() duckdb.ScalarFuncExecutor {
	return duckdb.ScalarFuncExecutor{RowContextExecutor: u.call}
}

func (u *function) call(ctx context.Context, values []driver.Value) (out any, err error) {
	// A panic would end the process: it comes out of a call from C.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s failed", strings.ToUpper(strings.TrimPrefix(u.f.Name, "oriel_")))
		}
	}()
	if ctx == nil {
		return nil, errors.New("the query has no context")
	}
	var args calc.Args
	for i, v := range values {
		list, _ := v.([]any)
		if len(list) > calc.MaxObservations {
			return nil, fmt.Errorf("%d observations in one series: at most %d", len(list), calc.MaxObservations)
		}
		if u.f.Kinds[i] == 's' {
			texts := make([]string, len(list))
			for j, e := range list {
				texts[j], _ = e.(string)
			}
			args.Texts = append(args.Texts, texts)
			continue
		}
		numbers := make([]float64, len(list))
		for j, e := range list {
			x, ok := e.(float64)
			if !ok {
				x = math.NaN()
			}
			numbers[j] = x
		}
		args.Numbers = append(args.Numbers, numbers)
	}
	result, err := u.f.Call(ctx, args)
	if err != nil {
		return nil, err
	}
	if result == nil {
		result = []float64{}
	}
	return result, nil
}
