package event

import "strings"

// Keep returns a copy of e, with its ID, Stream and Source, that holds of the fields only what stands at or below paths.
// A tree that a path leads into (a flattened field, a list of objects) keeps its shape along the path: of the objects
// the members on the way, of the lists the elements in which something is left.
func (e *Event) Keep(paths []string) *Event {
	out := &Event{ID: e.ID, Stream: e.Stream, Source: e.Source}
	for _, f := range e.fields {
		var rests []string
		whole := false
		for _, p := range paths {
			switch {
			case at(f.Path, p):
				whole = true
			case at(p, f.Path):
				rests = append(rests, p[len(f.Path)+1:])
			}
		}
		if whole {
			out.fields = append(out.fields, f)
		} else if v, left := keepBelow(f.Value, rests); left {
			out.fields = append(out.fields, Field{Path: f.Path, Value: v})
		}
	}
	return out
}

// at reports whether path is base or lies below it.
func at(path, base string) bool {
	return strings.HasPrefix(path, base) && (len(path) == len(base) || path[len(base)] == '.')
}

// keepBelow returns what of v lies at or below rests, and whether that is anything.
func keepBelow(v Value, rests []string) (Value, bool) {
	if len(rests) == 0 {
		return Value{}, false
	}
	switch v.Kind() {
	case KindList:
		var items []Value
		for _, item := range v.Items() {
			if kept, left := keepBelow(item, rests); left {
				items = append(items, kept)
			}
		}
		return List(items...), len(items) > 0
	case KindObject:
		var members []Member
		for _, m := range v.Members() {
			var deeper []string
			whole := false
			for _, rest := range rests {
				switch {
				case at(m.Key, rest):
					whole = true
				case at(rest, m.Key):
					deeper = append(deeper, rest[len(m.Key)+1:])
				}
			}
			if whole {
				members = append(members, m)
			} else if kept, left := keepBelow(m.Value, deeper); left {
				members = append(members, Member{Key: m.Key, Value: kept})
			}
		}
		return Object(members...), len(members) > 0
	}
	return Value{}, false
}
