package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/eql"
	"github.com/tocsin-sec/tocsin/internal/lang/filter"
	"github.com/tocsin-sec/tocsin/internal/lang/kql"
	"github.com/tocsin-sec/tocsin/internal/lang/lucene"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// clause is a part of a rule's condition, in its language's words. What it means is Cond, as the language lowers it.
type clause struct {
	text string
	join string
	cond expr.Cond
	subs []*clause
}

// clauses are what a rule asks of an event.
type clauses struct {
	query   *clause // nil where the rule asks of each stage something else
	filters *clause // nil: none
	stages  []*clause
}

// The joins.
const (
	joinAnd = "and"
	joinOr  = "or"
	joinNot = "not"
)

// clausesOf parts the rule's condition in a run at now.
func clausesOf(q Question, now time.Time) (*clauses, error) {
	r := q.Program.Rule
	out := &clauses{}
	asked, err := q.Program.Asked(now)
	if err != nil {
		return nil, err
	}
	if len(r.Filters) > 0 {
		var list []*clause
		for _, f := range r.Filters {
			n, err := filter.Parse([]event.Value{f}, filter.Options{})
			if err != nil {
				return nil, err
			}
			cond, err := filter.Lower(n, q.Resolver, now)
			if err != nil {
				return nil, err
			}
			list = append(list, conditions(cond))
		}
		out.filters = joined(joinAnd, list)
	}
	if stages, _, _ := q.Program.Stages(); len(stages) > 0 {
		out.stages, err = stageClauses(q, stages)
		return out, err
	}
	switch {
	case r.Language == rule.LanguageKuery:
		n, err := kql.Parse(r.Query)
		if err != nil {
			return nil, err
		}
		w := kqlWalk{kql.Options{Resolver: q.Resolver, Now: now, View: kql.ViewNever}}
		if hasStar(n) {
			w.View = kql.ViewAlways
		}
		out.query, err = w.clause(n)
		if err != nil {
			return nil, err
		}
	case r.Language == rule.LanguageLucene:
		n, err := lucene.Parse(r.Query)
		if err != nil {
			return nil, err
		}
		if out.query, err = (luceneWalk{lucene.Options{Resolver: q.Resolver, Now: now}}).clause(n); err != nil {
			return nil, err
		}
	case r.Type == rule.TypeEQL:
		n, err := eql.Parse(r.Query)
		if err != nil {
			return nil, err
		}
		events, ok := n.Body.(*eql.Events)
		if !ok {
			return nil, fmt.Errorf("the query of rule %s finds no single events", r.RuleID)
		}
		w := newEQLWalk(q, n)
		if out.query, err = w.events(events); err != nil {
			return nil, err
		}
	default:
		out.query, out.filters = conditions(asked), nil
	}
	return out, nil
}

// all is the query with the filters.
func (c *clauses) all() *clause {
	if c.filters == nil {
		return c.query
	}
	return joined(joinAnd, []*clause{c.query, c.filters})
}

// hasStar reports whether a field name of the query stands for several fields.
func hasStar(n kql.Node) bool {
	switch n := n.(type) {
	case *kql.And:
		return slices.ContainsFunc(n.Nodes, hasStar)
	case *kql.Or:
		return slices.ContainsFunc(n.Nodes, hasStar)
	case *kql.Not:
		return hasStar(n.Node)
	case *kql.Is:
		return n.Field != nil && n.Field.Wildcard() && !(n.Field.Exists() && n.Value.Exists())
	case *kql.Range:
		return n.Field.Wildcard()
	}
	return false
}

type kqlWalk struct{ kql.Options }

func (w kqlWalk) clause(n kql.Node) (*clause, error) {
	switch n := n.(type) {
	case *kql.And:
		return w.each(joinAnd, n.Nodes)
	case *kql.Or:
		if !oneField(n) {
			return w.each(joinOr, n.Nodes)
		}
	case *kql.Not:
		return w.each(joinNot, []kql.Node{n.Node})
	}
	cond, err := kql.Lower(n, w.Options)
	return &clause{text: kql.String(n), cond: cond}, err
}

func (w kqlWalk) each(join string, nodes []kql.Node) (*clause, error) {
	list := make([]*clause, len(nodes))
	for i, n := range nodes {
		var err error
		if list[i], err = w.clause(n); err != nil {
			return nil, err
		}
	}
	return joined(join, list), nil
}

// oneField reports whether all alternatives are values of one field: these are one clause.
func oneField(n *kql.Or) bool {
	name := ""
	for _, sub := range n.Nodes {
		is, ok := sub.(*kql.Is)
		if !ok || is.Field == nil || name != "" && is.Field.Text() != name {
			return false
		}
		name = is.Field.Text()
	}
	return true
}

// joined puts clauses together.
func joined(join string, list []*clause) *clause {
	if len(list) == 1 && join != joinNot {
		return list[0]
	}
	conds := make([]expr.Cond, len(list))
	for i, c := range list {
		conds[i] = c.cond
	}
	out := &clause{join: join, subs: list}
	switch join {
	case joinAnd:
		out.cond = expr.All(conds...)
	case joinOr:
		out.cond = expr.Some(conds...)
	default:
		out.cond = expr.Not{Cond: conds[0]}
	}
	return out
}

type eqlWalk struct {
	eql.Options
	text string
}

func newEQLWalk(q Question, n *eql.Query) eqlWalk {
	return eqlWalk{eql.Options{Resolver: q.Resolver, Category: q.Program.Rule.EventCategoryOverride, Lenient: true}, n.Text}
}

func (w eqlWalk) events(n *eql.Events) (*clause, error) {
	where, err := w.clause(n.Where)
	if err != nil || n.Any {
		return where, err
	}
	path := w.Category
	if path == "" {
		path = "event.category"
	}
	text := event.String(n.Category)
	is := &eql.Compare{Op: eql.Equal, Left: &eql.Field{Path: path, At: n.CategoryAt}, Right: &eql.Const{Value: text, At: n.CategoryAt}}
	category, err := w.leaf(is)
	if err != nil {
		return nil, err
	}
	if where.join == joinAnd {
		return joined(joinAnd, append([]*clause{category}, where.subs...)), nil
	}
	return joined(joinAnd, []*clause{category, where}), nil
}

func (w eqlWalk) clause(n eql.Expr) (*clause, error) {
	switch n := n.(type) {
	case *eql.And:
		return w.each(joinAnd, n.Exprs)
	case *eql.Or:
		return w.each(joinOr, n.Exprs)
	case *eql.Not:
		return w.each(joinNot, []eql.Expr{n.Expr})
	}
	return w.leaf(n)
}

func (w eqlWalk) each(join string, nodes []eql.Expr) (*clause, error) {
	list := make([]*clause, len(nodes))
	for i, n := range nodes {
		var err error
		if list[i], err = w.clause(n); err != nil {
			return nil, err
		}
	}
	return joined(join, list), nil
}

func (w eqlWalk) leaf(n eql.Expr) (*clause, error) {
	cond, err := eql.LowerExpr(n, w.text, w.Options)
	return &clause{text: eql.StringExpr(n), cond: cond}, err
}

// stageClauses are what the stages ask, Until last.
func stageClauses(q Question, stages []eql.Stage) ([]*clause, error) {
	n, err := eql.Parse(q.Program.Rule.Query)
	if err != nil {
		return nil, err
	}
	var terms []*eql.Term
	switch body := n.Body.(type) {
	case *eql.Sequence:
		terms = body.Terms
		if body.Until != nil {
			terms = append(slices.Clone(terms), body.Until)
		}
	case *eql.Sample:
		terms = body.Terms
	}
	if len(terms) != len(stages) {
		return nil, fmt.Errorf("rule %s has %d stages, its query %d", q.Program.Rule.RuleID, len(stages), len(terms))
	}
	w := newEQLWalk(q, n)
	out := make([]*clause, len(terms))
	for i, t := range terms {
		if out[i], err = w.events(t.Events); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// conditions are the clauses of a condition that no language's words are at hand for.
func conditions(c expr.Cond) *clause {
	var join string
	var conds []expr.Cond
	switch c := c.(type) {
	case expr.And:
		join, conds = joinAnd, c.Conds
	case expr.Or:
		join, conds = joinOr, c.Conds
	case expr.Not:
		join, conds = joinNot, []expr.Cond{c.Cond}
	default:
		return &clause{text: phrase(c), cond: c}
	}
	out := &clause{join: join, cond: c}
	for _, sub := range conds {
		out.subs = append(out.subs, conditions(sub))
	}
	return out
}

// phrase is a condition as a person reads it; one that has no plain form is written as expr does.
func phrase(c expr.Cond) string {
	switch c := c.(type) {
	case expr.Const:
		if c.Value {
			return "every event"
		}
		return "no event"
	case expr.In:
		return c.Field.Path + " : " + valueList(c.Values)
	case expr.Member:
		return fmt.Sprintf("%s : one of %s", c.Field.Path, counted(int64(c.Set.Len()), "value"))
	case expr.Range:
		var parts []string
		for _, end := range []struct {
			bound expr.Bound
			sign  string
		}{{c.Min, ">"}, {c.Max, "<"}} {
			if end.bound.Value.IsNull() {
				continue
			}
			if end.bound.Inclusive {
				end.sign += "="
			}
			parts = append(parts, fmt.Sprintf("%s %s %s", c.Field.Path, end.sign, end.bound.Value.Text()))
		}
		return strings.Join(parts, " and ")
	case expr.Like:
		return c.Field.Path + " : " + c.Pattern.String()
	case expr.Regexp:
		return fmt.Sprintf("%s : /%s/", c.Field.Path, c.Expr)
	case expr.Exists:
		return c.Field.Path + " : *"
	case expr.Words:
		return fmt.Sprintf("%s : %q", c.Field.Path, strings.Join(c.Tokens, " "))
	case expr.Nested:
		return c.Path + " : { " + phrase(c.Cond) + " }"
	case expr.Not:
		return "not (" + phrase(c.Cond) + ")"
	case expr.And:
		return phrases(c.Conds, " and ")
	case expr.Or:
		return phrases(c.Conds, " or ")
	case expr.Anywhere:
		return fmt.Sprintf("any field : %q", c.Text)
	}
	return expr.String(c)
}

func phrases(conds []expr.Cond, between string) string {
	var parts []string
	for i, c := range conds {
		if i == maxParts {
			parts = append(parts, fmt.Sprintf("… (%d)", len(conds)))
			break
		}
		parts = append(parts, phrase(c))
	}
	return "(" + strings.Join(parts, between) + ")"
}

func valueList(values []event.Value) string {
	var parts []string
	for i, v := range values {
		if i == maxParts {
			parts = append(parts, fmt.Sprintf("… (%d)", len(values)))
			break
		}
		text := v.Text()
		if v.Kind() == event.KindString {
			text = `"` + text + `"`
		}
		parts = append(parts, text)
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return "(" + strings.Join(parts, " or ") + ")"
}
