package detect

import (
	"context"
	"fmt"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Excepted reports whether exceptions hide events from the rule.
func (p *Program) Excepted() bool { return !p.hidden.Empty() }

// HiddenBy returns the exception that keeps a run at now from seeing e; nil where none does.
func (p *Program) HiddenBy(e *event.Event, now time.Time) *exception.Item { return p.hidden.By(e, now) }

// Hides counts the events that the query of a run at now finds in all that is stored, and how many of them the exceptions
// hide from it.
func (p *Program) Hides(ctx context.Context, events store.Querier, at store.Snapshot, now time.Time) (found, hidden int64, err error) {
	query := p.asked
	if query == nil {
		if query, err = p.lower(now); err != nil {
			return 0, 0, fmt.Errorf("read the query at %s: %w", event.FormatTime(now), err)
		}
	}
	if found, err = p.count(ctx, events, at, query); err != nil || found == 0 {
		return found, 0, err
	}
	hidden, err = p.count(ctx, events, at, expr.All(query, expr.Some(p.hidden.Always(), p.hidden.At(now))))
	return found, hidden, err
}

// count counts the events that fulfil a condition.
func (p *Program) count(ctx context.Context, events store.Querier, at store.Snapshot, cond expr.Cond) (n int64, err error) {
	const name = "n"
	rows, err := exec.Query(ctx, events, plan.Aggregate{In: plan.Filter{Cond: cond, In: plan.Scan{Streams: p.Streams()}},
		Aggs: []plan.Agg{{Name: name, Fn: plan.Count}}}, at)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		n = rows.Event().Get(name).Int()
	}
	return n, rows.Err()
}
