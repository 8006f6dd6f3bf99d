// Package expr is the one condition and value tree that every query language lowers to and every engine runs.
//
// Types are bound when the tree is made: a Field carries the type that its values are read with (event.Coerce), so an
// engine needs no catalogue. There are three ways to read a field, and a node uses exactly one:
//
//   - any (In, Member, Range, Like, Regexp, Words, Exists): true if any value of the field satisfies; a missing field is
//     false. These are never null. KQL, EQL, DSL filters and exceptions read so.
//   - one (One, in a Value): null where the field is missing or has several values. ES|QL reads so.
//   - each (Each with This below it, and Least): computed for every value of the field by itself, or from the least one.
//     EQL reads so what is more than the comparison of a field with a constant.
//
// Null logic is explicit: conditions evaluate to True, False or Null, Not of Null is Null, a filter keeps True alone.
// Case folding is explicit too: it is in a Field's type (event.Caseless) or a node's Fold, never in an engine.
//
// The Go evaluation (Eval, Matches, Compute) defines the meaning; engines must give the same rows. The package knows no
// language, no catalogue and no store.
package expr

import (
	"regexp"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// Field is a field as a condition reads it.
type Field struct {
	// Path is the dotted path in the document. A multi-field has its parent's path: user.name.text reads user.name.
	Path string
	// Type says how values are read. event.ObjectType reads every leaf below Path (for Exists).
	Type event.Type
	// Root marks a flattened field itself: all leaves below Path are its values, not what stands at Path.
	Root bool
}

// Cond is a condition. The nodes are Const, And, Or, Not, Holds, In, Member, Range, Like, Regexp, Words, Exists,
// Nested, Anywhere, Each, Cmp, IsNull, Fits and Matching; all are immutable values.
type Cond interface{ cond() }

// Const is always true or always false.
type Const struct{ Value bool }

// And is true if all conditions are; without any it is true.
type And struct{ Conds []Cond }

// Or is true if one condition is; without any it is false.
type Or struct{ Conds []Cond }

// Not is the opposite; of Null it is Null.
type Not struct{ Cond Cond }

// Holds is true if Cond is True, else false: Null becomes False.
type Holds struct{ Cond Cond }

// In is true if any value of the field equals one of Values, which are coerced to the field's type.
type In struct {
	Field  Field
	Values []event.Value
}

// Member is true if any value of the field is in Set: the In of many values, and of ranges. The field is read as the set's
// type. An analysed field is there if one of its tokens is; from a set of texts, whole values are looked up.
type Member struct {
	Field Field
	Set   *Set
}

// Bound is one end of a Range. The zero Bound is open.
type Bound struct {
	Value     event.Value // coerced to the field's type; null = open
	Inclusive bool
}

// Range is true if any one value of the field lies within both bounds (event.Compare; texts by their bytes).
type Range struct {
	Field    Field
	Min, Max Bound
}

// Like is true if the whole of any value fits Pattern; on a text field, the whole of any token. Only keyword-like and
// text fields have a Like.
type Like struct {
	Field   Field
	Pattern Pattern
	// Fold compares without regard to case (Unicode simple folding).
	Fold bool
}

// Regexp is true if any value of the field matches Expr, whose anchors are its own. Only keyword-like fields have a Regexp.
type Regexp struct {
	Field Field
	Expr  *regexp.Regexp
}

// Words is the match of an analysed field: any of Tokens, or all of them adjacent and in order.
type Words struct {
	Field  Field
	Tokens []string
	Phrase bool
}

// Exists is true if the field has a value that its type can read: an empty text is one, a null or an empty list is none.
// A field of the type object, nested or geo_point exists if anything stands at its path or below.
type Exists struct{ Field Field }

// Nested is true if one object at Path alone satisfies Cond, whose fields have their full paths.
type Nested struct {
	Path string
	Cond Cond
}

// Anywhere is true if any leaf of the whole document matches Text: as a keyword equal to it (or fitting Pattern), or, in
// a leaf that Analyse says is analysed, as Words would. It is what a value without a field means.
type Anywhere struct {
	Text    string
	Phrase  bool
	Pattern *Pattern
	// Analyse returns the text type by which the leaf at path is read besides as a keyword, false for none; nil: none.
	Analyse func(path string) (event.Type, bool)
}

// Each is true if Cond is True for one value of Field, which stands below as This; of a field without values, if Cond is
// True with This null. It is never Null.
type Each struct {
	Field Field
	Cond  Cond
}

// CmpOp is a comparison.
type CmpOp uint8

// The comparisons.
const (
	Equal CmpOp = iota
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual
)

// Cmp compares two values; Null if one of them is null.
type Cmp struct {
	Op          CmpOp
	Left, Right Value
}

// IsNull is true if the value is null, never Null itself.
type IsNull struct{ Value Value }

// Fits is true if the text that Value gives fits one of Patterns, without regard to case where Fold is true; Null if it
// gives no text.
type Fits struct {
	Value    Value
	Patterns []Pattern
	Fold     bool
}

// Matching is true if the text that Value gives matches Expr, whose anchors are its own; Null if it gives no text.
type Matching struct {
	Value Value
	Expr  *regexp.Regexp
}

func (Const) cond()    {}
func (And) cond()      {}
func (Or) cond()       {}
func (Not) cond()      {}
func (In) cond()       {}
func (Member) cond()   {}
func (Range) cond()    {}
func (Like) cond()     {}
func (Words) cond()    {}
func (Exists) cond()   {}
func (Nested) cond()   {}
func (Anywhere) cond() {}
func (Cmp) cond()      {}
func (IsNull) cond()   {}
func (Holds) cond()    {}
func (Regexp) cond()   {}
func (Each) cond()     {}
func (Fits) cond()     {}
func (Matching) cond() {}

// Value is an expression that gives one value or null. The nodes are One, Least, This, Lit, Call and Test.
type Value interface{ value() }

// One reads a field that has one value: null where it is missing, has several, or its value does not fit the type.
type One struct{ Field Field }

// Least reads the least value of a field (event.Compare): null where it has none.
type Least struct{ Field Field }

// This is the value that the innermost Each round it looks at; null outside of one.
type This struct{}

// Test is the outcome of a condition as a boolean; null where it is Null. The condition holds no Anywhere.
type Test struct{ Cond Cond }

// Lit is a literal.
type Lit struct{ Value event.Value }

// Call applies the function Fn of the catalogue (Functions) to Args.
type Call struct {
	Fn   string
	Args []Value
}

func (One) value()   {}
func (Least) value() {}
func (This) value()  {}
func (Test) value()  {}
func (Lit) value()   {}
func (Call) value()  {}

// JoinIns puts the values that one field is compared with into one condition, in the place of the first: what Some takes
// then means what it meant. It leaves conds as they are.
func JoinIns(conds []Cond) []Cond {
	at := map[Field]int{}
	out := make([]Cond, 0, len(conds))
	for _, c := range conds {
		in, ok := c.(In)
		if !ok {
			out = append(out, c)
			continue
		}
		if i, seen := at[in.Field]; seen {
			first := out[i].(In)
			first.Values = append(first.Values, in.Values...)
			out[i] = first
			continue
		}
		at[in.Field] = len(out)
		in.Values = append([]event.Value(nil), in.Values...)
		out = append(out, in)
	}
	return out
}

// All returns the conjunction of conds, flattened; a false one makes it false.
func All(conds ...Cond) Cond {
	var flat []Cond
	for _, c := range conds {
		switch c := c.(type) {
		case nil:
		case Const:
			if !c.Value {
				return c
			}
		case And:
			flat = append(flat, c.Conds...)
		default:
			flat = append(flat, c)
		}
	}
	switch len(flat) {
	case 0:
		return Const{true}
	case 1:
		return flat[0]
	}
	return And{flat}
}

// Some returns the disjunction of conds, flattened; a true one makes it true.
func Some(conds ...Cond) Cond {
	var flat []Cond
	for _, c := range conds {
		switch c := c.(type) {
		case nil:
		case Const:
			if c.Value {
				return c
			}
		case Or:
			flat = append(flat, c.Conds...)
		default:
			flat = append(flat, c)
		}
	}
	switch len(flat) {
	case 0:
		return Const{false}
	case 1:
		return flat[0]
	}
	return Or{flat}
}
