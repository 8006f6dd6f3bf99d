package event

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxDepth is how deep JSON may be nested; deeper input is an error, not a crash.
const MaxDepth = 1000

// ErrTooDeep is what reading JSON nested deeper than MaxDepth fails with.
var ErrTooDeep = fmt.Errorf("nested deeper than %d", MaxDepth)

// ErrTooMany is what a Parser fails with when a text holds more values than its MaxValues.
var ErrTooMany = errors.New("too many values")

// DecodeOptions says how Decode reads a document.
type DecodeOptions struct {
	// Tree reports whether the object at path stays one value (a flattened field). Nil: none does.
	Tree func(path string) bool
}

// Decode reads one JSON object, with nested or dotted keys, into an event. A key that comes twice keeps its last value.
// Errors name the offset.
func Decode(data []byte, opt DecodeOptions) (*Event, error) {
	v, err := ParseJSON(data)
	if err != nil {
		return nil, err
	}
	if v.Kind() != KindObject {
		return nil, fmt.Errorf("decode event: not a JSON object")
	}
	e := &Event{}
	e.SetObject("", v, opt.Tree)
	return e, nil
}

// SetObject lays the members of obj out below prefix ("" is the top): ordinary objects become paths; flattened fields,
// which tree names, lists of objects and empty objects stay values. Nulls are left out. Of a path that comes twice, as
// {"a.b":1,"a":{"b":2}} has it, the last value counts.
func (e *Event) SetObject(prefix string, obj Value, tree func(path string) bool) {
	if prefix != "" {
		prefix += "."
	}
	e.SetAll(layOut(nil, prefix, obj, tree))
}

// layOut appends the entries of obj, whose paths begin with prefix (a dot at its end, or empty).
func layOut(out []Field, prefix string, obj Value, tree func(path string) bool) []Field {
	for _, m := range obj.Members() {
		path := prefix + m.Key
		switch {
		case m.Value.IsNull():
		case m.Value.Kind() == KindObject && len(m.Value.Members()) > 0 && (tree == nil || !tree(path)):
			out = layOut(out, path+".", m.Value, tree)
		default:
			out = append(out, Field{Path: path, Value: m.Value})
		}
	}
	return out
}

// ParseJSON reads exactly one JSON value. Of a key that comes twice the last value counts, at the place of the first;
// invalid UTF-8 becomes U+FFFD. Input nested deeper than MaxDepth is an error.
func ParseJSON(data []byte) (Value, error) {
	var p Parser
	v, _, err := p.Parse(data)
	return v, err
}

// ReadJSON reads the next JSON value from d, which must allow duplicate names and invalid UTF-8 if these are to be
// accepted, and counts the keys that were replaced by a later one. Integers beyond 64 bits keep their literal.
func ReadJSON(d *jsontext.Decoder) (v Value, duplicates int, err error) { return readJSON(d, 0) }

func readJSON(d *jsontext.Decoder, maxValues int) (v Value, duplicates int, err error) {
	r := jsonReader{d: d, left: limit(maxValues)}
	v, err = r.value(0)
	if err != nil {
		return Value{}, r.duplicates, fmt.Errorf("read JSON at offset %d: %w", d.InputOffset(), err)
	}
	return v, r.duplicates, nil
}

type jsonReader struct {
	d          *jsontext.Decoder
	left       int // how many values may still come
	duplicates int
}

func (r *jsonReader) value(depth int) (Value, error) {
	if r.left--; r.left < 0 {
		return Value{}, ErrTooMany
	}
	tok, err := r.d.ReadToken()
	if err != nil {
		return Value{}, err
	}
	switch tok.Kind() {
	case 'n':
		return Value{}, nil
	case 't':
		return Bool(true), nil
	case 'f':
		return Bool(false), nil
	case '"':
		return String(tok.String()), nil
	case '0':
		v, ok := Literal(tok.String())
		if !ok {
			return Value{}, fmt.Errorf("number %.40q out of range", tok.String())
		}
		return v, nil
	case '[':
		if depth >= MaxDepth {
			return Value{}, ErrTooDeep
		}
		return r.list(depth)
	case '{':
		if depth >= MaxDepth {
			return Value{}, ErrTooDeep
		}
		return r.object(depth)
	}
	return Value{}, fmt.Errorf("unexpected %v", tok.Kind())
}

func (r *jsonReader) list(depth int) (Value, error) {
	var items []Value
	for r.d.PeekKind() != ']' {
		v, err := r.value(depth + 1)
		if err != nil {
			return Value{}, err
		}
		items = append(items, v)
	}
	if _, err := r.d.ReadToken(); err != nil {
		return Value{}, err
	}
	return List(items...), nil
}

// indexFrom is the number of keys from which an object's keys are looked up by a map instead of one by one.
const indexFrom = 32

func (r *jsonReader) object(depth int) (Value, error) {
	var members []Member
	var index map[string]int
	for r.d.PeekKind() != '}' {
		tok, err := r.d.ReadToken()
		if err != nil {
			return Value{}, err
		}
		if tok.Kind() != '"' {
			return Value{}, fmt.Errorf("expected a key, found %v", tok.Kind())
		}
		key := tok.String()
		v, err := r.value(depth + 1)
		if err != nil {
			return Value{}, err
		}
		if at := memberAt(members, index, key); at >= 0 {
			members[at].Value = v
			r.duplicates++
			continue
		}
		members = append(members, Member{Key: key, Value: v})
		index = indexed(index, members)
	}
	if _, err := r.d.ReadToken(); err != nil {
		return Value{}, err
	}
	return Object(members...), nil
}

func memberAt(members []Member, index map[string]int, key string) int {
	if index != nil {
		if i, ok := index[key]; ok {
			return i
		}
		return -1
	}
	for i := range members {
		if members[i].Key == key {
			return i
		}
	}
	return -1
}

// AppendJSON appends v as compact JSON. Numbers keep their literal, instants and addresses print as texts.
func (v Value) AppendJSON(dst []byte) []byte {
	switch v.kind {
	case KindNull:
		return append(dst, "null"...)
	case KindBool, KindInt, KindFloat:
		return append(dst, v.Text()...)
	case KindList:
		dst = append(dst, '[')
		for i, item := range v.items() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.AppendJSON(dst)
		}
		return append(dst, ']')
	case KindObject:
		dst = append(dst, '{')
		for i, m := range v.members() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendQuoted(dst, m.Key)
			dst = append(dst, ':')
			dst = m.Value.AppendJSON(dst)
		}
		return append(dst, '}')
	}
	return appendQuoted(dst, v.Text())
}

func appendQuoted(dst []byte, s string) []byte {
	out, err := jsontext.AppendQuote(dst, s)
	if err != nil { // invalid UTF-8: out holds the text with U+FFFD in its place
		return out
	}
	return out
}

// AppendJSON appends the event as one compact JSON document, nested, keys sorted within each object. Paths for which
// dotted reports true stand as dotted keys at the top, as alerts write kibana.alert.*; nil: none does. A path below
// another entry's scalar is written dotted too, so that nothing is lost.
func (e *Event) AppendJSON(dst []byte, dotted func(path string) bool) []byte {
	var nested, flat []Field
	for _, f := range e.fields {
		if dotted != nil && dotted(f.Path) || e.shadowed(f.Path) {
			flat = append(flat, f)
		} else {
			nested = append(nested, f)
		}
	}
	dst = append(dst, '{')
	dst = appendNested(dst, nested, 0)
	for i, f := range flat {
		if i > 0 || len(nested) > 0 {
			dst = append(dst, ',')
		}
		dst = appendQuoted(dst, f.Path)
		dst = append(dst, ':')
		dst = f.Value.AppendJSON(dst)
	}
	return append(dst, '}')
}

// appendNested writes the members of one object: fields share the first skip bytes of their paths.
func appendNested(dst []byte, fields []Field, skip int) []byte {
	for i := 0; i < len(fields); {
		if i > 0 {
			dst = append(dst, ',')
		}
		rest := fields[i].Path[skip:]
		dot := strings.IndexByte(rest, '.')
		if dot < 0 {
			dst = appendQuoted(dst, rest)
			dst = append(dst, ':')
			dst = fields[i].Value.AppendJSON(dst)
			i++
			continue
		}
		prefix := fields[i].Path[:skip+dot+1]
		j := i + 1
		for j < len(fields) && strings.HasPrefix(fields[j].Path, prefix) {
			j++
		}
		dst = appendQuoted(dst, rest[:dot])
		dst = append(dst, ':', '{')
		dst = appendNested(dst, fields[i:j], skip+dot+1)
		dst = append(dst, '}')
		i = j
	}
	return dst
}

// shadowed reports whether a shorter entry stands on the way to path.
func (e *Event) shadowed(path string) bool {
	for i := 0; i < len(path); i++ {
		if path[i] != '.' {
			continue
		}
		if _, found := e.find(path[:i]); found {
			return true
		}
	}
	return false
}
