package cli

import (
	"sort"

	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// fields says what the field names of a query mean: as the catalogue declares them, and a keyword where it does not. A
// name that stored events hold counts as declared. It implements plan.Resolver.
type fields struct {
	profile ecs.Profile
	stored  map[string]bool
}

// fieldsOf is the fields of streams.
func fieldsOf(profile ecs.Profile, streams []store.Stream) fields {
	f := fields{profile: profile, stored: map[string]bool{}}
	for _, s := range streams {
		for _, p := range s.Paths {
			f.stored[p] = true
		}
	}
	return f
}

// Field returns how the field at path is read.
func (f fields) Field(path string) (expr.Field, bool) {
	r, ok := f.profile.Resolve(path)
	return expr.Field{Path: r.Path, Type: r.Type, Root: r.Type == event.Flattened && r.Flattened == path}, ok || f.stored[path]
}

// Expand returns the declared fields whose names fit pattern, sorted by name.
func (f fields) Expand(pattern expr.Pattern) []expr.Field {
	var names []string
	for known := range f.profile.Fields() {
		if pattern.Fits(known.Path, false) {
			names = append(names, known.Path)
		}
	}
	for name := range f.stored {
		if _, declared := f.profile.Lookup(name); !declared && pattern.Fits(name, false) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	out := make([]expr.Field, len(names))
	for i, name := range names {
		out[i], _ = f.Field(name)
	}
	return out
}
