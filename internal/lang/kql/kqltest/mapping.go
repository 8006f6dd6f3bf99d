// Package kqltest holds the recorded answers of a real server to KQL queries against whatever evaluates conditions: the
// Go evaluation, a store in memory, a database. It reads the corpus, gives the fields' types from its mapping, and
// counts what agrees. It is for tests.
//
//	func TestConformanceHits(t *testing.T) {
//		kqltest.RunHits(t, kqltest.Plain, "kql/hits", func(t testing.TB, m kqltest.Mapping, docs []*event.Event) kqltest.Query {
//			db := load(t, m, docs)
//			return func(c expr.Cond) ([]string, error) { return db.IDs(c) }
//		})
//	}
package kqltest

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// Mapping is a plan.Resolver made from a mapping of an index.
type Mapping struct{ fields map[string]expr.Field }

var _ plan.Resolver = Mapping{}

// property is a field of a mapping file.
type property struct {
	Type    string `json:"type"`
	Index   *bool  `json:"index"`
	Enabled *bool  `json:"enabled"`
	Meta    struct {
		Declared string `json:"declared"` // the type in the real mapping, which the server did not have
	} `json:"meta"`
	Analyzer   string              `json:"analyzer"`
	Normalizer string              `json:"normalizer"`
	Properties map[string]property `json:"properties"`
	Fields     map[string]property `json:"fields"`
}

// ReadMapping reads the body of an index: {"mappings":{"properties":{…}}}. Fields that are not indexed are left out.
func ReadMapping(body []byte) (Mapping, error) {
	var file struct {
		Mappings struct {
			Properties map[string]property `json:"properties"`
		} `json:"mappings"`
	}
	if err := json.Unmarshal(body, &file); err != nil {
		return Mapping{}, fmt.Errorf("read mapping: %w", err)
	}
	m := Mapping{fields: map[string]expr.Field{}}
	if err := m.addAll("", file.Mappings.Properties); err != nil {
		return Mapping{}, fmt.Errorf("read mapping: %w", err)
	}
	return m, nil
}

func (m Mapping) addAll(prefix string, properties map[string]property) error {
	for name, p := range properties {
		if err := m.add(prefix+name, prefix+name, p); err != nil {
			return err
		}
	}
	return nil
}

// add declares the field called name, which reads what stands at path.
func (m Mapping) add(name, path string, p property) error {
	if p.Index != nil && !*p.Index || p.Enabled != nil && !*p.Enabled {
		return nil
	}
	if p.Meta.Declared != "" {
		p.Type = p.Meta.Declared
	}
	t := event.ObjectType
	switch {
	case p.Type == "text" && p.Analyzer != "" && p.Analyzer != "standard":
		t = event.PatternText
	case p.Type == "keyword" && p.Normalizer != "":
		t = event.Caseless
	case p.Type != "":
		var ok bool
		if t, ok = event.TypeNamed(p.Type); !ok {
			return fmt.Errorf("%s has the unknown type %q", name, p.Type)
		}
	}
	m.fields[name] = expr.Field{Path: path, Type: t, Root: t == event.Flattened}
	for sub, q := range p.Fields {
		if err := m.add(name+"."+sub, path, q); err != nil {
			return err
		}
	}
	return m.addAll(name+".", p.Properties)
}

// TypesMapping makes a mapping from types by field, as match cases hold them: keyword, text, text:ANALYZER …; objects on
// the way are declared too.
func TypesMapping(types map[string]string) (Mapping, error) {
	m := Mapping{fields: map[string]expr.Field{}}
	for name, t := range types {
		kind, analyzer, _ := strings.Cut(t, ":")
		if err := m.add(name, name, property{Type: kind, Analyzer: analyzer}); err != nil {
			return m, err
		}
		for i, c := range name {
			if _, declared := types[name[:i]]; c == '.' && !declared {
				m.fields[name[:i]] = expr.Field{Path: name[:i], Type: event.ObjectType}
			}
		}
	}
	return m, nil
}

// Tree reports whether the object at path is one flattened value: what event.DecodeOptions asks for.
func (m Mapping) Tree(path string) bool { return m.fields[path].Type == event.Flattened }

// Field implements plan.Resolver.
func (m Mapping) Field(path string) (expr.Field, bool) {
	if f, ok := m.fields[path]; ok {
		return f, true
	}
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '.' && m.fields[path[:i]].Type == event.Flattened {
			return expr.Field{Path: path, Type: event.Flattened}, true
		}
	}
	return expr.Field{Path: path}, false
}

// Expand implements plan.Resolver.
func (m Mapping) Expand(pattern expr.Pattern) []expr.Field {
	var names []string
	for name := range m.fields {
		if pattern.Fits(name, false) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	out := make([]expr.Field, len(names))
	for i, name := range names {
		out[i] = m.fields[name]
	}
	return out
}
