// Package ecs is the catalogue of field names: what type a field has, whether it holds a list, which other field a
// multi-field reads.
//
// It knows the Elastic Common Schema, the fields of the AWS CloudTrail data stream, those of alerts, and Tocsin's own.
// The catalogue is what mappings declare; what a stream really holds is known to the store alone. A name that stands
// nowhere is a keyword, and Resolve says that nothing declares it.
//
//	f, ok := ecs.Lookup("source.ip")               // {Path: "source.ip", Type: event.IPType}
//	r, ok := ecs.Resolve("user.name.text")         // read user.name as event.Text
//	r, ok = ecs.Resolve("aws.cloudtrail.flattened.request_parameters.bucketName") // a key of a flattened field
//	r, ok = ecs.Filebeat.Resolve("aws.cloudtrail.read_only")                      // a keyword there, a boolean else
//
// The tables in table.go are generated from the shared data; kibana.go and own.go are written by hand.
package ecs

//go:generate go run generate.go

import (
	"iter"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// Profile says whose mappings apply where data sets differ. The zero Profile is Integration.
type Profile uint8

// The profiles.
const (
	Integration Profile = iota // the AWS CloudTrail data stream logs-aws.cloudtrail-*
	Filebeat                   // Filebeat's aws/cloudtrail fileset, filebeat-*
)

// Field is a declared field.
type Field struct {
	// Path is the field's dotted name.
	Path string
	// Type says how values are read.
	Type event.Type
	// List says that the field may hold a list: by its definition, or in the documents that were seen.
	List bool
	// Of is the path whose values a multi-field reads (user.name for user.name.text); "" for any other field.
	Of string
	// IgnoreAbove is the length in characters above which Elastic's mapping leaves a value unindexed; 0: none. Tocsin
	// matches longer values too.
	IgnoreAbove int
}

// Resolved is what the name of a field means to a query.
type Resolved struct {
	// Path is where the values stand: the name itself, but for multi-fields.
	Path string
	// Type says how they are read. An object's is event.ObjectType.
	Type event.Type
	// Flattened is the path of the flattened field that Path is, or is a key of; "" for any other field.
	Flattened string
}

// Lookup is Integration.Lookup.
func Lookup(path string) (Field, bool) { return Integration.Lookup(path) }

// Fields is Integration.Fields.
func Fields() iter.Seq[Field] { return Integration.Fields() }

// Resolve is Integration.Resolve.
func Resolve(name string) (Resolved, bool) { return Integration.Resolve(name) }

// Lookup returns the field declared as path, multi-fields that are declared one by one included; false where there is
// none. It allocates nothing.
func (p Profile) Lookup(path string) (Field, bool) {
	c := p.catalogue()
	i, ok := c.index[path]
	if !ok {
		return Field{}, false
	}
	return c.fields[i], true
}

// Fields returns all declared fields, sorted by path.
func (p Profile) Fields() iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for _, f := range p.catalogue().fields {
			if !yield(f) {
				return
			}
		}
	}
}

// Resolve returns what name means to a query: a declared field, the key of a flattened field, a key of an object whose keys
// are free (labels), lat or lon of a geo point, an object on the way to declared fields, or the caseless form of a keyword
// (process.name.caseless). Any other name is a keyword, and false. It allocates nothing.
func (p Profile) Resolve(name string) (Resolved, bool) {
	c := p.catalogue()
	if i, ok := c.index[name]; ok {
		f := c.fields[i]
		switch {
		case f.Of != "":
			return Resolved{Path: f.Of, Type: f.Type}, true
		case f.Type == event.Flattened:
			return Resolved{Path: name, Type: f.Type, Flattened: name}, true
		}
		return Resolved{Path: name, Type: f.Type}, true
	}
	if c.objects[name] {
		return Resolved{Path: name, Type: event.ObjectType}, true
	}
	if r, ok := c.below(name); ok {
		return r, true
	}
	if base, ok := strings.CutSuffix(name, ".caseless"); ok {
		if i, ok := c.index[base]; ok && c.fields[i].Of == "" && c.fields[i].Type.IsKeyword() {
			return Resolved{Path: base, Type: event.Caseless}, true
		}
	}
	return Resolved{Path: name, Type: event.Keyword}, false
}

// Flattened reports whether path is a flattened field: what stands there stays one tree (event.DecodeOptions.Tree).
func (p Profile) Flattened(path string) bool {
	f, ok := p.Lookup(path)
	return ok && f.Type == event.Flattened
}

// below resolves a name that lies below a field whose keys are not declared.
func (c *catalogue) below(name string) (Resolved, bool) {
	for at := 0; ; at++ {
		dot := strings.IndexByte(name[at:], '.')
		if dot < 0 {
			return Resolved{}, false
		}
		at += dot
		i, ok := c.index[name[:at]]
		if !ok {
			continue
		}
		f := c.fields[i]
		switch {
		case f.Type == event.Flattened:
			return Resolved{Path: name, Type: event.Flattened, Flattened: f.Path}, true
		case f.Type == event.GeoPoint && (name[at:] == ".lat" || name[at:] == ".lon"):
			return Resolved{Path: name, Type: event.Double}, true
		case c.free[f.Path]:
			return Resolved{Path: name, Type: event.Keyword}, true
		}
	}
}
