package kql

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// Options is what a query's meaning depends on besides its text.
type Options struct {
	// Resolver gives the fields' types. Nil: every field is an undeclared keyword.
	Resolver plan.Resolver
	// Now is what date math starts from. Zero: a query with date math is an error.
	Now time.Time
	// View says whether the streams' fields are known when the query is read; only comparisons with recorded answers
	// set it.
	View View
}

// View says whether a query is read with the streams' fields known, as Kibana does with a data view. It changes two
// things alone: names with a star stand for the fields that fit (without: for none), and a pattern with blanks on a
// keyword is one pattern (without: several, one of which must fit).
type View uint8

// The views.
const (
	ViewByQuery View = iota // known if a field name in the query holds a star: what the rule executor does
	ViewNever
	ViewAlways
)

// Lower returns the condition that n means. The error is a diag.List of everything that makes the query unusable: values
// that are none of their field's type, wildcards where no text is, date math without Now. Fields that nothing declares
// are keywords.
func Lower(n Node, o Options) (expr.Cond, error) {
	l := newLowerer(n, o)
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
		var v Literal
		switch n := n.(type) {
		case *Is:
			v = n.Value
		case *Range:
			v = n.Value
		default:
			return
		}
		if rest, now := strings.CutPrefix(v.Text(), "now"); now && !v.Wildcard() {
			_, err := dateMath(time.Time{}, rest, false)
			found = found || err == nil
		}
	})
	return found
}

// MaxConditions bounds how many conditions a query may come to, those for each field that a name with a star, or a
// value without a field, stands for included.
const MaxConditions = 300_000

// expansionCost is what a name with a star counts besides its fields.
const expansionCost = 300

// lowerer turns the tree into a condition; found are the mistakes on the way.
type lowerer struct {
	Options
	view  bool
	found diag.List
	spent int
	full  bool // more than MaxConditions

	declared []expr.Field // all declared fields, once asked for
	analysed func(path string) (event.Type, bool)
}

// spend counts n conditions; false once they are too many, which it reports at v.
func (l *lowerer) spend(n int, v Literal) bool {
	l.spent += n
	if l.spent > MaxConditions && !l.full {
		l.full = true
		l.refuse(v, CodeTooMany, fmt.Sprintf("the query comes to more than %d conditions", MaxConditions),
			"names with a star, and values without a field, count once for each field")
	}
	return !l.full
}

func newLowerer(n Node, o Options) *lowerer {
	l := &lowerer{Options: o, view: o.View == ViewAlways}
	if o.View == ViewByQuery {
		walk(n, func(n Node) {
			switch n := n.(type) {
			case *Is:
				l.view = l.view || n.Field != nil && n.Field.Wildcard() && !matchesAll(n)
			case *Range:
				l.view = l.view || n.Field.Wildcard()
			}
		})
	}
	return l
}

// matchesAll reports whether n is *:*, or the empty query.
func matchesAll(n *Is) bool { return n.Field != nil && n.Field.Exists() && n.Value.Exists() }

func (l *lowerer) node(n Node) expr.Cond { return l.below("", n) }

// below lowers n, whose field names stand below the nested path that prefix holds (with its dot).
func (l *lowerer) below(prefix string, n Node) expr.Cond {
	switch n := n.(type) {
	case *And:
		return expr.All(l.each(prefix, n.Nodes)...)
	case *Or:
		return expr.Some(expr.JoinIns(l.each(prefix, n.Nodes))...)
	case *Not:
		c := l.below(prefix, n.Node)
		if c, ok := c.(expr.Const); ok {
			return expr.Const{Value: !c.Value}
		}
		return expr.Not{Cond: c}
	case *Nested:
		path := prefix + n.Path.Text()
		return expr.Nested{Path: path, Cond: l.below(path+".", n.Node)}
	case *Is:
		switch {
		case matchesAll(n):
			return expr.Const{Value: true}
		case n.Field == nil:
			return l.anywhere(prefix, n.Value)
		}
		return l.fields(prefix, *n.Field, n.Value, func(f expr.Field) expr.Cond { return l.equals(f, n.Value) })
	case *Range:
		return l.fields(prefix, n.Field, n.Value, func(f expr.Field) expr.Cond { return l.compares(f, n.Op, n.Value) })
	}
	panic("kql: no meaning of this node")
}

func (l *lowerer) each(prefix string, nodes []Node) []expr.Cond {
	out := make([]expr.Cond, len(nodes))
	for i, n := range nodes {
		out[i] = l.below(prefix, n)
	}
	return out
}

// fields makes the condition for the field called name, or, where the name holds a star, one for each that fits.
func (l *lowerer) fields(prefix string, name, value Literal, cond func(expr.Field) expr.Cond) expr.Cond {
	if !l.spend(1, value) {
		return expr.Const{Value: false}
	}
	if !name.Wildcard() {
		f, _ := l.resolve(prefix + name.Text())
		return cond(f)
	}
	if !l.view && !value.Exists() {
		return expr.Const{Value: false}
	}
	if !l.spend(expansionCost, value) {
		return expr.Const{Value: false}
	}
	var conds []expr.Cond
	before := len(l.found)
	for _, f := range l.expand(prefix, name) {
		if !l.spend(1, value) {
			break
		}
		if (f.Type == event.ObjectType || f.Type == event.Nested || f.Type == event.GeoPoint) && !value.Exists() {
			continue
		}
		conds = append(conds, cond(f))
		if len(l.found) > before { // one mistake says it all
			if l.full {
				break
			}
			d := &l.found[before]
			d.Hint = "the field name fits " + f.Path + " too: write the fields' names out"
			l.found = l.found[:before+1]
			return expr.Const{Value: false}
		}
	}
	return expr.Some(conds...)
}

func (l *lowerer) resolve(path string) (expr.Field, bool) {
	if l.Resolver == nil {
		return expr.Field{Path: path}, false
	}
	return l.Resolver.Field(path)
}

func (l *lowerer) expand(prefix string, name Literal) []expr.Field {
	if l.Resolver == nil {
		return nil
	}
	parts := append([]string(nil), name.Parts...)
	parts[0] = prefix + parts[0]
	return l.Resolver.Expand(expr.Stars(parts...))
}

// everywhere returns all declared fields.
func (l *lowerer) everywhere() []expr.Field {
	if l.analysed == nil {
		l.declared = l.expand("", Literal{Parts: []string{"", ""}})
		l.analysed = analysis(l.declared)
	}
	return l.declared
}

// refuse notes a mistake in v and returns a condition in its place.
func (l *lowerer) refuse(v Literal, code, message, hint string) expr.Cond {
	l.found = append(l.found, diag.Diagnostic{Code: code, Message: message, Span: v.At, Hint: hint, Text: v.query})
	return expr.Const{Value: false}
}
