package indicator

import (
	"context"
	"errors"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Overlay is a store with the indicators of files besides, which every snapshot shows. It is safe for concurrent use.
type Overlay struct {
	base  Base
	files *Files
}

// Over returns base with the files.
func Over(base Base, files *Files) *Overlay { return &Overlay{base, files} }

// Query runs p over both. Where p reads a stream of a file, it takes what is decided row by row, Scan, Filter, SemiJoin and
// Project, and leaves the others to exec.
func (o *Overlay) Query(ctx context.Context, p plan.Node, at store.Snapshot) (store.Rows, error) {
	scan, byRow := rowwise(p)
	tables := o.files.selected(scan.Streams)
	if len(tables) == 0 {
		return o.base.Query(ctx, p, at)
	}
	if !byRow {
		return nil, &store.Unsupported{Node: p, Why: "the store and files are read one after the other"}
	}
	first, err := query(ctx, o.base, p, at)
	if err != nil {
		return nil, err
	}
	second, err := query(ctx, held(tables), p, at)
	if err != nil {
		first.Close()
		return nil, err
	}
	return &both{rows: []store.Rows{first, second}}, nil
}

// rowwise returns the scan at the bottom of p; true where all above it is decided row by row.
func rowwise(p plan.Node) (plan.Scan, bool) {
	byRow := true
	for n := p; n != nil; n = plan.Input(n) {
		switch n := n.(type) {
		case plan.Scan:
			return n, byRow
		case plan.Filter, plan.SemiJoin, plan.Project:
		default:
			byRow = false
		}
	}
	return plan.Scan{Streams: []string{}}, byRow
}

// query runs p, in Go what q does not take.
func query(ctx context.Context, q store.Querier, p plan.Node, at store.Snapshot) (store.Rows, error) {
	rows, err := q.Query(ctx, p, at)
	var no *store.Unsupported
	if errors.As(err, &no) {
		return exec.Query(ctx, q, p, at)
	}
	return rows, err
}

// both are the rows of one query after those of another.
type both struct {
	rows []store.Rows
	err  error
}

// Next moves to the next row.
func (b *both) Next() bool {
	for len(b.rows) > 0 && b.err == nil {
		if b.rows[0].Next() {
			return true
		}
		if b.err = b.rows[0].Err(); b.err == nil {
			b.err = b.rows[0].Close()
			b.rows = b.rows[1:]
		}
	}
	return false
}

// Event is the present row.
func (b *both) Event() *event.Event { return b.rows[0].Event() }

// Err is the error that ended the rows.
func (b *both) Err() error { return b.err }

// Close ends both queries.
func (b *both) Close() error {
	var all error
	for _, r := range b.rows {
		all = errors.Join(all, r.Close())
	}
	b.rows = nil
	return all
}

// held is a Querier over tables. It takes a Scan, and a Filter above one, of which it looks at those indicators alone that
// an index finds.
type held []*table

// Query runs p.
func (h held) Query(ctx context.Context, p plan.Node, at store.Snapshot) (store.Rows, error) {
	switch n := p.(type) {
	case plan.Scan:
		return h.scan(ctx, n, nil), nil
	case plan.Filter:
		scan, ok := n.In.(plan.Scan)
		if !ok {
			break
		}
		some := make([][]uint32, len(h))
		indexed := false
		for i, t := range h {
			if found, ok := t.candidates(n.Cond); ok {
				some[i], indexed = found, true
			} else {
				some[i] = all
			}
		}
		if indexed { // what the index finds is decided by exec like all else
			return exec.Query(ctx, picked{h, some, scan}, n, at)
		}
	}
	return nil, &store.Unsupported{Node: p, Why: "it runs over what is scanned"}
}

// picked is a Querier over some rows of tables, and takes a Scan alone.
type picked struct {
	held
	rows [][]uint32
	as   plan.Scan // with the fields that are asked for
}

// Query runs p.
func (p picked) Query(ctx context.Context, n plan.Node, at store.Snapshot) (store.Rows, error) {
	if _, ok := n.(plan.Scan); !ok {
		return nil, &store.Unsupported{Node: n, Why: "it runs over what is scanned"}
	}
	return p.scan(ctx, p.as, p.rows), nil
}

func (h held) scan(ctx context.Context, n plan.Scan, some [][]uint32) store.Rows {
	c := &cursor{ctx: ctx}
	for i, t := range h {
		if !store.Selects(n.Streams, t.stream) {
			continue
		}
		p := part{table: t, keep: t.keeps(n.Fields), n: len(t.rows)}
		if some != nil && !isAll(some[i]) {
			p.some, p.picked, p.n = some[i], true, len(some[i])
		}
		c.parts = append(c.parts, p)
	}
	return c
}

// all stands for every row of a table.
var all = []uint32{^uint32(0)}

func isAll(rows []uint32) bool { return len(rows) == 1 && rows[0] == all[0] }

// part is what a scan reads of one table.
type part struct {
	*table
	keep   []bool // by path; nil: all
	picked bool
	some   []uint32
	n      int
}

// cursor reads the rows of a scan.
type cursor struct {
	ctx   context.Context
	parts []part
	i     int
	row   *event.Event
	err   error
}

// checkEvery is the number of rows between two looks at the context.
const checkEvery = 256

// Next moves to the next row.
func (c *cursor) Next() bool {
	for len(c.parts) > 0 {
		p := &c.parts[0]
		if c.i == p.n {
			c.parts, c.i = c.parts[1:], 0
			continue
		}
		if c.i%checkEvery == 0 {
			if c.err = c.ctx.Err(); c.err != nil {
				break
			}
		}
		row := uint32(c.i)
		if p.picked {
			row = p.some[c.i]
		}
		c.i++
		c.row = p.event(row, p.keep)
		return true
	}
	c.parts = nil
	return false
}

// Event is the present row.
func (c *cursor) Event() *event.Event { return c.row }

// Err is the error that ended the rows.
func (c *cursor) Err() error { return c.err }

// Close ends the scan.
func (c *cursor) Close() error {
	c.parts = nil
	return nil
}
