package exec

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// maxKeys bounds the combinations of key values that one event of a sequence or sample belongs to.
const maxKeys = 10_000

// candidate is an event of some stage.
type candidate struct {
	e      *event.Event
	time   int64  // in milliseconds
	stages uint64 // a bit for each stage whose condition is true
}

// candidates are the events of In that are of some stage.
type candidates struct {
	ctx   context.Context
	in    cursor
	conds []expr.Cond
	order plan.Order
	time  expr.One
	read  int
}

// candidates returns the events that stages ask for. The engine finds those of all stages at once, by the condition that
// one of theirs is true; sorted says that it gives them in order.
func (b *builder) candidates(in plan.Node, order plan.Order, stages []plan.Stage, wantSorted bool) (c *candidates, sorted bool, err error) {
	c = &candidates{ctx: b.ctx, order: order, time: order.Value()}
	for _, s := range stages {
		c.conds = append(c.conds, expr.Indexed(s.Cond, indexOver))
	}
	some := plan.Filter{In: in, Cond: anyStage(stages)}
	ok := false
	if wantSorted {
		if c.in, ok, err = b.leaf(order.Sort(some)); ok && err == nil {
			c.in = readAhead(b.ctx, c.in)
		}
		if ok || err != nil {
			return c, ok, err
		}
	}
	if c.in, ok, err = b.leaf(some); !ok && err == nil {
		c.in, err = b.build(in)
	}
	return c, false, err
}

// anyStage is the condition that an event is of one of the stages.
func anyStage(stages []plan.Stage) expr.Cond {
	conds := make([]expr.Cond, len(stages))
	for i, s := range stages {
		conds[i] = s.Cond
	}
	return expr.Some(conds...)
}

// next returns the next event that is of a stage. timed is false of events that have no time, or several.
func (c *candidates) next() (found candidate, timed, ok bool, err error) {
	for {
		if c.read++; c.read%checkEvery == 0 {
			if err := c.ctx.Err(); err != nil {
				return candidate{}, false, false, err
			}
		}
		r, ok, err := c.in.next()
		if !ok || err != nil {
			return candidate{}, false, false, err
		}
		x := candidate{e: r.e}
		for i, cond := range c.conds {
			if expr.Matches(cond, r.e) {
				x.stages |= 1 << i
			}
		}
		if x.stages == 0 {
			continue
		}
		t, ok := only(c.time.Field, r.e)
		if !ok {
			t = expr.Compute(c.time, r.e)
		}
		x.time = t.Int()
		return x, !t.IsNull(), true, nil
	}
}

// compare orders two events that have a time.
func (c *candidates) compare(a, b candidate) int {
	if a.time != b.time {
		return cmp.Compare(a.time, b.time)
	}
	for _, x := range c.order.Ties {
		if d := nullsLast(expr.Compute(x, a.e), expr.Compute(x, b.e)); d != 0 {
			return d
		}
	}
	return cmp.Or(cmp.Compare(a.e.Stream, b.e.Stream), cmp.Compare(a.e.ID, b.e.ID))
}

func nullsLast(a, b event.Value) int {
	switch {
	case a.IsNull() || b.IsNull():
		return order(a.IsNull(), b.IsNull())
	}
	return event.Compare(a, b)
}

// order puts false before true.
func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// inOrder are the candidates that have a time, in order. Where the engine does not sort them they are held, at most max
// of them.
type inOrder struct {
	*candidates
	max    int
	sorted bool // they come in order
	loaded bool
	held   [][]candidate // pieces, given back as they are used up
}

// piece is the number of candidates that are held together, as long as they come in order.
const piece = 8192

func (c *inOrder) next() (candidate, bool, error) {
	if c.sorted {
		for {
			x, timed, ok, err := c.candidates.next()
			if timed || !ok || err != nil {
				return x, ok, err
			}
		}
	}
	if !c.loaded {
		c.loaded = true
		if err := c.load(); err != nil {
			c.held = nil
			return candidate{}, false, err
		}
	}
	for len(c.held) > 0 && len(c.held[0]) == 0 {
		c.held[0], c.held = nil, c.held[1:]
	}
	if len(c.held) == 0 {
		return candidate{}, false, nil
	}
	x := c.held[0][0]
	c.held[0][0].e = nil
	c.held[0] = c.held[0][1:]
	return x, true, nil
}

func (c *inOrder) load() error {
	ascending, n := true, 0
	var last candidate
	var some []candidate
	for {
		x, timed, ok, err := c.candidates.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if !timed {
			continue
		}
		if n++; n > c.max {
			return &LimitError{What: "events of the stages of a sequence", Max: c.max}
		}
		ascending = ascending && (n == 1 || c.compare(last, x) <= 0)
		if last = x; len(some) == piece {
			c.held, some = append(c.held, some), make([]candidate, 0, piece)
		}
		some = append(some, x)
	}
	c.held = append(c.held, some)
	if !ascending {
		all := slices.Concat(c.held...)
		slices.SortStableFunc(all, c.compare)
		c.held = [][]candidate{all}
	}
	return nil
}

// keyReader reads the keys of events.
type keyReader struct {
	key    []byte
	values []event.Value
}

// each calls f for every combination of values of the keys in e: with bytes that are the same for equal combinations
// alone, and with the values. Both are used again.
func (r *keyReader) each(keys []plan.Key, e *event.Event, f func(key []byte, values []event.Value) error) error {
	var several [][]event.Value
	combinations := 1
	r.values = r.values[:0]
	for i, k := range keys {
		var values []event.Value
		if k.Field.Path != "" {
			if v, ok := only(k.Field, e); ok && !v.IsNull() {
				r.values = append(r.values, v)
				continue
			}
			values = distinct(expr.Read(k.Field, e))
		}
		switch {
		case len(values) > 0:
			r.values = append(r.values, values[0])
		case k.Optional || k.Field.Path == "":
			r.values = append(r.values, event.Null())
		default:
			return nil
		}
		if len(values) > 1 {
			if combinations *= len(values); combinations > maxKeys {
				return &LimitError{What: "combinations of keys in one event", Max: maxKeys}
			}
			if several == nil {
				several = make([][]event.Value, len(keys))
			}
			several[i] = values
		}
	}
	pick := make([]int, len(several))
	for {
		r.key = r.key[:0]
		for _, v := range r.values {
			r.key = appendKey(r.key, v)
		}
		if err := f(r.key, r.values); err != nil {
			return err
		}
		i := len(several) - 1
		for ; i >= 0; i-- {
			if len(several[i]) == 0 {
				continue
			}
			if pick[i]++; pick[i] == len(several[i]) {
				pick[i] = 0
			}
			if r.values[i] = several[i][pick[i]]; pick[i] > 0 {
				break
			}
		}
		if i < 0 {
			return nil
		}
	}
}

// only returns what f is in e where there is at most one scalar, null where there is none that fits; false: look closer.
func only(f expr.Field, e *event.Event) (event.Value, bool) {
	v, is := e.Only(f.Path)
	if !is || f.Root {
		return v, false
	}
	v, ok := event.Coerce(f.Type, v)
	if !ok {
		v = event.Null()
	}
	return v, true
}

// compareKeys orders lists of key values, null first.
func compareKeys(a, b []event.Value) int {
	for i := range a {
		if d := order(!a[i].IsNull(), !b[i].IsNull()); d != 0 {
			return d
		}
		if d := event.Compare(a[i], b[i]); d != 0 {
			return d
		}
	}
	return 0
}

// checkStages says what is wrong with the stages of a node.
func checkStages(stages []plan.Stage, until *plan.Stage) error {
	n := len(stages)
	if until != nil {
		n++
	}
	if n > plan.MaxStages {
		return fmt.Errorf("%d stages, %d are the most", n, plan.MaxStages)
	}
	if len(stages) == 0 {
		return fmt.Errorf("no stages")
	}
	for i, s := range stages {
		if s.Runs < 0 || s.Runs > plan.MaxRuns {
			return fmt.Errorf("stage %d runs %d times, %d are the most", i, s.Runs, plan.MaxRuns)
		}
		if len(s.Keys) != len(stages[0].Keys) {
			return fmt.Errorf("stage %d has %d keys, the first %d", i, len(s.Keys), len(stages[0].Keys))
		}
	}
	if until != nil && len(until.Keys) != len(stages[0].Keys) {
		return fmt.Errorf("the stage that ends has %d keys, the first %d", len(until.Keys), len(stages[0].Keys))
	}
	return nil
}
