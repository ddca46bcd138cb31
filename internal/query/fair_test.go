package query

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// slowEngine takes its time for each query.
type slowEngine struct{}

func (slowEngine) Inspect(context.Context, string) (*Shape, error)         { return &Shape{}, nil }
func (slowEngine) Export(context.Context, Statement, string, string) error { return nil }
func (slowEngine) Query(ctx context.Context, st Statement) (Rows, error) {
	long := 10 * time.Millisecond
	if len(st.SQL) > 20 { // a client that asks for a lot
		long = 200 * time.Millisecond
	}
	select {
	case <-time.After(long):
		return noRows{}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type noRows struct{}

func (noRows) Columns() []Column { return []Column{{Name: "x", Kind: Int}} }
func (noRows) Next([]any) error  { return io.EOF }
func (noRows) Close() error      { return nil }

type noTables struct{}

func (noTables) Tables(context.Context) ([]Table, error) { return nil, nil }
func (noTables) Files(context.Context, string, Range, map[string]Range) ([]File, func(), error) {
	return nil, func() {}, nil
}

// TestFiftyPanelsAtOnceAllGetTheirTurn: fifty clients ask again and again, one of
// them for much more than the others. In any stretch of time all get about as many answers.
func TestFiftyPanelsAtOnceAllGetTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Default(), Needs{Engine: slowEngine{}, Dialect: DuckDB{}, Catalog: noTables{}}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		const clients = 50
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		answers := make([]int, clients)
		longest := make([]time.Duration, clients)
		var wg sync.WaitGroup
		for c := range clients {
			wg.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					sql := fmt.Sprintf("SELECT %d, %d", c, n)
					if c == 0 {
						sql += " /* so */ + 1000000000000000"
					}
					began := time.Now()
					list, done, err := s.Do(ctx, &Request{Queries: []Query{{RefID: "A", SQL: sql}}})
					if err != nil {
						t.Error(err)
						return
					}
					_, err = list[0].Result.All(ctx)
					done()
					if ctx.Err() != nil {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					answers[c]++
					longest[c] = max(longest[c], time.Since(began))
				}
			})
		}
		wg.Wait()
		// The one's own queries take their time, but it waits no longer for its turn.
		least, most := slices.Min(answers[1:]), slices.Max(answers)
		if answers[0] < 20 || least < 20 || most-least > 2 {
			t.Errorf("answers of each client: %v", answers)
		}
		if worst := slices.Max(longest); worst > time.Second {
			t.Errorf("one waited for %s", worst)
		}
	})
}
