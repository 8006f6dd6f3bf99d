package storetest

import (
	"regexp"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// signature says what a function takes and gives; a text after the first is a piece of the first.
type signature struct {
	fn    string
	gives event.Type
	takes []event.Type
}

// signatures are the functions that random values call, besides those that value knows itself.
var signatures = []signature{
	{"add", event.Long, []event.Type{event.Long, event.Long}},
	{"subtract", event.Long, []event.Type{event.Long, event.Long}},
	{"multiply", event.Long, []event.Type{event.Long, event.Long}},
	{"divide", event.Long, []event.Type{event.Long, event.Long}},
	{"modulo", event.Long, []event.Type{event.Long, event.Long}},
	{"negate", event.Long, []event.Type{event.Long}},
	{"add", event.Double, []event.Type{event.Double, event.Long}},
	{"divide", event.Double, []event.Type{event.Double, event.Double}},
	{"between", event.Keyword, []event.Type{event.Keyword, event.Keyword, event.Keyword}},
	{"between_fold", event.Keyword, []event.Type{event.Keyword, event.Keyword, event.Keyword, event.Boolean}},
	{"cidr_match", event.Boolean, []event.Type{event.IPType, event.IPType}},
	{"concat", event.Keyword, []event.Type{event.Keyword, event.Long, event.Keyword}},
	{"contains", event.Boolean, []event.Type{event.Keyword, event.Keyword}},
	{"contains_fold", event.Boolean, []event.Type{event.Keyword, event.Keyword}},
	{"ends_with", event.Boolean, []event.Type{event.Keyword, event.Keyword}},
	{"ends_with_fold", event.Boolean, []event.Type{event.Keyword, event.Keyword}},
	{"index_of", event.Long, []event.Type{event.Keyword, event.Keyword}},
	{"index_of_fold", event.Long, []event.Type{event.Keyword, event.Keyword, event.Long}},
	{"starts_with", event.Boolean, []event.Type{event.Keyword, event.Keyword}},
	{"starts_with_fold", event.Boolean, []event.Type{event.Keyword, event.Keyword}},
	{"substring", event.Keyword, []event.Type{event.Keyword, event.Long, event.Long}},
	{"to_number", event.Long, []event.Type{event.Keyword}},
	{"to_text", event.Keyword, []event.Type{event.Double}},
	{"utf16_length", event.Long, []event.Type{event.Keyword}},
}

// computed makes a call that gives values of the class, false where no function does.
func (g *planner) computed(depth int, class event.Type) (expr.Value, bool) {
	for range 20 {
		if s := pick(g.r, signatures); s.gives == class {
			return g.call(s, g.value(depth-1, s.takes[0])), true
		}
	}
	return nil, false
}

// call makes a call with first as its first argument.
func (g *planner) call(s signature, first expr.Value) expr.Value {
	c := expr.Call{Fn: s.fn, Args: []expr.Value{first}}
	for _, class := range s.takes[1:] {
		switch {
		case chance(g.r, 3):
			c.Args = append(c.Args, expr.Lit{})
		case class == event.Keyword:
			c.Args = append(c.Args, expr.Lit{Value: event.String(g.piece(g.textOf(first)))})
		case class == event.IPType:
			c.Args = append(c.Args, expr.Lit{Value: event.String(pick(g.r, []string{"10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32", "0.0.0.0/0"}))})
		case class == event.Boolean:
			c.Args = append(c.Args, expr.Lit{Value: event.Bool(chance(g.r, 50))})
		default:
			c.Args = append(c.Args, expr.Lit{Value: event.Int(int64(g.r.IntN(7) - 2))})
		}
	}
	return c
}

// textOf returns a text that x gives in one of the rows.
func (g *planner) textOf(x expr.Value) string {
	if len(g.rows) > 0 {
		for range 4 {
			if v := expr.Compute(x, pick(g.r, g.rows)); v.IsScalar() {
				return v.Text()
			}
		}
	}
	return "x"
}

// piece cuts a part out of a text, from its beginning, its end or between.
func (g *planner) piece(s string) string {
	runes := []rune(s)
	if len(runes) == 0 {
		return ""
	}
	n := 1 + g.r.IntN(min(len(runes), 4))
	from := pick(g.r, []int{0, len(runes) - n, g.r.IntN(len(runes) - n + 1)})
	cut := string(runes[from : from+n])
	if chance(g.r, 30) {
		cut = strings.ToUpper(cut)
	}
	return cut
}

// script makes a condition on what is computed.
func (g *planner) script() expr.Cond {
	exact := func(t event.Type) bool { return t.IsKeyword() }
	switch k := g.r.IntN(100); {
	case k < 20:
		f := g.field(exact)
		return expr.Regexp{Field: f, Expr: g.expression(g.typed(f).Text())}
	case k < 50:
		f := g.field(exact)
		return expr.Each{Field: f, Cond: g.onThis(g.typed(f).Text())}
	case k < 65:
		return expr.Holds{Cond: g.cmp()}
	case k < 88:
		c := expr.Fits{Value: g.value(1, event.Keyword), Fold: chance(g.r, 50)}
		for range 1 + g.r.IntN(2) {
			c.Patterns = append(c.Patterns, g.pattern(g.textOf(c.Value)))
		}
		return c
	}
	x := g.value(1, event.Keyword)
	return expr.Matching{Value: x, Expr: g.expression(g.textOf(x))}
}

// onThis makes a condition on This, of which text may be a value.
func (g *planner) onThis(text string) expr.Cond {
	this := expr.This{}
	lit := func(v event.Value) expr.Value { return expr.Lit{Value: v} }
	switch g.r.IntN(5) {
	case 0:
		return expr.Fits{Value: this, Patterns: []expr.Pattern{g.pattern(text)}, Fold: chance(g.r, 50)}
	case 1:
		return expr.Cmp{Op: expr.CmpOp(g.r.IntN(6)), Left: expr.Call{Fn: "utf16_length", Args: []expr.Value{this}},
			Right: lit(event.Int(int64(len(text))))}
	case 2:
		return expr.Not{Cond: expr.Cmp{Left: expr.Call{Fn: "starts_with_fold", Args: []expr.Value{this, lit(event.String(g.piece(text)))}},
			Right: lit(event.Bool(true))}}
	case 3:
		return expr.IsNull{Value: expr.Call{Fn: "index_of", Args: []expr.Value{this, lit(event.String(g.piece(text)))}}}
	}
	return expr.Cmp{Op: expr.NotEqual, Right: lit(event.Bool(false)), Left: expr.Test{Cond: expr.Or{Conds: []expr.Cond{
		expr.Cmp{Left: this, Right: lit(event.String(text))}, expr.IsNull{Value: g.value(1, g.class())}}}}}
}

// expression is an expression that text matches, or nearly.
func (g *planner) expression(text string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString("^(?s:")
	for _, r := range text {
		switch {
		case chance(g.r, 8):
			b.WriteString(".*")
		case chance(g.r, 5):
			b.WriteString("[^a]?")
		default:
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	b.WriteString(")$")
	re, err := regexp.Compile(b.String())
	if err != nil {
		return regexp.MustCompile("^x")
	}
	return re
}
