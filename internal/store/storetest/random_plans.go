package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// maxSample bounds the rows that a planner looks at.
const maxSample = 150

// randomPlan makes a plan over the events that q shows at the snapshot. What it gives is determined, but for a limit at
// its end without a sort below.
func randomPlan(r *rand.Rand, q store.Querier, at store.Snapshot) plan.Node {
	g := &planner{r: r, fields: readable()}
	var p plan.Node = randomScan(r)
	look := func() {
		var err error
		if g.rows, err = query(context.Background(), q, plan.Limit{In: p, N: maxSample}, at); err != nil {
			panic(fmt.Sprintf("%v\n%s", err, formatPlan(p)))
		}
	}
	look()
	if len(g.rows) == 0 && chance(r, 90) {
		p = plan.Scan{}
		look()
	}
	for n := pick(r, []int{1, 1, 2, 2, 2, 3, 3, 4, 5}); n > 0; n-- {
		before, rows := p, g.rows
		for try := 0; ; try++ {
			p = g.node(before)
			look()
			// An empty result is seldom worth going on with.
			if len(g.rows) > 0 || len(rows) == 0 || try == 3 || chance(r, 10) {
				break
			}
			g.rows = rows
		}
		added := columns(p)
		switch p.(type) {
		case plan.Aggregate, plan.Sequence, plan.Sample: // of the rest, little is left to ask for
			g.fields = g.fields[:5]
			added = append(added, added...)
		}
		g.fields = append(g.fields, added...)
	}
	if !orderOf(p).total && chance(r, 4) {
		p = plan.Limit{In: p, N: r.IntN(20)}
	}
	return p
}

func randomScan(r *rand.Rand) plan.Scan {
	return plan.Scan{Streams: pick(r, [][]string{nil, nil, nil, nil, {"*"}, {"*", ".*"}, {"logs-*"}, {"logs-a"}, {"logs-*", "-*-b"},
		{".*"}, {"*-a", "metrics-c"}, {store.AlertStream, "logs-a"}, {"nothing"}})}
}

// node puts a random node above p.
func (g *planner) node(p plan.Node) plan.Node {
	o := orderOf(p)
	if o.keyed && len(o.groups) == 0 && !o.one && chance(g.r, 13) { // rows are events
		if chance(g.r, 60) {
			return g.sequence(p)
		}
		return g.sampleOf(p)
	}
	switch k := g.r.IntN(100); {
	case k < 44:
		return plan.Filter{In: p, Cond: g.cond(3)}
	case k < 50:
		return g.semiJoin(p)
	case k < 60:
		return g.eval(p)
	case k < 68:
		return g.project(p)
	case k < 80:
		return g.aggregate(p)
	case o.total && k < 92:
		return plan.Limit{In: p, N: pick(g.r, []int{0, 1, 2, 3, 5, 10, 50, 1000})}
	}
	keys := plan.Sort{In: p}
	for range 1 + g.r.IntN(3) {
		keys.Keys = append(keys.Keys, plan.SortKey{Value: g.value(1, g.class()), Desc: chance(g.r, 50)})
	}
	for _, f := range o.groups {
		keys.Keys = append(keys.Keys, plan.SortKey{Value: expr.One{Field: f}})
	}
	return keys
}

// columnName is the name of a new column: a fresh one, or that of a field, whose place it takes.
func (g *planner) columnName(i int) string {
	return pick(g.r, []string{fmt.Sprintf("c%d", i), fmt.Sprintf("new.col.%d", i), fmt.Sprintf("odd name %d", i),
		[]string{"user.name", "source.port", "event.action"}[i%3]})
}

func (g *planner) eval(p plan.Node) plan.Node {
	e := plan.Eval{In: p}
	for i := range 1 + g.r.IntN(3) {
		c := plan.Column{Name: g.columnName(i), Value: g.value(2, g.class())}
		if i > 0 && chance(g.r, 30) { // what the column before it takes the place of
			c.Value = expr.One{Field: column(e.Cols[i-1].Name, typeOf(e.Cols[i-1].Value))}
		}
		e.Cols = append(e.Cols, c)
	}
	return e
}

func (g *planner) project(p plan.Node) plan.Node {
	n := plan.Project{In: p}
	if chance(g.r, 5) {
		return n
	}
	for range 2 + g.r.IntN(10) {
		n.Paths = append(n.Paths, pick(g.r, g.fields).Path)
	}
	if chance(g.r, 40) {
		n.Paths = append(n.Paths, pick(g.r, []string{"user", "event", "aws", "files", "free", "source", "custom", "odd", "files.hash", "@timestamp"}))
	}
	return n
}

func (g *planner) aggregate(p plan.Node) plan.Node {
	n := plan.Aggregate{In: p}
	for i := range pick(g.r, []int{0, 1, 1, 1, 2, 2, 3}) {
		group := plan.Group{Name: fmt.Sprintf("g%d", i)}
		if chance(g.r, 15) {
			group.Name = g.columnName(i)
		}
		if chance(g.r, 60) {
			group.Each = g.field(isScalar)
		} else {
			group.Value = g.value(1, g.class())
		}
		n.By = append(n.By, group)
	}
	for i := range pick(g.r, []int{0, 1, 1, 2, 3}) {
		agg := plan.Agg{Name: fmt.Sprintf("n%d", i), Fn: plan.AggFn(g.r.IntN(4))}
		if agg.Fn != plan.Count {
			agg.Value = g.value(1, g.class())
		}
		n.Aggs = append(n.Aggs, agg)
	}
	return n
}

// columns are the fields that the topmost node of p adds.
func columns(p plan.Node) []expr.Field {
	var out []expr.Field
	switch n := p.(type) {
	case plan.Eval:
		for _, c := range n.Cols {
			out = append(out, column(c.Name, typeOf(c.Value)))
		}
	case plan.Aggregate:
		out = groupsOf(n)
		for _, a := range n.Aggs {
			if a.Fn == plan.Count || a.Fn == plan.CountDistinct {
				out = append(out, column(a.Name, event.Long))
			} else {
				out = append(out, column(a.Name, typeOf(a.Value)))
			}
		}
	case plan.Sequence, plan.Sample:
		out = foundColumns()
	}
	return out
}

// typeOf is the type by which the values of x can be read again.
func typeOf(x expr.Value) event.Type {
	switch x := x.(type) {
	case expr.One:
		return x.Field.Type
	case expr.Least:
		return x.Field.Type
	case expr.Test:
		return event.Boolean
	case expr.Lit:
		switch x.Value.Kind() {
		case event.KindBool:
			return event.Boolean
		case event.KindInt:
			return event.Long
		case event.KindFloat:
			return event.Double
		case event.KindTime:
			return event.Date
		case event.KindIP:
			return event.IPType
		}
	case expr.Call:
		switch x.Fn {
		case "length":
			return event.Long
		case "day":
			return event.Date
		case "coalesce":
			return typeOf(x.Args[0])
		}
		for _, s := range signatures {
			if s.fn == x.Fn {
				if s.gives == event.Long && slices.ContainsFunc(x.Args, func(a expr.Value) bool { return typeOf(a) == event.Double }) {
					return event.Double
				}
				return s.gives
			}
		}
	}
	return event.Keyword
}

// order is what is known of the rows of a plan.
type order struct {
	// total says that they come in an order that leaves nothing open.
	total bool
	// keyed says that no two rows are alike to a sort: events differ by stream and ID, groups by the fields groups.
	keyed  bool
	groups []expr.Field
	// one says that the only row is no event.
	one bool
}

// tellsApart reports whether a sort by x read again as typeOf(x) tells all of its values apart: not where they are of
// several types, or whole numbers and fractions among each other.
func tellsApart(x expr.Value) bool {
	c, ok := x.(expr.Call)
	if !ok {
		return true
	}
	if c.Fn == "coalesce" {
		return !slices.ContainsFunc(c.Args, func(a expr.Value) bool { return !tellsApart(a) || typeOf(a) != typeOf(c.Args[0]) })
	}
	return !slices.ContainsFunc(signatures, func(s signature) bool {
		return s.fn == c.Fn && (s.gives == event.Long || s.gives == event.Double)
	})
}

func orderOf(p plan.Node) order {
	switch n := p.(type) {
	case plan.Scan:
		return order{keyed: true}
	case plan.Aggregate:
		open := slices.ContainsFunc(n.By, func(g plan.Group) bool { return g.Value != nil && !tellsApart(g.Value) })
		return order{keyed: !open, groups: groupsOf(n), total: len(n.By) == 0, one: len(n.By) == 0}
	case plan.Sequence, plan.Sample:
		return order{keyed: true, groups: []expr.Field{{Path: plan.FoundNumber, Type: event.Long}}, total: true}
	}
	o := orderOf(plan.Input(p))
	switch n := p.(type) {
	case plan.Sort:
		o.total = o.keyed
		for _, f := range o.groups {
			o.total = o.total && slices.ContainsFunc(n.Keys, func(k plan.SortKey) bool { return k.Value == expr.One{Field: f} })
		}
	case plan.Eval:
		for _, f := range o.groups {
			o.keyed = o.keyed && !slices.ContainsFunc(n.Cols, func(c plan.Column) bool { return c.Name == f.Path })
		}
	case plan.Project:
		for _, f := range o.groups {
			o.keyed = o.keyed && slices.Contains(n.Paths, f.Path)
		}
	}
	return o
}

// determined reports whether p gives the same rows whoever runs it; open says that any rows will do for the limit at its
// end.
func determined(p plan.Node) (ok, open bool) {
	top := true
	for n := p; n != nil; n = plan.Input(n) {
		if l, limit := n.(plan.Limit); limit && !orderOf(l.In).total {
			if !top {
				return false, false
			}
			open = true
		}
		top = false
	}
	return true, open
}

func groupsOf(n plan.Aggregate) []expr.Field {
	var out []expr.Field
	for _, g := range n.By {
		out = append(out, column(g.Name, groupType(g)))
	}
	return out
}

func groupType(g plan.Group) event.Type {
	if g.Value != nil {
		return typeOf(g.Value)
	}
	return g.Each.Type
}

// column is the field that reads a column whose values were read by type t.
func column(name string, t event.Type) expr.Field {
	if t == event.Flattened || t.IsText() {
		t = event.Keyword
	}
	return expr.Field{Path: name, Type: t}
}
