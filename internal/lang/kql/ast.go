package kql

import (
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
)

// Node is a condition: *And, *Or, *Not, *Is, *Range or *Nested. Trees are not changed once made.
type Node interface {
	// Span is where the condition stands in the query.
	Span() diag.Span
	node()
}

// And is true if all conditions are. It has at least two.
type And struct{ Nodes []Node }

// Or is true if one condition is. It has at least two.
type Or struct{ Nodes []Node }

// Not is true if the condition is not.
type Not struct {
	Node Node
	At   diag.Span
}

// Is compares a field with a value, or, where Field is nil, all fields. The empty query is Is with * for both.
type Is struct {
	Field *Literal
	Value Literal
}

// Op is the comparison of a Range.
type Op uint8

// The comparisons.
const (
	Less Op = iota
	LessEqual
	Greater
	GreaterEqual
)

// String returns the operator as it is written.
func (o Op) String() string { return [...]string{"<", "<=", ">", ">="}[o] }

// Range compares a field with a bound.
type Range struct {
	Field Literal
	Op    Op
	Value Literal
}

// Nested asks for one object at Path that alone fulfils the condition, whose field names leave Path out.
type Nested struct {
	Path Literal
	Node Node
	At   diag.Span
}

func (*And) node()    {}
func (*Or) node()     {}
func (*Not) node()    {}
func (*Is) node()     {}
func (*Range) node()  {}
func (*Nested) node() {}

// Span reaches from the first condition to the last.
func (n *And) Span() diag.Span { return n.Nodes[0].Span().Join(n.Nodes[len(n.Nodes)-1].Span()) }

// Span reaches from the first condition to the last.
func (n *Or) Span() diag.Span { return n.Nodes[0].Span().Join(n.Nodes[len(n.Nodes)-1].Span()) }

// Span begins at the word not.
func (n *Not) Span() diag.Span { return n.At }

// Span reaches from the field to the value; the field of a value in a list stands before the list.
func (n *Is) Span() diag.Span {
	if n.Field == nil {
		return n.Value.At
	}
	return n.Field.At.Join(n.Value.At)
}

// Span reaches from the field to the bound.
func (n *Range) Span() diag.Span { return n.Field.At.Join(n.Value.At) }

// Span reaches from the path to the closing brace.
func (n *Nested) Span() diag.Span { return n.At }

// Literal is a field name or a value.
type Literal struct {
	// Parts are the texts between the stars, escapes resolved; a text without a star is one part.
	Parts  []string
	Quoted bool
	At     diag.Span // the quotes included
	query  string    // the query that At points into
}

// Word returns a bare literal for trees made by hand, with stars as wildcards: Word("cmd*").
func Word(s string) Literal { return Literal{Parts: strings.Split(s, "*")} }

// Quote returns a quoted literal for trees made by hand.
func Quote(s string) Literal { return Literal{Parts: []string{s}, Quoted: true} }

// Wildcard reports whether l holds a star that stands for other characters.
func (l Literal) Wildcard() bool { return len(l.Parts) > 1 }

// Exists reports whether l is a lone star: any value.
func (l Literal) Exists() bool { return len(l.Parts) == 2 && l.Parts[0] == "" && l.Parts[1] == "" }

// Text returns the literal's text, wildcards as *.
func (l Literal) Text() string { return strings.Join(l.Parts, "*") }

// Bool returns the boolean that a bare true or false is.
func (l Literal) Bool() (value, ok bool) {
	if l.Quoted || l.Wildcard() {
		return false, false
	}
	return l.Text() == "true", l.Text() == "true" || l.Text() == "false"
}

// Null reports whether l is a bare null.
func (l Literal) Null() bool { return !l.Quoted && !l.Wildcard() && l.Text() == "null" }

// same reports whether l and m say the same, wherever they stand.
func (l Literal) same(m Literal) bool {
	if l.Quoted != m.Quoted || len(l.Parts) != len(m.Parts) {
		return false
	}
	for i := range l.Parts {
		if l.Parts[i] != m.Parts[i] {
			return false
		}
	}
	return true
}

// all is the empty query.
func all(query string) Node {
	star := Literal{Parts: []string{"", ""}, query: query}
	return &Is{Field: &star, Value: star}
}

// walk calls visit for n and every condition below it, from left to right.
func walk(n Node, visit func(Node)) {
	visit(n)
	switch n := n.(type) {
	case *And:
		for _, sub := range n.Nodes {
			walk(sub, visit)
		}
	case *Or:
		for _, sub := range n.Nodes {
			walk(sub, visit)
		}
	case *Not:
		walk(n.Node, visit)
	case *Nested:
		walk(n.Node, visit)
	}
}
