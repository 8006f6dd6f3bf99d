package lucene

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/kql"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/regex"
)

// The codes of what Lower refuses.
const (
	CodeValue   = "LUC0301" // a value that is none of its field's type
	CodeNoText  = "LUC0302" // a pattern on a field that holds no texts
	CodeNoWords = "LUC0303" // a value without words for analysed text
	CodeRegexp  = "LUC0304" // a regular expression that cannot be applied, or on a field where it cannot
	CodeNoField = "LUC0305" // a range without a field
)

// MaxConditions bounds how many conditions a query may come to, those for each field that a name with a star, or a value
// without a field, stands for included; maxRegexSteps the steps of all its regular expressions.
const (
	MaxConditions = 300_000
	maxRegexSteps = 200_000
)

// Options is what a query's meaning depends on besides its text.
type Options struct {
	// Resolver gives the fields' types. Nil: every field is an undeclared keyword.
	Resolver plan.Resolver
	// Now is what date math starts from. Zero: a query with date math is an error.
	Now time.Time
	// Unanalysed takes what stands before the star of a pattern as it is where the field is analysed, in small letters, as
	// query_string does without analyze_wildcard.
	Unanalysed bool
}

// Lower returns the condition that n means. The error is a diag.List of everything that makes the query unusable. Fields
// that nothing declares are keywords.
func Lower(n Node, o Options) (expr.Cond, error) {
	l := &lowerer{Options: o}
	cond := l.node(n)
	l.found.Sort()
	if err := l.found.Err(); err != nil {
		return nil, err
	}
	return cond, nil
}

// UsesNow reports whether n may hold date math that starts from now, so that its meaning changes with time. Only the
// form of values is looked at: the word now as a user's name counts too.
func UsesNow(n Node) bool {
	found := false
	walk(n, func(n Node) {
		switch n := n.(type) {
		case *Term:
			found = found || now(n.Value)
		case *Range:
			found = found || n.Min != nil && now(*n.Min) || n.Max != nil && now(*n.Max)
		}
	})
	return found
}

func now(v Literal) bool {
	field := kql.Word("f")
	return kql.UsesNow(&kql.Is{Field: &field, Value: kql.Quote(v.Text)})
}

// lowerer turns the tree into a condition; found are the mistakes on the way.
type lowerer struct {
	Options
	found diag.List
	spent int
	steps int // of regular expressions
	full  bool

	declared []expr.Field // all declared fields, once asked for
	analysed map[string]event.Type
}

// never is what stands for a condition that is refused.
var never = expr.Const{}

// refuse notes a mistake.
func (l *lowerer) refuse(at diag.Span, text, code, message, hint string) expr.Cond {
	l.found = append(l.found, diag.Diagnostic{Code: code, Message: message, Hint: hint, Span: at, Text: text})
	return never
}

// spend counts n conditions; false once they are too many.
func (l *lowerer) spend(n int, at diag.Span, text string) bool {
	if l.spent += n; l.spent > MaxConditions && !l.full {
		l.full = true
		l.refuse(at, text, CodeTooMany, fmt.Sprintf("the query comes to more than %d conditions", MaxConditions),
			"names with a star, and values without a field, count once for each field")
	}
	return !l.full
}

func (l *lowerer) node(n Node) expr.Cond {
	switch n := n.(type) {
	case *All:
		return expr.Const{Value: true}
	case *Bool:
		return l.clauses(n)
	case *Term:
		if n.Field.any() {
			return l.anywhere(n.Value)
		}
		return l.fields(*n.Field, n.Value.At, func(f expr.Field) expr.Cond { return l.equals(f, n.Value) })
	case *Pattern:
		if n.Field.any() {
			return l.anywhereLike(n)
		}
		return l.fields(*n.Field, n.At, func(f expr.Field) expr.Cond { return l.like(f, n) })
	case *Regexp:
		return l.regexp(n)
	case *Range:
		if n.Field.any() {
			return l.refuse(n.At, n.query, CodeNoField, "a range without a field", "write field:[1 TO 5]")
		}
		return l.fields(*n.Field, n.At, func(f expr.Field) expr.Cond { return l.within(f, n) })
	case *Exists:
		return l.fields(n.Field, n.At, func(f expr.Field) expr.Cond { return expr.Exists{Field: f} })
	}
	panic(fmt.Sprintf("lucene: no meaning of %T", n))
}

// clauses joins: the required ones, or one of the optional ones where none is required, and none of the prohibited ones.
func (l *lowerer) clauses(n *Bool) expr.Cond {
	var conds [3][]expr.Cond
	for _, c := range n.Clauses {
		conds[c.Occur] = append(conds[c.Occur], l.node(c.Node))
	}
	all := conds[Must]
	if len(all) == 0 && len(conds[Should]) > 0 {
		all = []expr.Cond{expr.Some(expr.JoinIns(conds[Should])...)}
	}
	for _, c := range conds[MustNot] {
		all = append(all, opposite(c))
	}
	return expr.All(all...)
}

func opposite(c expr.Cond) expr.Cond {
	if c, ok := c.(expr.Const); ok {
		return expr.Const{Value: !c.Value}
	}
	return expr.Not{Cond: c}
}

func (l *lowerer) resolve(path string) expr.Field {
	if l.Resolver == nil {
		return expr.Field{Path: path}
	}
	f, _ := l.Resolver.Field(path)
	return f
}

// fields makes the condition for the field called name or, where the name holds a star, one for each that fits: those for
// whose type the value is none are then passed over.
func (l *lowerer) fields(name Literal, at diag.Span, cond func(expr.Field) expr.Cond) expr.Cond {
	if !l.spend(1, at, name.query) {
		return never
	}
	if !name.pattern() {
		return cond(l.resolve(name.Text))
	}
	if l.Resolver == nil || !l.spend(expansionCost, at, name.query) {
		return never
	}
	var conds []expr.Cond
	for _, f := range l.Resolver.Expand(expr.Stars(strings.Split(name.Text, "*")...)) {
		if !l.spend(1, at, name.query) {
			break
		}
		before := len(l.found)
		if c := cond(f); len(l.found) == before {
			conds = append(conds, c)
		} else if !l.full {
			l.found = l.found[:before]
		}
	}
	return expr.Some(conds...)
}

// expansionCost is what a name with a star counts besides its fields.
const expansionCost = 300

// equals is the condition that a value of f equals v or, if it is analysed, holds its words.
func (l *lowerer) equals(f expr.Field, v Literal) expr.Cond {
	switch {
	case f.Type.IsKeyword():
		typed, ok := event.Coerce(f.Type, event.String(v.Text))
		if !ok {
			return never
		}
		return expr.In{Field: f, Values: []event.Value{typed}}
	case !f.Type.IsText():
		return l.typed(f, v, &kql.Is{Field: &kql.Literal{Parts: []string{f.Path}}, Value: kql.Quote(v.Text)})
	}
	tokens := expr.Tokens(f.Type, v.Text)
	if len(tokens) == 0 {
		return l.noWords(f, v.At, v.query)
	}
	return expr.Words{Field: f, Tokens: tokens, Phrase: v.Quoted && len(tokens) > 1}
}

// noWords refuses what Elasticsearch leaves out of the query, so that a rule would find more than it says.
func (l *lowerer) noWords(f expr.Field, at diag.Span, text string) expr.Cond {
	return l.refuse(at, text, CodeNoWords, fmt.Sprintf("%s is analysed text, and this value holds no word", f.Path), "name a keyword field that holds the whole value")
}

// typed is what a leaf of KQL that says the same means to f, which holds no texts.
func (l *lowerer) typed(f expr.Field, v Literal, leaf kql.Node) expr.Cond {
	cond, err := kql.Lower(leaf, kql.Options{Resolver: single{f}, Now: l.Now})
	if err == nil {
		return cond
	}
	d := diag.Of(err)[0]
	return l.refuse(v.At, v.query, CodeValue, d.Message, d.Hint)
}

// single is the resolver that knows one field.
type single struct{ field expr.Field }

// Field implements plan.Resolver.
func (s single) Field(string) (expr.Field, bool) { return s.field, true }

// Expand implements plan.Resolver.
func (s single) Expand(expr.Pattern) []expr.Field { return nil }

// within is the condition that one value of f lies between the bounds.
func (l *lowerer) within(f expr.Field, n *Range) expr.Cond {
	if n.Min == nil && n.Max == nil {
		return expr.Exists{Field: f}
	}
	out := expr.Range{Field: f}
	for _, side := range []struct {
		limit         *Literal
		strict, loose kql.Op
		inclusive     bool
	}{{n.Min, kql.Greater, kql.GreaterEqual, n.MinInclusive}, {n.Max, kql.Less, kql.LessEqual, n.MaxInclusive}} {
		if side.limit == nil {
			continue
		}
		op := side.strict
		if side.inclusive {
			op = side.loose
		}
		c := l.typed(f, *side.limit, &kql.Range{Field: kql.Literal{Parts: []string{f.Path}}, Op: op, Value: kql.Quote(side.limit.Text)})
		r, ok := c.(expr.Range)
		if !ok {
			return c // false: refused, or an object
		}
		if side.limit == n.Min {
			out.Min = r.Min
		} else {
			out.Max = r.Max
		}
	}
	return out
}

// parts are the parts of n as a pattern has them.
func (n *Pattern) pattern(lower bool) expr.Pattern {
	var p expr.Pattern
	for _, part := range n.Parts {
		if lower {
			part.Text = strings.ToLower(part.Text)
		}
		p.Parts = append(p.Parts, expr.PatternPart{Literal: part.Text, One: part.One})
	}
	return p
}

// prefix returns the text before the star that alone ends n.
func (n *Pattern) prefix() (string, bool) {
	if len(n.Parts) == 2 && n.Parts[0].Text != "" && n.Parts[1] == (Part{}) {
		return n.Parts[0].Text, true
	}
	return "", false
}

// like is the condition that a value of f fits n. On analysed text it is about single words; what stands before a star
// that alone ends n is analysed too, and of several words the last is the prefix.
func (l *lowerer) like(f expr.Field, n *Pattern) expr.Cond {
	switch {
	case n.exists():
		return expr.Exists{Field: f}
	case f.Type == event.ObjectType || f.Type == event.Nested:
		return never
	case f.Type.IsKeyword():
		return expr.Like{Field: f, Pattern: n.pattern(f.Type == event.Caseless)}
	case !f.Type.IsText():
		hint := "write a range: " + f.Path + ":[1 TO 5]"
		switch f.Type {
		case event.IPType:
			hint = "write a network in quotes: " + f.Path + `:"10.1.0.0/16"`
		case event.Boolean:
			hint = "write true or false"
		}
		return l.refuse(n.At, n.query, CodeNoText, fmt.Sprintf("a wildcard on %s, which is of the type %v", f.Path, f.Type), hint)
	}
	text, isPrefix := n.prefix()
	if !isPrefix || l.Unanalysed {
		return expr.Like{Field: f, Pattern: n.pattern(true)}
	}
	tokens := expr.Tokens(f.Type, text)
	if len(tokens) == 0 {
		return l.noWords(f, n.At, n.query)
	}
	last := len(tokens) - 1
	cond := expr.Cond(expr.Like{Field: f, Pattern: expr.Stars(tokens[last], "")})
	if last > 0 {
		cond = expr.Some(expr.Words{Field: f, Tokens: tokens[:last]}, cond)
	}
	return cond
}

// exists reports whether n is stars alone.
func (n *Pattern) exists() bool { return len(n.Parts) == 1 && n.Parts[0] == (Part{}) }

func (l *lowerer) regexp(n *Regexp) expr.Cond {
	v := n.Value
	if n.Field.any() {
		return l.refuse(v.At, v.query, CodeRegexp, "a regular expression without a field", "write field:/…/, of a keyword field")
	}
	re, steps, wrong := regex.Compile([]string{v.Text}, false)
	if l.steps += steps; wrong == nil && l.steps > maxRegexSteps {
		wrong = &regex.Error{Message: fmt.Sprintf("the regular expressions of the query come to more than %d steps together", maxRegexSteps)}
	}
	if wrong != nil {
		return l.refuse(v.At, v.query, CodeRegexp, wrong.Message, wrong.Hint)
	}
	return l.fields(*n.Field, v.At, func(f expr.Field) expr.Cond {
		switch {
		case f.Type == event.ObjectType || f.Type == event.Nested:
			return never
		case !f.Type.IsKeyword():
			return l.refuse(v.At, v.query, CodeRegexp, fmt.Sprintf("a regular expression on %s, which is of the type %v", f.Path, f.Type),
				"name a keyword field; on analysed text write a pattern with * and ?")
		}
		return expr.Regexp{Field: f, Expr: re}
	})
}

// anywhere is the condition that a value somewhere in the event equals v: what KQL means by a value without a field.
func (l *lowerer) anywhere(v Literal) expr.Cond {
	if !l.spend(1+len(l.everywhere()), v.At, v.query) {
		return never
	}
	leaf := kql.Literal{Parts: []string{v.Text}, Quoted: v.Quoted || v.Text == "null"}
	cond, err := kql.Lower(&kql.Is{Value: leaf}, kql.Options{Resolver: l.Resolver, Now: l.Now})
	if err != nil {
		d := diag.Of(err)[0]
		return l.refuse(v.At, v.query, CodeValue, d.Message, d.Hint)
	}
	return cond
}

// everywhere returns all declared fields.
func (l *lowerer) everywhere() []expr.Field {
	if l.analysed == nil && l.Resolver != nil {
		l.declared = l.Resolver.Expand(expr.Stars("", ""))
		l.analysed = map[string]event.Type{}
		for _, f := range l.declared {
			if f.Type.IsText() {
				l.analysed[f.Path] = f.Type
			}
		}
	}
	return l.declared
}

// anywhereLike is the condition that a value somewhere fits n. Keywords are as they came, the words of analysed fields in
// lower case: a pattern with capitals, or before whose star several words stand, asks each analysed field on its own.
func (l *lowerer) anywhereLike(n *Pattern) expr.Cond {
	if n.exists() {
		return expr.Const{Value: true}
	}
	if !l.spend(1, n.At, n.query) {
		return never
	}
	fields := l.everywhere()
	pattern := n.pattern(false)
	any := expr.Anywhere{Pattern: &pattern}
	text, isPrefix := n.prefix()
	plain := !isPrefix || l.Unanalysed || wordOf(event.Text, text) && wordOf(event.PatternText, text)
	if s := pattern.String(); plain && strings.ToLower(s) == s {
		if len(l.analysed) > 0 {
			any.Analyse = func(path string) (event.Type, bool) { t, ok := l.analysed[path]; return t, ok }
		}
		return any
	}
	conds := []expr.Cond{any}
	for _, f := range fields {
		if !f.Type.IsText() && f.Type != event.Caseless {
			continue
		}
		if !l.spend(1, n.At, n.query) {
			break
		}
		before := len(l.found)
		if c := l.like(f, n); len(l.found) == before {
			conds = append(conds, c)
		}
		l.found = l.found[:before]
	}
	return expr.Some(conds...)
}

// wordOf reports whether text is one word of the text type t as it stands.
func wordOf(t event.Type, text string) bool {
	tokens := expr.Tokens(t, text)
	return len(tokens) == 1 && tokens[0] == text
}
