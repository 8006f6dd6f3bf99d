package kql

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// The codes of what Lower refuses.
const (
	CodeNull        = "KQL0301" // null as a value
	CodeNoText      = "KQL0302" // a wildcard on a field that holds no texts
	CodeNoNumber    = "KQL0303" // a value that is no number, or beyond those that the field can hold
	CodeNoBoolean   = "KQL0304" // a value that is neither true nor false
	CodeNoAddress   = "KQL0305" // a value that is no address and no network
	CodeNoDate      = "KQL0306" // a value that is no date
	CodeTextRange   = "KQL0307" // a comparison of an analysed field
	CodeNoNow       = "KQL0308" // date math where no time is given
	CodeUnsearching = "KQL0309" // a field whose values cannot be compared
	CodeTooMany     = "KQL0310" // more than MaxTerms, or MaxConditions
)

// equals is the condition that a value of f equals v, fits it, or is there at all.
func (l *lowerer) equals(f expr.Field, v Literal) expr.Cond {
	switch {
	case v.Exists():
		return expr.Exists{Field: f}
	case v.Null():
		return l.refuse(v, CodeNull, "null is no value that can be searched",
			fmt.Sprintf("write not %s : * for events without the field, or \"null\" for the text", f.Path))
	case f.Type == event.ObjectType || f.Type == event.Nested:
		return expr.Const{Value: false} // an object itself equals nothing
	case f.Type == event.GeoPoint:
		return l.refuse(v, CodeUnsearching, fmt.Sprintf("%s holds points on the earth: only %s : * can be asked", f.Path, f.Path), "")
	case f.Type.IsKeyword() || f.Type.IsText():
		return l.text(f, v)
	case v.Wildcard():
		return l.refuse(v, CodeNoText, fmt.Sprintf("a wildcard on %s, which is of the type %v", f.Path, f.Type), l.insteadOf(f))
	}
	switch f.Type {
	case event.Long:
		n, ok := l.number(f, v)
		if ok && n.Kind() == event.KindFloat {
			return expr.Const{Value: false} // no whole number equals it
		}
		return in(f, n, ok)
	case event.Double:
		n, ok := l.number(f, v)
		return in(f, n, ok)
	case event.Boolean:
		b, ok := l.boolean(f, v)
		return in(f, b, ok)
	case event.IPType:
		if !strings.Contains(v.Text(), "/") {
			a, ok := l.address(f, v)
			return in(f, a, ok)
		}
		return l.network(f, v)
	case event.Date:
		from, to, ok := l.instant(f, v)
		if !ok {
			return expr.Const{Value: false}
		}
		return expr.Range{Field: f, Min: expr.Bound{Value: from, Inclusive: true}, Max: expr.Bound{Value: to, Inclusive: true}}
	}
	panic("kql: no equality of the type " + f.Type.String())
}

func in(f expr.Field, v event.Value, ok bool) expr.Cond {
	if !ok {
		return expr.Const{Value: false}
	}
	return expr.In{Field: f, Values: []event.Value{v}}
}

// insteadOf says what to write in place of a wildcard on f.
func (l *lowerer) insteadOf(f expr.Field) string {
	switch f.Type {
	case event.IPType:
		return fmt.Sprintf("write a network: %s : 10.1.0.0/16", f.Path)
	case event.Boolean:
		return "write true or false"
	}
	return fmt.Sprintf("write a range: %s >= … and %s < …", f.Path, f.Path)
}

// text is the condition for keywords and analysed fields.
func (l *lowerer) text(f expr.Field, v Literal) expr.Cond {
	if !v.Wildcard() {
		return word(f, v.Text(), v.Quoted)
	}
	if l.view && (f.Type == event.Keyword || f.Type == event.Caseless) {
		return like(f, v.Parts)
	}
	var conds []expr.Cond
	for _, parts := range pieces(v.Parts) {
		switch {
		case len(parts) == 1:
			conds = append(conds, word(f, parts[0], false))
		case len(parts) == 2 && parts[0] == "" && parts[1] == "":
			conds = append(conds, expr.Exists{Field: f})
		default:
			conds = append(conds, like(f, parts))
		}
	}
	return expr.Some(expr.JoinIns(conds)...)
}

// word is the condition that a value of f equals s or, if it is analysed, holds its words.
func word(f expr.Field, s string, phrase bool) expr.Cond {
	if f.Type.IsText() {
		tokens := expr.Tokens(f.Type, s)
		if len(tokens) == 0 {
			return expr.Const{Value: false}
		}
		return expr.Words{Field: f, Tokens: tokens, Phrase: phrase && len(tokens) > 1}
	}
	value, ok := event.Coerce(f.Type, event.String(s))
	return in(f, value, ok)
}

func like(f expr.Field, parts []string) expr.Cond {
	if f.Type == event.Caseless || f.Type.IsText() {
		parts = lower(parts)
	}
	return expr.Like{Field: f, Pattern: expr.Stars(parts...)}
}

func lower(parts []string) []string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = strings.ToLower(p)
	}
	return out
}

// pieces cuts a pattern at its blanks: without a view each piece is a pattern or word of its own.
func pieces(parts []string) [][]string {
	var out [][]string
	var piece []string
	text, begun := "", false
	end := func() {
		if begun {
			out = append(out, append(piece, text))
		}
		piece, text, begun = nil, "", false
	}
	for i, part := range parts {
		if i > 0 { // a star
			piece, text, begun = append(piece, text), "", true
		}
		for {
			at := strings.IndexAny(part, " \t\r\n\u3000")
			if at < 0 {
				break
			}
			text, begun = text+part[:at], begun || at > 0
			end()
			_, n := utf8.DecodeRuneInString(part[at:])
			part = part[at+n:]
		}
		text, begun = text+part, begun || part != ""
	}
	end()
	return out
}

// compares is the condition that a value of f lies on the side of v that op says.
func (l *lowerer) compares(f expr.Field, op Op, v Literal) expr.Cond {
	switch {
	case v.Null():
		return l.refuse(v, CodeNull, "null is no value that can be compared with",
			fmt.Sprintf("write %s : * for events with the field, or \"null\" for the text", f.Path))
	case f.Type == event.ObjectType || f.Type == event.Nested:
		return expr.Const{Value: false}
	case f.Type == event.GeoPoint:
		return l.refuse(v, CodeUnsearching, fmt.Sprintf("%s holds points on the earth: they have no order", f.Path), "")
	case f.Type.IsText():
		return l.refuse(v, CodeTextRange, fmt.Sprintf("%s is analysed text, which has no order", f.Path),
			"compare a keyword field")
	}
	var bound event.Value
	var ok bool
	switch f.Type {
	case event.Long:
		if bound, ok = l.number(f, v); ok && bound.Kind() == event.KindFloat {
			return wholeRange(f, op, bound.Float())
		}
	case event.Double:
		bound, ok = l.number(f, v)
	case event.Boolean:
		bound, ok = l.boolean(f, v)
	case event.IPType:
		bound, ok = l.address(f, v)
	case event.Date:
		var from, to event.Value
		from, to, ok = l.instant(f, v)
		bound = from
		if op == LessEqual || op == Greater {
			bound = to
		}
	default:
		bound, ok = event.Coerce(f.Type, event.String(v.Text()))
	}
	if !ok {
		return expr.Const{Value: false}
	}
	return bounded(f, op, bound)
}

func bounded(f expr.Field, op Op, v event.Value) expr.Cond {
	b := expr.Bound{Value: v, Inclusive: op == LessEqual || op == GreaterEqual}
	if op == Less || op == LessEqual {
		return expr.Range{Field: f, Max: b}
	}
	return expr.Range{Field: f, Min: b}
}

// wholeRange compares whole numbers with a fraction.
func wholeRange(f expr.Field, op Op, limit float64) expr.Cond {
	if op == Less || op == LessEqual {
		return bounded(f, LessEqual, event.Int(int64(math.Floor(limit))))
	}
	return bounded(f, GreaterEqual, event.Int(int64(math.Ceil(limit))))
}

// number reads v for a field of numbers: an Int or a Float for a Double; for a Long an Int, or a Float if v has a
// fraction.
func (l *lowerer) number(f expr.Field, v Literal) (event.Value, bool) {
	text := v.Text()
	if f.Type == event.Long {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return event.Int(n), true
		}
	}
	n, ok := event.Coerce(event.Double, event.String(text))
	if !ok {
		l.refuse(v, CodeNoNumber, fmt.Sprintf("%q is no number, and %s holds numbers", text, f.Path), "")
		return event.Value{}, false
	}
	if x := n.Float(); f.Type == event.Long {
		if x >= 1<<63 || x < -(1<<63) {
			l.refuse(v, CodeNoNumber, fmt.Sprintf("%s is beyond the numbers that %s can hold", text, f.Path), "")
			return event.Value{}, false
		}
		if x == math.Trunc(x) {
			return event.Int(int64(x)), true
		}
	}
	return n, true
}

func (l *lowerer) boolean(f expr.Field, v Literal) (event.Value, bool) {
	switch v.Text() {
	case "true":
		return event.Bool(true), true
	case "false":
		return event.Bool(false), true
	}
	hint := ""
	if low := strings.ToLower(v.Text()); low == "true" || low == "false" {
		hint = "write " + low
	}
	l.refuse(v, CodeNoBoolean, fmt.Sprintf("%q is neither true nor false, which %s holds", v.Text(), f.Path), hint)
	return event.Value{}, false
}

func (l *lowerer) address(f expr.Field, v Literal) (event.Value, bool) {
	a, ok := event.Coerce(event.IPType, event.String(v.Text()))
	if !ok {
		l.refuse(v, CodeNoAddress, fmt.Sprintf("%q is no address, and %s holds addresses", v.Text(), f.Path), "")
	}
	return a, ok
}

// network is the condition that an address lies in the network v.
func (l *lowerer) network(f expr.Field, v Literal) expr.Cond {
	p, err := netip.ParsePrefix(v.Text())
	switch {
	case err != nil:
		return l.refuse(v, CodeNoAddress, fmt.Sprintf("%q is no network, and %s holds addresses", v.Text(), f.Path),
			"write an address and the length of its prefix: 10.0.0.0/8")
	case p.Addr().Is4In6():
		return l.refuse(v, CodeNoAddress, "a network of IPv4 addresses mapped into IPv6 is ambiguous",
			"write it as an IPv4 network: 10.0.0.0/8")
	}
	p = p.Masked()
	last := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 1 << (7 - bit%8)
	}
	end, _ := netip.AddrFromSlice(last)
	return expr.Range{Field: f,
		Min: expr.Bound{Value: event.IP(p.Addr()), Inclusive: true},
		Max: expr.Bound{Value: event.IP(end), Inclusive: true}}
}

// instant reads v for a field of dates: the first and the last millisecond that it means.
func (l *lowerer) instant(f expr.Field, v Literal) (from, to event.Value, ok bool) {
	text := v.Text()
	if strings.HasPrefix(text, "now") && l.Now.IsZero() {
		l.refuse(v, CodeNoNow, fmt.Sprintf("%q depends on the time, which is not given here", text), "write a date")
		return from, to, false
	}
	first, err := date(l.Now, text, false)
	if err == nil {
		last, roundErr := date(l.Now, text, true)
		if err = roundErr; err == nil {
			return event.Time(first), event.Time(last), true
		}
	}
	l.refuse(v, CodeNoDate, fmt.Sprintf("%q is no date, and %s holds dates: %v", text, f.Path, err),
		"write a date like 2026-03-01 or 2026-03-01T12:00:00Z, or one that depends on the time like now-1d/d")
	return from, to, false
}
