package rule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// lineWidth is how long a line gets at most where it can be broken.
const lineWidth = 120

// tomlWriter writes values as TOML: objects as tables, lists of objects as lists of tables, everything else as key and
// value before them.
type tomlWriter struct {
	out []byte
	err error // the first
}

func (w *tomlWriter) write(parts ...string) {
	for _, s := range parts {
		w.out = append(w.out, s...)
	}
}

func (w *tomlWriter) fail(path []string, format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("%s %s", strings.Join(path, "."), fmt.Sprintf(format, args...))
	}
}

// table writes the table at path with all that is in it.
func (w *tomlWriter) table(path []string, members []event.Member) {
	w.header("[", path, "]")
	w.body(path, members)
}

func (w *tomlWriter) header(open string, path []string, end string) {
	if len(w.out) > 0 {
		w.write("\n")
	}
	w.write(open)
	for i, key := range path {
		if i > 0 {
			w.write(".")
		}
		w.write(bareKey(key))
	}
	w.write(end, "\n")
}

func (w *tomlWriter) body(path []string, members []event.Member) {
	for _, m := range members {
		if m.Value.IsNull() || isTable(m.Value) || isTables(m.Value) {
			continue
		}
		key := bareKey(m.Key)
		w.write(key, " = ")
		w.value(append(path, m.Key), m.Value, len(key)+3)
		w.write("\n")
	}
	for _, m := range members {
		below := append(path[:len(path):len(path)], m.Key)
		switch {
		case isTable(m.Value):
			w.table(below, m.Value.Members())
		case isTables(m.Value):
			for _, item := range m.Value.Items() {
				w.header("[[", below, "]]")
				w.body(below, item.Members())
			}
		}
	}
}

func isTable(v event.Value) bool { return v.Kind() == event.KindObject }

func isTables(v event.Value) bool {
	items := v.Items()
	return len(items) > 0 && !slices.ContainsFunc(items, func(v event.Value) bool { return !isTable(v) })
}

// value writes a value after its key, which takes the first column characters of the line.
func (w *tomlWriter) value(path []string, v event.Value, column int) {
	switch v.Kind() {
	case event.KindString:
		w.write(longText(v.Str()))
	case event.KindList:
		before := len(w.out)
		w.inline(path, v)
		long := len(w.out)-before+column > lineWidth
		if long || slices.ContainsFunc(v.Items(), func(v event.Value) bool { return strings.Contains(v.Str(), "\n") }) {
			w.out = w.out[:before]
			w.lines(path, v)
		}
	default:
		w.inline(path, v)
	}
}

// lines writes a list with an element a line.
func (w *tomlWriter) lines(path []string, v event.Value) {
	w.write("[\n")
	for _, item := range v.Items() {
		w.write("    ")
		if item.Kind() == event.KindString && strings.Contains(item.Str(), "\n") {
			w.write(longText(item.Str()))
		} else {
			w.inline(path, item)
		}
		w.write(",\n")
	}
	w.write("]")
}

// inline writes a value on one line.
func (w *tomlWriter) inline(path []string, v event.Value) {
	switch v.Kind() {
	case event.KindNull:
		w.fail(path, "holds a null in a list, which TOML cannot say")
	case event.KindBool, event.KindInt:
		w.write(v.Text())
	case event.KindFloat:
		w.write(floatText(v))
	case event.KindList:
		w.write("[")
		for i, item := range v.Items() {
			if i > 0 {
				w.write(", ")
			}
			w.inline(path, item)
		}
		w.write("]")
	case event.KindObject:
		w.write("{")
		between := " "
		for _, m := range v.Members() {
			if m.Value.IsNull() {
				continue
			}
			w.write(between, bareKey(m.Key), " = ")
			w.inline(append(path, m.Key), m.Value)
			between = ", "
		}
		if between != " " {
			w.write(" ")
		}
		w.write("}")
	default:
		w.write(quoted(v.Text()))
	}
}

// floatText writes a number so that it is read as a float.
func floatText(v event.Value) string {
	s := v.Text()
	if !strings.ContainsAny(s, ".eE") {
		return s + ".0"
	}
	return s
}

// bareKey writes a key, in quotes where it needs them.
func bareKey(s string) string {
	bare := s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
	if bare {
		return s
	}
	return quoted(s)
}

// quoted writes a text on one line.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		escapeInto(&b, r)
	}
	b.WriteByte('"')
	return b.String()
}

// longText writes a text over several lines where it has several: as it stands if no sign needs an escape, else with
// escapes.
func longText(s string) string {
	switch {
	case !strings.Contains(s, "\n"):
		if strings.ContainsAny(s, `"\`) && !strings.ContainsFunc(s, unprintable) && !strings.Contains(s, "'") {
			return "'" + s + "'"
		}
		return quoted(s)
	case !strings.Contains(s, "'''") && !strings.HasSuffix(s, "'") && !strings.ContainsFunc(s, unprintable):
		return "'''\n" + s + "'''"
	}
	var b strings.Builder
	b.WriteString("\"\"\"\n")
	quotes := 0
	for i, r := range s {
		switch {
		case r == '"' && quotes < 2 && i < len(s)-1:
			b.WriteByte('"')
			quotes++
			continue
		case r == '\n':
			b.WriteByte('\n')
		default:
			escapeInto(&b, r)
		}
		quotes = 0
	}
	return b.String() + `"""`
}

// unprintable reports whether r cannot stand in a text without escapes; a line end can.
func unprintable(r rune) bool {
	return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == utf8.RuneError
}

func escapeInto(b *strings.Builder, r rune) {
	switch {
	case r == '"' || r == '\\':
		b.WriteByte('\\')
		b.WriteRune(r)
	case r == '\n':
		b.WriteString(`\n`)
	case r == '\r':
		b.WriteString(`\r`)
	case r == '\t':
		b.WriteString(`\t`)
	case r < ' ' || r == 0x7f:
		b.WriteString(`\u` + strings.ToUpper(strconv.FormatInt(int64(r)+0x10000, 16)[1:]))
	default:
		b.WriteRune(r)
	}
}
