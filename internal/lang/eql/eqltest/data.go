package eqltest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/eql"
	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// Data is a set of events with their fields.
type Data struct {
	Fields Fields
	Events []*event.Event
	id     string // the field that tells events apart
}

// Stream is the stream of all events.
const Stream = "logs-eql.events-default"

// Number is the number of an event by which answers name it.
func (d *Data) Number(e *event.Event) int { return int(number(e, d.id)) }

func number(e *event.Event, path string) int64 {
	v, _ := event.Coerce(event.Long, e.Get(path))
	return v.Int()
}

// Order is how the server ordered the events: by time, then by their number.
func (d *Data) Order() eql.Order {
	f, _ := d.Fields.Field(d.id)
	return eql.Order{Tiebreaker: &f}
}

// Fields is the plan.Resolver of a set: what its mapping declares, and the rest as the server guesses it from the events.
type Fields struct {
	kqltest.Mapping
	aliases map[string]string
}

var _ plan.Resolver = Fields{}

// Field implements plan.Resolver. An alias reads the field that it stands for.
func (f Fields) Field(path string) (expr.Field, bool) {
	if of, ok := f.aliases[path]; ok {
		path = of
	}
	return f.Mapping.Field(path)
}

// property is a field of a mapping file.
type property struct {
	Type       string              `json:"type"`
	Path       string              `json:"path,omitempty"` // of an alias
	NullValue  json.RawMessage     `json:"null_value,omitempty"`
	Properties map[string]property `json:"properties,omitempty"`
	Fields     map[string]property `json:"fields,omitempty"`
}

// files are the parts of a set that has several.
var files = map[string][]string{"sample": {"sample1", "sample2", "sample3"}}

// ReadData reads the set of events called name.
func ReadData(t testing.TB, name string) *Data {
	t.Helper()
	d := &Data{id: "sequence"}
	switch {
	case name == "endgame-140":
		d.id = "serial_event_id"
	case strings.HasPrefix(name, "sample"):
		d.id = "id"
	}
	declared := map[string]property{}
	parts := files[name]
	if parts == nil {
		parts = []string{name}
	}
	var docs []map[string]json.RawMessage
	for _, part := range parts {
		var m struct {
			Properties map[string]property `json:"properties"`
		}
		if read(t, part+".mapping", &m) {
			flatten(declared, "", m.Properties)
		}
		var more []map[string]json.RawMessage
		if !read(t, part+".data", &more) || len(more) == 0 {
			t.Fatalf("%s.data holds no event", part)
		}
		docs = append(docs, more...)
	}
	for _, doc := range docs {
		prepare(t, doc, declared)
		guess(declared, doc)
	}
	d.Fields = mapping(t, declared)
	for _, doc := range docs {
		d.Events = append(d.Events, d.decode(t, doc))
	}
	return d
}

// read reads a JSON file; false where there is none.
func read(t testing.TB, name string, into any) bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Dir(t), "data", name))
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	return true
}

// flatten puts every field of a mapping under its whole name.
func flatten(into map[string]property, prefix string, properties map[string]property) {
	for name, p := range properties {
		if p.Properties != nil {
			flatten(into, prefix+name+".", p.Properties)
			continue
		}
		into[prefix+name] = p
	}
}

// prepare does to a document what the server's loader and index did: the time of one that has a Windows file time, and
// the value that a mapping has for null.
func prepare(t testing.TB, doc map[string]json.RawMessage, declared map[string]property) {
	t.Helper()
	if filetime, ok := doc["timestamp"]; ok && doc[plan.Timestamp] == nil {
		n, err := strconv.ParseInt(string(filetime), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		doc[plan.Timestamp] = json.RawMessage(strconv.FormatInt(n/10_000-11_644_473_600_000, 10))
	}
	for name, p := range declared {
		if v, ok := doc[name]; ok && string(v) == "null" && p.NullValue != nil {
			doc[name] = p.NullValue
		}
	}
}

// guess declares the fields of a document that no mapping does.
func guess(declared map[string]property, doc map[string]json.RawMessage) {
	for name, v := range doc {
		if _, ok := declared[name]; ok {
			continue
		}
		text := strings.TrimLeft(string(v), "[ \n")
		switch {
		case text == "" || text[0] == ']' || text[0] == 'n' || text[0] == '{':
		case text[0] == '"':
			declared[name] = property{Type: "text", Fields: map[string]property{"keyword": {Type: "keyword"}}}
		case text[0] == 't' || text[0] == 'f':
			declared[name] = property{Type: "boolean"}
		case strings.ContainsAny(text, ".eE"):
			declared[name] = property{Type: "double"}
		default:
			declared[name] = property{Type: "long"}
		}
	}
}

func mapping(t testing.TB, declared map[string]property) Fields {
	t.Helper()
	f := Fields{aliases: map[string]string{}}
	properties := map[string]property{}
	for name, p := range declared {
		if p.Type == "alias" {
			f.aliases[name] = p.Path
			continue
		}
		properties[name] = p
	}
	if _, ok := declared["event.category"]; !ok { // the sets without a mapping have the server tests' own
		f.aliases["event.category"] = "event_type"
	}
	properties[plan.Timestamp] = property{Type: "date"}
	text, err := json.Marshal(map[string]any{"mappings": map[string]any{"properties": properties}})
	if err == nil {
		f.Mapping, err = kqltest.ReadMapping(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (d *Data) decode(t testing.TB, doc map[string]json.RawMessage) *event.Event {
	t.Helper()
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	e, err := event.Decode(slices.Clone(text), event.DecodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// The number is unique within a category alone.
	e.ID, e.Stream = fmt.Sprintf("%s-%06d", e.Text("event_type"), d.Number(e)), Stream
	at := e.Get(plan.Timestamp)
	if at.Kind() == event.KindInt {
		at = event.Millis(at.Int())
	}
	if v, ok := event.Coerce(event.Date, at); ok {
		e.Set(plan.Timestamp, event.String(event.FormatTime(v.Time())))
	}
	e.Source.Data = text
	return e
}
