package eql

import (
	"fmt"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// inner binds a condition that is part of a value: null where it cannot be known.
func (b *binder) inner(n Expr) expr.Cond {
	each := func(list []Expr) []expr.Cond {
		out := make([]expr.Cond, len(list))
		for i, sub := range list {
			out[i] = b.inner(sub)
		}
		return out
	}
	switch n := n.(type) {
	case *And:
		return expr.All(each(n.Exprs)...)
	case *Or:
		return expr.Some(each(n.Exprs)...)
	case *Not:
		return opposite(b.inner(n.Expr))
	}
	return b.leaf(n)
}

// leaf binds a comparison, a call, a field or a constant over least values; null where it cannot be known.
func (b *binder) leaf(n Expr) expr.Cond {
	switch n := n.(type) {
	case *And, *Or, *Not:
		return b.inner(n)
	case *Compare:
		return b.compare(n)
	case *In:
		return b.in(n)
	case *Match:
		return b.match(n)
	}
	o := b.as(booleans, b.value(n))
	if o.class != booleans && o.class != anything {
		b.refuse(CodeNotCondition, o.at, fmt.Sprintf("a condition is needed here, and this is %v", o.class), "compare it: field == value")
		return unknown
	}
	return expr.Cmp{Op: expr.Equal, Left: o.x, Right: expr.Lit{Value: event.Bool(true)}}
}

var cmpOps = [...]expr.CmpOp{Equal: expr.Equal, NotEqual: expr.NotEqual, Less: expr.Less, LessEqual: expr.LessEqual,
	Greater: expr.Greater, GreaterEqual: expr.GreaterEqual}

// mirrored is the comparison with its sides exchanged.
func (o CompareOp) mirrored() CompareOp {
	switch o {
	case Less:
		return Greater
	case LessEqual:
		return GreaterEqual
	case Greater:
		return Less
	case GreaterEqual:
		return LessEqual
	}
	return o
}

// sides binds a comparison's values, the constant one on the right; false where it is refused.
func (b *binder) sides(n *Compare) (left, right operand, op CompareOp, ok bool) {
	left, right, op = b.value(n.Left), b.value(n.Right), n.Op
	_, leftConstant := left.constant()
	_, rightConstant := right.constant()
	switch {
	case leftConstant && !rightConstant:
		left, right, op = right, left, op.mirrored()
	case !rightConstant:
		b.refuse(CodeFieldCompare, n.Span(), "a value can be compared with a constant alone", "")
		return left, right, op, false
	}
	return b.as(right.class, left), right, op, true
}

func (b *binder) compare(n *Compare) expr.Cond {
	left, right, op, ok := b.sides(n)
	if !ok {
		return unknown
	}
	return b.comparison(left, right, op)
}

// comparison compares a value with a constant. With null it asks whether there is one, or is unknown.
func (b *binder) comparison(left, right operand, op CompareOp) expr.Cond {
	v, _ := right.constant()
	u, bothConstant := left.constant()
	if op == Equal || op == NotEqual {
		asked := left
		if bothConstant && u.IsNull() {
			asked = right
		}
		if v.IsNull() || bothConstant && u.IsNull() {
			var c expr.Cond = expr.IsNull{Value: asked.x}
			if op == NotEqual {
				return expr.Not{Cond: c}
			}
			return c
		}
	}
	if !v.IsNull() && left.class != anything {
		converted, network, ok := b.converted(left.class, right)
		switch {
		case !ok:
			return unknown
		case network.IsValid() && op > NotEqual:
			b.refuse(CodeValue, right.at, "a network has no order", "compare with an address")
			return unknown
		case network.IsValid():
			left.x, converted = expr.Call{Fn: "cidr_match", Args: []expr.Value{left.x, right.x}}, event.Bool(true)
		}
		right.x = expr.Lit{Value: converted}
	}
	return expr.Cmp{Op: cmpOps[op], Left: left.x, Right: right.x}
}

func (b *binder) in(n *In) expr.Cond {
	o := b.value(n.Expr)
	list, ok := b.constants(n.Values)
	if !ok {
		return unknown
	}
	o = b.as(list[0].class, o)
	c := b.oneOf(o, list, n.Fold)
	if n.Not {
		return opposite(c)
	}
	return c
}

// constants binds the values of a list.
func (b *binder) constants(list []Expr) ([]operand, bool) {
	out := make([]operand, len(list))
	good := true
	for i, n := range list {
		out[i] = b.value(n)
		if _, ok := out[i].constant(); !ok {
			b.refuse(CodeFieldCompare, out[i].at, "a list holds constants alone", `join comparisons by "or"`)
			good = false
		}
	}
	return out, good
}

// oneOf is true if the value equals one of the list.
func (b *binder) oneOf(o operand, list []operand, fold bool) expr.Cond {
	if v, constant := o.constant(); constant && v.IsNull() {
		return unknown
	}
	fits := expr.Fits{Value: o.x, Fold: fold}
	var conds []expr.Cond
	for _, item := range list {
		v, _ := item.constant()
		switch {
		case v.IsNull():
			conds = append(conds, unknown)
		case o.class == texts && item.class == texts:
			fits.Patterns = append(fits.Patterns, expr.Stars(v.Str()))
		default:
			conds = append(conds, b.comparison(o, item, Equal))
		}
	}
	if len(fits.Patterns) > 0 {
		conds = append(conds, fits)
	}
	return expr.Some(conds...)
}

func (b *binder) match(n *Match) expr.Cond {
	o := b.value(n.Expr)
	list, ok := b.matched(n, &o)
	if !ok {
		return unknown
	}
	if v, constant := o.constant(); constant && v.IsNull() {
		return unknown
	}
	switch {
	case n.Op == Regex || n.Op == RegexFold:
		re, plain, ok := b.regex(n, list)
		switch {
		case !ok:
			return unknown
		case re != nil:
			return expr.Matching{Value: o.x, Expr: re}
		}
		return expr.Fits{Value: o.x, Fold: n.Op == RegexFold, Patterns: []expr.Pattern{expr.Stars(plain)}}
	case o.class != texts:
		return b.oneOf(o, list, false)
	}
	fits := expr.Fits{Value: o.x, Fold: n.Op != Like}
	for _, item := range list {
		if v, _ := item.constant(); !v.IsNull() {
			fits.Patterns = append(fits.Patterns, pattern(v.Str()))
		}
	}
	if len(fits.Patterns) == 0 {
		return unknown
	}
	return fits
}

// matched binds what a match compares with and holds that it can be compared. A colon's sides are exchanged where the
// left one is the constant.
func (b *binder) matched(n *Match, o *operand) ([]operand, bool) {
	if n.Op == Colon && !n.List {
		right := b.value(n.Values[0])
		if _, ok := right.constant(); !ok {
			if _, ok := o.constant(); !ok {
				b.refuse(CodeFieldCompare, n.Span(), "a value can be compared with a constant alone", "")
				return nil, false
			}
			right, *o = *o, right
		}
		return b.matchedAs(n, o, []operand{right})
	}
	list, ok := b.constants(n.Values)
	if !ok {
		return nil, false
	}
	return b.matchedAs(n, o, list)
}

func (b *binder) matchedAs(n *Match, o *operand, list []operand) ([]operand, bool) {
	if n.Op == Colon {
		*o = b.as(list[0].class, *o)
	}
	return list, b.matchable(n, *o, list)
}

// matchable holds that a match is one of texts, or a colon between values of one class.
func (b *binder) matchable(n *Match, o operand, list []operand) bool {
	good := true
	if n.Op != Colon && o.class != texts && o.class != anything {
		b.refuse(CodeType, o.at, fmt.Sprintf("%q compares texts, and this is %v", n.Op.String(), o.class), "write ==, or : for equality")
		return false
	}
	for _, item := range list {
		v, _ := item.constant()
		switch {
		case v.IsNull() || o.class == anything:
			if n.Op != Colon && item.class != texts && !v.IsNull() {
				good = false
				b.refuse(CodeType, item.at, fmt.Sprintf("%q compares texts, and this is %v", n.Op.String(), item.class), "")
			}
		case o.class == texts && item.class != texts:
			good = false
			b.refuse(CodeType, item.at, fmt.Sprintf("a text is compared with %v", item.class), "put it in quotes")
		}
	}
	return good
}

// pattern reads * and ? as wildcards.
func pattern(s string) expr.Pattern {
	var p expr.Pattern
	from := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '*' && s[i] != '?' {
			continue
		}
		if i > from {
			p.Parts = append(p.Parts, expr.PatternPart{Literal: s[from:i]})
		}
		from = i + 1
		if i < len(s) && (s[i] == '?' || len(p.Parts) == 0 || p.Parts[len(p.Parts)-1] != expr.PatternPart{}) {
			p.Parts = append(p.Parts, expr.PatternPart{One: s[i] == '?'})
		}
	}
	return p
}
