package storetest

import (
	"fmt"
	"slices"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// The notation of a Member: (member user.name:keyword "ann" "bob") and, with ranges behind the single values, (member
// source.ip:ip ip"10.0.0.1" .. ip"10.1.0.0" ip"10.1.0.9"). Sets of texts have none.

func formatMember(c expr.Member) string {
	out := "(member " + c.Field.String()
	for _, v := range slices.SortedFunc(c.Set.Points(), event.Compare) {
		out += " " + formatLiteral(v)
	}
	for least, greatest := range c.Set.Ranges() {
		out += " .. " + formatLiteral(least) + " " + formatLiteral(greatest)
	}
	return out + ")"
}

func (r *reader) member() expr.Cond {
	f := r.field()
	t := setType(f)
	b := expr.NewSet(t)
	for r.more() {
		added := false
		if r.peek() == ".." {
			r.take()
			least := r.typed(t)
			added = b.AddRange(least, r.typed(t))
		} else {
			added = b.Add(r.typed(t))
		}
		if !added {
			r.fail("no value of a set of the type " + t.String())
		}
	}
	set, err := b.Set()
	if err != nil {
		r.fail(err.Error())
	}
	return expr.Member{Field: f, Set: set}
}

// semiJoin reads a SemiJoin: semijoin (member …), or semijoin anti (member …).
func (r *reader) semiJoin(in plan.Node) plan.Node {
	n := plan.SemiJoin{In: in}
	if r.peek() == "anti" {
		r.take()
		n.Anti = true
	}
	c, ok := r.cond().(expr.Member)
	if !ok {
		r.fail("expected a member")
	}
	n.Field, n.Set = c.Field, c.Set
	return n
}

// semiJoin makes a SemiJoin above p.
func (g *planner) semiJoin(p plan.Node) plan.Node {
	c := g.member().(expr.Member)
	return plan.SemiJoin{In: p, Field: c.Field, Set: c.Set, Anti: chance(g.r, 50)}
}

// setType is the type of a set that values of f are looked up in: tokens in one of keywords.
func setType(f expr.Field) event.Type {
	if f.Type.IsText() {
		return event.Keyword
	}
	return f.Type
}

func (g *planner) member() expr.Cond {
	f := g.field(isScalar)
	b := expr.NewSet(setType(f))
	if chance(g.r, 12) {
		pad(b, setType(f))
	}
	for range pick(g.r, []int{0, 1, 2, 5, 40}) {
		v := g.typed(f)
		if f.Type.IsText() {
			for _, token := range expr.Tokens(f.Type, v.Text()) {
				b.Add(event.String(token))
			}
			continue
		}
		if w := g.typed(f); chance(g.r, 30) && event.Compare(v, w) <= 0 && b.AddRange(v, w) {
			continue
		}
		b.Add(v)
	}
	set, err := b.Set()
	if err != nil {
		panic("storetest: " + err.Error())
	}
	return expr.Member{Field: f, Set: set}
}

// pad adds so many values that the set is large (plan.LargeSet), none of which an event is likely to have.
func pad(b *expr.SetBuilder, t event.Type) {
	for i := range plan.LargeSet {
		v := event.Int(int64(i) + 7_000_000)
		switch {
		case t == event.IPType:
			v = event.String(fmt.Sprintf("100.64.%d.%d", i>>8, i&255))
		case t == event.Date || t == event.Double || t == event.Long:
		case t == event.Boolean:
			return
		default:
			v = event.String(fmt.Sprintf("pad %d", i))
		}
		if v, ok := event.Coerce(t, v); ok {
			b.Add(v)
		}
	}
}

// simplerMembers are conditions that a Member may be as wrong as.
func simplerMembers(c expr.Member) []expr.Cond {
	var out []expr.Cond
	points := slices.Collect(c.Set.Points())
	if n := len(points); n > 0 && n == c.Set.Len() && !c.Field.Type.IsText() {
		out = append(out, expr.In{Field: c.Field, Values: points})
	}
	return out
}
