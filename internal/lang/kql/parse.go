package kql

import (
	"fmt"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/diag"
)

// Limits of a query; beyond them Parse reports an error.
const (
	MaxLength = 1 << 20 // bytes
	MaxDepth  = 500     // parentheses and braces inside each other
	MaxTerms  = 65_536  // conditions and values joined by "and", "or"
)

// ParseOption changes what Parse accepts.
type ParseOption func(*parser)

// NoLeadingWildcards makes a value that begins with a star, and is more than that, an error.
func NoLeadingWildcards() ParseOption { return func(p *parser) { p.noLeading = true } }

// Parse reads a query. The error is a diag.Diagnostic with the place of the first character that cannot stand there.
// It takes time in proportion to the query's length.
func Parse(query string, options ...ParseOption) (Node, error) {
	p := parser{text: query}
	for _, o := range options {
		o(&p)
	}
	n := p.query()
	if p.err != nil {
		return nil, *p.err
	}
	return n, nil
}

// parser reads the text from left to right without ever going back: at each place the next character, or the next word,
// decides. After the first error at stays where it is.
type parser struct {
	text      string
	at        int
	noLeading bool
	open      []int // offsets of the parentheses and braces that are open
	terms     int   // conditions and values so far
	last      int   // where the last field or value begins
	err       *diag.Diagnostic
}

func (p *parser) query() Node {
	if len(p.text) > MaxLength {
		p.refuse(diag.Diagnostic{Code: CodeTooLong, Span: diag.At(MaxLength),
			Message: fmt.Sprintf("the query has %d bytes, more than %d", len(p.text), MaxLength),
			Hint:    "keep long lists of values in a value list, outside the query"})
		return nil
	}
	if !utf8.ValidString(p.text) {
		at := 0
		for r, n := utf8.DecodeRuneInString(p.text); r != utf8.RuneError || n > 1; r, n = utf8.DecodeRuneInString(p.text[at:]) {
			at += n
		}
		p.refuse(diag.Diagnostic{Code: CodeNotText, Message: "the query is not UTF-8 text",
			Span: diag.Span{Start: at, End: at + 1}})
		return nil
	}
	p.blanks()
	if p.at == len(p.text) {
		return all(p.text)
	}
	n := p.any()
	p.blanks()
	if p.err == nil && p.at < len(p.text) {
		p.unexpected("and", "or", "end of the query")
	}
	return n
}

// refuse notes the first error.
func (p *parser) refuse(d diag.Diagnostic) {
	if p.err == nil {
		d.Text = p.text
		p.err = &d
	}
}

func (p *parser) blanks() {
	if p.err == nil {
		p.at = skipBlanks(p.text, p.at)
	}
}

// take eats the sign c if it comes next.
func (p *parser) take(c byte) bool {
	if p.err == nil && p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

// enter notes an opening sign, which has just been eaten; leave eats the closing one.
func (p *parser) enter() {
	p.open = append(p.open, p.at-1)
	if len(p.open) > MaxDepth {
		p.refuse(diag.Diagnostic{Code: CodeTooDeep, Span: diag.Span{Start: p.at - 1, End: p.at},
			Message: fmt.Sprintf("more than %d parentheses and braces inside each other", MaxDepth)})
	}
	p.blanks()
}

func (p *parser) leave(closing byte) {
	p.blanks()
	if !p.take(closing) {
		p.unexpected("and", "or", string(closing))
		return
	}
	p.open = p.open[:len(p.open)-1]
}

// joined reads one or more of part with word between them.
func (p *parser) joined(word string, part func() Node) []Node {
	nodes := []Node{part()}
	for p.err == nil {
		after, ok := joint(p.text, p.at, word)
		if !ok {
			break
		}
		if p.terms++; p.terms >= MaxTerms {
			at := skipBlanks(p.text, p.at)
			p.refuse(diag.Diagnostic{Code: CodeTooMany, Span: diag.Span{Start: at, End: at + len(word)},
				Message: fmt.Sprintf("the query joins more than %d conditions", MaxTerms),
				Hint:    "keep long lists of values in a value list, outside the query"})
			break
		}
		p.at = after
		nodes = append(nodes, part())
	}
	return nodes
}

func either(nodes []Node) Node {
	if len(nodes) == 1 {
		return nodes[0]
	}
	return &Or{nodes}
}

func every(nodes []Node) Node {
	if len(nodes) == 1 {
		return nodes[0]
	}
	return &And{nodes}
}

func (p *parser) any() Node {
	return either(p.joined("or", func() Node {
		return every(p.joined("and", func() Node {
			return p.negatable(p.group)
		}))
	}))
}

// negatable reads a part with or without "not" before it.
func (p *parser) negatable(part func(negated bool) Node) Node {
	if p.err != nil {
		return nil
	}
	start := p.at
	after, negated := negation(p.text, p.at)
	if !negated {
		return part(false)
	}
	p.at = after
	n := part(true)
	if p.err != nil {
		return nil
	}
	return &Not{Node: n, At: diag.Span{Start: start, End: n.Span().End}}
}

// group reads a query in parentheses or a condition.
func (p *parser) group(negated bool) Node {
	if !p.take('(') {
		return p.condition(negated)
	}
	p.enter()
	n := p.any()
	p.leave(')')
	return n
}

func (p *parser) condition(negated bool) Node {
	start := p.at
	field, after, ok := literal(p.text, p.at)
	if !ok {
		p.unexpected(beginnings(negated, "field", "value")...)
		return nil
	}
	p.last, p.at = p.at, after
	p.blanks()
	switch {
	case p.take(':'):
		p.blanks()
		if p.take('{') {
			p.enter()
			n := p.any()
			p.leave('}')
			return &Nested{Path: field, Node: n, At: diag.Span{Start: start, End: p.at}}
		}
		return p.values(&field, false, true)
	case p.take('<'):
		return p.bound(field, Less, LessEqual)
	case p.take('>'):
		return p.bound(field, Greater, GreaterEqual)
	}
	p.at = after // blanks after the value belong to the word that may follow
	p.checkLeading(field)
	return &Is{Value: field}
}

// beginnings says what a part can begin with.
func beginnings(negated bool, rest ...string) []string {
	if negated {
		return append([]string{"("}, rest...)
	}
	return append([]string{"(", "not"}, rest...)
}

func (p *parser) bound(field Literal, strict, orEqual Op) Node {
	op := strict
	if p.take('=') {
		op = orEqual
	}
	p.blanks()
	value, after, ok := literal(p.text, p.at)
	if !ok {
		p.unexpected("value")
		return nil
	}
	p.last, p.at = p.at, after
	return &Range{Field: field, Op: op, Value: value}
}

// values reads a value or a list of them in parentheses; first is true directly after the colon.
func (p *parser) values(field *Literal, negated, first bool) Node {
	if p.err != nil {
		return nil
	}
	if p.take('(') {
		p.enter()
		n := either(p.joined("or", func() Node {
			return every(p.joined("and", func() Node {
				return p.negatable(func(negated bool) Node { return p.values(field, negated, false) })
			}))
		}))
		p.leave(')')
		return n
	}
	value, after, ok := literal(p.text, p.at)
	if !ok {
		if first {
			p.unexpected("(", "{", "value")
		} else {
			p.unexpected(beginnings(negated, "value")...)
		}
		return nil
	}
	p.last, p.at = p.at, after
	p.checkLeading(value)
	return &Is{Field: field, Value: value}
}

// checkLeading holds the option NoLeadingWildcards.
func (p *parser) checkLeading(value Literal) {
	if p.noLeading && value.Wildcard() && value.Parts[0] == "" && !value.Exists() {
		p.refuse(diag.Diagnostic{Code: CodeLeadingWildcard, Span: value.At,
			Message: "values that begin with * are not allowed here",
			Hint:    "write at least one character before the star"})
	}
}
