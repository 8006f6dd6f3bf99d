package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// setOf is a set of n numbers from a thousand times n on.
func setOf(t *testing.T, n int) *expr.Set {
	t.Helper()
	b := expr.NewSet(event.Keyword)
	for i := range n {
		b.Add(event.String(fmt.Sprint(1000*n + i)))
	}
	s, err := b.Set()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSemiJoins holds which sets become nodes, and what is left of the filters. Nodes are written from the scan on.
func TestSemiJoins(t *testing.T) {
	large, small := setOf(t, plan.LargeSet), setOf(t, plan.LargeSet-1)
	in := func(path string, s *expr.Set) expr.Cond { return expr.Member{Field: field(path), Set: s} }
	not := func(c expr.Cond) expr.Cond { return expr.Not{Cond: c} }
	and := func(conds ...expr.Cond) expr.Cond { return expr.And{Conds: conds} }
	or := func(conds ...expr.Cond) expr.Cond { return expr.Or{Conds: conds} }
	var written func(p plan.Node) string
	written = func(p plan.Node) string {
		if p == nil {
			return ""
		}
		below := written(plan.Input(p))
		switch n := p.(type) {
		case plan.Filter:
			var leaves []string
			expr.Walk(n.Cond, func(f expr.Field) { leaves = append(leaves, f.Path) }, func() {})
			return below + " filter " + strings.Join(leaves, ",")
		case plan.SemiJoin:
			if n.Anti {
				return below + " anti " + n.Field.Path
			}
			return below + " semi " + n.Field.Path
		case plan.Scan:
			return "scan"
		}
		return below + fmt.Sprintf(" %T", p)
	}
	f := func(c expr.Cond, want string) {
		t.Helper()
		p := plan.Filter{In: scan(), Cond: c}
		if got := written(plan.SemiJoins(p)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if again := written(plan.SemiJoins(plan.SemiJoins(p))); again != want {
			t.Errorf("done twice it is %q, want %q", again, want)
		}
	}
	f(in("a", large), "scan semi a")
	f(not(in("a", large)), "scan anti a")
	f(in("a", small), "scan filter a")
	f(and(in("a", large), exists("x"), not(in("b", large))), "scan filter x semi a anti b")
	f(and(exists("x"), and(exists("y"), in("a", large))), "scan filter x,y semi a")
	f(not(or(in("a", large), exists("x"), in("b", large))), "scan filter x anti a anti b")
	f(not(or(in("a", small), exists("x"))), "scan filter a,x")
	f(and(exists("x"), not(or(exists("y"), or(in("a", large), in("b", small))))), "scan filter x,y,b anti a")
	// A set that not every row is asked for stays.
	f(or(in("a", large), in("b", large)), "scan filter a,b")
	f(not(and(in("a", large), exists("x"))), "scan filter a,x")
	f(not(not(in("a", large))), "scan filter a")

	p := plan.Limit{N: 1, In: plan.Filter{Cond: in("b", large), In: plan.Sort{In: plan.Filter{In: scan(), Cond: and(in("a", large), exists("x"))}}}}
	if got, want := written(plan.SemiJoins(p)), "scan filter x semi a plan.Sort semi b plan.Limit"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestSemiJoinMeans holds which rows a SemiJoin keeps.
func TestSemiJoinMeans(t *testing.T) {
	b := expr.NewSet(event.Long)
	b.Add(event.Int(1))
	b.AddRange(event.Int(5), event.Int(7))
	set, err := b.Set()
	if err != nil {
		t.Fatal(err)
	}
	f := func(document string, in bool) {
		t.Helper()
		fields, err := event.Decode([]byte(document), event.DecodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		n := plan.SemiJoin{Field: expr.Field{Path: "a.b", Type: event.Long}, Set: set}
		if got := expr.Eval(n.Cond(), fields); got != map[bool]expr.Truth{false: expr.False, true: expr.True}[in] {
			t.Errorf("%s: %v, want %t", document, got, in)
		}
		n.Anti = true
		if got := expr.Eval(n.Cond(), fields); got != map[bool]expr.Truth{true: expr.False, false: expr.True}[in] {
			t.Errorf("%s, anti: %v, want %t", document, got, !in)
		}
	}
	f(`{"a":{"b":1}}`, true)
	f(`{"a":{"b":[2,6]}}`, true)
	f(`{"a":[{"b":2},{"b":"7"}]}`, true)
	f(`{"a":{"b":[2,8]}}`, false)
	f(`{"a":{"b":"none"}}`, false)
	f(`{"a":{"b":null}}`, false)
	f(`{"a":{"b":[]}}`, false)
	f(`{}`, false)
}
