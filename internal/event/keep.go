package event

import "strings"

// Keep returns a copy of e, with its ID, Stream and Source, that holds of the fields only what stands at or below paths.
// A tree that a path leads into (a flattened field, a list of objects) keeps its shape along the path: of the objects
// the members on the way, of the lists the elements in which something is left.
func (e *Event) Keep(paths []string) *Event {
	out := &Event{ID: e.ID, Stream: e.Stream, Source: e.Source, fields: make([]Field, 0, min(len(e.fields), len(paths)))}
	for _, f := range e.fields {
		if v, left, _ := keepAt(f.Path, f.Value, paths, ""); left {
			out.fields = append(out.fields, Field{Path: f.Path, Value: v})
		}
	}
	return out
}

// at reports whether path is base or lies below it.
func at(path, base string) bool {
	return strings.HasPrefix(path, base) && (len(path) == len(base) || path[len(base)] == '.')
}

// keepAt returns what of v, which stands at key below prefix, lies at or below paths, whether that is anything, and whether it
// is the same.
func keepAt(key string, v Value, paths []string, prefix string) (kept Value, left, same bool) {
	deeper := ""
	for _, p := range paths {
		if !strings.HasPrefix(p, prefix) {
			continue
		}
		switch rest := p[len(prefix):]; {
		case at(key, rest):
			return v, true, true
		case at(rest, key):
			deeper = p[:len(prefix)+len(key)+1]
		}
	}
	if deeper == "" {
		return Value{}, false, false
	}
	return keepBelow(v, paths, deeper)
}

// keepBelow is keepAt of the paths that begin with prefix, which leads to v and ends with a dot. Nothing is copied but what
// changes.
func keepBelow(v Value, paths []string, prefix string) (kept Value, left, same bool) {
	switch v.Kind() {
	case KindList:
		all := v.Items()
		var items []Value
		same = true
		for i, item := range all {
			kept, left, whole := keepBelow(item, paths, prefix)
			if same && !whole {
				same, items = false, append(make([]Value, 0, len(all)), all[:i]...)
			}
			if !same && left {
				items = append(items, kept)
			}
		}
		if same {
			return v, len(all) > 0, len(all) > 0
		}
		return List(items...), len(items) > 0, false
	case KindObject:
		all := v.Members()
		var members []Member
		same = true
		for i, m := range all {
			kept, left, whole := keepAt(m.Key, m.Value, paths, prefix)
			if same && !whole {
				same, members = false, append(make([]Member, 0, len(all)), all[:i]...)
			}
			if !same && left {
				members = append(members, Member{Key: m.Key, Value: kept})
			}
		}
		if same {
			return v, len(all) > 0, len(all) > 0
		}
		return Object(members...), len(members) > 0, false
	}
	return Value{}, false, false
}
