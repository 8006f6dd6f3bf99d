package opensearch

import (
	"context"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// Asks returns the query that c becomes on the streams that patterns name, and whether it finds nothing else.
func (s *Store) Asks(ctx context.Context, patterns []string, c expr.Cond) (query string, exact bool, err error) {
	v, err := s.view(ctx, patterns)
	if err != nil {
		return "", false, err
	}
	q, err := v.lower(c)
	return string(q.query.AppendJSON(nil)), q.exact, err
}

// LowerOn returns the query that c becomes on one index with these mappings and settings.
func LowerOn(mappings, settings event.Value, c expr.Cond) (event.Value, bool, error) {
	x, err := readIndex("x", mappings, settings)
	if err != nil {
		return event.Value{}, false, err
	}
	v := &view{streams: []string{"x"}, streamOf: map[string]string{"x": "x"}, indices: []*index{x}, names: "x"}
	q, err := v.lower(c)
	return q.query, q.exact, err
}
