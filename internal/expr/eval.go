package expr

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// Truth is the outcome of a condition.
type Truth uint8

// The outcomes.
const (
	False Truth = iota
	Null
	True
)

func truth(b bool) Truth {
	if b {
		return True
	}
	return False
}

// Matches reports whether c is True for e: what a filter keeps.
func Matches(c Cond, e *event.Event) bool { return Eval(c, e) == True }

// Eval evaluates c on e.
func Eval(c Cond, e *event.Event) Truth { return scope{e: e}.eval(c) }

// Compute evaluates x on e.
func Compute(x Value, e *event.Event) event.Value { return scope{e: e}.compute(x) }

// scope is what an expression can read: an event, and the value that an Each looks at.
type scope struct {
	e    *event.Event
	this event.Value
}

func (s scope) eval(c Cond) Truth {
	e := s.e
	switch c := c.(type) {
	case Const:
		return truth(c.Value)
	case And:
		out := True
		for _, sub := range c.Conds {
			out = min(out, s.eval(sub))
			if out == False {
				break
			}
		}
		return out
	case Or:
		out := False
		for _, sub := range c.Conds {
			out = max(out, s.eval(sub))
			if out == True {
				break
			}
		}
		return out
	case Not:
		return True - s.eval(c.Cond)
	case Holds:
		return truth(s.eval(c.Cond) == True)
	case In:
		return truth(anyValue(c.Field, e, func(v event.Value) bool {
			for _, want := range c.Values {
				if event.Compare(v, want) == 0 {
					return true
				}
			}
			return false
		}))
	case Member:
		return truth(anyValue(c.Field, e, c.Holds))
	case Range:
		return truth(anyValue(c.Field, e, c.holds))
	case Like:
		return truth(anyValue(c.Field, e, c.fits))
	case Regexp:
		return truth(anyValue(c.Field, e, func(v event.Value) bool { return c.Expr.MatchString(v.Str()) }))
	case Words:
		return truth(anyValue(c.Field, e, func(v event.Value) bool {
			return holdsWords(Tokens(c.Field.Type, v.Str()), c.Tokens, c.Phrase)
		}))
	case Exists:
		return truth(exists(c.Field, e))
	case Nested:
		for _, sub := range e.Elements(c.Path) {
			if (scope{sub, s.this}).eval(c.Cond) == True {
				return True
			}
		}
		return False
	case Anywhere:
		return truth(c.found(e))
	case Each:
		return s.each(c)
	case Cmp:
		left, right := s.compute(c.Left), s.compute(c.Right)
		if left.IsNull() || right.IsNull() {
			return Null
		}
		return truth(c.Op.holds(event.Compare(left, right)))
	case IsNull:
		return truth(s.compute(c.Value).IsNull())
	case Fits:
		return s.onText(c.Value, c.fits)
	case Matching:
		return s.onText(c.Value, c.Expr.MatchString)
	}
	panic(fmt.Sprintf("expr: no evaluation of %T", c))
}

func (s scope) each(c Each) Truth {
	some := false
	found := anyValue(c.Field, s.e, func(v event.Value) bool {
		some = true
		return scope{s.e, v}.eval(c.Cond) == True
	})
	return truth(found || !some && scope{e: s.e}.eval(c.Cond) == True)
}

// onText is the outcome of test on the text that x gives.
func (s scope) onText(x Value, test func(string) bool) Truth {
	v := s.compute(x)
	if v.Kind() != event.KindString {
		return Null
	}
	return truth(test(v.Str()))
}

// Read returns the values of f in e, coerced to its type; those that do not fit are left out.
func Read(f Field, e *event.Event) []event.Value {
	var out []event.Value
	anyValue(f, e, func(v event.Value) bool {
		out = append(out, v)
		return false
	})
	return out
}

// anyValue reports whether test holds for a value of f.
func anyValue(f Field, e *event.Event, test func(event.Value) bool) bool {
	if v, is := e.Only(f.Path); is { // as mostly
		typed, ok := event.Coerce(f.Type, v)
		return ok && test(typed)
	}
	values := e.Values
	if f.Root {
		values = e.Leaves
	}
	for _, v := range values(f.Path) {
		if typed, ok := event.Coerce(f.Type, v); ok && test(typed) {
			return true
		}
	}
	return false
}

func exists(f Field, e *event.Event) bool {
	switch f.Type {
	case event.ObjectType, event.Nested, event.GeoPoint:
	default:
		return anyValue(f, e, func(event.Value) bool { return true })
	}
	if len(e.Leaves(f.Path)) > 0 {
		return true
	}
	for _, field := range e.Fields() {
		if strings.HasPrefix(field.Path, f.Path) && len(field.Path) > len(f.Path) && field.Path[len(f.Path)] == '.' &&
			len(e.Leaves(field.Path)) > 0 {
			return true
		}
	}
	return false
}

// Holds reports whether v, a value as c.Field reads it, is in the set.
func (c Member) Holds(v event.Value) bool {
	if !c.Field.Type.IsText() || c.Set.Type().IsText() {
		return c.Set.Has(v)
	}
	return slices.ContainsFunc(Tokens(c.Field.Type, v.Str()), func(token string) bool { return c.Set.Has(event.String(token)) })
}

func (c Range) holds(v event.Value) bool {
	if !c.Min.Value.IsNull() {
		if d := event.Compare(v, c.Min.Value); d < 0 || d == 0 && !c.Min.Inclusive {
			return false
		}
	}
	if !c.Max.Value.IsNull() {
		if d := event.Compare(v, c.Max.Value); d > 0 || d == 0 && !c.Max.Inclusive {
			return false
		}
	}
	return true
}

func (c Like) fits(v event.Value) bool {
	if !c.Field.Type.IsText() {
		return c.Pattern.Fits(v.Str(), c.Fold)
	}
	for _, token := range Tokens(c.Field.Type, v.Str()) {
		if c.Pattern.Fits(token, c.Fold) {
			return true
		}
	}
	return false
}

func (c Anywhere) found(e *event.Event) bool {
	for _, f := range e.Fields() {
		if c.inside(f.Path, f.Value) {
			return true
		}
	}
	return false
}

func (c Anywhere) inside(path string, v event.Value) bool {
	switch v.Kind() {
	case event.KindNull:
		return false
	case event.KindList:
		for _, item := range v.Items() {
			if c.inside(path, item) {
				return true
			}
		}
		return false
	case event.KindObject:
		for _, m := range v.Members() {
			if c.inside(path+"."+m.Key, m.Value) {
				return true
			}
		}
		return false
	}
	text := v.Text()
	if c.Pattern != nil && c.Pattern.Fits(text, false) || c.Pattern == nil && text == c.Text {
		return true
	}
	if c.Analyse == nil {
		return false
	}
	t, analysed := c.Analyse(path)
	if !analysed {
		return false
	}
	if c.Pattern != nil {
		return Like{Field: Field{Path: path, Type: t}, Pattern: *c.Pattern}.fits(event.String(text))
	}
	return holdsWords(Tokens(t, text), Tokens(t, c.Text), c.Phrase)
}

// fits reports whether text fits one of the patterns.
func (c Fits) fits(text string) bool {
	if c.Fold {
		text = Fold(text)
	}
	for _, p := range c.Patterns {
		if c.Fold {
			p = p.folded()
		}
		if p.fits(text) {
			return true
		}
	}
	return false
}

func (op CmpOp) holds(d int) bool {
	switch op {
	case Equal:
		return d == 0
	case NotEqual:
		return d != 0
	case Less:
		return d < 0
	case LessEqual:
		return d <= 0
	case Greater:
		return d > 0
	}
	return d >= 0
}

func (s scope) compute(x Value) event.Value {
	switch x := x.(type) {
	case Lit:
		return x.Value
	case One:
		if values := Read(x.Field, s.e); len(values) == 1 && single(x.Field, s.e) {
			return values[0]
		}
		return event.Null()
	case Least:
		var least event.Value
		anyValue(x.Field, s.e, func(v event.Value) bool {
			if least.IsNull() || event.Compare(v, least) < 0 {
				least = v
			}
			return false
		})
		return least
	case This:
		return s.this
	case Test:
		switch s.eval(x.Cond) {
		case True:
			return event.Bool(true)
		case False:
			return event.Bool(false)
		}
		return event.Null()
	case Call:
		args := make([]event.Value, len(x.Args))
		for i, a := range x.Args {
			args[i] = s.compute(a)
		}
		fn, ok := Functions[x.Fn]
		if !ok {
			panic("expr: no function " + x.Fn)
		}
		return fn.apply(args)
	}
	panic(fmt.Sprintf("expr: no evaluation of %T", x))
}

// single reports whether f has one value before coercion: a list whose other values do not fit is still a list.
func single(f Field, e *event.Event) bool {
	if f.Root {
		return len(e.Leaves(f.Path)) == 1
	}
	return len(e.Values(f.Path)) == 1
}
