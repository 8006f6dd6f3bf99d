package rule

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// The codes of the diagnostics.
const (
	codeUnreadable = "RULE0001" // the file cannot be read
	codeTooLarge   = "RULE0002" // the file exceeds MaxFile
	codeNoRules    = "RULE0003" // a folder holds no rule file
	codeNotTOML    = "RULE0101" // the text is not TOML
	codeUnknownKey = "RULE0102" // no rule has such a key
	codeWrongType  = "RULE0103" // a value of another type belongs there
	codeMissing    = "RULE0104" // a key that every such rule needs is absent
	codeNotOneOf   = "RULE0105" // the value is none of those that are allowed
	codeOutOfRange = "RULE0106" // too small, too large, too few or empty
	codeBadTime    = "RULE0107" // no date math, no interval, or a window that cannot be
	codeTwice      = "RULE0108" // the rule_id, or an element of a list, is there already
	codeWrongRule  = "RULE0109" // the key belongs to rules of another type
)

// document is a TOML text that is being read, with what was found wrong in it.
type document struct {
	file, text string
	places     map[string]place
	found      diag.List
	more       int // found beyond maxFound
}

// maxFound bounds the diagnostics of one file.
const maxFound = 100

// open reads text as TOML; nil and a diagnostic where it is none.
func open(file, text string) (*document, map[string]any) {
	d := &document{file: file, text: text}
	var top map[string]any
	err := toml.Unmarshal([]byte(text), &top)
	if err == nil {
		d.places = places(text)
		return d, top
	}
	at := diag.At(0)
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		at = wordAt(text, decode.Position)
	}
	message := strings.TrimPrefix(err.Error(), "toml: ")
	d.report(codeNotTOML, at, "", "the file is not valid TOML: %s", message)
	return d, nil
}

// wordAt is the word at a line and a column in bytes, or the empty span there.
func wordAt(text string, position func() (line, column int)) diag.Span {
	line, column := position()
	at := diag.OffsetOf(text, line, 1)
	at = min(at+max(column-1, 0), len(text))
	rest := text[at:]
	if end := strings.IndexAny(rest, " \t\r\n=,]}#"); end >= 0 {
		rest = rest[:end]
	}
	if len(rest) > 80 {
		rest = ""
	}
	return diag.Span{Start: at, End: at + len(rest)}
}

func (d *document) report(code string, at diag.Span, hint, format string, args ...any) {
	if len(d.found) == maxFound {
		d.more++
		return
	}
	d.found = append(d.found, diag.Diagnostic{Code: code, Message: fmt.Sprintf(format, args...), Span: at, File: d.file,
		Hint: hint, Text: d.text})
}

// diagnostics returns what was found, sorted.
func (d *document) diagnostics() diag.List {
	d.found.Sort()
	if d.more > 0 {
		d.found = append(d.found, diag.Diagnostic{Severity: diag.Note, File: d.file,
			Message: fmt.Sprintf("%d more mistakes are not listed", d.more)})
	}
	return d.found
}

// table is one table of a document. Each method that reads a key takes note of it; close reports the keys that nobody
// asked for.
type table struct {
	doc   *document
	path  string
	has   map[string]any
	asked []string
}

func (d *document) table(path string, has map[string]any) *table {
	return &table{doc: d, path: path, has: has}
}

// title is what a person calls the table: rule.threat[2].
func (t *table) title() string {
	if t.path == "" {
		return "the file"
	}
	return title(t.path)
}

func title(path string) string {
	var b strings.Builder
	for _, part := range strings.Split(strings.TrimPrefix(path, "\x00"), "\x00") {
		if n, err := strconv.Atoi(part); err == nil {
			fmt.Fprintf(&b, "[%d]", n+1)
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(part)
	}
	return b.String()
}

func (t *table) take(key string) (any, bool) {
	if !slices.Contains(t.asked, key) {
		t.asked = append(t.asked, key)
	}
	v, ok := t.has[key]
	return v, ok
}

// valueAt and keyAt are where the value and the key stand; where the key is absent, where its table begins.
func (t *table) valueAt(key string) diag.Span {
	if p, ok := t.doc.places[join(t.path, key)]; ok {
		return p.value
	}
	return t.doc.places[t.path].key
}

func (t *table) keyAt(key string) diag.Span {
	if p, ok := t.doc.places[join(t.path, key)]; ok {
		return p.key
	}
	return t.doc.places[t.path].key
}

// bad reports the value of key.
func (t *table) bad(code, key, hint, format string, args ...any) {
	t.doc.report(code, t.valueAt(key), hint, format, args...)
}

func (t *table) wrongType(key, want string, v any) {
	t.bad(codeWrongType, key, "", "%s must be %s, not %s", key, want, kindOf(v))
}

// need reports the keys among required that the table lacks.
func (t *table) need(required ...string) {
	for _, key := range required {
		if _, ok := t.take(key); !ok {
			t.doc.report(codeMissing, t.doc.places[t.path].key, "", "%s lacks %s", t.title(), key)
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
			t.doc.report(codeWrongType, t.element(key, i), "", "%s must hold texts alone, not %s", key, kindOf(item))
			continue
		}
		out = append(out, s)
	}
	return out
}

// names reads a list of texts that must not be blank nor come twice.
func (t *table) names(key string) []string {
	out := t.texts(key)
	for i, s := range out {
		if strings.TrimSpace(s) == "" {
			t.doc.report(codeOutOfRange, t.element(key, i), "", "%s holds an empty text", key)
		} else if slices.Contains(out[:i], s) {
			t.doc.report(codeTwice, t.element(key, i), "", "%s holds %q twice", key, short(s))
		}
	}
	return out
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
		t.wrongType(key, "a table", v)
		return nil
	}
	return t.doc.table(join(t.path, key), m)
}

// subs reads a list of tables.
func (t *table) subs(key string) []*table {
	v, ok := t.take(key)
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		t.wrongType(key, "a list of tables", v)
		return nil
	}
	var out []*table
	for i, item := range list {
		m, ok := item.(map[string]any)
		if !ok {
			t.doc.report(codeWrongType, t.element(key, i), "", "%s must hold tables alone, not %s", key, kindOf(item))
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
			t.wrongType(key, "a table", v)
			return event.Null()
		}
	}
	return t.value(key)
}

// objects reads a list of tables as values.
func (t *table) objects(key string) []event.Value {
	var out []event.Value
	for i, sub := range t.subs(key) {
		v, err := toValue(sub.has, 0)
		if err != nil {
			t.doc.report(codeOutOfRange, t.element(key, i), "", "%s %v", key, err)
		}
		out = append(out, v)
	}
	return out
}

// ignore takes note of a key whose value nobody reads.
func (t *table) ignore(keys ...string) {
	for _, key := range keys {
		t.take(key)
	}
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
		t.doc.report(codeUnknownKey, t.keyAt(key), hint, "%s has no key %q", t.title(), short(key))
	}
}

// toValue reads a TOML value as JSON could say it; the keys of objects are sorted.
func toValue(v any, depth int) (event.Value, error) {
	if depth > maxDepth {
		return event.Null(), fmt.Errorf("is nested deeper than %d", maxDepth)
	}
	switch v := v.(type) {
	case string:
		return event.String(v), nil
	case bool:
		return event.Bool(v), nil
	case int64:
		return event.Int(v), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return event.Null(), errors.New("holds a number that JSON cannot say")
		}
		return event.Float(v), nil
	case []any:
		items := make([]event.Value, len(v))
		for i, item := range v {
			var err error
			if items[i], err = toValue(item, depth+1); err != nil {
				return event.Null(), err
			}
		}
		return event.List(items...), nil
	case map[string]any:
		members := make([]event.Member, 0, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			item, err := toValue(v[key], depth+1)
			if err != nil {
				return event.Null(), err
			}
			members = append(members, event.Member{Key: key, Value: item})
		}
		return event.Object(members...), nil
	case time.Time:
		return event.String(event.FormatTime(v)), nil
	case fmt.Stringer: // dates and times without a zone
		return event.String(v.String()), nil
	}
	return event.Null(), fmt.Errorf("holds a %T", v)
}

// kindOf names what stands where something else should.
func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "a text"
	case bool:
		return "true or false"
	case int64, float64:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a date"
}

// short cuts a text that a message quotes.
func short(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
