package rule

import (
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// Parse reads the rule in data, the content of the TOML file called name. The error, if there is one, is a diag.List with
// everything that was found wrong.
func Parse(name string, data []byte) (*Rule, error) {
	r, found := parseTOML(name, data)
	if len(found) > 0 {
		return nil, found
	}
	return r, nil
}

// parseTOML reads a TOML file. Where something is wrong with it the rule holds what could be read, nil where that is
// nothing.
func parseTOML(name string, data []byte) (*Rule, diag.List) {
	text := strings.TrimPrefix(string(data), "\ufeff")
	doc, top := openTOML(name, text)
	if top == nil {
		return nil, doc.diagnostics()
	}
	root := doc.table("", top)
	root.need("rule")
	r := &Rule{File: name, Line: 1, source: source{text: text}}
	t := root.sub("rule")
	if t != nil {
		r.read(t)
	}
	about := root.sub("metadata")
	r.Metadata = metadata(about)
	r.Transform = transform(root.sub("transform"))
	root.close()
	r.Note = r.Transform.into(r.Note)
	if len(doc.found) == 0 {
		r.CannotRun = r.cannotRun()
		r.remember(t)
		r.rememberMetadata(about)
	}
	return r, doc.diagnostics()
}

// metadata reads [metadata], whose keys are free.
func metadata(t *table) Metadata {
	if t == nil {
		return Metadata{}
	}
	m := Metadata{Maturity: t.text("maturity")}
	m.CreationDate, m.UpdatedDate = t.day("creation_date"), t.day("updated_date")
	m.Integrations = t.nameOrNames("integration")
	m.Others = t.others()
	return m
}

// form is the metadata as a table.
func (m Metadata) form() object {
	var o object
	o.add("creation_date", word(strings.ReplaceAll(m.CreationDate, "-", "/")))
	o.add("integration", names(m.Integrations))
	o.add("maturity", word(m.Maturity))
	o.add("updated_date", word(strings.ReplaceAll(m.UpdatedDate, "-", "/")))
	for _, other := range m.Others {
		o.add(other.Key, other.Value)
	}
	return o
}

// remember notes what the rule's own text says, so that it can be written again as it was. t is the table that the rule
// was read from.
func (r *Rule) remember(t *table) {
	s := &r.source
	s.given, s.written = map[string]bool{}, map[string]written{}
	for _, k := range keys {
		raw, given := t.has[k.name]
		if !given {
			continue
		}
		s.given[k.name] = true
		said, err := toValue(raw, 0)
		if err != nil {
			continue
		}
		if api := k.value(r); !event.Equal(said, api) && (k.rewritten || empty(said)) {
			s.written[k.name] = written{said: said, read: api}
		}
	}
}

// rememberMetadata does so for [metadata].
func (r *Rule) rememberMetadata(t *table) {
	if t == nil {
		return
	}
	if said, err := toValue(t.has, 0); err == nil {
		r.source.metadata = &written{said: said, read: r.Metadata.form().value()}
	}
}

// empty reports whether v says nothing.
func empty(v event.Value) bool {
	return v.IsNull() || v.Kind() == event.KindString && v.Str() == "" || v.Kind() == event.KindList && len(v.Items()) == 0
}
