package filter

import (
	"strconv"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// Place is a place in the filters: the way to it from the outside, of keys and of indexes. The zero Place is the filters
// themselves.
type Place struct {
	step   string // a key, or an index if it is a list's
	index  bool
	parent *Place
	root   *Options
}

func (p Place) key(k string) Place { return Place{step: k, parent: &p, root: p.root} }
func (p Place) element(i int) Place {
	return Place{step: strconv.Itoa(i), index: true, parent: &p, root: p.root}
}

// Steps returns the keys and indexes (as digits) that lead to the place.
func (p Place) Steps() []string {
	if p.parent == nil {
		return nil
	}
	return append(p.parent.Steps(), p.step)
}

// String writes the place as filters[2].query.bool; keys that hold a dot stand in quotes: filters[0].query.term["a.b"].
func (p Place) String() string {
	var b strings.Builder
	p.write(&b)
	return b.String()
}

func (p Place) write(b *strings.Builder) {
	switch {
	case p.parent == nil:
		if p.root != nil && p.root.Name != "" {
			b.WriteString(p.root.Name)
		} else {
			b.WriteString("filters")
		}
		return
	case p.index:
		p.parent.write(b)
		b.WriteString("[" + p.step + "]")
	case p.step == "" || strings.ContainsAny(p.step, ".[]\"\\ \t\r\n"):
		p.parent.write(b)
		b.WriteString("[" + strconv.Quote(p.step) + "]")
	default:
		p.parent.write(b)
		b.WriteString("." + p.step)
	}
}

// Options says where filters come from; it does not change what they mean.
type Options struct {
	// Name is what diagnostics call the filters; empty: filters.
	Name string
	// Locate returns where the place that steps lead to stands in a file: a diagnostic with File, Text and Span set. Nil:
	// diagnostics have the path alone.
	Locate func(steps []string) diag.Diagnostic
}

// Place is the place of the filters themselves: of a query that was made, not parsed.
func (o Options) Place() Place { return Place{root: &o} }

// diagnostic is d placed at p.
func (p Place) diagnostic(d diag.Diagnostic) diag.Diagnostic {
	d.Message = p.String() + ": " + d.Message
	if p.root != nil && p.root.Locate != nil {
		at := p.root.Locate(p.Steps())
		d.File, d.Text, d.Span = at.File, at.Text, at.Span
	}
	return d
}

// item is a value and its place.
type item struct {
	event.Value
	at Place
}

// member returns what stands under key, and whether the object has it.
func (v item) member(key string) (item, bool) {
	for _, m := range v.Members() {
		if m.Key == key {
			return item{m.Value, v.at.key(key)}, true
		}
	}
	return item{at: v.at.key(key)}, false
}

// only returns the only member of an object of one.
func (v item) only() (key string, value item, ok bool) {
	if m := v.Members(); len(m) == 1 {
		return m[0].Key, item{m[0].Value, v.at.key(m[0].Key)}, true
	}
	return "", item{}, false
}

// each returns the elements of a list.
func (v item) each() []item {
	out := make([]item, len(v.Items()))
	for i, x := range v.Items() {
		out[i] = item{x, v.at.element(i)}
	}
	return out
}

// kind names what v is.
func (v item) kind() string {
	switch v.Kind() {
	case event.KindNull:
		return "null"
	case event.KindBool:
		return "a boolean"
	case event.KindInt, event.KindFloat:
		return "a number"
	case event.KindList:
		return "a list"
	case event.KindObject:
		return "an object"
	}
	return "a text"
}
