// Package exec runs plans. It gives an engine the largest part of a plan that the engine takes and runs the rest in Go,
// one operator a file; over a Slice of events it runs all of it. What the operators do is the meaning of the plan's
// nodes: engines give the same rows.
//
//	rows, err := exec.Query(ctx, db, plan.Limit{N: 10, In: plan.Filter{Cond: c, In: plan.Scan{}}}, at)
//	defer rows.Close()
//	for rows.Next() { use(rows.Event()) }
//	if err := rows.Err(); err != nil { … }
//
// Rows stream through all operators but Sort and Aggregate, which hold at most MaxSortRows rows and MaxGroups groups,
// Sequence, which holds the events of its stages where the engine does not sort them, and the sequences that may still go
// on, and Sample. They end with a *LimitError beyond: a query never loses rows silently. The package stores nothing and
// knows no language.
package exec

import (
	"context"
	"errors"
	"fmt"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// MaxSortRows is the number of rows that a Sort, or a Sequence that has to sort, holds; MaxGroups the number of groups, of
// distinct values and of combinations a row that an Aggregate holds, and of keys that a Sequence or Sample holds at once.
// More end the query with a *LimitError.
const (
	MaxSortRows = 1_000_000
	MaxGroups   = 1_000_000
)

// LimitError says that a query needs more memory than an operator may take.
type LimitError struct {
	What string // what there were too many of, such as "rows to sort"
	Max  int
}

// Error says what there were too many of.
func (e *LimitError) Error() string {
	return fmt.Sprintf("more than %d %s: narrow the query", e.Max, e.What)
}

// Query runs p over q at the snapshot. What q does not take (store.Unsupported) runs in Go over the largest part of p
// that it does take; it must take a Scan. Rows, order and cancellation are as store.Querier has them.
func Query(ctx context.Context, q store.Querier, p plan.Node, at store.Snapshot) (store.Rows, error) {
	p = plan.Prune(plan.SemiJoins(p))
	whole, err := q.Query(ctx, p, at)
	var no *store.Unsupported
	if err == nil || !errors.As(err, &no) {
		return whole, err
	}
	b := builder{ctx: ctx, sortRows: MaxSortRows, groups: MaxGroups, leaf: func(n plan.Node) (cursor, bool, error) {
		rows, err := q.Query(ctx, n, at)
		if err == nil {
			return &engineRows{rows: rows}, true, nil
		}
		if _, isScan := n.(plan.Scan); !isScan && errors.As(err, &no) {
			return nil, false, nil
		}
		return nil, false, err
	}}
	c, err := b.above(p)
	if err != nil {
		return nil, err
	}
	return &output{ctx: ctx, in: c}, nil
}

// row is an event on its way through the operators. One that is not owned is shared with the store: who changes it, or
// hands it out, clones it first.
type row struct {
	e     *event.Event
	owned bool
}

func (r row) own() *event.Event {
	if r.owned {
		return r.e
	}
	return r.e.Clone()
}

// cursor is what operators read from and are themselves.
type cursor interface {
	// next returns the next row, false at the end.
	next() (row, bool, error)
	close() error
}

// builder puts operators above leaves.
type builder struct {
	ctx context.Context
	// leaf returns the rows of a node that need no operator here, false where n is to be run in Go.
	leaf             func(n plan.Node) (cursor, bool, error)
	sortRows, groups int
}

// build returns the rows of n.
func (b *builder) build(n plan.Node) (cursor, error) {
	if n == nil {
		return nil, errors.New("run plan: it does not end in a scan")
	}
	if c, ok, err := b.leaf(n); ok || err != nil {
		return c, err
	}
	return b.above(n)
}

// above returns the rows of n, which is no leaf, over those of the node below it.
func (b *builder) above(n plan.Node) (cursor, error) {
	switch n := n.(type) {
	case plan.Limit:
		if s, ok := n.In.(plan.Sort); ok {
			return b.top(n, s)
		}
	case plan.Sequence:
		return b.sequences(n)
	case plan.Sample:
		return b.samples(n)
	}
	in, err := b.build(plan.Input(n))
	if err != nil {
		return nil, err
	}
	switch n := n.(type) {
	case plan.Filter:
		return &filter{in: in, cond: n.Cond}, nil
	case plan.SemiJoin:
		return &filter{in: in, cond: n.Cond()}, nil
	case plan.Eval:
		return &eval{in: in, cols: n.Cols}, nil
	case plan.Aggregate:
		return newAggregate(in, n, b.groups), nil
	case plan.Sort:
		return &sorter{in: in, keys: n.Keys, max: b.sortRows}, nil
	case plan.Limit:
		return &limit{in: in, left: n.N}, nil
	case plan.Project:
		return &project{in: in, paths: n.Paths}, nil
	}
	return nil, errors.Join(fmt.Errorf("run plan: no operator for %T", n), in.close())
}

// top returns the first rows of a sort, of which no more than l.N are ever held.
func (b *builder) top(l plan.Limit, s plan.Sort) (cursor, error) {
	sorted, ok, err := b.leaf(s)
	if err != nil {
		return nil, err
	}
	if ok {
		return &limit{in: sorted, left: l.N}, nil
	}
	in, err := b.build(s.In)
	if err != nil {
		return nil, err
	}
	return &sorter{in: in, keys: s.Keys, max: b.sortRows, top: true, n: l.N}, nil
}

// engineRows are the rows that an engine gave.
type engineRows struct{ rows store.Rows }

func (c *engineRows) next() (row, bool, error) {
	if !c.rows.Next() {
		return row{}, false, c.rows.Err()
	}
	return row{e: c.rows.Event(), owned: true}, true, nil
}

func (c *engineRows) close() error { return c.rows.Close() }

// output hands rows to the caller.
type output struct {
	ctx  context.Context
	in   cursor
	row  *event.Event
	err  error
	done bool
}

// Next moves to the next row.
func (o *output) Next() bool {
	if o.done {
		return false
	}
	o.row = nil
	if o.err = o.ctx.Err(); o.err == nil {
		var r row
		var ok bool
		if r, ok, o.err = o.in.next(); ok && o.err == nil {
			o.row = r.own()
			return true
		}
	}
	o.done = true
	return false
}

// Event is the present row.
func (o *output) Event() *event.Event { return o.row }

// Err is the error that ended the rows.
func (o *output) Err() error { return o.err }

// Close ends the query.
func (o *output) Close() error {
	o.done = true
	if o.in == nil {
		return nil
	}
	in := o.in
	o.in = nil
	return in.close()
}
