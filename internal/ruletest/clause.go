package ruletest

import (
	"time"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/kql"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// clauses are the comparisons of a rule's query, from left to right; those inside a nested condition are one with it. A
// value of a list is a clause of its own.
type clauses struct {
	root   kql.Node
	leaves []kql.Node
	place  map[kql.Node]int
	found  []Clause
	view   kql.View // of the query as a whole
}

// clausesOf finds the clauses of r's query; none where the query is not KQL.
func clausesOf(r *rule.Rule) (*clauses, error) {
	c := &clauses{place: map[kql.Node]int{}, view: kql.ViewNever}
	if r.Language != rule.LanguageKuery {
		return c, nil
	}
	var err error
	if c.root, err = kql.Parse(r.Query); err != nil {
		return nil, err
	}
	c.collect(c.root)
	marks := make(diag.List, len(c.leaves))
	for i, leaf := range c.leaves {
		marks[i] = diag.Diagnostic{Span: valueSpan(leaf), Text: r.Query}
	}
	for i, d := range r.Locate(marks) {
		at, _ := d.Span.Positions(d.Text)
		c.found = append(c.found, Clause{Text: kql.String(c.leaves[i]), Line: at.Line, Column: at.Column})
	}
	return c, nil
}

// valueSpan is where a clause differs from the others of its list: the value, where the field stands before the list.
func valueSpan(n kql.Node) diag.Span {
	if is, ok := n.(*kql.Is); ok && is.Field != nil && is.Value.At != (diag.Span{}) {
		return is.Value.At
	}
	return n.Span()
}

func (c *clauses) collect(n kql.Node) {
	switch n := n.(type) {
	case *kql.And:
		for _, sub := range n.Nodes {
			c.collect(sub)
		}
		return
	case *kql.Or:
		for _, sub := range n.Nodes {
			c.collect(sub)
		}
		return
	case *kql.Not:
		c.collect(n.Node)
		return
	case *kql.Is:
		if n.Field != nil && n.Field.Wildcard() && !(n.Field.Exists() && n.Value.Exists()) {
			c.view = kql.ViewAlways
		}
	case *kql.Range:
		if n.Field.Wildcard() {
			c.view = kql.ViewAlways
		}
	}
	c.place[n] = len(c.leaves)
	c.leaves = append(c.leaves, n)
}

func (c *clauses) report() []Clause {
	if c.found == nil {
		return []Clause{}
	}
	return c.found
}

// bound are the clauses as they read events.
type bound struct {
	*clauses
	conds []expr.Cond
}

// bind says what the clauses mean in streams whose fields resolver knows.
func (c *clauses) bind(resolver plan.Resolver, now time.Time) (*bound, error) {
	b := &bound{clauses: c, conds: make([]expr.Cond, len(c.leaves))}
	for i, leaf := range c.leaves {
		cond, err := kql.Lower(leaf, kql.Options{Resolver: resolver, Now: now, View: c.view})
		if err != nil {
			return nil, err
		}
		b.conds[i] = cond
	}
	return b, nil
}

// try is how the query takes one event.
type try struct {
	event  *event.Event
	truths []bool // of each clause
	whole  bool   // of the query
	// amiss are the fewest clauses that would have to come out otherwise for the query to be true.
	amiss []int
}

// try lets the query take e, and counts for the coverage.
func (b *bound) try(e *event.Event) try {
	t := try{event: e, truths: make([]bool, len(b.conds)), whole: true}
	if b.root == nil {
		return t
	}
	for i, cond := range b.conds {
		t.truths[i] = expr.Matches(cond, e)
	}
	t.whole = b.eval(b.root, t.truths)
	for i, v := range t.truths {
		if v {
			b.found[i].True++
		} else {
			b.found[i].False++
		}
	}
	b.decided(b.root, t.truths)
	t.amiss = b.flips(b.root, t.truths, true)
	return t
}

// decided counts for the clauses below n, on whose outcome the query's depends, those that decided alone.
func (c *clauses) decided(n kql.Node, truths []bool) {
	alone := func(nodes []kql.Node, neutral bool) {
		against := -1 // the one operand that is not neutral
		for i, sub := range nodes {
			if c.eval(sub, truths) != neutral {
				if against >= 0 {
					return // two of them: neither alone
				}
				against = i
			}
		}
		for i, sub := range nodes {
			if against < 0 || against == i {
				c.decided(sub, truths)
			}
		}
	}
	switch n := n.(type) {
	case *kql.And:
		alone(n.Nodes, true)
	case *kql.Or:
		alone(n.Nodes, false)
	case *kql.Not:
		c.decided(n.Node, truths)
	default:
		c.found[c.place[n]].Decided++
	}
}

func (c *clauses) eval(n kql.Node, truths []bool) bool {
	switch n := n.(type) {
	case *kql.And:
		for _, sub := range n.Nodes {
			if !c.eval(sub, truths) {
				return false
			}
		}
		return true
	case *kql.Or:
		for _, sub := range n.Nodes {
			if c.eval(sub, truths) {
				return true
			}
		}
		return false
	case *kql.Not:
		return !c.eval(n.Node, truths)
	}
	return truths[c.place[n]]
}

// flips are the fewest clauses that have to come out otherwise for n to be want.
func (c *clauses) flips(n kql.Node, truths []bool, want bool) []int {
	switch n := n.(type) {
	case *kql.And:
		return c.flipsOf(n.Nodes, truths, want, want)
	case *kql.Or:
		return c.flipsOf(n.Nodes, truths, want, !want)
	case *kql.Not:
		return c.flips(n.Node, truths, !want)
	}
	if i := c.place[n]; truths[i] != want {
		return []int{i}
	}
	return nil
}

// flipsOf are those for which all, or else one, of nodes are want.
func (c *clauses) flipsOf(nodes []kql.Node, truths []bool, want, all bool) []int {
	var out []int
	for i, sub := range nodes {
		f := c.flips(sub, truths, want)
		switch {
		case all:
			out = append(out, f...)
		case i == 0 || len(f) < len(out):
			out = f
		}
	}
	return out
}
