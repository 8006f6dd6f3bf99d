package storetest

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

// faulty is an engine that runs plans a little wrong.
type faulty struct {
	store.Store
	node func(plan.Node) plan.Node
	cond func(expr.Cond) expr.Cond
	at   func(*store.Snapshot)
}

// Query runs what the fault makes of p.
func (f faulty) Query(ctx context.Context, p plan.Node, at store.Snapshot) (store.Rows, error) {
	if f.at != nil {
		f.at(&at)
	}
	return f.Store.Query(ctx, f.spoil(p), at)
}

func (f faulty) spoil(p plan.Node) plan.Node {
	in := plan.Input(p)
	if in != nil {
		p = plan.Over(p, f.spoil(in))
	}
	if filter, ok := p.(plan.Filter); ok && f.cond != nil {
		p = plan.Filter{In: filter.In, Cond: f.spoilCond(filter.Cond)}
	}
	if f.node != nil {
		p = f.node(p)
	}
	return p
}

func (f faulty) spoilCond(c expr.Cond) expr.Cond {
	each := func(conds []expr.Cond) []expr.Cond {
		out := make([]expr.Cond, len(conds))
		for i, sub := range conds {
			out[i] = f.spoilCond(sub)
		}
		return out
	}
	switch sub := c.(type) {
	case expr.And:
		c = expr.And{Conds: each(sub.Conds)}
	case expr.Or:
		c = expr.Or{Conds: each(sub.Conds)}
	case expr.Not:
		c = expr.Not{Cond: f.spoilCond(sub.Cond)}
	case expr.Nested:
		c = expr.Nested{Path: sub.Path, Cond: f.spoilCond(sub.Cond)}
	}
	return f.cond(c)
}

// TestRandomFindsFaults plants one fault after the other into an engine and holds that random plans find each, and that
// what they make small is a file for testdata that shows it.
func TestRandomFindsFaults(t *testing.T) {
	f := func(name string, fault faulty) {
		t.Helper()
		e := Engine{Name: name, Open: func(_ testing.TB, _ string, types Types) store.Store {
			out := fault
			out.Store = mem.New(types)
			return out
		}}
		const most = 3000
		for n, set := 0, uint64(0); n < most; set++ {
			r := rand.New(rand.NewPCG(99, set))
			events := randomEvents(r, 60)
			p := openPair(t, e, events)
			for range 100 {
				n++
				at := store.Snapshot{Seq: uint64(len(p.seqs) - 1)}
				if at.Seq > 1 {
					at.After = r.Uint64N(2)
				}
				node := randomPlan(r, p.mem, p.snapshot(at))
				if _, why := p.compare(node, at); why == "" {
					continue
				}
				small := shrink(t, e, trial{events: events, plan: node, at: at})
				c, err := parseCase([]byte(small))
				if err != nil {
					t.Fatalf("%s: %v\n%s", name, err, small)
				}
				p := openPair(t, e, c.events)
				_, open := determined(c.facts[0].plan)
				if why := c.facts[0].check(p.mem, p.seqs); why != "" && !open {
					t.Errorf("%s: mem differs from its own rows: %s\n%s", name, why, small)
				}
				if _, why := p.compare(c.facts[0].plan, c.facts[0].at); why == "" {
					t.Errorf("%s: what was made small shows nothing:\n%s", name, small)
				}
				if len(c.events) > 4 || strings.Count(formatPlan(c.facts[0].plan), "\n") > 4 {
					t.Errorf("%s: not small:\n%s", name, small)
				}
				t.Logf("%s: found by plan %d, made small: %d events, %s", name, n, len(c.events),
					strings.ReplaceAll(strings.TrimSpace(formatPlan(c.facts[0].plan)), "\n", "; "))
				return
			}
		}
		t.Errorf("%s: not found by %d plans", name, most)
	}
	cond := func(change func(expr.Cond) expr.Cond) faulty { return faulty{cond: change} }
	node := func(change func(plan.Node) plan.Node) faulty { return faulty{node: change} }

	f("bounds are always included", cond(func(c expr.Cond) expr.Cond {
		if r, ok := c.(expr.Range); ok {
			r.Min.Inclusive, r.Max.Inclusive = true, true
			return r
		}
		return c
	}))
	f("each bound may be met by another value", cond(func(c expr.Cond) expr.Cond {
		if r, ok := c.(expr.Range); ok {
			return expr.And{Conds: []expr.Cond{expr.Range{Field: r.Field, Min: r.Min}, expr.Range{Field: r.Field, Max: r.Max}}}
		}
		return c
	}))
	f("a pattern folds by lower case", cond(func(c expr.Cond) expr.Cond {
		l, ok := c.(expr.Like)
		if !ok || !l.Fold || l.Field.Type.IsText() {
			return c
		}
		l.Field.Type, l.Fold = event.Caseless, false
		l.Pattern.Parts = append([]expr.PatternPart(nil), l.Pattern.Parts...)
		for i := range l.Pattern.Parts {
			l.Pattern.Parts[i].Literal = strings.ToLower(l.Pattern.Parts[i].Literal)
		}
		return l
	}))
	f("a phrase is any of its words", cond(func(c expr.Cond) expr.Cond {
		if w, ok := c.(expr.Words); ok {
			w.Phrase = false
			return w
		}
		return c
	}))
	f("nested looks at all objects at once", cond(func(c expr.Cond) expr.Cond {
		if n, ok := c.(expr.Nested); ok {
			return expr.All(expr.Exists{Field: expr.Field{Path: n.Path, Type: event.ObjectType}}, n.Cond)
		}
		return c
	}))
	f("null is false", cond(func(c expr.Cond) expr.Cond {
		if cmp, ok := c.(expr.Cmp); ok {
			return expr.And{Conds: []expr.Cond{cmp, expr.Not{Cond: expr.Or{Conds: []expr.Cond{
				expr.IsNull{Value: cmp.Left}, expr.IsNull{Value: cmp.Right}}}}}}
		}
		return c
	}))
	f("a misfit exists", cond(func(c expr.Cond) expr.Cond {
		if e, ok := c.(expr.Exists); ok && e.Field.Type <= event.Date {
			e.Field.Type = event.Keyword
			return e
		}
		return c
	}))
	f("any value is one value", cond(func(c expr.Cond) expr.Cond {
		if in, ok := c.(expr.In); ok && len(in.Values) == 1 {
			return expr.Cmp{Op: expr.Equal, Left: expr.One{Field: in.Field}, Right: expr.Lit{Value: in.Values[0]}}
		}
		return c
	}))
	f("anywhere knows no analysis", cond(func(c expr.Cond) expr.Cond {
		if a, ok := c.(expr.Anywhere); ok {
			a.Analyse = nil
			return a
		}
		return c
	}))
	f("the last sort key is the other way", node(func(n plan.Node) plan.Node {
		if s, ok := n.(plan.Sort); ok && len(s.Keys) > 0 {
			s.Keys = append([]plan.SortKey(nil), s.Keys...)
			s.Keys[len(s.Keys)-1].Desc = !s.Keys[len(s.Keys)-1].Desc
			return s
		}
		return n
	}))
	f("a limit is one more", node(func(n plan.Node) plan.Node {
		if l, ok := n.(plan.Limit); ok {
			l.N++
			return l
		}
		return n
	}))
	f("distinct values are counted each time", node(func(n plan.Node) plan.Node {
		if a, ok := n.(plan.Aggregate); ok {
			a.Aggs = append([]plan.Agg(nil), a.Aggs...)
			for i := range a.Aggs {
				if a.Aggs[i].Fn == plan.CountDistinct {
					a.Aggs[i].Fn = plan.Count
				}
			}
			return a
		}
		return n
	}))
	f("a group has one value", node(func(n plan.Node) plan.Node {
		if a, ok := n.(plan.Aggregate); ok {
			a.By = append([]plan.Group(nil), a.By...)
			for i := range a.By {
				if a.By[i].Value == nil {
					a.By[i].Value = expr.One{Field: a.By[i].Each}
				}
			}
			return a
		}
		return n
	}))
	f("columns see each other", node(func(n plan.Node) plan.Node {
		if e, ok := n.(plan.Eval); ok {
			in := e.In
			for _, c := range e.Cols {
				in = plan.Eval{In: in, Cols: []plan.Column{c}}
			}
			return in
		}
		return n
	}))
	sequence := func(change func(*plan.Sequence)) faulty {
		return node(func(n plan.Node) plan.Node {
			if s, ok := n.(plan.Sequence); ok {
				change(&s)
				return s
			}
			return n
		})
	}
	f("a span is a moment longer", sequence(func(s *plan.Sequence) {
		if s.MaxSpan > 0 {
			s.MaxSpan += time.Millisecond
		}
	}))
	f("nothing ends a sequence", sequence(func(s *plan.Sequence) { s.Until = nil }))
	f("ties are not broken", sequence(func(s *plan.Sequence) { s.Order.Ties = nil }))
	f("a key may be null", sequence(func(s *plan.Sequence) {
		s.Stages = append([]plan.Stage(nil), s.Stages...)
		for i := range s.Stages {
			keys := append([]plan.Key(nil), s.Stages[i].Keys...)
			for k := range keys {
				keys[k].Optional = true
			}
			s.Stages[i].Keys = keys
		}
	}))
	f("what is missing may be there", sequence(func(s *plan.Sequence) {
		s.Stages = append([]plan.Stage(nil), s.Stages...)
		for i := range s.Stages {
			if s.Stages[i].Missing {
				s.Stages[i].Cond = expr.Const{Value: false}
			}
		}
	}))
	f("a sample has one tuple more", node(func(n plan.Node) plan.Node {
		if s, ok := n.(plan.Sample); ok {
			s.PerKey++
			return s
		}
		return n
	}))
	f("a wildcard names hidden streams", node(func(n plan.Node) plan.Node {
		if s, ok := n.(plan.Scan); ok && s.Streams != nil {
			s.Streams = append([]string{".*"}, s.Streams...)
			return s
		}
		return n
	}))
	f("after is included", faulty{at: func(at *store.Snapshot) { at.After = max(at.After, 1) - 1 }})
}
