package rule

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// transform reads the [transform] table.
func transform(t *table) Transform {
	if t == nil {
		return Transform{}
	}
	out := Transform{Investigate: t.objects("investigate", nil), Osquery: t.objects("osquery", nil)}
	t.close()
	return out
}

// of returns the entries of a plug-in.
func (p *Transform) of(plugin string) *[]event.Value {
	if plugin == "osquery" {
		return &p.Osquery
	}
	return &p.Investigate
}

// form is the entries as a table; without any it is empty.
func (p Transform) form() object {
	var o object
	o.add("investigate", list(p.Investigate))
	o.add("osquery", list(p.Osquery))
	return o
}

var placeholder = regexp.MustCompile(`\$(?:\{(investigate|osquery)_([0-9]{1,4})\}|(investigate|osquery)_([0-9]{1,4})\b)`)

// into puts the entries into a guide, which names the n-th entry of a plug-in as $osquery_n: each becomes !{plug-in{…}}
// with its JSON. A name without an entry stays as it is.
func (p Transform) into(note string) string {
	if p.Investigate == nil && p.Osquery == nil {
		return note
	}
	return placeholder.ReplaceAllStringFunc(note, func(found string) string {
		m := placeholder.FindStringSubmatch(found)
		plugin, number := m[1]+m[3], m[2]+m[4]
		n, err := strconv.Atoi(number)
		if entries := *p.of(plugin); err == nil && n < len(entries) {
			return inserted(plugin, entries[n])
		}
		return found
	})
}

// inserted is an entry as it stands in a guide.
func inserted(plugin string, entry event.Value) string {
	return "!{" + plugin + string(entry.AppendJSON(nil)) + "}"
}

var insertion = regexp.MustCompile(`!\{(investigate|osquery)\{`)

// lift takes the entries that were put into a guide out again: a guide with names in their place, and the entries, those
// of known first. Where into would not give the same guide again, nothing is taken out.
func lift(note string, known Transform) (string, Transform) {
	out := Transform{Investigate: known.Investigate, Osquery: known.Osquery}
	var b strings.Builder
	rest := note
	for {
		m := insertion.FindStringSubmatchIndex(rest)
		if m == nil {
			break
		}
		plugin, start := rest[m[2]:m[3]], m[1]-1
		entry, length, ok := leadingObject(rest[start:])
		end := start + length
		if !ok || end >= len(rest) || rest[end] != '}' {
			b.WriteString(rest[:m[1]])
			rest = rest[m[1]:]
			continue
		}
		b.WriteString(rest[:m[0]])
		rest = rest[end+1:]
		form := "$%s_%d"
		if startsWord(rest) {
			form = "${%s_%d}"
		}
		fmt.Fprintf(&b, form, plugin, out.number(plugin, entry))
	}
	b.WriteString(rest)
	if bare := b.String(); out.into(bare) == note {
		return bare, out
	}
	return note, known
}

// number is the place of an entry among those of its plug-in, where it is added if it is new.
func (p *Transform) number(plugin string, entry event.Value) int {
	entries := p.of(plugin)
	for i, e := range *entries {
		if event.Equal(e, entry) {
			return i
		}
	}
	*entries = append((*entries)[:len(*entries):len(*entries)], entry)
	return len(*entries) - 1
}

// startsWord reports whether s begins with what would be read as part of a name before it.
func startsWord(s string) bool {
	return s != "" && (s[0] == '_' || '0' <= s[0] && s[0] <= '9' || 'a' <= s[0]|0x20 && s[0]|0x20 <= 'z')
}

// leadingObject reads the JSON object that s begins with, and its length.
func leadingObject(s string) (event.Value, int, bool) {
	d := jsontext.NewDecoder(strings.NewReader(s))
	v, err := d.ReadValue()
	if err != nil {
		return event.Null(), 0, false
	}
	length := int(d.InputOffset())
	out, err := event.ParseJSON(v)
	return out, length, err == nil
}
