package storetest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// formatPlan writes p in the notation of testdata, a node a line, in the order in which rows pass them. What parsePlan
// reads from it is p again.
func formatPlan(p plan.Node) string {
	if p == nil {
		return ""
	}
	return formatPlan(plan.Input(p)) + formatNode(p) + "\n"
}

func formatNode(n plan.Node) string {
	var b strings.Builder
	switch n := n.(type) {
	case plan.Scan:
		b.WriteString("scan")
		for _, s := range n.Streams {
			b.WriteString(" " + quoteName(s))
		}
	case plan.Filter:
		b.WriteString("filter " + formatCond(n.Cond))
	case plan.SemiJoin:
		b.WriteString("semijoin ")
		if n.Anti {
			b.WriteString("anti ")
		}
		b.WriteString(formatMember(expr.Member{Field: n.Field, Set: n.Set}))
	case plan.Eval:
		b.WriteString("eval")
		for _, c := range n.Cols {
			b.WriteString(" " + quoteName(c.Name) + " " + formatValue(c.Value))
		}
	case plan.Aggregate:
		b.WriteString("aggregate")
		for _, g := range n.By {
			if g.Value != nil {
				b.WriteString(" (by " + quoteName(g.Name) + " " + formatValue(g.Value) + ")")
			} else {
				b.WriteString(" (each " + quoteName(g.Name) + " " + g.Each.String() + ")")
			}
		}
		for _, a := range n.Aggs {
			b.WriteString(" (" + aggNames[a.Fn] + " " + quoteName(a.Name))
			if a.Value != nil {
				b.WriteString(" " + formatValue(a.Value))
			}
			b.WriteString(")")
		}
	case plan.Sort:
		b.WriteString("sort")
		for _, k := range n.Keys {
			if k.Desc {
				b.WriteString(" (desc " + formatValue(k.Value) + ")")
			} else {
				b.WriteString(" " + formatValue(k.Value))
			}
		}
	case plan.Limit:
		b.WriteString("limit " + strconv.Itoa(n.N))
	case plan.Project:
		b.WriteString("project")
		for _, path := range n.Paths {
			b.WriteString(" " + quoteName(path))
		}
	case plan.Sequence:
		b.WriteString("sequence" + formatSequence(n))
	case plan.Sample:
		b.WriteString("sample" + formatSample(n))
	default:
		panic(fmt.Sprintf("storetest: no notation of %T", n))
	}
	return b.String()
}

var aggNames = [...]string{plan.Count: "count", plan.CountDistinct: "distinct", plan.Min: "min", plan.Max: "max"}

var cmpNames = [...]string{expr.Equal: "=", expr.NotEqual: "!=", expr.Less: "<", expr.LessEqual: "<=",
	expr.Greater: ">", expr.GreaterEqual: ">="}

// formatCond writes c.
func formatCond(c expr.Cond) string {
	list := func(head string, conds []expr.Cond) string {
		out := "(" + head
		for _, sub := range conds {
			out += " " + formatCond(sub)
		}
		return out + ")"
	}
	switch c := c.(type) {
	case expr.Const:
		return strconv.FormatBool(c.Value)
	case expr.And:
		return list("and", c.Conds)
	case expr.Or:
		return list("or", c.Conds)
	case expr.Not:
		return "(not " + formatCond(c.Cond) + ")"
	case expr.In:
		out := "(in " + c.Field.String()
		for _, v := range c.Values {
			out += " " + formatLiteral(v)
		}
		return out + ")"
	case expr.Member:
		return formatMember(c)
	case expr.Range:
		return "(range " + c.Field.String() + formatBound(" >", c.Min) + formatBound(" <", c.Max) + ")"
	case expr.Like:
		head := "(like "
		if c.Fold {
			head = "(like-fold "
		}
		return head + c.Field.String() + " " + strconv.Quote(c.Pattern.String()) + ")"
	case expr.Words:
		out := "(words "
		if c.Phrase {
			out = "(phrase "
		}
		out += c.Field.String()
		for _, token := range c.Tokens {
			out += " " + strconv.Quote(token)
		}
		return out + ")"
	case expr.Exists:
		return "(exists " + c.Field.String() + ")"
	case expr.Nested:
		return "(nested " + quoteName(c.Path) + " " + formatCond(c.Cond) + ")"
	case expr.Anywhere:
		out := "(anywhere"
		if c.Analyse != nil {
			out += " analysed"
		}
		if c.Phrase {
			out += " phrase"
		}
		if c.Pattern != nil {
			return out + " like " + strconv.Quote(c.Pattern.String()) + ")"
		}
		return out + " " + strconv.Quote(c.Text) + ")"
	case expr.Cmp:
		return "(" + cmpNames[c.Op] + " " + formatValue(c.Left) + " " + formatValue(c.Right) + ")"
	case expr.IsNull:
		return "(null " + formatValue(c.Value) + ")"
	case expr.Holds:
		return "(holds " + formatCond(c.Cond) + ")"
	case expr.Regexp:
		return "(regexp " + c.Field.String() + " " + strconv.Quote(c.Expr.String()) + ")"
	case expr.Each:
		return "(for-each " + c.Field.String() + " " + formatCond(c.Cond) + ")"
	case expr.Fits:
		head := "(fits "
		if c.Fold {
			head = "(fits-fold "
		}
		out := head + formatValue(c.Value)
		for _, p := range c.Patterns {
			out += " " + strconv.Quote(p.String())
		}
		return out + ")"
	case expr.Matching:
		return "(matching " + formatValue(c.Value) + " " + strconv.Quote(c.Expr.String()) + ")"
	}
	panic(fmt.Sprintf("storetest: no notation of %T", c))
}

func formatBound(op string, b expr.Bound) string {
	if b.Value.IsNull() {
		return ""
	}
	if b.Inclusive {
		op += "="
	}
	return op + " " + formatLiteral(b.Value)
}

func formatValue(x expr.Value) string {
	switch x := x.(type) {
	case expr.One:
		return x.Field.String()
	case expr.Least:
		return "(least " + x.Field.String() + ")"
	case expr.This:
		return "this"
	case expr.Test:
		return "(test " + formatCond(x.Cond) + ")"
	case expr.Lit:
		return formatLiteral(x.Value)
	case expr.Call:
		out := "(" + x.Fn
		for _, a := range x.Args {
			out += " " + formatValue(a)
		}
		return out + ")"
	}
	panic(fmt.Sprintf("storetest: no notation of %T", x))
}

func formatLiteral(v event.Value) string {
	switch v.Kind() {
	case event.KindNull:
		return "null"
	case event.KindString:
		return strconv.Quote(v.Text())
	case event.KindTime:
		return "date" + strconv.Quote(v.Text())
	case event.KindIP:
		return "ip" + strconv.Quote(v.Text())
	}
	return v.Text()
}

var plainName = regexp.MustCompile(`^[A-Za-z@_.*-][A-Za-z0-9@_.*-]*$`)

func quoteName(s string) string {
	if plainName.MatchString(s) {
		return s
	}
	return strconv.Quote(s)
}
