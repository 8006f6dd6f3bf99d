package alert

import (
	"strings"

	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// owned are the parts of a document that belong to alerts; a source that has them (an alert itself, or something made to
// look like one) does not hand them on.
var owned = []string{"kibana", "signal", "threshold_result", "tocsin.alert"}

// originals are the parts of a source of which the alert keeps a copy under a name of its own.
var originals = []struct{ from, to string }{
	{"event.", "kibana.alert.original_event"},
	{"data_stream.", "kibana.alert.original_data_stream"},
}

// clean returns the source as an alert carries it (§4.2): without what belongs to alerts and without values that do not
// fit their field's type; event.* and data_stream.* are copied to where the alert keeps the original's.
func clean(source *event.Event) *event.Event {
	a := &event.Event{}
	copies := make([]object, len(originals))
	for _, f := range source.Fields() {
		if isOwned(f.Path) {
			continue
		}
		v, fits := fitting(f.Path, f.Value)
		if !fits {
			continue
		}
		if f.Path != "event.kind" {
			a.Set(f.Path, v)
		}
		for i, o := range originals {
			if rest, ok := strings.CutPrefix(f.Path, o.from); ok {
				copies[i].value(rest, v)
			}
		}
	}
	for i, o := range originals {
		a.SetObject(o.to, event.Object(copies[i]...), func(string) bool { return true })
	}
	return a
}

func isOwned(path string) bool {
	for _, p := range owned {
		if rest, ok := strings.CutPrefix(path, p); ok && (rest == "" || rest[0] == '.') {
			return true
		}
	}
	return false
}

// fitting returns what of v a field of the type that path has can hold; false when that is nothing.
func fitting(path string, v event.Value) (event.Value, bool) {
	for i := range path {
		if path[i] != '.' {
			continue
		}
		if t, known := typeOf(path[:i]); known && isScalar(t) {
			return v, false // below a field that has no parts
		}
	}
	t, known := typeOf(path)
	if !known {
		return v, true
	}
	return fit(t, v)
}

// isScalar reports whether a field of type t holds values, not objects.
func isScalar(t event.Type) bool {
	switch t {
	case event.Flattened, event.Nested, event.ObjectType, event.GeoPoint:
		return false
	}
	return true
}

// fit returns what of v a field of type t can hold. Of a list the elements that fit are kept; a list of which none is left
// is nothing.
func fit(t event.Type, v event.Value) (event.Value, bool) {
	if v.Kind() == event.KindList {
		var kept []event.Value
		for _, item := range v.Items() {
			if item, fits := fit(t, item); fits || item.IsNull() {
				kept = append(kept, item)
			}
		}
		return event.List(kept...), len(kept) > 0 || len(v.Items()) == 0
	}
	switch t {
	case event.GeoPoint: // written in too many ways to be held to one
		return v, true
	case event.Flattened, event.Nested, event.ObjectType:
		return v, v.Kind() == event.KindObject
	}
	_, fits := event.Coerce(t, v)
	return v, fits
}

// typeOf is the type that the catalogue declares for a field.
func typeOf(path string) (event.Type, bool) {
	f, ok := ecs.Lookup(path)
	return f.Type, ok
}
