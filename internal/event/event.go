// Package event is the event: ECS fields by dotted path, each with its values, and the record that it was read from.
//
// An Event keeps its fields flat and sorted: "user.name" is one entry whatever nesting the document had. Two things stay
// trees at their path: a flattened field (its keys may hold dots) and a list of objects (which values belong together
// matters). Reading by path sees through both. What a value means to a query depends on the field's Type: see Coerce.
//
//	var e event.Event
//	e.Set("user.name", event.String("bert-jan"))
//	e.Values("user.name")  // ["bert-jan"]
//
// The package knows no data set, no catalogue and no store.
package event

import (
	"slices"
	"sort"
	"strings"
	"time"
	"unsafe"
)

// Event is one event, or one alert, as a document. The zero Event is empty and ready. It is not safe for concurrent
// writing.
type Event struct {
	// ID names the document within its stream; two documents of one stream and day with the same ID are the same
	// event, unless their source bytes differ (see store.Writer).
	ID string
	// Stream is the data stream that the event lands in, such as logs-aws.cloudtrail-default.
	Stream string
	// Source is the record that the event was read from; its Data may be empty (alerts).
	Source Raw

	fields []Field
}

// Field is one entry of an event: a dotted path and what stands there, a scalar, a list or a tree.
type Field struct {
	Path  string
	Value Value
}

// Raw is a record as a source handed it on.
type Raw struct {
	Data      []byte    // the record's own bytes
	Object    string    // the file or object that held it
	Offset    int64     // where in the (uncompressed) object it begins, in bytes
	Delivered time.Time // when the object was delivered, where its name tells; else zero
}

// Set puts v at path, in place of what stood there. A null removes the path.
func (e *Event) Set(path string, v Value) {
	i, found := e.find(path)
	switch {
	case v.IsNull():
		if found {
			e.fields = append(e.fields[:i], e.fields[i+1:]...)
		}
	case found:
		e.fields[i].Value = v
	default:
		e.fields = append(e.fields, Field{})
		copy(e.fields[i+1:], e.fields[i:])
		e.fields[i] = Field{Path: path, Value: v}
	}
}

// SetAll puts all of more, none of them null, the later of two with the same path, in time n log n where as many Sets
// could take n². An empty event keeps the slice when it is sorted by path; so a long event takes few fields in one pass.
func (e *Event) SetAll(more []Field) {
	switch sorted := ascending(more); {
	case sorted && len(e.fields) == 0:
		e.fields = more
	case sorted:
		e.merge(more)
	default:
		all := append(e.fields, more...)
		slices.SortStableFunc(all, func(a, b Field) int { return strings.Compare(a.Path, b.Path) })
		kept := all[:0]
		for i, f := range all {
			if i+1 < len(all) && all[i+1].Path == f.Path {
				continue
			}
			kept = append(kept, f)
		}
		e.fields = kept
	}
}

// ascending reports whether each path comes before the next.
func ascending(fields []Field) bool {
	for i := 1; i < len(fields); i++ {
		if fields[i-1].Path >= fields[i].Path {
			return false
		}
	}
	return true
}

// merge puts the entries of more, which are sorted, from the last to the first, so that each moves once at most.
func (e *Event) merge(more []Field) {
	added := len(more)
	for i := range more {
		if _, found := e.find(more[i].Path); found {
			added--
		}
	}
	from, to := len(e.fields), len(e.fields)+added
	e.fields = slices.Grow(e.fields, added)[:to]
	for i := len(more) - 1; i >= 0; i-- {
		at := sort.Search(from, func(j int) bool { return e.fields[j].Path > more[i].Path })
		to -= copy(e.fields[to-(from-at):to], e.fields[at:from])
		if from = at; from > 0 && e.fields[from-1].Path == more[i].Path {
			from--
		}
		to--
		e.fields[to] = more[i]
	}
}

// SetString puts the text s at path; an empty text is left out.
func (e *Event) SetString(path, s string) {
	if s != "" {
		e.Set(path, String(s))
	}
}

// Get returns what stands at exactly path, null when nothing does. It does not look into trees: Values does.
func (e *Event) Get(path string) Value {
	if i, found := e.find(path); found {
		return e.fields[i].Value
	}
	return Value{}
}

// Text prints the scalar at exactly path, "" when there is none.
func (e *Event) Text(path string) string { return e.Get(path).Text() }

// Fields returns the entries sorted by path. The caller must not change the slice.
func (e *Event) Fields() []Field { return e.fields }

// Object returns the fields as one object. It shares their memory: e must not change any more.
func (e *Event) Object() Value {
	// A Member and a Field are laid out alike.
	return objectOf(unsafe.Slice((*Member)(unsafe.Pointer(unsafe.SliceData(e.fields))), len(e.fields)))
}

// Clone returns a copy with entries of its own; values are shared, being immutable.
func (e *Event) Clone() *Event {
	c := *e
	c.fields = append([]Field(nil), e.fields...)
	return &c
}

func (e *Event) find(path string) (int, bool) {
	i := sort.Search(len(e.fields), func(i int) bool { return e.fields[i].Path >= path })
	return i, i < len(e.fields) && e.fields[i].Path == path
}

// Only returns the scalar at exactly path, null if there is none, and whether it is all that Values and Leaves return. Of other
// events, those with a list there or a tree at a shorter path, it says nothing.
func (e *Event) Only(path string) (v Value, is bool) {
	if v = e.Get(path); v.kind >= KindList {
		return Value{}, false
	}
	for i := range len(path) {
		if path[i] != '.' {
			continue
		}
		if _, found := e.find(path[:i]); found {
			return Value{}, false
		}
	}
	return v, true
}

// Values returns every scalar that stands at path, in document order: the elements of lists, nested lists included, and
// what lies inside trees (lists of objects, flattened fields) along path. Nulls are left out. An object that stands at
// path itself gives nothing.
func (e *Event) Values(path string) []Value {
	var out []Value
	e.reach(path, false, func(v Value) { out = appendScalars(out, v) })
	return out
}

// Leaves returns every scalar at path or anywhere below it inside trees: all values of a flattened field.
func (e *Event) Leaves(path string) []Value {
	var out []Value
	e.reach(path, true, func(v Value) { out = appendLeaves(out, v) })
	return out
}

// Elements returns one event for each object that stands at path, holding that object at path and nothing else: what a
// nested condition is evaluated on. Where path is an ordinary object, whose leaves are entries of their own, the one
// element holds these.
func (e *Event) Elements(path string) []*Event {
	var out []*Event
	e.reach(path, false, func(v Value) { out = appendElements(out, path, v) })
	if out == nil {
		prefix := path + "."
		i, _ := e.find(prefix)
		j := i
		for j < len(e.fields) && strings.HasPrefix(e.fields[j].Path, prefix) {
			j++
		}
		if j > i {
			out = append(out, &Event{fields: e.fields[i:j:j]})
		}
	}
	return out
}

func appendElements(out []*Event, path string, v Value) []*Event {
	switch v.Kind() {
	case KindObject:
		return append(out, &Event{fields: []Field{{Path: path, Value: v}}})
	case KindList:
		for _, item := range v.Items() {
			out = appendElements(out, path, item)
		}
	}
	return out
}

// reach calls f with what stands at path: the entry itself, or what the trees at shorter paths hold along the rest. With
// below, what trees hold under longer keys (a.b where path ends in a) comes too.
func (e *Event) reach(path string, below bool, f func(Value)) {
	if i, found := e.find(path); found {
		f(e.fields[i].Value)
	}
	for i := len(path) - 1; i > 0; i-- {
		if path[i] != '.' {
			continue
		}
		if j, found := e.find(path[:i]); found {
			descend(e.fields[j].Value, path[i+1:], below, f)
		}
	}
}

// descend follows rest through objects (whose keys may hold dots) and lists.
func descend(v Value, rest string, below bool, f func(Value)) {
	switch v.Kind() {
	case KindList:
		for _, item := range v.Items() {
			descend(item, rest, below, f)
		}
	case KindObject:
		for _, m := range v.Members() {
			switch {
			case m.Key == rest, below && at(m.Key, rest):
				f(m.Value)
			case at(rest, m.Key):
				descend(m.Value, rest[len(m.Key)+1:], below, f)
			}
		}
	}
}

func appendScalars(out []Value, v Value) []Value {
	switch v.Kind() {
	case KindNull, KindObject:
	case KindList:
		for _, item := range v.Items() {
			out = appendScalars(out, item)
		}
	default:
		out = append(out, v)
	}
	return out
}

func appendLeaves(out []Value, v Value) []Value {
	switch v.Kind() {
	case KindNull:
	case KindList:
		for _, item := range v.Items() {
			out = appendLeaves(out, item)
		}
	case KindObject:
		for _, m := range v.Members() {
			out = appendLeaves(out, m.Value)
		}
	default:
		out = append(out, v)
	}
	return out
}
