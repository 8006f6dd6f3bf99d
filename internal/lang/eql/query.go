package eql

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/regex"
)

// maxRegexTotal bounds the steps of all regular expressions of a query together.
const maxRegexTotal = 200_000

// query binds a leaf that compares one field with constants as the condition that any of its values satisfies, which
// engines can search for; nil for any other leaf, which is to be computed. Here != and "not in" are opposites: true of a
// missing field.
func (b *binder) query(n Expr) expr.Cond {
	switch n := n.(type) {
	case *Field:
		return b.queryField(n)
	case *Call:
		return b.queryCall(n)
	case *Compare:
		if !b.oneField(n.Left, n.Right) {
			return nil
		}
		left, right, op, ok := b.sides(n)
		if !ok {
			return expr.Const{Value: false}
		}
		if left.field == nil {
			return nil
		}
		return b.fieldCompared(left, right, op)
	case *In:
		if !isField(n.Expr) {
			return nil
		}
		o := b.value(n.Expr)
		list, ok := b.constants(n.Values)
		if !ok {
			return expr.Const{Value: false}
		}
		if o.field == nil {
			return nil
		}
		o = b.as(list[0].class, o)
		b.warnStars(*o.field, list, "in")
		return b.fieldOneOf(*o.field, list, n.Fold)
	case *Match:
		if n.Op == Colon && !n.List && !b.oneField(n.Expr, n.Values[0]) || (n.Op != Colon || n.List) && !isField(n.Expr) {
			return nil
		}
		o := b.value(n.Expr)
		list, ok := b.matched(n, &o)
		if !ok {
			return expr.Const{Value: false}
		}
		if o.field == nil {
			return nil
		}
		return b.fieldMatched(n, *o.field, list)
	}
	return nil
}

// oneField reports whether one of two is a field and the other reads nothing.
func (b *binder) oneField(left, right Expr) bool {
	return isField(left) && !names(right) || isField(right) && !names(left)
}

func isField(n Expr) bool { _, ok := n.(*Field); return ok }

// names reports whether n names a field.
func names(n Expr) bool {
	found := false
	Walk(n, func(n Expr) { found = found || isField(n) })
	return found
}

func (b *binder) queryField(n *Field) expr.Cond {
	o := b.as(booleans, b.value(n))
	if o.field == nil || o.class != booleans {
		return nil
	}
	return expr.In{Field: *o.field, Values: []event.Value{event.Bool(true)}}
}

// queryCall binds the calls that are searches: of a field's text, or of its address, with constants.
func (b *binder) queryCall(n *Call) expr.Cond {
	f, ok := functionNamed(n.Name)
	if !ok || f.gives != booleans || len(n.Args) < f.least || n.Fold && !f.Fold || !isField(n.Args[0]) {
		return nil
	}
	for _, a := range n.Args[1:] {
		if c, ok := a.(*Const); !ok || c.Value.Kind() != event.KindString {
			return nil
		}
	}
	before := b.errors
	o := b.function(n)
	if b.errors > before {
		return expr.Const{Value: false}
	}
	call, ok := o.x.(expr.Call)
	if !ok {
		return nil // the field is missing everywhere
	}
	field := call.Args[0].(expr.Least).Field
	text := call.Args[1].(expr.Lit).Value.Str()
	stars := []string{text}
	switch f.fn {
	case "cidr_match":
		var conds []expr.Cond
		for _, a := range call.Args[1:] {
			network, _ := expr.Network(a.(expr.Lit).Value.Str())
			conds = append(conds, within(expr.Field{Path: field.Path, Type: event.IPType, Root: field.Root}, network))
		}
		return expr.Some(conds...)
	case "contains":
		if text == "" {
			return expr.Const{Value: false}
		}
		stars = []string{"", text, ""}
	case "starts_with":
		stars = []string{text, ""}
	case "ends_with":
		stars = []string{"", text}
	}
	return like(field, expr.Stars(stars...), n.Fold)
}

// within is the condition that an address lies in a network.
func within(f expr.Field, p netip.Prefix) expr.Cond {
	last := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 1 << (7 - bit%8)
	}
	end, _ := netip.AddrFromSlice(last)
	return expr.Range{Field: f, Min: expr.Bound{Value: event.IP(p.Addr()), Inclusive: true},
		Max: expr.Bound{Value: event.IP(end), Inclusive: true}}
}

// like is the condition that a text fits. A pattern of one literal, with regard to case, is an equality.
func like(f expr.Field, p expr.Pattern, fold bool) expr.Cond {
	if f.Type == event.Caseless {
		parts := make([]expr.PatternPart, len(p.Parts))
		for i, part := range p.Parts {
			parts[i] = expr.PatternPart{Literal: strings.ToLower(part.Literal), One: part.One}
		}
		p = expr.Pattern{Parts: parts}
	}
	if literal := len(p.Parts) == 0 || len(p.Parts) == 1 && p.Parts[0].Literal != ""; literal && !fold {
		text := ""
		if len(p.Parts) == 1 {
			text = p.Parts[0].Literal
		}
		return expr.In{Field: f, Values: []event.Value{event.String(text)}}
	}
	return expr.Like{Field: f, Pattern: p, Fold: fold}
}

// fieldCompared compares a field with a constant.
func (b *binder) fieldCompared(left, right operand, op CompareOp) expr.Cond {
	f := *left.field
	v, _ := right.constant()
	if left.maybe && left.class == texts && (right.class == numbers || right.class == booleans) {
		// The server refuses this of fields that have to be there, and compares with the text of those that need not.
		b.warn(CodeOtherKind, right.at, fmt.Sprintf("a text is compared with %v, by its text", right.class), "put it in quotes")
		v = event.String(v.Text())
		right = literal(v, right.at)
	}
	if v.IsNull() {
		switch op {
		case Equal:
			return expr.Not{Cond: expr.Exists{Field: f}}
		case NotEqual:
			return expr.Exists{Field: f}
		}
		if right.absent {
			return expr.Const{Value: false}
		}
		return unknown
	}
	switch op {
	case Equal, NotEqual:
		b.warnStars(f, []operand{right}, op.String())
		c := b.fieldEquals(f, right)
		if op == NotEqual {
			return opposite(c)
		}
		return c
	}
	c, _ := classOf(f.Type)
	v, network, ok := b.converted(c, right)
	if !ok {
		return expr.Const{Value: false}
	}
	if network.IsValid() {
		b.refuse(CodeValue, right.at, "a network has no order", "compare with an address")
		return expr.Const{Value: false}
	}
	if f.Type == event.Long && v.Kind() == event.KindFloat {
		return wholeRange(f, op, v.Float())
	}
	if f.Type == event.Double {
		v, _ = event.Coerce(event.Double, v)
	}
	if f.Type == event.Caseless {
		v, _ = event.Coerce(f.Type, v)
	}
	return bounded(f, op, v)
}

func bounded(f expr.Field, op CompareOp, v event.Value) expr.Cond {
	bound := expr.Bound{Value: v, Inclusive: op == LessEqual || op == GreaterEqual}
	if op == Less || op == LessEqual {
		return expr.Range{Field: f, Max: bound}
	}
	return expr.Range{Field: f, Min: bound}
}

// wholeRange compares whole numbers with a fraction, or with a number that is none of theirs.
func wholeRange(f expr.Field, op CompareOp, limit float64) expr.Cond {
	below := op == Less || op == LessEqual
	switch {
	case limit >= 1<<63 && below, limit < -(1<<63) && !below:
		return expr.Exists{Field: f}
	case limit >= 1<<63, limit < -(1 << 63):
		return expr.Const{Value: false}
	case limit == math.Trunc(limit):
		return bounded(f, op, event.Int(int64(limit)))
	case below:
		return bounded(f, LessEqual, event.Int(int64(math.Floor(limit))))
	}
	return bounded(f, GreaterEqual, event.Int(int64(math.Ceil(limit))))
}

// fieldEquals is the condition that a value of f equals the constant.
func (b *binder) fieldEquals(f expr.Field, right operand) expr.Cond {
	c, _ := classOf(f.Type)
	v, network, ok := b.converted(c, right)
	switch {
	case !ok:
		return expr.Const{Value: false}
	case network.IsValid():
		return within(f, network)
	case f.Type == event.Long && v.Kind() == event.KindFloat:
		x := v.Float()
		if x != math.Trunc(x) || x >= 1<<63 || x < -(1<<63) {
			return expr.Const{Value: false} // no whole number equals it
		}
		v = event.Int(int64(x))
	case f.Type == event.Double || f.Type == event.Caseless:
		v, _ = event.Coerce(f.Type, v)
	}
	return expr.In{Field: f, Values: []event.Value{v}}
}

// fieldOneOf is the condition that a value of f equals one of the constants.
func (b *binder) fieldOneOf(f expr.Field, list []operand, fold bool) expr.Cond {
	c, _ := classOf(f.Type)
	var conds []expr.Cond
	for _, item := range list {
		v, _ := item.constant()
		switch {
		case v.IsNull():
		case fold && c == texts && item.class == texts:
			conds = append(conds, like(f, expr.Stars(v.Str()), true))
		default:
			conds = append(conds, b.fieldEquals(f, item))
		}
	}
	return expr.Some(expr.JoinIns(conds)...)
}

// fieldMatched is the condition that a value of f fits one of the constants.
func (b *binder) fieldMatched(n *Match, f expr.Field, list []operand) expr.Cond {
	if c, _ := classOf(f.Type); c != texts {
		return b.fieldOneOf(f, list, false)
	}
	if n.Op == Regex || n.Op == RegexFold {
		re, plain, ok := b.regex(n, list)
		switch {
		case !ok:
			return expr.Const{Value: false}
		case re != nil:
			return expr.Regexp{Field: f, Expr: re}
		}
		return like(f, expr.Stars(plain), n.Op == RegexFold)
	}
	var conds []expr.Cond
	for _, item := range list {
		if v, _ := item.constant(); !v.IsNull() {
			conds = append(conds, like(f, pattern(v.Str()), n.Op != Like))
		}
	}
	return expr.Some(expr.JoinIns(conds)...)
}

// regex compiles the expressions of a match; a single one without operators is given as the plain text that it matches.
func (b *binder) regex(n *Match, list []operand) (re *regexp.Regexp, plain string, ok bool) {
	var patterns []string
	for _, item := range list {
		v, _ := item.constant()
		if v.IsNull() {
			continue
		}
		patterns = append(patterns, v.Str())
		if s := v.Str(); strings.HasPrefix(s, "^") || strings.HasSuffix(s, "$") && !strings.HasSuffix(s, `\$`) {
			b.warn(CodeAnchor, item.at, "^ and $ are ordinary characters in a regular expression here",
				"leave them out: the whole value has to match")
		}
	}
	if len(patterns) == 0 {
		return regexp.MustCompile(`[^\x00-\x{10FFFF}]`), "", true
	}
	if len(patterns) == 1 {
		if plain, ok := regex.Plain(patterns[0]); ok {
			return nil, plain, true
		}
	}
	re, steps, err := regex.Compile(patterns, n.Op == RegexFold)
	if b.steps += steps; err == nil && b.steps > maxRegexTotal {
		err = &regex.Error{Message: fmt.Sprintf("the regular expressions of the query come to more than %d steps together", maxRegexTotal)}
	}
	if err != nil {
		b.refuse(CodeRegex, n.Values[0].Span().Join(n.Values[len(n.Values)-1].Span()), err.Message, err.Hint)
		return nil, "", false
	}
	return re, "", true
}

// converted reads a constant as values of the class are: texts as dates and addresses, numbers as milliseconds; a text
// may be a network of addresses. False where it is refused.
func (b *binder) converted(c class, o operand) (v event.Value, network netip.Prefix, ok bool) {
	v, _ = o.constant()
	switch {
	case c == o.class || c == anything:
		return v, network, true
	case c == dates && o.class == texts:
		if t, ok := event.ParseTime(v.Str()); ok {
			return event.Time(t), network, true
		}
		if t, err := time.Parse("2006-01-02 15:04:05", v.Str()); err == nil {
			return event.Time(t), network, true
		}
		b.refuse(CodeValue, o.at, fmt.Sprintf("%q is no date", v.Str()), `write "2026-03-01" or "2026-03-01T12:00:00Z"`)
		return v, network, false
	case c == dates && v.Kind() == event.KindInt:
		if t, ok := event.Coerce(event.Date, event.Float(float64(v.Int()))); ok {
			return event.Millis(t.Int()), network, true
		}
		b.refuse(CodeValue, o.at, "no date has this number of milliseconds", "")
		return v, network, false
	case c == addresses && o.class == texts:
		if a, ok := event.Coerce(event.IPType, v); ok {
			return a, network, true
		}
		if p, ok := expr.Network(v.Str()); ok {
			return v, p, true
		}
		hint := `write "10.0.0.1", or a network "10.0.0.0/8"`
		if strings.ContainsAny(v.Str(), "*?") {
			hint = `write cidrMatch(field, "10.0.0.0/8")`
		}
		b.refuse(CodeValue, o.at, fmt.Sprintf("%q is no address", v.Str()), hint)
		return v, network, false
	}
	hint := ""
	switch {
	case c == texts:
		hint = "put it in quotes"
	case o.class == texts && (c == numbers || c == booleans):
		hint = "leave the quotes out"
	}
	b.refuse(CodeType, o.at, fmt.Sprintf("%v is compared with %v", c, o.class), hint)
	return v, network, false
}

// The codes of what Check warns of.
const (
	CodeLiteralStar = "EQL0201" // a star where it is an ordinary character
	CodeAnchor      = "EQL0202" // ^ or $ in a regular expression, where they are ordinary characters
	CodeOtherKind   = "EQL0203" // an optional field of texts that is compared with a number or a boolean
)

// warnStars warns of wildcards in comparisons that have none.
func (b *binder) warnStars(f expr.Field, list []operand, op string) {
	if c, _ := classOf(f.Type); c != texts {
		return
	}
	for _, item := range list {
		v, _ := item.constant()
		if s := v.Str(); len(s) > 1 && (strings.HasPrefix(s, "*") || strings.HasSuffix(s, "*")) {
			b.warn(CodeLiteralStar, item.at, fmt.Sprintf("a star stands for itself after %q, not for any characters", op),
				`write : or like for a pattern`)
		}
	}
}

// Check returns advice on a query that Parse accepts, sorted by position: errors where Lower would refuse it, warnings
// where it most likely does not mean what its author thinks.
func Check(q *Query, o Options) diag.List {
	b := binder{Options: o, text: q.Text}
	b.program(q)
	b.found.Sort()
	return b.found
}
