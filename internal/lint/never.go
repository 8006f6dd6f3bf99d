package lint

import (
	"fmt"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/filter"
	"github.com/tocsin-sec/tocsin/internal/lang/kql"
)

// maxConditions bounds the queries that are searched for contradictions, maxPairs the conditions compared in one of them.
const (
	maxConditions = 5000
	maxPairs      = 300
)

func neverTrue(s *subject) diag.List {
	var out diag.List
	for _, q := range s.queries {
		var found diag.List
		for _, d := range q.advice {
			if d.Code == kql.CodeNeverTrue {
				found = append(found, d)
			}
		}
		conditions := 0
		walk(q.node, "", func(kql.Node, string) { conditions++ })
		if conditions <= maxConditions {
			s.contradictions(q.node, &found)
		}
		out = append(out, s.in(q, found)...)
	}
	return append(out, s.filtersNeverTrue()...)
}

// filtersNeverTrue are the filters that no event fulfils, be it alone or together with the query or the filters before.
func (s *subject) filtersNeverTrue() diag.List {
	var out diag.List
	conds := map[string]expr.Cond{} // of the query that each list of filters goes with
	for _, q := range s.queries {
		if c, err := kql.Lower(q.node, kql.Options{Resolver: s.fields, Now: sampleTime}); err == nil && !never(c) && !namesUnfit(q.node) {
			conds[map[string]string{"query": "filters", "threat_query": "threat_filters"}[q.key]] = c
		}
	}
	for _, list := range filters(s.rule) {
		for i, f := range list.filters {
			n, err := filterList{list.key, []event.Value{f}}.parse(s.places)
			if err != nil {
				continue
			}
			c, err := filter.Lower(n, s.fields, sampleTime)
			if err != nil {
				continue
			}
			all := expr.All(conds[list.key], c)
			message := "with the query and the filters before it, no event can fulfil this filter"
			switch {
			case never(c):
				message = "no event can fulfil this filter"
			case !never(all):
				conds[list.key] = all
				continue
			}
			key := fmt.Sprintf("%s.%d", list.key, i)
			out = append(out, s.at(key, key, message, "two conditions exclude each other"))
		}
	}
	return out
}

// contradictions adds the smallest conditions in n that nothing can fulfil, and reports whether n is, or holds, one.
func (s *subject) contradictions(n kql.Node, found *diag.List) bool {
	below := false
	switch n := n.(type) {
	case *kql.And:
		for _, sub := range n.Nodes {
			below = s.contradictions(sub, found) || below
		}
	case *kql.Or:
		for _, sub := range n.Nodes {
			below = s.contradictions(sub, found) || below
		}
	case *kql.Not:
		below = s.contradictions(n.Node, found)
	}
	if below || namesUnfit(n) {
		return below
	}
	cond, err := kql.Lower(n, kql.Options{Resolver: s.fields, Now: sampleTime})
	if err != nil || !never(cond) {
		return false
	}
	for _, known := range *found { // what package kql has said already
		if known.Span.Start >= n.Span().Start && known.Span.End <= n.Span().End {
			return true
		}
	}
	*found = append(*found, diag.Diagnostic{Span: n.Span(), Message: "no event can fulfil this condition",
		Hint: "two of its parts exclude each other, or a value is none that the field can have"})
	return true
}

// namesUnfit reports whether n holds a field name with a star: that no declared field fits it says nothing of events.
func namesUnfit(n kql.Node) bool {
	found := false
	walk(n, "", func(n kql.Node, _ string) {
		switch n := n.(type) {
		case *kql.Is:
			found = found || n.Field != nil && n.Field.Wildcard() && !n.Field.Exists()
		case *kql.Range:
			found = found || n.Field.Wildcard()
		}
	})
	return found
}

// never reports whether c is false for every event. It finds the plain cases; false says nothing.
func never(c expr.Cond) bool {
	switch c := c.(type) {
	case expr.Const:
		return !c.Value
	case expr.In:
		return len(c.Values) == 0
	case expr.Range:
		return empty(c.Min, c.Max)
	case expr.Not:
		return always(c.Cond)
	case expr.Nested:
		return never(c.Cond)
	case expr.Or:
		for _, sub := range c.Conds {
			if !never(sub) {
				return false
			}
		}
		return true
	case expr.And:
		return excluded(flatten(c))
	}
	return false
}

// always reports whether c is true for every event, in the plain cases.
func always(c expr.Cond) bool {
	switch c := c.(type) {
	case expr.Const:
		return c.Value
	case expr.Not:
		return never(c.Cond)
	case expr.And:
		for _, sub := range c.Conds {
			if !always(sub) {
				return false
			}
		}
		return true
	case expr.Or:
		opposites := make([]expr.Cond, len(c.Conds))
		for i, sub := range c.Conds {
			opposites[i] = expr.Not{Cond: sub}
		}
		return excluded(flatten(expr.And{Conds: opposites}))
	}
	return false
}

// flatten returns the conditions that c joins by and: not (a or b) is not a and not b, not (not a) is a.
func flatten(c expr.Cond) []expr.Cond {
	var out []expr.Cond
	switch c := c.(type) {
	case expr.And:
		for _, sub := range c.Conds {
			out = append(out, flatten(sub)...)
		}
		return out
	case expr.Not:
		switch inner := c.Cond.(type) {
		case expr.Or:
			for _, sub := range inner.Conds {
				out = append(out, flatten(expr.Not{Cond: sub})...)
			}
			return out
		case expr.Not:
			return flatten(inner.Cond)
		}
	}
	return []expr.Cond{c}
}

// excluded reports whether one of conds is never true, or two exclude each other.
func excluded(conds []expr.Cond) bool {
	for i, a := range conds {
		switch a := a.(type) {
		case expr.And: // flattened
		case expr.Not:
			if always(a.Cond) {
				return true
			}
		default:
			if never(a) {
				return true
			}
		}
		if i >= maxPairs {
			continue
		}
		for _, b := range conds[:i] {
			if exclude(a, b) || exclude(b, a) {
				return true
			}
		}
	}
	return false
}

// exclude reports whether a and b cannot both be true.
func exclude(a, b expr.Cond) bool {
	if not, ok := b.(expr.Not); ok {
		return implies(a, not.Cond)
	}
	switch a := a.(type) {
	case expr.In:
		switch b := b.(type) {
		case expr.In: // of a field with one value; one with several may have both
			return a.Field == b.Field && single(a.Field) && !overlap(a.Values, b.Values)
		case expr.Like:
			return a.Field == b.Field && single(a.Field) && !fits(a.Values, b, false)
		case expr.Range:
			return a.Field == b.Field && single(a.Field) && !within(a.Values, b)
		}
	case expr.Range:
		b, ok := b.(expr.Range)
		return ok && a.Field == b.Field && single(a.Field) && (empty(a.Min, b.Max) || empty(b.Min, a.Max))
	}
	return false
}

// implies reports whether every event that fulfils a fulfils b.
func implies(a, b expr.Cond) bool {
	if expr.String(a) == expr.String(b) {
		return true
	}
	switch b := b.(type) {
	case expr.Or:
		for _, sub := range b.Conds {
			if implies(a, sub) {
				return true
			}
		}
	case expr.Exists:
		switch a := a.(type) {
		case expr.In:
			return a.Field == b.Field
		case expr.Range:
			return a.Field == b.Field
		case expr.Like:
			return a.Field == b.Field
		}
	case expr.Like:
		a, ok := a.(expr.In)
		return ok && a.Field == b.Field && len(a.Values) > 0 && fits(a.Values, b, true)
	case expr.In:
		a, ok := a.(expr.In)
		return ok && a.Field == b.Field && contains(b.Values, a.Values)
	}
	return false
}

// fits reports whether one of values, or all of them, fit the pattern.
func fits(values []event.Value, like expr.Like, all bool) bool {
	for _, v := range values {
		if like.Pattern.Fits(v.Text(), like.Fold) != all {
			return !all
		}
	}
	return all
}

// within reports whether one of values lies in the range.
func within(values []event.Value, r expr.Range) bool {
	for _, v := range values {
		at := expr.Bound{Value: v, Inclusive: true}
		if !empty(r.Min, at) && !empty(at, r.Max) {
			return true
		}
	}
	return false
}

// empty reports whether nothing lies between two bounds.
func empty(low, high expr.Bound) bool {
	if low.Value.IsNull() || high.Value.IsNull() {
		return false
	}
	c := event.Compare(low.Value, high.Value)
	return c > 0 || c == 0 && !(low.Inclusive && high.Inclusive)
}

func overlap(a, b []event.Value) bool {
	for _, v := range a {
		for _, w := range b {
			if event.Equal(v, w) {
				return true
			}
		}
	}
	return false
}

// contains reports whether all holds each of some.
func contains(all, some []event.Value) bool {
	for _, v := range some {
		if !overlap([]event.Value{v}, all) {
			return false
		}
	}
	return true
}
