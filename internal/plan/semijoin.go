package plan

import "github.com/tocsin-sec/tocsin/internal/expr"

// SemiJoin keeps the rows that have a value of Field in Set; with Anti those that have none in it. It is a Filter by
// expr.Member, or by its opposite, and reads the field as that does: what has no value that the field can read has none
// in the set, and is kept with Anti alone. Rows are never doubled. It is the form in which an engine meets a set that is
// too large to be written into a query: one that has no way to look values up in it gives the rows below, and exec does.
type SemiJoin struct {
	In    Node
	Field expr.Field
	Set   *expr.Set
	Anti  bool
}

// Cond is the condition that a row is kept by. It is never Null.
func (n SemiJoin) Cond() expr.Cond {
	c := expr.Member{Field: n.Field, Set: n.Set}
	if n.Anti {
		return expr.Not{Cond: c}
	}
	return c
}

// LargeSet is the number of values and ranges from which SemiJoins makes a node of a set. A lookup takes as long as other
// conditions while the set stays in the processor's cache (75 ns among 1,000 and among 10,000 names); among a million it
// takes ten times as long.
const LargeSet = 1_000

// SemiJoins returns p with a SemiJoin for each large set that every row of a Filter has to be in, or out of. They stand
// above what is left of the filter, which is cheaper to decide than a set of a million values. Sets that are looked up
// elsewhere, as in one of several conditions of which one has to be true, stay where they are.
func SemiJoins(p Node) Node {
	in := Input(p)
	if in == nil {
		return p
	}
	in = SemiJoins(in)
	f, ok := p.(Filter)
	if !ok {
		return Over(p, in)
	}
	left, joins := split(f.Cond)
	switch {
	case len(joins) == 0:
		return Over(p, in)
	case len(left) > 0:
		in = Filter{In: in, Cond: expr.All(left...)}
	}
	for _, j := range joins {
		j.In = in
		in = j
	}
	return in
}

// split takes the large sets from the conditions that c asks to be true all of them.
func split(c expr.Cond) (left []expr.Cond, joins []SemiJoin) {
	switch c := c.(type) {
	case expr.And:
		for _, sub := range c.Conds {
			l, j := split(sub)
			left, joins = append(left, l...), append(joins, j...)
		}
		return left, joins
	case expr.Member:
		if c.Set.Len() >= LargeSet {
			return nil, []SemiJoin{{Field: c.Field, Set: c.Set}}
		}
	case expr.Not:
		switch sub := c.Cond.(type) {
		case expr.Member:
			if sub.Set.Len() >= LargeSet {
				return nil, []SemiJoin{{Field: sub.Field, Set: sub.Set, Anti: true}}
			}
		case expr.Or: // none of several is each of them not
			var none []expr.Cond
			for _, s := range sub.Conds {
				none = append(none, expr.Not{Cond: s})
			}
			if left, joins = split(expr.And{Conds: none}); len(joins) > 0 {
				return left, joins
			}
			return []expr.Cond{c}, nil
		}
	}
	return []expr.Cond{c}, nil
}
