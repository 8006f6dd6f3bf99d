package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// texts are documents to begin with, each odd in its own way.
var texts = []string{
	`{}`, `{"a":{"b":[1,[2,null],"x"]},"c.d":true,"l":[{"k":"1"},7]}`, `{"a.b":1,"a":{"b":2,"c":{}},"a.b.c":[]}`,
	`{"":{"":1},".":2,"a.":3,".a":4,"..":5}`, `{"n":[0,-0,0.0,1e3,1.50,1e400,1e-400,18446744073709551616,-9223372036854775808]}`,
	`{"k":1,"k":2,"z":null}`, "{\"s\":\"a\xffb\",\"\xff\":1}", `{"s":"\ud83d\ude00\ud800\u0000\""}`, `{"a":1}{}`, `[`, `{"a":}`, `nul`,
	`{"f":{"x.y":"dot","x":{"y":"nest"}},"f.z":1}`, ` {"a" : 1 } `, `{"a":1e999999999999}`, `"text"`, `-`, `01`, `1.`,
}

// FuzzParseJSON holds that what is read is JSON, and reads the same once it is written.
func FuzzParseJSON(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Add([]byte(strings.Repeat(`[`, MaxDepth+1) + strings.Repeat(`]`, MaxDepth+1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := ParseJSON(data)
		if err != nil {
			if v.Kind() != KindNull {
				t.Errorf("a value beside the error %v", err)
			}
			return
		}
		if !json.Valid(data) {
			t.Fatalf("%q is no JSON, and was read", data)
		}
		out := v.AppendJSON(nil)
		if !json.Valid(out) {
			t.Fatalf("%q is written as %q", data, out)
		}
		again, err := ParseJSON(out)
		if err != nil || !Equal(v, again) || !Equal(again, v) {
			t.Fatalf("%q is written as %q and read as another value: %v", data, out, err)
		}
		if second := again.AppendJSON(nil); !bytes.Equal(out, second) {
			t.Fatalf("%q is written as %q, then as %q", data, out, second)
		}
	})
}

// FuzzDecode holds that an event that is written and read again is the same event, and that reading it by any path gives
// no more than it holds.
func FuzzDecode(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text), "a.b")
	}
	f.Fuzz(func(t *testing.T, data []byte, path string) {
		e, err := Decode(data, DecodeOptions{})
		if err != nil {
			return
		}
		for i, field := range e.Fields() {
			if i > 0 && e.Fields()[i-1].Path >= field.Path {
				t.Fatalf("%q: the paths are out of order: %q", data, field.Path)
			}
			if field.Value.IsNull() {
				t.Fatalf("%q: a null at %q", data, field.Path)
			}
		}
		again, err := Decode(e.AppendJSON(nil, nil), DecodeOptions{})
		if err != nil && !errors.Is(err, ErrTooDeep) { // keys with dots become objects within each other
			t.Fatalf("%q is written as %q: %v", data, e.AppendJSON(nil, nil), err)
		}
		if err == nil {
			same(t, data, e, again)
		}
		dotted, err := Decode(e.AppendJSON(nil, func(string) bool { return true }), DecodeOptions{})
		if err != nil {
			t.Fatalf("%q with dotted keys: %v", data, err)
		}
		same(t, data, e, dotted)

		tree, err := Decode(data, DecodeOptions{Tree: func(p string) bool { return p == path }})
		if err != nil {
			t.Fatalf("%q with a tree at %q: %v", data, path, err)
		}
		for _, e := range []*Event{e, tree} {
			if values, leaves := e.Values(path), e.Leaves(path); len(values) > len(leaves) {
				t.Fatalf("%q at %q: %d values, %d leaves", data, path, len(values), len(leaves))
			}
			kept := e.Keep([]string{path})
			if got, want := kept.Values(path), e.Values(path); !Equal(List(got...), List(want...)) {
				t.Fatalf("%q, kept at %q: %s, not %s", data, path, List(got...).AppendJSON(nil), List(want...).AppendJSON(nil))
			}
			if got, want := len(kept.Elements(path)), len(e.Elements(path)); got != want {
				t.Fatalf("%q, kept at %q: %d elements, not %d", data, path, got, want)
			}
		}
	})
}

func same(t *testing.T, data []byte, a, b *Event) {
	t.Helper()
	if len(a.Fields()) != len(b.Fields()) {
		t.Fatalf("%q: %d fields, then %d: %s", data, len(a.Fields()), len(b.Fields()), b.AppendJSON(nil, nil))
	}
	for i, field := range a.Fields() {
		if other := b.Fields()[i]; other.Path != field.Path || !Equal(field.Value, other.Value) {
			t.Fatalf("%q: %q is %s, then %q is %s", data, field.Path, field.Value.AppendJSON(nil), other.Path, other.Value.AppendJSON(nil))
		}
	}
}
