package lucene

import (
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
)

// Node is a condition: *All, *Bool, *Term, *Pattern, *Regexp, *Range or *Exists. Trees are not changed once made.
type Node interface {
	// Span is where the condition stands in the query.
	Span() diag.Span
	node()
}

// All is fulfilled by every event: the empty query, *, or *:*.
type All struct{ At diag.Span }

// Occur says what a clause means to the Bool that it is in.
type Occur uint8

// The occurrences.
const (
	Should  Occur = iota // one of these must hold where no clause is required
	Must                 // required
	MustNot              // prohibited
)

// Clause is a part of a Bool.
type Clause struct {
	Occur Occur
	Node  Node
	// afterOr is true behind the word OR, for Check.
	afterOr bool
}

// Bool joins clauses: at least two, or one that is prohibited.
type Bool struct {
	Clauses []Clause
	At      diag.Span
}

// Term compares a field with a value, or, where Field is nil, all fields.
type Term struct {
	Field *Literal
	Value Literal
}

// Pattern asks for values that fit; Field is nil for any field.
type Pattern struct {
	Field *Literal
	// Parts are the texts, escapes resolved, and wildcards; a pattern has one wildcard at least.
	Parts []Part
	At    diag.Span // of the pattern without its field
	query string
}

// Part is one step of a Pattern.
type Part struct {
	Text string // "": a wildcard
	One  bool   // of one character; else of any number
}

// Regexp asks for values that a regular expression matches as a whole; Field is nil for any field.
type Regexp struct {
	Field *Literal
	Value Literal // between the slashes, as it is written
}

// Range asks for values between bounds; one that is nil is open. Without a field it asks all.
type Range struct {
	Field        *Literal
	Min, Max     *Literal
	MinInclusive bool
	MaxInclusive bool
	At           diag.Span // of the bounds
	query        string
}

// Exists asks whether a field has a value.
type Exists struct {
	Field Literal
	At    diag.Span
}

func (*All) node()     {}
func (*Bool) node()    {}
func (*Term) node()    {}
func (*Pattern) node() {}
func (*Regexp) node()  {}
func (*Range) node()   {}
func (*Exists) node()  {}

// Span is empty for the empty query.
func (n *All) Span() diag.Span { return n.At }

// Span reaches from the first clause to the last.
func (n *Bool) Span() diag.Span { return n.At }

// Span reaches from the field to the value; the field of a value in a list stands before the list.
func (n *Term) Span() diag.Span { return from(n.Field, n.Value.At) }

// Span reaches from the field to the pattern.
func (n *Pattern) Span() diag.Span { return from(n.Field, n.At) }

// Span reaches from the field to the closing slash.
func (n *Regexp) Span() diag.Span { return from(n.Field, n.Value.At) }

// Span reaches from the field to the last bound.
func (n *Range) Span() diag.Span { return from(n.Field, n.At) }

// Span is the whole clause.
func (n *Exists) Span() diag.Span { return n.At }

func from(field *Literal, value diag.Span) diag.Span {
	if field == nil {
		return value
	}
	return field.At.Join(value)
}

// Literal is a field's name or a value, escapes resolved.
type Literal struct {
	Text   string
	Quoted bool
	At     diag.Span // signs round it included
	query  string    // the query that At points into
}

// Word returns a literal for trees made by hand.
func Word(text string) Literal { return Literal{Text: text} }

// Quote returns a quoted literal for trees made by hand.
func Quote(text string) Literal { return Literal{Text: text, Quoted: true} }

// any reports whether a clause with this field is about every field.
func (l *Literal) any() bool { return l == nil || l.Text == "*" }

// pattern reports whether the name of a field stands for several.
func (l Literal) pattern() bool { return strings.Contains(l.Text, "*") }

// walk calls visit for n and every condition below it, from left to right.
func walk(n Node, visit func(Node)) {
	visit(n)
	if b, ok := n.(*Bool); ok {
		for _, c := range b.Clauses {
			walk(c.Node, visit)
		}
	}
}
