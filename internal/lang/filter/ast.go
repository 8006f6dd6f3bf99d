package filter

import (
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/lucene"
)

// Node is a query: *All, *None, *Bool, *Term, *Match, *Wildcard, *Range, *Exists, *Text or *Nested. Trees are not changed once
// made.
type Node interface {
	// Place is where the query stands.
	Place() Place
	node()
}

// All is true of every event.
type All struct{ At Place }

// None is true of no event.
type None struct{ At Place }

// Bool is true if all of Must, none of MustNot and at least Least of Should are.
type Bool struct {
	Must, Should, MustNot []Node
	Least                 int
	At                    Place
}

// Term asks for one of Values in the field, without analysing them; Fold without regard to case.
type Term struct {
	Field  string
	Values []string
	Fold   bool
	At     Place
}

// Match asks for Text in the field: the value itself or, in an analysed field, its words.
type Match struct {
	Field, Text string
	Phrase      bool // the words adjacent and in order
	// Least is how many of the different words there must be, as the query writes it (1, -1, 75%); of a text without
	// words nothing is asked with NoWords, else it is never true.
	Least   string
	NoWords bool
	// Lenient makes a text that is no value of the field's type a condition that is never true, not an error.
	Lenient bool
	At      Place
}

// Wildcard asks for a value, or a word of an analysed field, that fits Pattern.
type Wildcard struct {
	Field   string
	Pattern expr.Pattern
	Fold    bool
	At      Place
	// dropped is a letter or digit before which the pattern has a backslash, which does nothing; 0: none.
	dropped rune
}

// Bound is one end of a Range; a nil Value is open.
type Bound struct {
	Value     *string
	Inclusive bool
}

// Range asks for one value within both bounds.
type Range struct {
	Field    string
	Min, Max Bound
	At       Place
}

// Exists asks for a value. A star in Field stands for any characters.
type Exists struct {
	Field string
	At    Place
}

// Text is a query in Lucene's language.
type Text struct {
	Query lucene.Node
	// Analysed has what stands before the star of a pattern analysed as its field is.
	Analysed bool
	At       Place
}

// Nested asks for one object at Path that alone fulfils Node, whose fields have their full paths.
type Nested struct {
	Path string
	Node Node
	At   Place
}

func (*All) node()      {}
func (*None) node()     {}
func (*Bool) node()     {}
func (*Term) node()     {}
func (*Match) node()    {}
func (*Wildcard) node() {}
func (*Range) node()    {}
func (*Exists) node()   {}
func (*Nested) node()   {}
func (*Text) node()     {}

// Place is where the query stands.
func (n *All) Place() Place { return n.At }

// Place is where the query stands.
func (n *None) Place() Place { return n.At }

// Place is where the query stands.
func (n *Bool) Place() Place { return n.At }

// Place is where the query stands.
func (n *Term) Place() Place { return n.At }

// Place is where the query stands.
func (n *Match) Place() Place { return n.At }

// Place is where the query stands.
func (n *Wildcard) Place() Place { return n.At }

// Place is where the query stands.
func (n *Range) Place() Place { return n.At }

// Place is where the query stands.
func (n *Exists) Place() Place { return n.At }

// Place is where the query stands.
func (n *Nested) Place() Place { return n.At }

// Place is where the query stands.
func (n *Text) Place() Place { return n.At }

// walk calls visit for n and every query below it.
func walk(n Node, visit func(Node)) {
	visit(n)
	switch n := n.(type) {
	case *Bool:
		for _, list := range [][]Node{n.Must, n.Should, n.MustNot} {
			for _, sub := range list {
				walk(sub, visit)
			}
		}
	case *Nested:
		walk(n.Node, visit)
	}
}
