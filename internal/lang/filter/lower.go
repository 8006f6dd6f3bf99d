package filter

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/kql"
	"github.com/tocsin-sec/tocsin/internal/lang/lucene"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// The codes of what Lower refuses.
const (
	CodeValue     = "FLT0301" // a value that is none of its field's type
	CodeFieldType = "FLT0302" // a query that fields of this type cannot be asked
)

// MaxConditions bounds how many conditions filters may come to.
const MaxConditions = 300_000

// Lower returns the condition that n means. Fields that r does not declare, or all where it is nil, are keywords. now is
// what date math starts from; where it is zero, date math is an error. The error is a diag.List of everything that makes
// the filters unusable.
func Lower(n Node, r plan.Resolver, now time.Time) (expr.Cond, error) {
	l := &lowerer{resolver: r, now: now}
	c := l.node(n)
	if err := l.found.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// UsesNow reports whether n may hold date math that starts from now, so that its meaning changes with time. Only the form
// of values is looked at: the word now as a user's name counts too.
func UsesNow(n Node) bool {
	found := false
	walk(n, func(n Node) {
		var values []string
		switch n := n.(type) {
		case *Text:
			found = found || lucene.UsesNow(n.Query)
		case *Term:
			values = n.Values
		case *Match:
			values = []string{n.Text}
		case *Range:
			for _, b := range []Bound{n.Min, n.Max} {
				if b.Value != nil {
					values = append(values, *b.Value)
				}
			}
		}
		for _, v := range values {
			field := kql.Quote("f")
			found = found || kql.UsesNow(&kql.Is{Field: &field, Value: kql.Quote(v)})
		}
	})
	return found
}

// lowerer turns the tree into a condition; found are the mistakes on the way.
type lowerer struct {
	resolver plan.Resolver
	now      time.Time
	found    diag.List
	spent    int
	full     bool
}

func (l *lowerer) refuse(at Place, code, hint, format string, args ...any) expr.Cond {
	l.found = append(l.found, at.diagnostic(diag.Diagnostic{Code: code, Message: fmt.Sprintf(format, args...), Hint: hint}))
	return expr.Const{}
}

// spend counts n conditions; false once there are too many.
func (l *lowerer) spend(n int, at Place) bool {
	l.spent += n
	if l.spent > MaxConditions && !l.full {
		l.full = true
		l.refuse(at, CodeTooMany, "", "the filters come to more than %d conditions", MaxConditions)
	}
	return !l.full
}

func (l *lowerer) field(path string) expr.Field {
	if l.resolver == nil {
		return expr.Field{Path: path}
	}
	f, _ := l.resolver.Field(path)
	return f
}

func (l *lowerer) each(nodes []Node) []expr.Cond {
	out := make([]expr.Cond, len(nodes))
	for i, n := range nodes {
		out[i] = l.node(n)
	}
	return out
}

func (l *lowerer) node(n Node) expr.Cond {
	if !l.spend(1, n.Place()) {
		return expr.Const{}
	}
	switch n := n.(type) {
	case *All:
		return expr.Const{Value: true}
	case *None:
		return expr.Const{}
	case *Bool:
		conds := l.each(n.Must)
		conds = append(conds, l.atLeast(n.Least, l.each(n.Should), n.At))
		for _, sub := range l.each(n.MustNot) {
			conds = append(conds, not(sub))
		}
		return expr.All(conds...)
	case *Text:
		c, err := lucene.Lower(n.Query, lucene.Options{Resolver: l.resolver, Now: l.now, Unanalysed: !n.Analysed})
		if err != nil {
			d := diag.Of(err)[0]
			return l.refuse(n.At, d.Code, d.Hint, "%s", d.Message)
		}
		return c
	case *Nested:
		return expr.Nested{Path: n.Path, Cond: l.node(n.Node)}
	case *Exists:
		return l.exists(n)
	case *Term:
		return l.term(n, l.field(n.Field))
	case *Match:
		return l.match(n, l.field(n.Field))
	case *Wildcard:
		return l.wildcard(n, l.field(n.Field))
	case *Range:
		return l.between(n, l.field(n.Field))
	}
	panic("filter: no meaning of this query")
}

func not(c expr.Cond) expr.Cond {
	if c, ok := c.(expr.Const); ok {
		return expr.Const{Value: !c.Value}
	}
	return expr.Not{Cond: c}
}

// atLeast is the condition that n of conds hold. Each way in which n of them can hold is written out, and counted with all
// that is in it.
func (l *lowerer) atLeast(n int, conds []expr.Cond, at Place) expr.Cond {
	if n > 1 && n < len(conds) {
		ways := 1
		for i := 1; i <= min(n, len(conds)-n) && ways <= MaxConditions; i++ {
			ways = ways * (len(conds) - i + 1) / i
		}
		if ways > MaxConditions {
			l.spend(ways, at)
			return expr.Const{}
		}
	}
	c := ways(n, conds)
	if n > 1 && n < len(conds) && !l.spend(size(c, MaxConditions), at) {
		return expr.Const{}
	}
	return c
}

// ways is the condition that n of conds hold.
func ways(n int, conds []expr.Cond) expr.Cond {
	switch {
	case n <= 0:
		return expr.Const{Value: true}
	case n > len(conds):
		return expr.Const{}
	case n == 1:
		return expr.Some(conds...)
	case n == len(conds):
		return expr.All(conds...)
	}
	return expr.Some(expr.All(conds[0], ways(n-1, conds[1:])), ways(n, conds[1:]))
}

// size is the number of conditions in c, or a number beyond most where it is greater than that.
func size(c expr.Cond, most int) int {
	n := 1
	each := func(conds ...expr.Cond) {
		for _, sub := range conds {
			if n <= most {
				n += size(sub, most-n)
			}
		}
	}
	switch c := c.(type) {
	case expr.And:
		each(c.Conds...)
	case expr.Or:
		each(c.Conds...)
	case expr.Not:
		each(c.Cond)
	case expr.Nested:
		each(c.Cond)
	}
	return n
}

func (l *lowerer) exists(n *Exists) expr.Cond {
	if !strings.Contains(n.Field, "*") {
		return expr.Exists{Field: l.field(n.Field)}
	}
	if l.resolver == nil {
		return expr.Const{}
	}
	var conds []expr.Cond
	for _, f := range l.resolver.Expand(expr.Stars(strings.Split(n.Field, "*")...)) {
		conds = append(conds, expr.Exists{Field: f})
	}
	l.spend(len(conds), n.At)
	return expr.Some(conds...)
}

// valued reports whether values of f can be compared with; where they cannot, c is the condition in its place.
func (l *lowerer) valued(f expr.Field, at Place) (c expr.Cond, ok bool) {
	switch f.Type {
	case event.ObjectType, event.Nested:
		return expr.Const{}, false // an object itself equals nothing
	case event.GeoPoint:
		return l.refuse(at, CodeFieldType, "", "%s holds points on the earth: only exists can be asked", f.Path), false
	}
	return nil, true
}

// typed reads v as a value of f, which is no text, as KQL does.
func (l *lowerer) typed(f expr.Field, v string, lenient bool, at Place) expr.Cond {
	name := kql.Quote(f.Path)
	return l.kql(f, &kql.Is{Field: &name, Value: kql.Quote(v)}, lenient, at)
}

// kql is the meaning of a KQL condition on f.
func (l *lowerer) kql(f expr.Field, n kql.Node, lenient bool, at Place) expr.Cond {
	c, err := kql.Lower(n, kql.Options{Resolver: one{f}, Now: l.now})
	if err == nil {
		return c
	}
	if lenient {
		return expr.Const{}
	}
	d := diag.Of(err)[0]
	return l.refuse(at, CodeValue, "", "%s", d.Message)
}

// one is the resolver that knows one field.
type one struct{ field expr.Field }

// Field implements plan.Resolver.
func (o one) Field(string) (expr.Field, bool) { return o.field, true }

// Expand implements plan.Resolver.
func (o one) Expand(expr.Pattern) []expr.Field { return nil }

func (l *lowerer) term(n *Term, f expr.Field) expr.Cond {
	if c, ok := l.valued(f, n.At); !ok {
		return c
	}
	if !l.spend(len(n.Values), n.At) {
		return expr.Const{}
	}
	var conds []expr.Cond
	switch {
	case n.Fold && (f.Type.IsKeyword() || f.Type.IsText()):
		for _, v := range n.Values {
			conds = append(conds, expr.Like{Field: f, Pattern: literal(v), Fold: true})
		}
	case n.Fold:
		return l.refuse(n.At, CodeFieldType, "", "case_insensitive on %s, which is of the type %v", f.Path, f.Type)
	case f.Type.IsText():
		return expr.Words{Field: f, Tokens: n.Values}
	case f.Type.IsKeyword():
		return in(f, n.Values)
	default:
		for _, v := range n.Values {
			conds = append(conds, l.typed(f, v, false, n.At))
		}
	}
	return expr.Some(conds...)
}

// in is the condition that a keyword equals one of values.
func in(f expr.Field, values []string) expr.Cond {
	c := expr.In{Field: f}
	for _, v := range values {
		if typed, ok := event.Coerce(f.Type, event.String(v)); ok {
			c.Values = append(c.Values, typed)
		}
	}
	return c
}

func (l *lowerer) match(n *Match, f expr.Field) expr.Cond {
	switch c, ok := l.valued(f, n.At); {
	case !ok:
		return c
	case f.Type.IsKeyword():
		return in(f, []string{n.Text})
	case !f.Type.IsText():
		return l.typed(f, n.Text, n.Lenient, n.At)
	}
	tokens := expr.Tokens(f.Type, n.Text)
	switch {
	case len(tokens) == 0:
		return expr.Const{Value: n.NoWords}
	case n.Phrase:
		return expr.Words{Field: f, Tokens: tokens, Phrase: len(tokens) > 1}
	case n.Least == "" || n.Least == "1":
		return expr.Words{Field: f, Tokens: tokens}
	}
	conds := make([]expr.Cond, len(tokens))
	for i, t := range tokens {
		conds[i] = expr.Words{Field: f, Tokens: []string{t}}
	}
	if k := least(n.Least, len(conds)); k > 1 {
		return l.atLeast(k, conds, n.At)
	}
	return expr.Words{Field: f, Tokens: tokens}
}

func (l *lowerer) wildcard(n *Wildcard, f expr.Field) expr.Cond {
	switch c, ok := l.valued(f, n.At); {
	case !ok:
		return c
	case !f.Type.IsKeyword() && !f.Type.IsText():
		return l.refuse(n.At, CodeFieldType, "", "a pattern on %s, which is of the type %v", f.Path, f.Type)
	}
	p := n.Pattern
	if f.Type == event.Caseless { // its values are in lower case, and so is what they are compared with
		p = expr.Pattern{Parts: append([]expr.PatternPart(nil), p.Parts...)}
		for i := range p.Parts {
			p.Parts[i].Literal = strings.ToLower(p.Parts[i].Literal)
		}
	}
	return expr.Like{Field: f, Pattern: p, Fold: n.Fold}
}

func (l *lowerer) between(n *Range, f expr.Field) expr.Cond {
	if c, ok := l.valued(f, n.At); !ok {
		return c
	}
	if n.Min.Value == nil && n.Max.Value == nil {
		return expr.Exists{Field: f}
	}
	out := expr.Range{Field: f}
	for _, end := range []struct {
		Bound
		op     kql.Op
		closed kql.Op
	}{{n.Min, kql.Greater, kql.GreaterEqual}, {n.Max, kql.Less, kql.LessEqual}} {
		if end.Value == nil {
			continue
		}
		op := end.op
		if end.Inclusive {
			op = end.closed
		}
		switch c := l.kql(f, &kql.Range{Field: kql.Quote(f.Path), Op: op, Value: kql.Quote(*end.Value)}, false, n.At).(type) {
		case expr.Range:
			if c.Min.Value.IsNull() {
				out.Max = c.Max
			} else {
				out.Min = c.Min
			}
		default:
			return c
		}
	}
	return out
}
