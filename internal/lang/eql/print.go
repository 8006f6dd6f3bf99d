package eql

import (
	"fmt"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// String writes q as a query in one line. Parse of the result gives the same tree again, and String of that the same text.
// Blanks, parentheses, comments and the form of texts are the printer's.
func String(q *Query) string {
	var p printer
	switch n := q.Body.(type) {
	case *Events:
		p.events(n)
	case *Sequence:
		p.WriteString("sequence")
		p.by(n.By)
		if n.MaxSpan != nil {
			fmt.Fprintf(&p, " with maxspan=%d%s", n.MaxSpan.Amount, n.MaxSpan.Unit)
		}
		p.terms(n.Terms, n.Until)
	case *Sample:
		p.WriteString("sample")
		p.by(n.By)
		p.terms(n.Terms, nil)
	case *Join:
		p.WriteString("join")
		p.by(n.By)
		p.terms(n.Terms, n.Until)
	default:
		panic(fmt.Sprintf("eql: no text of %T", n))
	}
	for _, pipe := range q.Pipes {
		word := "head"
		if pipe.Tail {
			word = "tail"
		}
		fmt.Fprintf(&p, " | %s %d", word, pipe.N)
	}
	return p.String()
}

// StringExpr writes a condition or value as String does.
func StringExpr(n Expr) string {
	var p printer
	p.expr(n, ofOr)
	return p.String()
}

// StringTerm writes a step of a sequence or sample as String does.
func StringTerm(t *Term) string {
	var p printer
	p.term(t)
	return strings.TrimPrefix(p.String(), " ")
}

// strength is how strongly the place of an expression binds: what binds less is put in parentheses.
type strength uint8

const (
	ofOr      strength = iota // anything may stand here
	ofAnd                     // an operand of or, and with and below it
	ofNot                     // an operand of and, or of not
	ofSum                     // an operand of a comparison
	ofProduct                 // the right operand of a sum, or an operand of a product
	ofSign                    // the right operand of a product, or of a sign
	ofNothing                 // nothing but a single value
)

type printer struct{ strings.Builder }

func (p *printer) events(n *Events) {
	switch {
	case n.Any:
		p.WriteString("any")
	case plainName(n.Category):
		p.WriteString(n.Category)
	default:
		p.quote(n.Category)
	}
	p.WriteString(" where ")
	p.expr(n.Where, ofOr)
}

func (p *printer) by(keys []*Field) {
	for i, k := range keys {
		if i == 0 {
			p.WriteString(" by ")
		} else {
			p.WriteString(", ")
		}
		p.field(k)
	}
}

func (p *printer) terms(terms []*Term, until *Term) {
	for _, t := range terms {
		p.term(t)
	}
	if until != nil {
		p.WriteString(" until")
		p.term(until)
	}
}

func (p *printer) term(t *Term) {
	if t.Missing {
		p.WriteString(" ![")
	} else {
		p.WriteString(" [")
	}
	p.events(t.Events)
	p.WriteByte(']')
	p.by(t.By)
	if t.Runs > 0 {
		fmt.Fprintf(p, " with runs=%d", t.Runs)
	}
}

// of is the place that n needs at most.
func of(n Expr) strength {
	switch n := n.(type) {
	case *Or:
		return ofOr
	case *And:
		return ofAnd
	case *Not, *Compare, *In, *Match:
		return ofNot
	case *Arithmetic:
		if n.Op == '+' || n.Op == '-' {
			return ofSum
		}
		return ofProduct
	case *Sign:
		return ofSign
	}
	return ofNothing
}

// expr writes n, in parentheses where its place binds more.
func (p *printer) expr(n Expr, at strength) {
	if of(n) < at {
		p.WriteByte('(')
		p.expr(n, ofOr)
		p.WriteByte(')')
		return
	}
	switch n := n.(type) {
	case *Or:
		p.list(n.Exprs, " or ", ofAnd)
	case *And:
		p.list(n.Exprs, " and ", ofNot)
	case *Not:
		p.WriteString("not ")
		p.expr(n.Expr, ofNot)
	case *Compare:
		p.expr(n.Left, ofSum)
		p.WriteString(" " + n.Op.String() + " ")
		p.expr(n.Right, ofSum)
	case *In:
		p.expr(n.Expr, ofSum)
		if n.Not {
			p.WriteString(" not")
		}
		p.WriteString(" in")
		if n.Fold {
			p.WriteByte('~')
		}
		p.WriteString(" (")
		p.list(n.Values, ", ", ofOr)
		p.WriteByte(')')
	case *Match:
		p.expr(n.Expr, ofSum)
		p.WriteString(" " + n.Op.String() + " ")
		if n.List {
			p.WriteByte('(')
			p.list(n.Values, ", ", ofOr)
			p.WriteByte(')')
			return
		}
		p.expr(n.Values[0], ofSum)
	case *Arithmetic:
		own := of(n)
		p.expr(n.Left, own)
		p.WriteString(" " + string(n.Op) + " ")
		p.expr(n.Right, own+1)
	case *Sign:
		p.WriteByte(n.Op)
		p.expr(n.Expr, ofSign)
	case *Call:
		p.WriteString(n.Name)
		if n.Fold {
			p.WriteByte('~')
		}
		p.WriteByte('(')
		p.list(n.Args, ", ", ofOr)
		p.WriteByte(')')
	case *Field:
		p.field(n)
	case *Const:
		p.constant(n)
	default:
		panic(fmt.Sprintf("eql: no text of %T", n))
	}
}

func (p *printer) list(list []Expr, between string, at strength) {
	for i, n := range list {
		if i > 0 {
			p.WriteString(between)
		}
		p.expr(n, at)
	}
}

// field writes a name of plain parts as it is, any other one whole between backquotes.
func (p *printer) field(f *Field) {
	if f.Optional {
		p.WriteByte('?')
	}
	for _, part := range strings.Split(f.Path, ".") {
		if !plainName(part) {
			p.WriteString("`" + strings.ReplaceAll(f.Path, "`", "``") + "`")
			return
		}
	}
	p.WriteString(f.Path)
}

func (p *printer) constant(n *Const) {
	switch n.Value.Kind() {
	case event.KindNull:
		p.WriteString("null")
	case event.KindString:
		p.quote(n.Value.Str())
	default:
		p.WriteString(n.Value.Text())
	}
}

func (p *printer) quote(s string) {
	p.WriteByte('"')
	for _, r := range s {
		switch r {
		case '"', '\\':
			p.WriteByte('\\')
			p.WriteRune(r)
		case '\b':
			p.WriteString(`\b`)
		case '\t':
			p.WriteString(`\t`)
		case '\n':
			p.WriteString(`\n`)
		case '\f':
			p.WriteString(`\f`)
		case '\r':
			p.WriteString(`\r`)
		default:
			if r < ' ' || r == 0x7F || r >= 0x200E && r <= 0x200F || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 {
				fmt.Fprintf(p, `\u{%02x}`, r)
				continue
			}
			p.WriteRune(r)
		}
	}
	p.WriteByte('"')
}
