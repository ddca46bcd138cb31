package query

import (
	"context"
	"sync"
)

const (
	maxShapes    = 512
	maxShapeText = 64 << 10
)

// shapes remembers what queries need. That depends on their text alone, and a
// dashboard asks the same again and again, where parsing would be most of the
// work of an answer from the cache.
type shapes struct {
	mu     sync.Mutex
	byText map[string]*Shape
}

// inspect is Engine.Inspect. Nobody may change what it returns.
func (s *shapes) inspect(ctx context.Context, e Engine, sql string) (*Shape, error) {
	s.mu.Lock()
	shape := s.byText[sql]
	s.mu.Unlock()
	if shape != nil {
		return shape, nil
	}
	shape, err := e.Inspect(ctx, sql)
	if err != nil || len(sql) > maxShapeText {
		return shape, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byText == nil || len(s.byText) >= maxShapes {
		s.byText = map[string]*Shape{}
	}
	s.byText[sql] = shape
	return shape, nil
}
