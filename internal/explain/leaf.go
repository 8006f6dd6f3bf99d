package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// eval says what a clause comes to for e.
func (c *clause) eval(e *event.Event) *Node {
	n := &Node{Join: c.join}
	if c.join == "" {
		n.truth = expr.Eval(c.cond, e)
		n.Text = clip(c.text, maxClause)
		n.read(c.cond, e)
		return n
	}
	for _, sub := range c.subs {
		n.Nodes = append(n.Nodes, sub.eval(e))
	}
	n.truth = expr.True
	if c.join == joinOr {
		n.truth = expr.False
	}
	for _, sub := range n.Nodes {
		switch c.join {
		case joinAnd:
			n.truth = min(n.truth, sub.truth)
		case joinOr:
			n.truth = max(n.truth, sub.truth)
		default:
			n.truth = expr.True - sub.truth
		}
	}
	n.Outcome = outcome(n.truth)
	return n
}

// explained is a condition that no language's words are at hand for.
func explained(x expr.Explained, e *event.Event) *Node {
	n := &Node{truth: x.Truth, Outcome: outcome(x.Truth)}
	switch x.Cond.(type) {
	case expr.And:
		n.Join = joinAnd
	case expr.Or:
		n.Join = joinOr
	case expr.Not:
		n.Join = joinNot
	default:
		n.Text = clip(phrase(x.Cond), maxClause)
		n.read(x.Cond, e)
		return n
	}
	for _, part := range x.Parts {
		n.Nodes = append(n.Nodes, explained(part, e))
	}
	return n
}

func outcome(t expr.Truth) string {
	return [...]string{expr.False: IsFalse, expr.Null: IsUnknown, expr.True: IsTrue}[t]
}

// read fills in what a comparison saw.
func (n *Node) read(c expr.Cond, e *event.Event) {
	n.Outcome = outcome(n.truth)
	missing, fields := 0, map[expr.Field]bool{}
	expr.Walk(c, func(f expr.Field) {
		if fields[f] || len(fields) == maxParts {
			return
		}
		fields[f] = true
		r := reading(f, e)
		if len(r.Values) == 0 {
			missing++
		}
		n.Saw = append(n.Saw, r)
	}, func() {})
	if len(n.Saw) > maxValues { // a name with a star: those that are missing say nothing
		n.Saw = slices.DeleteFunc(n.Saw, func(r Reading) bool { return len(r.Values) == 0 })
	}
	if n.truth == expr.True {
		return
	}
	if missing > 0 && missing == len(fields) {
		n.Outcome = IsMissing
	}
	n.Hint = nearly(c, e)
}

// reading is what e has in f.
func reading(f expr.Field, e *event.Event) Reading {
	r := Reading{Field: f.Path, Values: []string{}}
	whole := f.Type == event.ObjectType || f.Type == event.Nested || f.Type == event.GeoPoint
	values := e.Values(f.Path)
	if f.Root || whole {
		values = e.Leaves(f.Path)
	}
	misfits := 0
	for _, v := range values {
		if _, ok := event.Coerce(f.Type, v); !ok && !whole {
			misfits++
		}
		if len(r.Values) < maxValues {
			r.Values = append(r.Values, clip(v.Text(), maxText))
		} else {
			r.More++
		}
	}
	switch {
	case misfits == 0:
	case misfits == len(values):
		r.Note = "which is no " + kindOf(f.Type)
	default:
		r.Note = fmt.Sprintf("%d of %d are no %s", misfits, len(values), kindOf(f.Type))
	}
	return r
}

// kindOf is what values of a type are called.
func kindOf(t event.Type) string {
	switch t {
	case event.IPType:
		return "ip address"
	case event.Long:
		return "whole number"
	case event.Double:
		return "number"
	case event.Date:
		return "date"
	case event.Boolean:
		return "boolean"
	}
	return t.String()
}

// nearly says what differs by its case alone.
func nearly(c expr.Cond, e *event.Event) string {
	switch c := c.(type) {
	case expr.Or:
		for _, sub := range c.Conds {
			if hint := nearly(sub, e); hint != "" {
				return hint
			}
		}
	case expr.In:
		for _, v := range expr.Read(c.Field, e) {
			for _, want := range c.Values {
				if v.Kind() == event.KindString && strings.EqualFold(v.Str(), want.Text()) {
					return fmt.Sprintf("only the case differs: the rule asks for %q", clip(want.Text(), maxText))
				}
			}
		}
	case expr.Like:
		for _, v := range expr.Read(c.Field, e) {
			if !c.Fold && c.Pattern.Fits(v.Str(), true) {
				return fmt.Sprintf("only the case differs: the rule asks for %s", clip(c.Pattern.String(), maxText))
			}
		}
	}
	return ""
}

// deciding are the fewest comparisons that made n what it is, and what each should have been for n to come out otherwise.
func deciding(n *Node, want bool) []*Node {
	n.value = want
	if n.Join == "" {
		return []*Node{n}
	}
	if n.Join == joinNot {
		return deciding(n.Nodes[0], !want)
	}
	var wrong []*Node // the parts that are not what was wanted
	for _, sub := range n.Nodes {
		if (sub.truth == expr.True) != want {
			wrong = append(wrong, sub)
		}
	}
	if all := (n.Join == joinAnd) != want; all {
		// Every part had to be so: all of them decided together.
		var out []*Node
		for _, sub := range wrong {
			out = append(out, deciding(sub, want)...)
		}
		return out
	}
	var best []*Node
	for _, sub := range wrong {
		if found := deciding(sub, want); best == nil || len(found) < len(best) {
			best = found
		}
	}
	return best
}

// sentence says what a comparison that decided saw.
func (n *Node) sentence() string {
	var saw []string
	for i, r := range n.Saw {
		if i == 3 {
			saw = append(saw, "…")
			break
		}
		saw = append(saw, r.String())
	}
	text := clip(n.Text, maxText)
	verb := " is " + n.Outcome
	switch {
	case n.Outcome == IsMissing:
		verb = " is not met"
	case n.truth == expr.True && !n.value:
		verb = " is true, and must not be"
	}
	s := text + verb
	if len(saw) > 0 {
		s += ": " + strings.Join(saw, "; ")
	}
	if n.Hint != "" {
		s += " (" + n.Hint + ")"
	}
	return s
}

// prune leaves out parts of long joins that decided nothing.
func (n *Node) prune(keep map[*Node]bool) bool {
	kept := keep[n]
	var marked []bool
	for _, sub := range n.Nodes {
		m := sub.prune(keep)
		marked = append(marked, m)
		kept = kept || m
	}
	if len(n.Nodes) <= maxParts {
		return kept
	}
	var list []*Node
	for i, sub := range n.Nodes {
		if len(list) < maxParts && (marked[i] || i < maxParts/2) {
			list = append(list, sub)
		}
	}
	n.More = len(n.Nodes) - len(list)
	n.Nodes = list
	return kept
}
