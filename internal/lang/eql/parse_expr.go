package eql

import (
	"fmt"
	"math"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
)

func (p *parser) or() Expr {
	list := p.joined("or", p.and)
	if len(list) == 1 {
		return list[0]
	}
	return &Or{list}
}

func (p *parser) and() Expr {
	list := p.joined("and", p.not)
	if len(list) == 1 {
		return list[0]
	}
	return &And{list}
}

// joined reads one or more of part with word between them.
func (p *parser) joined(word string, part func() Expr) []Expr {
	list := []Expr{part()}
	for p.take(word) {
		p.count()
		list = append(list, part())
	}
	return list
}

func (p *parser) not() Expr {
	if !p.tok.is("not") {
		return p.comparison()
	}
	start := p.tok.at.Start
	p.deeper()
	p.next()
	n := p.not()
	p.depth--
	return &Not{Expr: n, At: diag.Span{Start: start, End: p.before.at.End}}
}

var compareOps = map[string]CompareOp{"==": Equal, "!=": NotEqual, "<": Less, "<=": LessEqual, ">": Greater,
	">=": GreaterEqual}

// compareOp returns the comparison that comes next.
func (p *parser) compareOp() (CompareOp, bool) {
	if p.tok.kind != signToken {
		return 0, false
	}
	op, ok := compareOps[p.tok.text]
	return op, ok
}

// matchOp returns the match that comes next.
func (p *parser) matchOp() (MatchOp, bool) {
	switch {
	case p.tok.is(":"):
		return Colon, true
	case p.tok.is("like"):
		return Like, true
	case p.tok.isFold("like"):
		return LikeFold, true
	case p.tok.is("regex"):
		return Regex, true
	case p.tok.isFold("regex"):
		return RegexFold, true
	}
	return 0, false
}

func (p *parser) comparison() Expr {
	start := p.tok.at.Start
	left := p.operand()
	var n Expr
	negated := p.tok.is("not") && (p.peek().is("in") || p.peek().isFold("in"))
	if op, ok := p.compareOp(); ok {
		p.next()
		n = &Compare{Op: op, Left: left, Right: p.operand()}
	} else if op, ok := p.matchOp(); ok {
		p.next()
		m := &Match{Op: op, Expr: left}
		m.Values, m.List = p.matched(op)
		m.At = diag.Span{Start: start, End: p.before.at.End}
		n = m
	} else if negated || p.tok.is("in") || p.tok.isFold("in") {
		if negated {
			p.next()
		}
		in := &In{Expr: left, Not: negated, Fold: p.tok.tilde}
		word := p.tok.text
		if p.next(); !p.tok.is("(") {
			p.fail(CodeUnexpected, p.tok.at, fmt.Sprintf("%q takes a list in parentheses", word), fmt.Sprintf(`write %s ("a", "b")`, word))
		}
		in.Values = p.list(p.or)
		in.At = diag.Span{Start: start, End: p.before.at.End}
		n = in
	} else {
		return left
	}
	if _, chained := p.compareOp(); chained {
		p.chain()
	} else if _, chained := p.matchOp(); chained || p.tok.is("in") || p.tok.isFold("in") {
		p.chain()
	}
	return n
}

// chain refuses a second comparison in a row.
func (p *parser) chain() {
	p.fail(CodeChain, p.tok.at, "comparisons cannot be chained",
		`join them by "and": a < b and b < c; or put one in parentheses`)
}

// matched reads what stands after a match: one constant, a list of them, or, after a colon, any value.
func (p *parser) matched(op MatchOp) (values []Expr, list bool) {
	if p.tok.is("(") {
		at := p.skip(p.tok.at.End)
		first := p.scan(at)
		if op != Colon || p.constantList(first) {
			return p.list(p.constant), true
		}
	}
	if op == Colon {
		return []Expr{p.operand()}, false
	}
	return []Expr{p.constant()}, false
}

// constantList reports whether the parenthesis that comes next holds constants and not a value of other parts.
func (p *parser) constantList(first token) bool {
	switch {
	case first.kind == textToken, first.kind == numberToken, first.is("true"), first.is("false"), first.is("null"):
	default:
		return false
	}
	second := p.scan(first.at.End)
	if second.is(",") {
		return true
	}
	if !second.is(")") {
		return false
	}
	third := p.scan(second.at.End)
	return !(third.is("+") || third.is("-") || third.is("*") || third.is("/") || third.is("%"))
}

// list reads values in parentheses, at least one, with commas between them.
func (p *parser) list(item func() Expr) []Expr {
	p.enter()
	var out []Expr
	for {
		p.count()
		if p.tok.is(")") {
			p.unexpected("value")
		}
		out = append(out, item())
		if !p.take(",") {
			break
		}
	}
	p.leave(")", ",")
	return out
}

func (p *parser) operand() Expr {
	left := p.product()
	links := 0
	for p.tok.is("+") || p.tok.is("-") {
		left = p.arithmetic(left, &links, p.product)
	}
	p.depth -= links
	return left
}

func (p *parser) product() Expr {
	left := p.signed()
	links := 0
	for p.tok.is("*") || p.tok.is("/") || p.tok.is("%") {
		left = p.arithmetic(left, &links, p.signed)
	}
	p.depth -= links
	return left
}

// arithmetic reads one more number; each makes the tree one deeper.
func (p *parser) arithmetic(left Expr, links *int, right func() Expr) Expr {
	p.deeper()
	*links++
	op := p.tok.text[0]
	p.next()
	return &Arithmetic{Op: op, Left: left, Right: right()}
}

func (p *parser) signed() Expr {
	if !p.tok.is("+") && !p.tok.is("-") {
		return p.primary()
	}
	t := p.tok
	p.deeper()
	p.next()
	n := p.signed()
	p.depth--
	return &Sign{Op: t.text[0], Expr: n, At: diag.Span{Start: t.at.Start, End: p.before.at.End}}
}

func (p *parser) primary() Expr {
	t := p.tok
	switch {
	case t.is("("):
		p.enter()
		n := p.or()
		p.leave(")", "and", "or")
		return n
	case t.is("?"):
		p.next()
		if p.tok.kind != nameToken && p.tok.kind != quotedToken {
			p.unexpected("field")
		}
		f := p.field()
		f.Optional, f.At.Start = true, t.at.Start
		return f
	case t.kind == textToken, t.kind == numberToken, t.is("true"), t.is("false"), t.is("null"):
		return p.constant()
	case t.kind == quotedToken:
		return p.field()
	case t.kind == nameToken && (!reserved[t.text] || p.calls(t)):
		if p.calls(t) {
			return p.call()
		}
		return p.field()
	}
	p.unexpected("value")
	return nil
}

// calls reports whether t, which comes next, is the name of a call.
func (p *parser) calls(t token) bool { return !reserved[t.text] && p.peek().is("(") }

func (p *parser) call() Expr {
	n := &Call{Name: p.tok.text, Fold: p.tok.tilde, NameAt: p.tok.at}
	p.next()
	if p.peek().is(")") {
		p.next()
		p.next()
	} else {
		n.Args = p.list(p.or)
	}
	n.At = diag.Span{Start: n.NameAt.Start, End: p.before.at.End}
	return n
}

// field reads a name of parts with dots between them.
func (p *parser) field() *Field {
	f := &Field{At: p.tok.at}
	for {
		switch {
		case p.tok.kind == quotedToken:
		case p.tok.kind != nameToken:
			p.unexpected("field")
		case p.tok.tilde:
			p.fail(CodeUnexpected, p.tok.at, "only names of functions, and in, like and regex, have a ~", "")
		case reserved[p.tok.text]:
			p.fail(CodeReserved, p.tok.at, fmt.Sprintf("%q is a word of the language", p.tok.text),
				fmt.Sprintf("put it in backquotes if it is a name: `%s`", p.tok.text))
		}
		f.Path += p.tok.text
		f.At.End = p.tok.at.End
		if p.next(); !p.tok.is(".") {
			break
		}
		f.Path += "."
		p.next()
	}
	if p.tok.is("[") && p.peek().kind == numberToken {
		p.fail(CodeIndex, p.tok.at, "an element of a list cannot be asked for",
			"leave [ ] out: a field with several values fulfils a condition if one of them does")
	}
	return f
}

func (p *parser) constant() Expr {
	t := p.tok
	n := &Const{At: t.at}
	switch {
	case t.kind == textToken:
		n.Value = event.String(t.text)
	case t.kind == numberToken:
		v, ok := event.Literal(t.text)
		if !ok || math.IsInf(v.Float(), 0) {
			p.fail(CodeNumber, t.at, "this number is too large", "")
		}
		n.Value = v
	case t.is("true"), t.is("false"):
		n.Value = event.Bool(t.text == "true")
	case t.is("null"):
	default:
		p.unexpected("constant")
	}
	p.next()
	if t.kind == numberToken && p.tok.kind == nameToken && p.tok.at.Start == t.at.End {
		p.fail(CodeNumber, t.at.Join(p.tok.at), "letters follow a number directly", "put it in quotes if it is a text")
	}
	return n
}
