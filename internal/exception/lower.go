package exception

import (
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/filter"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// Up to this many values and ranges are written out in the condition, where engines can use their indexes; more are looked
// up in a set.
const (
	fewValues = 1_000
	fewRanges = 32
)

// Hidden is what a rule does not see: the events for which one of its items holds. The zero Hidden is nothing. It is
// immutable.
type Hidden struct {
	always, until []lowered // until: those that expire
	cond          expr.Cond // of always; nil: none
}

// hidden is what the items hide.
func hidden(items []lowered) Hidden {
	var h Hidden
	var conds []expr.Cond
	for _, item := range items {
		if item.Expires.IsZero() {
			h.always = append(h.always, item)
			conds = append(conds, item.cond)
		} else {
			h.until = append(h.until, item)
		}
	}
	h.cond = anyOf(conds)
	return h
}

// Naming is what of h names values that are hidden: of the items those that ask for something that must be there. The others
// hide whatever lacks a field, which says something of the events that they were written for alone.
func (h Hidden) Naming() Hidden {
	names := func(item lowered) bool {
		return slices.ContainsFunc(item.Entries, func(e Entry) bool { return !e.Excluded })
	}
	return hidden(slices.DeleteFunc(slices.Concat(h.always, h.until), func(item lowered) bool { return !names(item) }))
}

// Always is the condition of the events that no run sees; never true where there are none.
func (h Hidden) Always() expr.Cond {
	if h.cond == nil {
		return expr.Const{}
	}
	return h.cond
}

// At is the condition of the events that a run at now does not see besides: those of items that expire.
func (h Hidden) At(now time.Time) expr.Cond {
	var conds []expr.Cond
	for _, item := range h.until {
		if !item.Expired(now) {
			conds = append(conds, item.cond)
		}
	}
	return anyOf(conds)
}

// anyOf is the condition that one of conds holds. Those that ask one field for values are put together: lists grow by an item
// for each user.
func anyOf(conds []expr.Cond) expr.Cond {
	out := expr.JoinIns(conds)
	for i, c := range out {
		out[i] = lookedUp(c)
	}
	return expr.Some(out...)
}

// lookedUp is c with sets in place of many values.
func lookedUp(c expr.Cond) expr.Cond {
	return expr.Rewrite(c, func(c expr.Cond) expr.Cond {
		in, ok := c.(expr.In)
		if !ok || len(in.Values) <= fewValues {
			return c
		}
		b := expr.NewSet(in.Field.Type)
		for _, v := range in.Values {
			b.Add(v)
		}
		if set, err := b.Set(); err == nil {
			return expr.Member{Field: in.Field, Set: set}
		}
		return c
	})
}

// By returns the first item that hides e in a run at now; nil where none does.
func (h Hidden) By(e *event.Event, now time.Time) *Item {
	for _, items := range [][]lowered{h.always, h.until} {
		for _, item := range items {
			if !item.Expired(now) && expr.Matches(item.cond, e) {
				return item.Item
			}
		}
	}
	return nil
}

// Empty reports whether nothing is hidden at any time.
func (h Hidden) Empty() bool { return len(h.always)+len(h.until) == 0 }

// Changes reports whether what is hidden depends on the time of the run: an item expires, be it past or to come.
func (h Hidden) Changes() bool { return len(h.until) > 0 }

// String names what is hidden: two with one text hide the same at any time.
func (h Hidden) String() string {
	s := expr.String(h.Always())
	for _, item := range h.until {
		s += fmt.Sprintf(" until %s %s", event.FormatTime(item.Expires), expr.String(item.cond))
	}
	return s
}

// lowered is an item with its condition.
type lowered struct {
	*Item
	cond expr.Cond
}

// lower makes conditions of items. An item that cannot be applied is left out, and told of.
func (l *Lists) lower(items []*Item, r plan.Resolver) (out []lowered, problems diag.List) {
	for _, item := range items {
		cond, found := l.item(item, r)
		problems = append(problems, found...)
		if found.Err() == nil {
			out = append(out, lowered{item, cond})
		}
	}
	return out, problems
}

// item is the condition that an item hides an event.
func (l *Lists) item(item *Item, r plan.Resolver) (expr.Cond, diag.List) {
	lower := itemLowerer{lists: l, item: item, resolver: r}
	cond := lower.all(item.Entries, "")
	if len(item.OSTypes) > 0 {
		cond = expr.All(cond, onSystems(item.OSTypes, r))
	}
	return cond, lower.found
}

// onSystems is the condition that an event is about a host of one of the operating systems.
func onSystems(names []string, r plan.Resolver) expr.Cond {
	kind, _ := r.Field("host.os.type")
	name, known := r.Field("host.os.name.caseless")
	if !known { // the caseless form is there in some mappings alone
		name = expr.Field{Path: "host.os.name", Type: event.Caseless}
	}
	var conds []expr.Cond
	for _, f := range []expr.Field{kind, name} {
		in := expr.In{Field: f}
		for _, s := range names {
			if v, ok := event.Coerce(f.Type, event.String(s)); ok {
				in.Values = append(in.Values, v)
			}
		}
		conds = append(conds, in)
	}
	return expr.Some(conds...)
}

type itemLowerer struct {
	lists    *Lists
	item     *Item
	resolver plan.Resolver
	found    diag.List
}

// all is the condition that all entries hold, whose fields stand below prefix.
func (l *itemLowerer) all(entries []Entry, prefix string) expr.Cond {
	var conds []expr.Cond
	for _, e := range entries {
		c := l.entry(e, prefix+e.Field)
		if e.Excluded {
			c = not(c)
		}
		conds = append(conds, c)
	}
	return expr.All(conds...)
}

func not(c expr.Cond) expr.Cond {
	if c, ok := c.(expr.Const); ok {
		return expr.Const{Value: !c.Value}
	}
	return expr.Not{Cond: c}
}

// entry is the condition that an entry on the field at path asks for, be it excluded or not.
func (l *itemLowerer) entry(e Entry, path string) expr.Cond {
	at := filter.Options{Name: l.item.title(), Locate: func([]string) diag.Diagnostic { return diag.Diagnostic(e.at) }}.Place()
	var query filter.Node
	switch e.Kind {
	case Match:
		query = &filter.Match{Field: path, Text: e.Values[0], Phrase: true, At: at}
	case MatchAny:
		f, _ := l.resolver.Field(path)
		if f.Type.IsKeyword() { // there a phrase is the value itself
			query = &filter.Term{Field: path, Values: e.Values, At: at}
			break
		}
		one := &filter.Bool{Least: 1, At: at}
		for _, v := range e.Values {
			one.Should = append(one.Should, &filter.Match{Field: path, Text: v, Phrase: true, At: at})
		}
		query = one
	case Wildcard:
		query = filter.NewWildcard(path, e.Values[0], at)
	case Exists:
		query = &filter.Exists{Field: path, At: at}
	case InList:
		return l.inList(e, path)
	case Nested:
		return expr.Nested{Path: path, Cond: l.all(e.Entries, path+".")}
	}
	cond, err := filter.Lower(query, l.resolver, time.Time{})
	for _, d := range diag.Of(err) {
		d.Code = CodeUnfit
		l.found = append(l.found, d)
	}
	return cond
}

// inList is the condition that a value of the field is in the entry's list.
func (l *itemLowerer) inList(e Entry, path string) expr.Cond {
	values := l.lists.values[e.List.ID]
	switch {
	case values == nil:
		l.found = append(l.found, e.at.say(diag.Error, CodeNoValues, l.lists.likeValues(e.List.ID),
			fmt.Sprintf("%s: no value list is called %s", l.item.title(), quoted(e.List.ID))))
		return expr.Const{}
	case values.set == nil:
		l.found = append(l.found, e.at.say(diag.Error, CodeNoValues, "", fmt.Sprintf("%s: the value list %s cannot be used",
			l.item.title(), quoted(e.List.ID))))
		return expr.Const{}
	}
	f, _ := l.resolver.Field(path)
	f, set := values.read(f)
	return in(f, set)
}

// in is the condition that a value of f is in the set; few values are written out, in their order.
func in(f expr.Field, set *expr.Set) expr.Cond {
	if set == nil {
		return expr.Const{}
	}
	ranges := 0
	for range set.Ranges() {
		ranges++
	}
	if set.Type().IsText() || ranges > fewRanges || set.Len()-ranges > fewValues {
		return expr.Member{Field: f, Set: set}
	}
	points := sortedPoints(set)
	var conds []expr.Cond
	switch {
	case len(points) == 0:
	case f.Type.IsText():
		words := expr.Words{Field: f}
		for _, v := range points {
			words.Tokens = append(words.Tokens, v.Str())
		}
		conds = append(conds, words)
	default:
		conds = append(conds, expr.In{Field: f, Values: points})
	}
	for least, greatest := range set.Ranges() {
		conds = append(conds, expr.Range{Field: f, Min: expr.Bound{Value: least, Inclusive: true},
			Max: expr.Bound{Value: greatest, Inclusive: true}})
	}
	return expr.Some(conds...)
}
