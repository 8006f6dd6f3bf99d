package eql

import (
	"time"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// Query is a whole query: what it looks for, and the pipes that the results pass in order. Trees are not changed once
// made.
type Query struct {
	Body  Body
	Pipes []Pipe
	Text  string // the query that all spans point into
}

// Body is what a query looks for: *Events, *Sequence, *Sample or *Join.
type Body interface {
	// Span is where it stands in the query.
	Span() diag.Span
	body()
}

// Events are single events of a category that fulfil a condition.
type Events struct {
	Category   string // unused where Any is true
	Any        bool
	CategoryAt diag.Span
	Where      Expr
	At         diag.Span
}

// Sequence is events that follow each other, one for each term.
type Sequence struct {
	By      []*Field
	MaxSpan *Span // nil: no bound
	Terms   []*Term
	Until   *Term // nil: nothing ends a sequence early
	At      diag.Span
}

// Sample is events in any order, one for each term, that share keys.
type Sample struct {
	By    []*Field
	Terms []*Term
	At    diag.Span
}

// Join is what older dialects had. It can be read and written, and nothing else.
type Join struct {
	By    []*Field
	Terms []*Term
	Until *Term
	At    diag.Span
}

// Term is one step of a sequence or sample.
type Term struct {
	Events  *Events
	Missing bool // no such event may lie there
	By      []*Field
	Runs    int // how often the step is repeated, from 1; 0 where the query does not say
	RunsAt  diag.Span
	At      diag.Span
}

// Span is a length of time as a query writes it.
type Span struct {
	Amount int64
	Unit   string // ms, s, m, h, d
	At     diag.Span
}

// Duration returns the length.
func (s Span) Duration() time.Duration { return time.Duration(s.Amount) * units[s.Unit] }

var units = map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour,
	"d": 24 * time.Hour}

// Pipe keeps the first or, where Tail is true, the last N results.
type Pipe struct {
	Tail bool
	N    int
	At   diag.Span
}

func (*Events) body()   {}
func (*Sequence) body() {}
func (*Sample) body()   {}
func (*Join) body()     {}

// Span reaches from the category to the end of the condition.
func (n *Events) Span() diag.Span { return n.At }

// Span reaches from the word sequence to the last term.
func (n *Sequence) Span() diag.Span { return n.At }

// Span reaches from the word sample to the last term.
func (n *Sample) Span() diag.Span { return n.At }

// Span reaches from the word join to the last term.
func (n *Join) Span() diag.Span { return n.At }

// Expr is a condition or a value: *And, *Or, *Not, *Compare, *In, *Match, *Arithmetic, *Sign, *Call, *Field or *Const.
type Expr interface {
	// Span is where it stands in the query, without parentheses round it.
	Span() diag.Span
	expr()
}

// And is true if all conditions are. It has at least two.
type And struct{ Exprs []Expr }

// Or is true if one condition is. It has at least two.
type Or struct{ Exprs []Expr }

// Not is true if the condition is not.
type Not struct {
	Expr Expr
	At   diag.Span
}

// CompareOp is a comparison of two values.
type CompareOp uint8

// The comparisons.
const (
	Equal CompareOp = iota
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual
)

// String returns the operator as it is written.
func (o CompareOp) String() string { return [...]string{"==", "!=", "<", "<=", ">", ">="}[o] }

// Compare compares two values.
type Compare struct {
	Op          CompareOp
	Left, Right Expr
}

// In is true if the value equals one of the list. Fold (in~) is without regard to case.
type In struct {
	Expr   Expr
	Not    bool
	Fold   bool
	Values []Expr
	At     diag.Span
}

// MatchOp says how a Match compares texts.
type MatchOp uint8

// The ways to match. All but Like and Regex are without regard to case.
const (
	Colon MatchOp = iota // wildcards; on other values than texts equality
	Like
	LikeFold
	Regex
	RegexFold
)

// String returns the operator as it is written.
func (o MatchOp) String() string { return [...]string{":", "like", "like~", "regex", "regex~"}[o] }

// Match is true if the value fits one of Values.
type Match struct {
	Op     MatchOp
	Expr   Expr
	Values []Expr // constants; the one of a colon may be any value
	List   bool   // they stand in parentheses
	At     diag.Span
}

// Arithmetic joins two numbers. Op is one of + - * / %.
type Arithmetic struct {
	Op          byte
	Left, Right Expr
}

// Sign is a number with a sign before it, + or -.
type Sign struct {
	Op   byte
	Expr Expr
	At   diag.Span
}

// Call is a function's value. Fold (a tilde after the name) is without regard to case.
type Call struct {
	Name   string // as written
	Fold   bool
	Args   []Expr
	NameAt diag.Span
	At     diag.Span
}

// Field reads a field. Optional (a question mark before it) makes one that nothing declares missing instead of an error.
type Field struct {
	Path     string
	Optional bool
	At       diag.Span
}

// Const is null, a boolean, a number or a text.
type Const struct {
	Value event.Value
	At    diag.Span
}

func (*And) expr()        {}
func (*Or) expr()         {}
func (*Not) expr()        {}
func (*Compare) expr()    {}
func (*In) expr()         {}
func (*Match) expr()      {}
func (*Arithmetic) expr() {}
func (*Sign) expr()       {}
func (*Call) expr()       {}
func (*Field) expr()      {}
func (*Const) expr()      {}

// Span reaches from the first condition to the last.
func (n *And) Span() diag.Span { return n.Exprs[0].Span().Join(n.Exprs[len(n.Exprs)-1].Span()) }

// Span reaches from the first condition to the last.
func (n *Or) Span() diag.Span { return n.Exprs[0].Span().Join(n.Exprs[len(n.Exprs)-1].Span()) }

// Span begins at the word not.
func (n *Not) Span() diag.Span { return n.At }

// Span reaches from one value to the other.
func (n *Compare) Span() diag.Span { return n.Left.Span().Join(n.Right.Span()) }

// Span reaches from the value to the closing parenthesis.
func (n *In) Span() diag.Span { return n.At }

// Span reaches from the value to the last constant.
func (n *Match) Span() diag.Span { return n.At }

// Span reaches from one number to the other.
func (n *Arithmetic) Span() diag.Span { return n.Left.Span().Join(n.Right.Span()) }

// Span begins at the sign.
func (n *Sign) Span() diag.Span { return n.At }

// Span reaches from the name to the closing parenthesis.
func (n *Call) Span() diag.Span { return n.At }

// Span begins at the question mark.
func (n *Field) Span() diag.Span { return n.At }

// Span includes quotes.
func (n *Const) Span() diag.Span { return n.At }

// Walk calls visit for n and everything below it, from left to right.
func Walk(n Expr, visit func(Expr)) {
	visit(n)
	switch n := n.(type) {
	case *And:
		walkAll(n.Exprs, visit)
	case *Or:
		walkAll(n.Exprs, visit)
	case *Not:
		Walk(n.Expr, visit)
	case *Compare:
		Walk(n.Left, visit)
		Walk(n.Right, visit)
	case *In:
		Walk(n.Expr, visit)
		walkAll(n.Values, visit)
	case *Match:
		Walk(n.Expr, visit)
		walkAll(n.Values, visit)
	case *Arithmetic:
		Walk(n.Left, visit)
		Walk(n.Right, visit)
	case *Sign:
		Walk(n.Expr, visit)
	case *Call:
		walkAll(n.Args, visit)
	}
}

func walkAll(list []Expr, visit func(Expr)) {
	for _, n := range list {
		Walk(n, visit)
	}
}
