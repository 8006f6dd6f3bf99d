package rule

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// source is the text that a rule was read from, and what of it the rule's fields do not say.
type source struct {
	text       string // of the whole file
	json       bool
	start, end int // of the rule's line, in an export

	given    map[string]bool    // the keys that stand there
	written  map[string]written // what some say in other words than the rule
	metadata *written           // what [metadata] says; nil without one
}

// written is what a text says at a key, and what was read from it.
type written struct{ said, read event.Value }

// Locate returns diagnostics of the rule's query, whose positions are in the query, as diagnostics of the rule's file.
func (r *Rule) Locate(query diag.List) diag.List { return r.Locator().In("query", query) }

// Locator finds the places of a rule's text. It is not safe for concurrent use.
type Locator struct {
	rule   *Rule
	places map[string]place // once asked for
}

// Locator returns a Locator of r.
func (r *Rule) Locator() *Locator { return &Locator{rule: r} }

// At is where the value of a key of the rule stands in its file, and the file's text; where the rule lacks the key, where
// it begins. Dots lead into objects and lists (threat.0.tactic.id).
func (l *Locator) At(key string) (span diag.Span, text string) {
	t := table{doc: &document{places: l.all()}, path: l.root()}
	return t.valueAt(strings.ReplaceAll(key, ".", "\x00")), l.rule.source.text
}

// Path is At for a way of keys and indexes that may hold dots themselves; where it leads further than the text is followed,
// it is the place of the nearest value on the way.
func (l *Locator) Path(steps ...string) (span diag.Span, text string) {
	path := l.root()
	found := l.all()[path].key
	for _, step := range steps {
		path = join(path, step)
		p, ok := l.all()[path]
		if !ok {
			break
		}
		found = p.value
	}
	return found, l.rule.source.text
}

// Below returns a function that says where what lies below a key stands, by the way of keys and indexes that leads to it:
// a diagnostic with File, Text and Span set. Filters are located so.
func (l *Locator) Below(key string) func(steps []string) diag.Diagnostic {
	if line, way := l.rule.objectOf(key); line != nil {
		places := line.Places()
		return func(steps []string) diag.Diagnostic { return places(slices.Concat(way, steps)...) }
	}
	return func(steps []string) diag.Diagnostic {
		d := diag.Diagnostic{File: l.rule.File}
		d.Span, d.Text = l.Path(append([]string{key}, steps...)...)
		return d
	}
}

// In returns diagnostics of the text that stands at a key of the rule (query, threat_query), whose positions are in that
// text, as diagnostics of the rule's file. What cannot be found there keeps its positions, and the file is only named.
func (l *Locator) In(key string, found diag.List) diag.List {
	if len(found) == 0 {
		return nil
	}
	if line, way := l.rule.objectOf(key); line != nil {
		return line.locator().In(strings.Join(way, "\x00"), found)
	}
	out := make(diag.List, len(found))
	file, text := l.rule.File, l.rule.source.text
	at := l.all()[join(l.root(), key)]
	for i, d := range found {
		switch {
		case at.content == 0:
			out[i] = d.In(file, text, -1)
		case text[at.value.Start] == '"':
			written := text[:at.value.End]
			out[i] = d.In(file, text, -1)
			out[i].Text = text
			out[i].Span = diag.Span{Start: joined(written, escaped(written, at.content, d.Span.Start)),
				End: escaped(written, at.content, d.Span.End)}
		default:
			out[i] = d.In(file, text, at.content)
		}
	}
	return out
}

// root is the path of the rule's table in its document.
func (l *Locator) root() string {
	if l.rule.source.json {
		return ""
	}
	return join("", "rule")
}

// all finds the entries of the rule's text.
func (l *Locator) all() map[string]place {
	s := l.rule.source
	switch {
	case l.places != nil:
	case s.json:
		doc, _ := openJSON(l.rule.File, s.text, s.start, s.end)
		l.places = doc.places
	default:
		l.places = places(s.text)
	}
	return l.places
}

// escaped is the offset in text of byte offset n of a quoted text whose content, with escapes of JSON or TOML, begins
// at content.
func escaped(text string, content, n int) int {
	at := content
	for n > 0 && at < len(text) {
		if text[at] != '\\' {
			at++
			n--
			continue
		}
		size, length := escape(text[at:])
		at += length
		n -= size
	}
	return min(at, len(text))
}

// joined is at, moved over the ends of lines that go on in the next one.
func joined(text string, at int) int {
	for at < len(text) && text[at] == '\\' {
		size, length := escape(text[at:])
		if size > 0 {
			break
		}
		at += length
	}
	return min(at, len(text))
}

// escape returns how many bytes the escape that text begins with stands for, and its own length.
func escape(text string) (size, length int) {
	if len(text) < 2 {
		return 1, len(text)
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[text[1]]
	switch {
	case digits > 0 && len(text) >= 2+digits:
		code, err := strconv.ParseUint(text[2:2+digits], 16, 32)
		if err != nil {
			return 1, 2
		}
		if 0xD800 <= code && code < 0xDC00 { // with the escape after it one character of four bytes
			return 4, 2 * (2 + digits)
		}
		return max(utf8.RuneLen(rune(code)), 1), 2 + digits
	case strings.IndexByte(" \t\r\n", text[1]) >= 0: // the line goes on at the next sign
		return 0, len(text) - len(strings.TrimLeft(text[1:], " \t\r\n"))
	}
	return 1, 2
}

// InTOML reports whether the rule was read from a TOML file.
func (r *Rule) InTOML() bool { return r.source.text != "" && !r.source.json }
