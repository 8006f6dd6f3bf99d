package exec

import (
	"context"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Each calls f with each row of Query, in order, until f returns an error, which it then returns.
func Each(ctx context.Context, q store.Querier, p plan.Node, at store.Snapshot, f func(*event.Event) error) error {
	rows, err := Query(ctx, q, p, at)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Event()); err != nil {
			return err
		}
	}
	return rows.Err()
}

// CountOf counts the events of streams for which cond is True.
func CountOf(ctx context.Context, q store.Querier, streams []string, cond expr.Cond, at store.Snapshot) (n int64, err error) {
	const name = "n"
	node := plan.Aggregate{Aggs: []plan.Agg{{Name: name, Fn: plan.Count}}, In: plan.Filter{Cond: cond, In: plan.Scan{Streams: streams}}}
	err = Each(ctx, q, node, at, func(row *event.Event) error {
		n = row.Get(name).Int()
		return nil
	})
	return n, err
}
