package opensearch

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// lowered is a query of the cluster's language in place of a condition: it finds every document for which the condition
// is true and, if it is exact, no other.
type lowered struct {
	query event.Value
	exact bool
}

func exactly(q event.Value) lowered { return lowered{q, true} }

var (
	all  = object("match_all", object())
	none = object("match_none", object())
)

// isNone reports whether q finds nothing.
func isNone(q event.Value) bool { return event.Equal(q, none) }

// isAll reports whether q finds everything.
func isAll(q event.Value) bool { return event.Equal(q, all) }

// refused says why a condition has no query.
func refused(format string, args ...any) error { return fmt.Errorf(format, args...) }

// lower returns the query for c on the indices of v.
func (v *view) lower(c expr.Cond) (lowered, error) { return v.cond(c, "") }

// cond returns the query for c within the nested object at the path within, "" for whole documents.
func (v *view) cond(c expr.Cond, within string) (lowered, error) {
	switch c := c.(type) {
	case expr.Const:
		if c.Value {
			return exactly(all), nil
		}
		return exactly(none), nil
	case expr.And:
		return v.and(c.Conds, within)
	case expr.Or:
		return v.or(c.Conds, within)
	case expr.Not:
		q, err := v.cond(c.Cond, within)
		switch {
		case err != nil:
			return q, err
		case !q.exact:
			return q, refused("the opposite of what can be asked in part alone")
		case isNone(q.query):
			return exactly(all), nil
		}
		return exactly(object("bool", object("must_not", []event.Value{q.query}))), nil
	case expr.Nested:
		return v.nested(c, within)
	case expr.Anywhere:
		q, err := v.anywhere(c, within)
		return exactly(q), err
	case expr.Cmp:
		return v.compared(c, within)
	case expr.IsNull:
		return lowered{}, refused("whether a field has exactly one value cannot be asked")
	case expr.Holds, expr.Member, expr.Regexp, expr.Each, expr.Fits, expr.Matching:
		return lowered{}, refused("%T cannot be asked", c)
	case expr.Exists:
		return v.exists(c, within)
	case expr.In:
		return v.leaf(c, c.Field, within, func(f target) (lowered, error) { return f.in(c.Values) })
	case expr.Range:
		return v.leaf(c, c.Field, within, func(f target) (lowered, error) { return f.between(c) })
	case expr.Like:
		return v.leaf(c, c.Field, within, func(f target) (lowered, error) { return f.like(c) })
	case expr.Words:
		return v.leaf(c, c.Field, within, func(f target) (lowered, error) { return f.words(c) })
	}
	panic(fmt.Sprintf("opensearch: no query for %T", c))
}

// and leaves out what cannot be asked, as long as something can.
func (v *view) and(conds []expr.Cond, within string) (lowered, error) {
	out := exactly(all)
	var parts []event.Value
	var why error
	for _, c := range conds {
		q, err := v.cond(c, within)
		switch {
		case err != nil:
			why, out.exact = err, false
			continue
		case isNone(q.query):
			return q, nil
		}
		out.exact = out.exact && q.exact
		if !isAll(q.query) {
			parts = append(parts, q.query)
		}
	}
	switch {
	case why != nil && len(parts) == 0:
		return out, why
	case len(parts) == 1:
		out.query = parts[0]
	case len(parts) > 1:
		out.query = object("bool", object("filter", parts))
	}
	return out, nil
}

func (v *view) or(conds []expr.Cond, within string) (lowered, error) {
	exact := true
	var parts []event.Value
	for _, c := range conds {
		q, err := v.cond(c, within)
		switch {
		case err != nil:
			return q, err
		case isAll(q.query) && q.exact:
			return q, nil
		case !isNone(q.query):
			exact = exact && q.exact
			parts = append(parts, q.query)
		}
	}
	return lowered{either(parts), exact}, nil
}

// either is the query that finds what one of parts finds.
func either(parts []event.Value) event.Value {
	switch len(parts) {
	case 0:
		return none
	case 1:
		return parts[0]
	}
	return object("bool", object("should", parts, "minimum_should_match", 1))
}

// inside reports whether path is at or below the nested object at within.
func inside(path, within string) bool {
	return within == "" || path == within || strings.HasPrefix(path, within+".")
}

func (v *view) nested(c expr.Nested, within string) (lowered, error) {
	if !inside(c.Path, within) {
		return lowered{}, refused("%s does not lie in %s", c.Path, within)
	}
	mapped := false
	for _, x := range v.indices {
		switch f := x.fields[c.Path]; {
		case f == nil && x.absent(c.Path) == nil:
		case f == nil || f.kind != "nested" || f.plain != "":
			return lowered{}, refused("%s is no nested object of %s", c.Path, x.name)
		default:
			mapped = true
		}
	}
	if !mapped {
		return exactly(none), nil
	}
	inner, err := v.cond(c.Cond, c.Path)
	if err != nil || isNone(inner.query) {
		return inner, err
	}
	return lowered{inNested(c.Path, inner.query), inner.exact}, nil
}

func inNested(path string, q event.Value) event.Value {
	return object("nested", object("path", path, "query", q, "score_mode", "none", "ignore_unmapped", true))
}

// target is a field that a condition is asked of.
type target struct {
	*field
	index *index
	name  string // in the query
	key   bool   // of a flattened field
	mixed bool   // other indices index it in another way
}

// leaf returns the query of a condition on f: on each index that of the first field that reads what f does and can be
// asked.
func (v *view) leaf(c expr.Cond, f expr.Field, within string, ask func(target) (lowered, error)) (lowered, error) {
	mixed := v.mixed(f.Path)
	return v.each(func(x *index) (lowered, error) {
		targets, err := x.targets(f)
		if err != nil {
			return lowered{}, fmt.Errorf("%s of %s: %w", f.Path, x.name, err)
		}
		var why error
		for _, t := range targets {
			if t.kind == "constant_keyword" {
				return exactly(x.constant(c, f)), nil
			}
			t.mixed = mixed
			q, err := ask(t)
			if err == nil && mixed && !anyKind(q.query) {
				err = refused("indices have it in several ways (%s), not all of which can be asked this", t.kind)
			}
			if err == nil {
				return q.within(t.nested, within)
			}
			why = fmt.Errorf("%s of %s: %w", f.Path, x.name, err)
		}
		if why != nil {
			return lowered{}, why
		}
		return exactly(none), nil
	})
}

// mixed reports whether indices have fields of several kinds at path. Every query is read by all of them, and an error in
// one is an error.
func (v *view) mixed(path string) bool {
	kinds := map[string]bool{}
	for _, x := range v.indices {
		if x.flattened(path) != nil {
			kinds["flat_object"] = true
		}
		for _, f := range x.readers[path] {
			if f.name == path {
				kinds[f.kind] = true
			}
		}
	}
	return len(kinds) > 1
}

// anyKind reports whether fields of all kinds that have values read alike can be asked q.
func anyKind(q event.Value) bool {
	for _, m := range q.Members() {
		switch m.Key {
		case "term", "terms", "wildcard", "exists", "match_none", "match_all":
		case "range": // of dates, made for both kinds
			if m.Value.Members()[0].Value.Member("format").IsNull() {
				return false
			}
		case "bool":
			for _, sub := range m.Value.Member("should").Items() {
				if !anyKind(sub) {
					return false
				}
			}
		default:
			return false
		}
	}
	return true
}

// within wraps a query on a field of the nested object at path into what asks it from within.
func (q lowered) within(path, within string) (lowered, error) {
	switch {
	case path == within || isNone(q.query):
		return q, nil
	case path == "" || !inside(path, within):
		return q, refused("a field outside of the nested object %s", within)
	}
	q.query = inNested(path, q.query)
	return q, nil
}

// each asks every index, and puts together what comes.
func (v *view) each(ask func(*index) (lowered, error)) (lowered, error) {
	type group struct {
		query event.Value
		names []string
	}
	var groups []*group
	exact := true
	for _, x := range v.indices {
		q, err := ask(x)
		if err != nil {
			return q, err
		}
		exact = exact && q.exact
		at := slices.IndexFunc(groups, func(g *group) bool { return event.Equal(g.query, q.query) })
		if at < 0 {
			at = len(groups)
			groups = append(groups, &group{query: q.query})
		}
		groups[at].names = append(groups[at].names, x.name)
	}
	if len(groups) == 1 {
		return lowered{groups[0].query, exact}, nil
	}
	var parts []event.Value
	for _, g := range groups {
		if !isNone(g.query) {
			parts = append(parts, object("bool", object("filter",
				[]event.Value{object("terms", object("_index", g.names)), g.query})))
		}
	}
	return lowered{either(parts), exact}, nil
}

// constant is what c, on f alone, comes to where f is a constant of the index.
func (x *index) constant(c expr.Cond, f expr.Field) event.Value {
	e := &event.Event{}
	e.Set(f.Path, event.String(x.constants[f.Path]))
	if expr.Matches(c, e) {
		return all
	}
	return none
}

// targets returns the fields of x that read values as f does; none where no document of x has a value that f reads.
func (x *index) targets(f expr.Field) ([]target, error) {
	if flat := x.flattened(f.Path); flat != nil {
		switch {
		case flat.plain != "":
			return nil, errors.New(flat.plain)
		case f.Root || !f.Type.IsKeyword() || f.Type == event.Caseless:
			return nil, refused("the keys of the flattened field %s are read as keywords alone", flat.name)
		case strings.Contains(f.Path, "=") || strings.Contains(f.Path+".", ".."):
			return nil, refused("a key of the flattened field %s that is indexed in another form", flat.name)
		}
		return []target{{field: flat, index: x, name: f.Path, key: true}}, nil
	}
	readers := x.readers[f.Path]
	if len(readers) == 0 {
		return nil, x.absent(f.Path)
	}
	var out []target
	var why error
	for _, r := range readers {
		switch {
		case r.kind == "object" || r.kind == "nested":
			if r.plain != "" || f.Root {
				return nil, refused("it is an object (%s)", r.plain)
			}
			return nil, nil // an object has no value itself
		case !sameReading(f, r.typ):
			why = refused("it is of the type %s", r.kind)
		case r.plain != "":
			why = errors.New(r.plain)
		default:
			out = append(out, target{field: r, index: x, name: r.name})
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	return nil, why
}

// sameReading reports whether f reads values as a field of the type t does.
func sameReading(f expr.Field, t event.Type) bool {
	switch f.Type {
	case event.Keyword, event.ConstantKeyword, event.Wildcard:
		return t == event.Keyword || t == event.Wildcard || t == event.ConstantKeyword
	case event.Flattened:
		if f.Root {
			return t == event.Flattened
		}
		return t == event.Keyword || t == event.Wildcard || t == event.ConstantKeyword
	}
	return t == f.Type
}

// absent returns nil if no document of x has anything at path, which is not mapped, else why it could.
func (x *index) absent(path string) error {
	for i := len(path) - 1; i > 0; i-- {
		if path[i] != '.' {
			continue
		}
		above := x.fields[path[:i]]
		switch {
		case above == nil:
			continue
		case above.kind == "geo_point" || above.misfits && above.kind != "object" && above.kind != "nested" || above.plain != "":
			return refused("it lies in %s, whose objects are not mapped", above.name)
		}
		break
	}
	if !x.mapsNew(path) {
		return refused("it is not indexed, and documents may hold it all the same")
	}
	return nil
}

// exists asks whether there is a value.
func (v *view) exists(c expr.Exists, within string) (lowered, error) {
	switch c.Field.Type {
	case event.ObjectType, event.Nested, event.GeoPoint:
		return v.each(func(x *index) (lowered, error) { return x.anything(c.Field.Path, within) })
	}
	return v.leaf(c, c.Field, within, func(f target) (lowered, error) {
		switch {
		case f.limit > 0:
			return lowered{}, refused("it leaves values out that are longer than %d", f.limit)
		case f.typ == event.Date:
			return f.dates(expr.Bound{}, expr.Bound{})
		}
		// A key a=b holds the value c as the key a would hold b=c; of addresses see in.
		return lowered{object("exists", object("field", f.name)), !f.key && f.typ != event.IPType}, nil
	})
}

// maxBelow bounds the fields below an object that are asked for one by one.
const maxBelow = 500

// anything asks whether there is any scalar at path or below.
func (x *index) anything(path, within string) (lowered, error) {
	fields := x.below(path)
	if len(fields) > maxBelow {
		return lowered{}, refused("%d fields below %s", len(fields), path)
	}
	if f := x.fields[path]; x.flattened(path) != nil || f == nil && x.absent(path) != nil ||
		f != nil && (f.plain != "" || f.target != "" || (f.kind == "object" || f.kind == "nested") && !x.mapsAll(path)) {
		return lowered{}, refused("%s of %s: documents may hold things below that are not indexed", path, x.name)
	}
	byNested := map[string][]event.Value{}
	var order []string
	for _, f := range fields {
		if f.name != f.path {
			continue // it reads what its field reads
		}
		if f.plain != "" || f.limit > 0 || f.misfits && f.kind != "keyword" && f.kind != "text" {
			return lowered{}, refused("%s of %s: documents may hold values that are not indexed", f.name, x.name)
		}
		if f.kind == "constant_keyword" {
			return exactly(all), nil
		}
		if byNested[f.nested] == nil {
			order = append(order, f.nested)
		}
		byNested[f.nested] = append(byNested[f.nested], object("exists", object("field", f.name)))
	}
	var parts []event.Value
	for _, nested := range order {
		q, err := exactly(either(byNested[nested])).within(nested, within)
		if err != nil {
			return q, err
		}
		parts = append(parts, q.query)
	}
	return exactly(either(parts)), nil
}

// mapsAll reports whether whatever documents hold below the object at path is mapped.
func (x *index) mapsAll(path string) bool {
	if !x.mapsNew(path + ".x") {
		return false
	}
	for at, open := range x.open {
		if strings.HasPrefix(at, path+".") && !open {
			return false
		}
	}
	return true
}

// compared asks for what is true at least where a comparison of a field's only value is.
func (v *view) compared(c expr.Cmp, within string) (lowered, error) {
	one, isOne := c.Left.(expr.One)
	lit, isLit := c.Right.(expr.Lit)
	if !isOne || !isLit {
		return lowered{}, refused("a comparison of other than a field with a value")
	}
	typed, fits := event.Coerce(one.Field.Type, lit.Value)
	if !fits || event.Compare(typed, lit.Value) != 0 {
		return lowered{}, refused("a comparison of %s with a value of another type", one.Field.Path)
	}
	var any expr.Cond
	switch bound := (expr.Bound{Value: typed, Inclusive: c.Op == expr.LessEqual || c.Op == expr.GreaterEqual}); c.Op {
	case expr.Equal:
		any = expr.In{Field: one.Field, Values: []event.Value{typed}}
	case expr.NotEqual:
		any = expr.Exists(one)
	case expr.Less, expr.LessEqual:
		any = expr.Range{Field: one.Field, Max: bound}
	default:
		any = expr.Range{Field: one.Field, Min: bound}
	}
	q, err := v.cond(any, within)
	q.exact = false
	return q, err
}
