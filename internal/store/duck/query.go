package duck

import (
	"context"
	"fmt"

	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// query is a plan of the form that the store takes: a scan with filters, then an order, a limit and a projection.
type query struct {
	scan    plan.Scan
	cond    expr.Cond // nil: every row
	sort    []plan.SortKey
	limit   int // -1: none
	project []string
	cut     bool // whether project counts
	lookups *lookups
}

// Query runs p over the events that at shows.
func (s *Store) Query(ctx context.Context, p plan.Node, at store.Snapshot) (store.Rows, error) {
	if a, ok := p.(plan.Aggregate); ok {
		return s.aggregate(ctx, a, at)
	}
	q, err := shape(p)
	if err != nil {
		return nil, err
	}
	if q.sort != nil {
		return s.top(ctx, p, q, at)
	}
	return s.scan(ctx, q, at)
}

// shape returns p as a query.
func shape(p plan.Node) (*query, error) {
	switch p := p.(type) {
	case plan.Scan:
		return &query{scan: p, limit: -1, lookups: &lookups{}}, nil
	case plan.Filter:
		q, err := shape(p.In)
		if err != nil {
			return nil, err
		}
		if q.limit >= 0 || q.cut {
			return nil, &store.Unsupported{Node: p, Why: "a filter above a limit or a projection"}
		}
		q.cond = expr.All(q.cond, expr.Indexed(p.Cond, maxClauseIn))
		return q, nil
	case plan.SemiJoin:
		return shape(plan.Filter{In: p.In, Cond: p.Cond()})
	case plan.Sort:
		q, err := shape(p.In)
		if err != nil {
			return nil, err
		}
		if q.limit >= 0 || q.cut || q.sort != nil {
			return nil, &store.Unsupported{Node: p, Why: "an order above a limit, a projection or another order"}
		}
		q.sort = append([]plan.SortKey{}, p.Keys...)
		return q, nil
	case plan.Limit:
		q, err := shape(p.In)
		if err != nil {
			return nil, err
		}
		if q.limit < 0 || p.N < q.limit {
			q.limit = max(p.N, 0)
		}
		return q, nil
	case plan.Project:
		q, err := shape(p.In)
		if err != nil {
			return nil, err
		}
		if q.cut {
			return nil, &store.Unsupported{Node: p, Why: "a projection of a projection"}
		}
		q.cut, q.project = true, p.Paths
		return q, nil
	}
	return nil, &store.Unsupported{Node: p, Why: fmt.Sprintf("no SQL for %T", p)}
}
