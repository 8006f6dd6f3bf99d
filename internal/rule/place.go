package rule

import (
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/tocsin-sec/tocsin/internal/diag"
)

// Limits of what is followed in a document: how deep values may lie, and how many positions are kept. An entry beyond
// them has the position of what is around it.
const (
	maxDepth  = 64
	maxPlaces = 100_000
)

// place is where an entry of the file stands: its key, its value, and where the content of a text begins.
type place struct {
	key, value diag.Span
	content    int
}

// join appends a key, or the index of an element, to a path. Keys cannot hold a zero byte.
func join(path, key string) string { return path + "\x00" + key }

// places finds the entries of a TOML text by path. The text must be valid TOML; of one that is not, the entries up to the
// mistake are found.
func places(text string) map[string]place {
	w := walker{parser: &unstable.Parser{}, text: text, found: map[string]place{}, elements: map[string]int{}}
	w.parser.Reset([]byte(text))
	for w.parser.NextExpression() {
		switch e := w.parser.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			w.table(e)
		case unstable.KeyValue:
			if !w.lost {
				w.keyValue(e, w.prefix, 0)
			}
		}
	}
	return w.found
}

type walker struct {
	parser   *unstable.Parser
	text     string
	found    map[string]place
	elements map[string]int // elements of each [[list]] so far
	prefix   string         // of the table that is being read
	lost     bool           // the table lies too deep
}

func (w *walker) note(path string, p place) {
	if len(w.found) < maxPlaces {
		w.found[path] = p
	}
}

// keys returns the parts of a (dotted) key, where it stands, and whether it is short enough to be followed.
func (w *walker) keys(e *unstable.Node) (parts []string, at diag.Span, ok bool) {
	for it := e.Key(); it.Next(); {
		if len(parts) == maxDepth {
			return nil, at, false
		}
		span := spanOf(it.Node())
		if len(parts) == 0 {
			at = span
		}
		at = at.Join(span)
		parts = append(parts, string(it.Node().Data))
	}
	return parts, at, len(parts) > 0
}

// table moves to the table that a [header] or [[header]] opens.
func (w *walker) table(e *unstable.Node) {
	parts, at, ok := w.keys(e)
	w.lost = !ok
	if !ok {
		return
	}
	w.prefix = ""
	for i, part := range parts {
		w.prefix = join(w.prefix, part)
		last := i == len(parts)-1
		if last && e.Kind == unstable.ArrayTable {
			if w.elements[w.prefix] == 0 {
				w.note(w.prefix, place{key: at, value: at})
			}
			w.elements[w.prefix]++
		}
		if n := w.elements[w.prefix]; n > 0 {
			w.prefix = join(w.prefix, strconv.Itoa(n-1))
		}
		if _, known := w.found[w.prefix]; last || !known {
			w.note(w.prefix, place{key: at, value: at})
		}
	}
}

func (w *walker) keyValue(e *unstable.Node, prefix string, depth int) {
	parts, at, ok := w.keys(e)
	if !ok || depth > maxDepth {
		return
	}
	for i, part := range parts {
		prefix = join(prefix, part)
		if _, known := w.found[prefix]; !known && i < len(parts)-1 {
			w.note(prefix, place{key: at, value: at})
		}
	}
	whole := spanOf(e)
	whole.Start = min(max(whole.Start, at.End), whole.End)
	w.value(e.Value(), prefix, at, trimmed(w.text, whole), depth)
}

// value notes the value of an entry and of everything in it. outer is where it stands when the node itself does not say.
func (w *walker) value(v *unstable.Node, path string, key, outer diag.Span, depth int) {
	at := place{key: key, value: outer}
	if own := spanOf(v); own.End > own.Start && v.Kind != unstable.InlineTable {
		at.value = own
	}
	if v.Kind == unstable.String {
		at.content = contentOf(w.text, at.value)
	}
	w.note(path, at)
	if depth > maxDepth {
		return
	}
	i := 0
	for it := v.Children(); it.Next(); {
		switch child := it.Node(); {
		case child.Kind == unstable.Comment:
		case v.Kind == unstable.InlineTable && child.Kind == unstable.KeyValue:
			w.keyValue(child, path, depth+1)
		case v.Kind == unstable.Array:
			w.value(child, join(path, strconv.Itoa(i)), key, at.value, depth+1)
			i++
		}
	}
}

func spanOf(n *unstable.Node) diag.Span {
	start := int(n.Raw.Offset)
	return diag.Span{Start: start, End: start + int(n.Raw.Length)}
}

// trimmed cuts the equals sign and the blanks from both ends of a span.
func trimmed(text string, s diag.Span) diag.Span {
	part := text[s.Start:s.End]
	left := len(part) - len(strings.TrimLeft(part, " \t="))
	return diag.Span{Start: s.Start + left, End: max(s.Start+left, s.Start+len(strings.TrimRight(part, " \t\r\n")))}
}

// contentOf is where the content of a quoted text begins.
func contentOf(text string, at diag.Span) int {
	quoted := text[at.Start:at.End]
	if !strings.HasPrefix(quoted, `"""`) && !strings.HasPrefix(quoted, `'''`) {
		return min(at.Start+1, at.End)
	}
	rest := quoted[3:]
	switch {
	case strings.HasPrefix(rest, "\n"):
		return at.Start + 4
	case strings.HasPrefix(rest, "\r\n"):
		return at.Start + 5
	}
	return at.Start + 3
}
