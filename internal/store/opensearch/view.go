package opensearch

import (
	"context"
	"slices"
	"sort"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// view is what the cluster says of the streams that some patterns name. It does not change.
type view struct {
	streams  []string          // sorted
	streamOf map[string]string // by index
	indices  []*index          // sorted by name
	// names is how the indices are named in the path of a request; wide: it may name more than them.
	names    string
	wide     bool
	seqField string
	tree     func(path string) bool
}

// readable returns an error if documents of an index cannot be read whole.
func (v *view) readable() error {
	for _, x := range v.indices {
		if x.unreadable != "" {
			return refused("the documents of index %s cannot be read: %s", x.name, x.unreadable)
		}
	}
	return nil
}

// isTree reports whether the object at path is one flattened value in events of index x.
func (v *view) isTree(x *index, path string) bool {
	f := x.fields[path]
	return f != nil && f.typ == event.Flattened && f.name == f.path || v.tree != nil && v.tree(path)
}

// decode makes an event of a document.
func (v *view) decode(hit event.Value) *event.Event {
	name := hit.Member("_index").Str()
	e := &event.Event{ID: hit.Member("_id").Str(), Stream: v.streamOf[name]}
	at, found := slices.BinarySearchFunc(v.indices, name, func(x *index, name string) int {
		switch {
		case x.name < name:
			return -1
		case x.name > name:
			return 1
		}
		return 0
	})
	if !found {
		return e
	}
	x := v.indices[at]
	e.SetObject("", hit.Member("_source"), func(path string) bool { return v.isTree(x, path) })
	for path, text := range x.constants {
		if len(e.Values(path)) == 0 {
			e.Set(path, event.String(text))
		}
	}
	if v.seqField != "" {
		e.Set(v.seqField, event.Null())
	}
	return e
}

// Fields returns how the streams that patterns name read their fields, as their mappings say now. A field that they read
// in several ways is a keyword, one that cannot be asked for is what its values are; a key of a flattened field is
// flattened; an alias is its target.
func (s *Store) Fields(ctx context.Context, patterns []string) (plan.Resolver, error) {
	v, err := s.view(ctx, patterns)
	if err != nil {
		return nil, err
	}
	r := resolver{fields: map[string]expr.Field{}}
	for _, x := range v.indices {
		for name, f := range x.fields {
			if f.target != "" {
				if f = x.fields[f.target]; f == nil {
					continue
				}
			}
			if name == s.seqField {
				continue
			}
			got := expr.Field{Path: f.path, Type: f.typ, Root: f.typ == event.Flattened}
			if before, known := r.fields[name]; known && before != got {
				got = expr.Field{Path: f.path, Type: event.Keyword}
			}
			r.fields[name] = got
		}
	}
	for name := range r.fields {
		r.names = append(r.names, name)
	}
	sort.Strings(r.names)
	return r, nil
}

// resolver is a plan.Resolver over mappings.
type resolver struct {
	fields map[string]expr.Field
	names  []string // sorted
}

// Field implements plan.Resolver.
func (r resolver) Field(path string) (expr.Field, bool) {
	if f, ok := r.fields[path]; ok {
		return f, true
	}
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '.' && r.fields[path[:i]].Type == event.Flattened {
			return expr.Field{Path: path, Type: event.Flattened}, true
		}
	}
	return expr.Field{Path: path}, false
}

// Expand implements plan.Resolver.
func (r resolver) Expand(pattern expr.Pattern) []expr.Field {
	var out []expr.Field
	for _, name := range r.names {
		if pattern.Fits(name, false) {
			out = append(out, r.fields[name])
		}
	}
	return out
}
