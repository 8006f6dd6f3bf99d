package rule

import (
	"regexp"
	"strconv"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// plugins holds what a file's [transform] table adds to its guide, by plug-in: the guide names the n-th entry of a
// plug-in as $osquery_n.
type plugins map[string][]event.Value

// transform reads the [transform] table.
func transform(t *table) plugins {
	if t == nil {
		return nil
	}
	out := plugins{"investigate": t.objects("investigate"), "osquery": t.objects("osquery")}
	t.close()
	return out
}

var placeholder = regexp.MustCompile(`\$(?:\{(investigate|osquery)_([0-9]{1,4})\}|(investigate|osquery)_([0-9]{1,4})\b)`)

// into puts the entries into the note, each as !{plug-in{…}} with its JSON. A name without an entry stays as it is.
func (p plugins) into(note string) string {
	if p == nil {
		return note
	}
	return placeholder.ReplaceAllStringFunc(note, func(found string) string {
		m := placeholder.FindStringSubmatch(found)
		plugin, number := m[1]+m[3], m[2]+m[4]
		n, err := strconv.Atoi(number)
		if err != nil || n >= len(p[plugin]) {
			return found
		}
		return "!{" + plugin + string(p[plugin][n].AppendJSON(nil)) + "}"
	})
}
