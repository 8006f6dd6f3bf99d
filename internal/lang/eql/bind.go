package eql

import (
	"fmt"
	"slices"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// class is what kind of values an expression gives.
type class uint8

const (
	anything class = iota // null, or any
	booleans
	numbers
	wholes // of arguments alone: numbers without a fraction
	texts
	dates
	addresses // of arguments: texts of addresses too
)

func (c class) String() string {
	return [...]string{"anything", "a boolean", "a number", "a whole number", "a text", "a date", "an address"}[c]
}

// classOf is the class of a field's values; false for fields that cannot be compared.
func classOf(t event.Type) (class, bool) {
	switch {
	case t.IsKeyword():
		return texts, true
	case t == event.Long || t == event.Double:
		return numbers, true
	case t == event.Boolean:
		return booleans, true
	case t == event.Date:
		return dates, true
	case t == event.IPType:
		return addresses, true
	}
	return anything, false
}

// classOfValue is the class of a constant.
func classOfValue(v event.Value) class {
	switch v.Kind() {
	case event.KindBool:
		return booleans
	case event.KindInt, event.KindFloat:
		return numbers
	case event.KindString:
		return texts
	case event.KindTime:
		return dates
	case event.KindIP:
		return addresses
	}
	return anything
}

// operand is an expression as a value.
type operand struct {
	x      expr.Value
	class  class
	field  *expr.Field // where it is a field and nothing more
	maybe  bool        // the field is written ?field
	open   bool        // nothing declares the field, and it is read as what it is compared with
	absent bool        // it is null because nothing declares a field
	at     diag.Span
}

// constant returns the value of an operand that reads nothing.
func (o operand) constant() (event.Value, bool) {
	lit, ok := o.x.(expr.Lit)
	return lit.Value, ok
}

func literal(v event.Value, at diag.Span) operand {
	return operand{x: expr.Lit{Value: v}, class: classOfValue(v), at: at}
}

// unknown is the condition that is neither true nor false.
var unknown expr.Cond = expr.Cmp{Op: expr.Equal, Left: expr.Lit{}, Right: expr.Lit{}}

// binder turns trees into conditions. What is wrong, or looks so, is noted on the way.
type binder struct {
	Options
	text    string
	found   diag.List
	reads   []expr.Field // the fields of the leaf at hand, each once
	seen    map[expr.Field]bool
	absent  bool // the leaf reads a field that nothing declares
	errors  int
	steps   int // of regular expressions
	known   []string
	unknown map[string]bool
}

// maxFound bounds the diagnostics, maxGuesses how many unknown fields get a guess at what was meant.
const (
	maxFound   = 100
	maxGuesses = 50
)

// note adds a diagnostic, the same one once.
func (b *binder) note(d diag.Diagnostic) {
	if d.Severity == diag.Error {
		b.errors++
	}
	for _, other := range b.found {
		if other.Code == d.Code && other.Span == d.Span {
			return
		}
	}
	d.Text = b.text
	if len(b.found) < maxFound || d.Severity == diag.Error && b.found.Err() == nil {
		b.found = append(b.found, d)
	}
}

// refuse notes a mistake and returns null in its place.
func (b *binder) refuse(code string, at diag.Span, message, hint string) operand {
	b.note(diag.Diagnostic{Code: code, Span: at, Message: message, Hint: hint})
	return operand{x: expr.Lit{}, at: at}
}

func (b *binder) warn(code string, at diag.Span, message, hint string) {
	b.note(diag.Diagnostic{Code: code, Severity: diag.Warning, Span: at, Message: message, Hint: hint})
}

// value binds n as a value. What reads no field is computed.
func (b *binder) value(n Expr) operand {
	at := n.Span()
	switch n := n.(type) {
	case *Const:
		return literal(n.Value, at)
	case *Field:
		return b.field(n)
	case *Sign:
		o := b.number(n.Expr)
		if n.Op == '-' {
			return b.call("negate", numbers, at, o)
		}
		return operand{x: o.x, class: numbers, absent: o.absent, at: at}
	case *Arithmetic:
		fn := map[byte]string{'+': "add", '-': "subtract", '*': "multiply", '/': "divide", '%': "modulo"}[n.Op]
		return b.call(fn, numbers, at, b.number(n.Left), b.number(n.Right))
	case *Call:
		return b.function(n)
	}
	c := b.inner(n)
	o := operand{x: expr.Test{Cond: c}, class: booleans, at: at}
	return b.folded(o, !readsField(o.x))
}

// number binds n, which has to be a number.
func (b *binder) number(n Expr) operand {
	o := b.as(numbers, b.value(n))
	if o.class != numbers && o.class != anything {
		return b.refuse(CodeType, o.at, fmt.Sprintf("a number is needed here, and this is %v", o.class), "")
	}
	return o
}

// call makes a call of expr's catalogue.
func (b *binder) call(fn string, gives class, at diag.Span, args ...operand) operand {
	c := expr.Call{Fn: fn}
	constant, absent := true, false
	for _, a := range args {
		_, isConstant := a.constant()
		constant, absent = constant && isConstant, absent || a.absent
		c.Args = append(c.Args, a.x)
	}
	return b.folded(operand{x: c, class: gives, absent: absent, at: at}, constant)
}

// folded computes an operand that reads nothing.
func (b *binder) folded(o operand, constant bool) operand {
	if constant {
		v := expr.Compute(o.x, &event.Event{})
		o.x, o.class = expr.Lit{Value: v}, classOfValue(v)
	}
	return o
}

// readsField reports whether x reads a field.
func readsField(x expr.Value) bool {
	reads := false
	expr.WalkValue(x, func(expr.Field) { reads = true })
	return reads
}

// function binds a call of the language.
func (b *binder) function(n *Call) operand {
	f, ok := functionNamed(n.Name)
	if !ok {
		for _, a := range n.Args {
			b.value(a)
		}
		return b.refuse(CodeFunction, n.NameAt, fmt.Sprintf("there is no function %q", n.Name), functionHint(n.Name))
	}
	fn := f.fn
	if n.Fold {
		if !f.Fold {
			return b.refuse(CodeNoFold, n.NameAt, fmt.Sprintf("%s has no form without regard to case", f.Name), "leave the ~ out")
		}
		fn += "_fold"
	}
	if len(n.Args) < f.least || len(n.Args) > len(f.takes) && !f.many {
		return b.refuse(CodeArity, n.At, fmt.Sprintf("%s takes other arguments: %s(%s)", f.Name, f.Name, f.Args), "")
	}
	args := make([]operand, len(n.Args))
	given := true
	for i, a := range n.Args {
		args[i] = b.argument(f, f.takes[min(i, len(f.takes)-1)], a)
		v, _ := args[i].constant()
		given = given && !v.IsNull()
	}
	o := b.call(fn, f.gives, n.At, args...)
	if v, constant := o.constant(); constant && v.IsNull() && given && f.fn == "to_number" {
		return b.refuse(CodeValue, n.At, "this text is no number", "")
	}
	return o
}

func (b *binder) argument(f Function, takes class, n Expr) operand {
	o := b.as(takes, b.value(n))
	v, constant := o.constant()
	fits := takes == anything || o.class == anything || o.class == takes || takes == addresses && o.class == texts ||
		takes == wholes && o.class == numbers
	if !fits {
		return b.refuse(CodeType, o.at, fmt.Sprintf("%s needs %v here, and this is %v", f.Name, takes, o.class), "")
	}
	if takes == wholes && constant && v.Kind() == event.KindFloat {
		return b.refuse(CodeType, o.at, fmt.Sprintf("%s needs a whole number here", f.Name), "")
	}
	if f.fn == "cidr_match" && takes == texts && constant && !v.IsNull() {
		if _, ok := expr.Network(v.Str()); !ok {
			return b.refuse(CodeValue, o.at, fmt.Sprintf("%q is no network", v.Str()), `write an address and the length of its prefix: "10.0.0.0/8"`)
		}
	}
	return o
}

// field binds a field as its least value; a leaf that reads no other looks at each value in its place.
func (b *binder) field(n *Field) operand {
	f, how, ok := b.resolve(n)
	switch {
	case !ok:
		return operand{x: expr.Lit{}, at: n.At}
	case how == isAbsent:
		b.absent = true
		return operand{x: expr.Lit{}, absent: true, at: n.At}
	}
	return b.read(operand{field: &f, maybe: n.Optional, open: how == isOpen, at: n.At})
}

// read makes o read its field, and notes that the leaf does.
func (b *binder) read(o operand) operand {
	f := *o.field
	o.class, _ = classOf(f.Type)
	if !b.seen[f] {
		if b.seen == nil {
			b.seen = map[expr.Field]bool{}
		}
		b.seen[f] = true
		b.reads = append(b.reads, f)
	}
	o.x = expr.Least{Field: f}
	return o
}

// as returns o, or, where it is a field that nothing declares, that field read as values of the class are.
func (b *binder) as(c class, o operand) operand {
	t, ok := map[class]event.Type{numbers: event.Double, wholes: event.Long, booleans: event.Boolean}[c]
	if !ok || !o.open || o.class != texts {
		return o
	}
	if i := slices.Index(b.reads, *o.field); i >= 0 {
		b.reads = slices.Delete(b.reads, i, i+1)
		delete(b.seen, *o.field)
	}
	f := *o.field
	f.Type = t
	o.field = &f
	return b.read(o)
}

// declaration says how a field is declared.
type declaration uint8

const (
	isDeclared declaration = iota
	isOpen                 // it is not, and is read as a keyword
	isAbsent               // it is not, and is missing everywhere
)

// resolve finds the field that n names; ok is false where it is refused.
func (b *binder) resolve(n *Field) (f expr.Field, how declaration, ok bool) {
	if b.Resolver == nil {
		return expr.Field{Path: n.Path}, isOpen, true
	}
	f, declared := b.Resolver.Field(n.Path)
	if !declared {
		switch {
		case b.Lenient:
			if !n.Optional {
				b.undeclared(n, diag.Warning, "it is read as what it is compared with")
			}
			return f, isOpen, true
		case n.Optional:
			return f, isAbsent, true
		}
		b.undeclared(n, diag.Error, "")
		return f, isDeclared, false
	}
	if f.Type.IsText() {
		exact, found := b.exact(n.Path, f)
		if !found {
			b.refuse(CodeNoExact, n.At, fmt.Sprintf("%s is analysed text without an exact form, which cannot be compared", n.Path), "compare a keyword field")
			return f, isDeclared, false
		}
		return exact, isDeclared, true
	}
	if _, comparable := classOf(f.Type); !comparable {
		hint := ""
		if f.Type == event.ObjectType || f.Type == event.Nested {
			hint = "name a field below it"
		}
		b.refuse(CodeUnsupported, n.At, fmt.Sprintf("%s is of the type %v, which cannot be compared", n.Path, f.Type), hint)
		return f, isDeclared, false
	}
	return f, isDeclared, true
}

// exact returns the field that reads the values of an analysed one as they are: a multi-field of it, or, of an alias, of
// the field that it stands for.
func (b *binder) exact(path string, f expr.Field) (expr.Field, bool) {
	for _, name := range []string{path, f.Path} {
		if sub, ok := b.Resolver.Field(name + ".keyword"); ok && sub.Path == f.Path && sub.Type.IsKeyword() {
			return sub, true
		}
		for _, sub := range b.Resolver.Expand(expr.Stars(name+".", "")) {
			if sub.Path == f.Path && sub.Type.IsKeyword() {
				return sub, true
			}
		}
	}
	return f, false
}

// undeclared notes a field that nothing declares, each name once.
func (b *binder) undeclared(n *Field, severity diag.Severity, means string) {
	if b.unknown == nil {
		b.unknown = map[string]bool{}
	}
	if b.unknown[n.Path] {
		return
	}
	b.unknown[n.Path] = true
	d := diag.Diagnostic{Code: CodeUnknownField, Severity: severity, Span: n.At, Message: fmt.Sprintf("no field is called %s", n.Path)}
	if means != "" {
		d.Message += "; " + means
	} else {
		d.Hint = fmt.Sprintf("write ?%s if it may be missing everywhere", n.Path)
	}
	if len(b.unknown) <= maxGuesses {
		if b.known == nil {
			b.known = []string{}
			for _, f := range b.Resolver.Expand(expr.Stars("", "")) {
				b.known = append(b.known, f.Path)
			}
			slices.Sort(b.known)
			b.known = slices.Compact(b.known)
		}
		if near, ok := diag.Nearest(n.Path, b.known); ok {
			d.Hint = fmt.Sprintf("did you mean %s?", near)
		}
	}
	b.note(d)
}
