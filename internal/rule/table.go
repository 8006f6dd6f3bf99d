package rule

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// table is one table, or JSON object, of a document. Each method that reads a key takes note of it; close reports the
// keys that nobody asked for. A key that is null in JSON is read like an absent one.
type table struct {
	doc   *document
	path  string
	has   map[string]any
	asked []string
}

func (d *document) table(path string, has map[string]any) *table {
	return &table{doc: d, path: path, has: has}
}

func (t *table) take(key string) (any, bool) {
	if !slices.Contains(t.asked, key) {
		t.asked = append(t.asked, key)
	}
	v := t.has[key]
	return v, v != nil
}

// given reports whether the key is there with a value, without reading it.
func (t *table) given(key string) bool { return t.has[key] != nil }

// valueAt and keyAt are where the value and the key stand; where the key is absent, where its table begins.
func (t *table) valueAt(key string) diag.Span {
	if p, ok := t.doc.places[join(t.path, key)]; ok {
		return p.value
	}
	return t.doc.within(t.path).key
}

func (t *table) keyAt(key string) diag.Span {
	if p, ok := t.doc.places[join(t.path, key)]; ok {
		return p.key
	}
	return t.doc.within(t.path).key
}

// bad reports the value of key.
func (t *table) bad(code, key, hint, format string, args ...any) {
	t.doc.report(code, t.valueAt(key), hint, format, args...)
}

func (t *table) wrongType(key, want string, v any) {
	t.bad(codeWrongType, key, "", "%s must be %s, not %s", key, want, t.doc.kindOf(v))
}

// need reports the keys among required that the table lacks.
func (t *table) need(required ...string) {
	for _, key := range required {
		if _, ok := t.take(key); !ok {
			t.doc.report(codeMissing, t.doc.within(t.path).key, "", "%s lacks %s", t.doc.title(t.path), key)
		}
	}
}

// text reads a text, "" where it is absent or of another type.
func (t *table) text(key string) string {
	v, ok := t.take(key)
	if !ok {
		return ""
	}
	s, ok := v.(string)
	if !ok {
		t.wrongType(key, "a text", v)
	}
	return s
}

// word reads a text that must not be blank where it is given.
func (t *table) word(key string) string {
	s := t.text(key)
	if _, isText := t.has[key].(string); isText && strings.TrimSpace(s) == "" {
		t.bad(codeOutOfRange, key, "", "%s is empty", key)
	}
	return s
}

// oneOf reads a text that must be one of allowed where it is given.
func (t *table) oneOf(key string, allowed ...string) string {
	s := t.text(key)
	if _, isText := t.has[key].(string); !isText || slices.Contains(allowed, s) {
		return s
	}
	hint := "one of: " + strings.Join(allowed, ", ")
	if near, ok := diag.Nearest(s, allowed); ok {
		hint = fmt.Sprintf("did you mean %q? (%s)", near, hint)
	}
	if len(allowed) == 1 {
		hint = fmt.Sprintf("only %q is allowed", allowed[0])
	}
	t.bad(codeNotOneOf, key, hint, "%q is no value of %s", short(s), key)
	if t.doc.more == 0 {
		t.doc.found[len(t.doc.found)-1].Expected = allowed
	}
	return ""
}

// texts reads a list of texts; none where it is absent.
func (t *table) texts(key string) []string {
	v, ok := t.take(key)
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		t.wrongType(key, "a list of texts", v)
		return nil
	}
	out := make([]string, 0, len(list))
	for i, item := range list {
		s, ok := item.(string)
		if !ok {
			t.doc.report(codeWrongType, t.element(key, i), "", "%s must hold texts alone, not %s", key, t.doc.kindOf(item))
			continue
		}
		out = append(out, s)
	}
	return out
}

// names reads a list of texts that must not be blank nor come twice.
func (t *table) names(key string) []string {
	out := t.texts(key)
	seen := make(map[string]bool, len(out))
	for i, s := range out {
		if strings.TrimSpace(s) == "" {
			t.doc.report(codeOutOfRange, t.element(key, i), "", "%s holds an empty text", key)
		} else if seen[s] {
			t.doc.report(codeTwice, t.element(key, i), "", "%s holds %q twice", key, short(s))
		}
		seen[s] = true
	}
	return out
}

// nameOrNames reads one text, or a list as names does.
func (t *table) nameOrNames(key string) []string {
	if _, isText := t.has[key].(string); isText {
		return []string{t.word(key)}
	}
	return t.names(key)
}

func (t *table) element(key string, i int) diag.Span {
	if p, ok := t.doc.places[join(join(t.path, key), strconv.Itoa(i))]; ok {
		return p.value
	}
	return t.valueAt(key)
}

// number reads an integer of [min, max]; otherwise where it is absent.
func (t *table) number(key string, otherwise, min, max int) int {
	v, ok := t.take(key)
	if !ok {
		return otherwise
	}
	n, ok := v.(int64)
	switch {
	case !ok:
		t.wrongType(key, "a whole number", v)
		return otherwise
	case n < int64(min) || n > int64(max):
		if max == math.MaxInt32 {
			t.bad(codeOutOfRange, key, "", "%s is %d; it must be at least %d", key, n, min)
		} else {
			t.bad(codeOutOfRange, key, "", "%s is %d; it must lie between %d and %d", key, n, min, max)
		}
		return otherwise
	}
	return int(n)
}

// flag reads a boolean; otherwise where it is absent.
func (t *table) flag(key string, otherwise bool) bool {
	v, ok := t.take(key)
	if !ok {
		return otherwise
	}
	b, ok := v.(bool)
	if !ok {
		t.wrongType(key, "true or false", v)
		return otherwise
	}
	return b
}

// sub reads a table; nil where it is absent.
func (t *table) sub(key string) *table {
	v, ok := t.take(key)
	if !ok {
		return nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		t.wrongType(key, t.doc.object(), v)
		return nil
	}
	return t.doc.table(join(t.path, key), m)
}

// subs reads a list of tables: nil where it is absent, not nil where it is empty.
func (t *table) subs(key string) []*table {
	v, ok := t.take(key)
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		t.wrongType(key, "a list of "+t.doc.objects(), v)
		return nil
	}
	out := []*table{}
	for i, item := range list {
		m, ok := item.(map[string]any)
		if !ok {
			t.doc.report(codeWrongType, t.element(key, i), "", "%s must hold %s alone, not %s", key, t.doc.objects(), t.doc.kindOf(item))
			continue
		}
		out = append(out, t.doc.table(join(join(t.path, key), strconv.Itoa(i)), m))
	}
	return out
}

// value reads whatever stands at key as JSON could say it; null where it is absent.
func (t *table) value(key string) event.Value {
	v, ok := t.take(key)
	if !ok {
		return event.Null()
	}
	out, err := toValue(v, 0)
	if err != nil {
		t.bad(codeOutOfRange, key, "", "%s %v", key, err)
	}
	return out
}

// object reads a table as a value; null where it is absent.
func (t *table) object(key string) event.Value {
	if v, ok := t.take(key); ok {
		if _, ok := v.(map[string]any); !ok {
			t.wrongType(key, t.doc.object(), v)
			return event.Null()
		}
	}
	return t.value(key)
}

// objects reads a list of tables as values: nil where it is absent. Each is held to shape, if that is not nil.
func (t *table) objects(key string, shape func(*table)) []event.Value {
	subs := t.subs(key)
	if subs == nil {
		return nil
	}
	out := make([]event.Value, 0, len(subs))
	for i, sub := range subs {
		v, err := toValue(sub.has, 0)
		if err != nil {
			t.doc.report(codeOutOfRange, t.element(key, i), "", "%s %v", key, err)
		}
		if shape != nil {
			shape(sub)
			sub.close()
		}
		out = append(out, v)
	}
	return out
}

// ignore takes note of keys that are read elsewhere, or by nobody.
func (t *table) ignore(keys ...string) {
	for _, key := range keys {
		t.take(key)
	}
}

// others returns the keys that nobody asked for, sorted, with their values, and takes note of them.
func (t *table) others() []event.Member {
	var out []event.Member
	for _, key := range slices.Sorted(maps.Keys(t.has)) {
		if !slices.Contains(t.asked, key) && t.given(key) {
			out = append(out, event.Member{Key: key, Value: t.value(key)})
		}
	}
	return out
}

// close reports the keys that nobody asked for.
func (t *table) close() {
	for _, key := range slices.Sorted(maps.Keys(t.has)) {
		if slices.Contains(t.asked, key) {
			continue
		}
		hint := ""
		if near, ok := diag.Nearest(key, t.asked); ok {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		t.doc.report(codeUnknownKey, t.keyAt(key), hint, "%s has no key %q", t.doc.title(t.path), short(key))
	}
}
