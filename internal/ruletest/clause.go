package ruletest

import (
	"slices"
	"time"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/eql"
	"github.com/tocsin-sec/tocsin/internal/lang/kql"
	"github.com/tocsin-sec/tocsin/internal/lang/lucene"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// clauses are the comparisons of a rule's query, from left to right; those inside a nested condition are one with it. A
// value of a list is a clause of its own. Of a sequence an event is looked at by itself: the query is true of it where that
// of one of the stages is.
type clauses struct {
	text   string // the query
	root   *tree  // nil where the query has no clauses
	leaves []clause
	found  []Clause
	view   kql.View // of a query in KQL as a whole
	eql    eql.Options
}

// tree is how clauses make up a query.
type tree struct {
	join join
	subs []*tree
	leaf int // the number of the clause, of a tree without subs
}

// join is how the parts of a tree make it true.
type join uint8

const (
	leaf join = iota
	all
	some
	not
)

// clause is one clause, in its language.
type clause struct {
	kql    kql.Node    // nil: it is none in KQL
	lucene lucene.Node // nil: it is none in Lucene
	eql    eql.Expr
	text   string
	at     diag.Span
	field  string // whose values it looks at; "" for several
}

// clausesOf finds the clauses of r's query; none where the query is in another language than KQL, Lucene and EQL.
func clausesOf(r *rule.Rule) (*clauses, error) {
	c := &clauses{text: r.Query, view: kql.ViewNever}
	switch r.Language {
	case rule.LanguageKuery:
		n, err := kql.Parse(r.Query)
		if err != nil {
			return nil, err
		}
		c.root = c.collect(n)
	case rule.LanguageLucene:
		n, err := lucene.Parse(r.Query)
		if err != nil {
			return nil, err
		}
		c.root = c.collectLucene(n)
	case rule.LanguageEQL:
		q, err := eql.Parse(r.Query)
		if err != nil {
			return nil, err
		}
		c.eql = eql.Options{Category: r.EventCategoryOverride, Lenient: true}
		c.root = c.collectEQL(q)
	default:
		return c, nil
	}
	marks := make(diag.List, len(c.leaves))
	for i, l := range c.leaves {
		marks[i] = diag.Diagnostic{Span: l.at, Text: r.Query}
	}
	for i, d := range r.Locate(marks) {
		at, _ := d.Span.Positions(d.Text)
		c.found = append(c.found, Clause{Text: c.leaves[i].text, Line: at.Line, Column: at.Column})
	}
	return c, nil
}

// add makes a leaf of a clause.
func (c *clauses) add(l clause) *tree {
	c.leaves = append(c.leaves, l)
	return &tree{leaf: len(c.leaves) - 1}
}

// valueSpan is where a clause differs from the others of its list: the value, where the field stands before the list.
func valueSpan(n kql.Node) diag.Span {
	if is, ok := n.(*kql.Is); ok && is.Field != nil && is.Value.At != (diag.Span{}) {
		return is.Value.At
	}
	return n.Span()
}

func (c *clauses) collect(n kql.Node) *tree {
	var field *kql.Literal
	switch n := n.(type) {
	case *kql.And:
		return &tree{join: all, subs: each(n.Nodes, c.collect)}
	case *kql.Or:
		return &tree{join: some, subs: each(n.Nodes, c.collect)}
	case *kql.Not:
		return &tree{join: not, subs: []*tree{c.collect(n.Node)}}
	case *kql.Is:
		if n.Field != nil && n.Field.Wildcard() && !(n.Field.Exists() && n.Value.Exists()) {
			c.view = kql.ViewAlways
		}
		field = n.Field
	case *kql.Range:
		if n.Field.Wildcard() {
			c.view = kql.ViewAlways
		}
		field = &n.Field
	case *kql.Nested:
		field = &n.Path
	}
	l := clause{kql: n, text: kql.String(n), at: valueSpan(n)}
	if field != nil && !field.Wildcard() {
		l.field = field.Text()
	}
	return c.add(l)
}

func each[T any](list []T, f func(T) *tree) []*tree {
	out := make([]*tree, len(list))
	for i, x := range list {
		out[i] = f(x)
	}
	return out
}

// collectEQL collects the clauses of every stage of q, or of its one condition.
func (c *clauses) collectEQL(q *eql.Query) *tree {
	var terms []*eql.Term
	switch n := q.Body.(type) {
	case *eql.Events:
		return c.collectEvents(n)
	case *eql.Sequence:
		terms = n.Terms
		if n.Until != nil {
			terms = append(slices.Clone(terms), n.Until)
		}
	case *eql.Sample:
		terms = n.Terms
	case *eql.Join:
		terms = n.Terms
	}
	return &tree{join: some, subs: each(terms, func(t *eql.Term) *tree { return c.collectEvents(t.Events) })}
}

// collectEvents collects the category and the condition of n.
func (c *clauses) collectEvents(n *eql.Events) *tree {
	if n.Any {
		return c.collectExpr(n.Where)
	}
	path := c.eql.Category
	if path == "" {
		path = "event.category"
	}
	is := &eql.Compare{Op: eql.Equal, Left: &eql.Field{Path: path, At: n.CategoryAt},
		Right: &eql.Const{Value: event.String(n.Category), At: n.CategoryAt}}
	category := c.add(clause{eql: is, text: eql.StringExpr(is), at: n.CategoryAt, field: path})
	return &tree{join: all, subs: []*tree{category, c.collectExpr(n.Where)}}
}

func (c *clauses) collectExpr(n eql.Expr) *tree {
	switch n := n.(type) {
	case *eql.And:
		return &tree{join: all, subs: each(n.Exprs, c.collectExpr)}
	case *eql.Or:
		return &tree{join: some, subs: each(n.Exprs, c.collectExpr)}
	case *eql.Not:
		return &tree{join: not, subs: []*tree{c.collectExpr(n.Expr)}}
	case *eql.In:
		oneOf := &tree{join: some, subs: each(n.Values, func(v eql.Expr) *tree {
			one := *n
			one.Not, one.Values = false, []eql.Expr{v}
			return c.addExpr(&one, v.Span())
		})}
		if n.Not {
			return &tree{join: not, subs: []*tree{oneOf}}
		}
		return oneOf
	case *eql.Match:
		if n.List {
			return &tree{join: some, subs: each(n.Values, func(v eql.Expr) *tree {
				one := *n
				one.Values, one.List = []eql.Expr{v}, false
				return c.addExpr(&one, v.Span())
			})}
		}
	}
	return c.addExpr(n, n.Span())
}

func (c *clauses) addExpr(n eql.Expr, at diag.Span) *tree {
	l := clause{eql: n, text: eql.StringExpr(n), at: at}
	several := false
	eql.Walk(n, func(n eql.Expr) {
		if f, ok := n.(*eql.Field); ok {
			several = several || l.field != "" && l.field != f.Path
			l.field = f.Path
		}
	})
	if several {
		l.field = ""
	}
	return c.add(l)
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
	o := c.eql
	o.Resolver = resolver
	for i, l := range c.leaves {
		var err error
		switch {
		case l.kql != nil:
			b.conds[i], err = kql.Lower(l.kql, kql.Options{Resolver: resolver, Now: now, View: c.view})
		case l.lucene != nil:
			b.conds[i], err = lucene.Lower(l.lucene, lucene.Options{Resolver: resolver, Now: now})
		default:
			b.conds[i], err = eql.LowerExpr(l.eql, c.text, o)
		}
		if err != nil {
			return nil, err
		}
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
func (c *clauses) decided(n *tree, truths []bool) {
	if n.join == leaf {
		c.found[n.leaf].Decided++
		return
	}
	neutral := n.join == all
	against := -1 // the one part that is not neutral
	for i, sub := range n.subs {
		if n.join != not && c.eval(sub, truths) != neutral {
			if against >= 0 {
				return // two of them: neither alone
			}
			against = i
		}
	}
	for i, sub := range n.subs {
		if against < 0 || against == i {
			c.decided(sub, truths)
		}
	}
}

func (c *clauses) eval(n *tree, truths []bool) bool {
	switch n.join {
	case all:
		return !slices.ContainsFunc(n.subs, func(sub *tree) bool { return !c.eval(sub, truths) })
	case some:
		return slices.ContainsFunc(n.subs, func(sub *tree) bool { return c.eval(sub, truths) })
	case not:
		return !c.eval(n.subs[0], truths)
	}
	return truths[n.leaf]
}

// flips are the fewest clauses that have to come out otherwise for n to be want.
func (c *clauses) flips(n *tree, truths []bool, want bool) []int {
	switch n.join {
	case all:
		return c.flipsOf(n.subs, truths, want, want)
	case some:
		return c.flipsOf(n.subs, truths, want, !want)
	case not:
		return c.flips(n.subs[0], truths, !want)
	}
	if truths[n.leaf] != want {
		return []int{n.leaf}
	}
	return nil
}

// flipsOf are those for which all, or else one, of parts are want.
func (c *clauses) flipsOf(parts []*tree, truths []bool, want, all bool) []int {
	var out []int
	for i, sub := range parts {
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
