package alert

import (
	"fmt"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// FeedName is the field of an indicator that names where it comes from, Enrichments that of an alert that holds the
// indicators which its event matches.
const (
	FeedName    = "threat.feed.name"
	Enrichments = "threat.enrichments"
)

// Indicators are what an event was found to match.
type Indicators struct {
	// Path is where an indicator is described.
	Path  string
	Found []Indicator
	// More says that there are others, which are not named.
	More bool
}

// Indicator is one that matches.
type Indicator struct {
	ID, Stream string
	Document   *event.Event
	Matches    []Match
}

// Match is a field of the event, and its value that is the indicator's.
type Match struct {
	Field string
	Value event.Value
}

// addTo adds what is known of the indicators to what the event says itself (rule-execution.md §3.2).
func (t *Indicators) addTo(a *event.Event) {
	if t == nil || len(t.Found) == 0 {
		return
	}
	list := objectsAt(a, Enrichments)
	for _, i := range t.Found {
		for _, m := range i.Matches {
			var o, matched object
			if described := objectsAt(i.Document, t.Path); len(described) > 0 {
				o.value("indicator", described[0])
			}
			if name := at(i.Document, FeedName); !name.IsNull() {
				o.value("feed", event.Object(event.Member{Key: "name", Value: name}))
			}
			matched.value("atomic", plain([]event.Value{m.Value})[0])
			matched.text("field", m.Field)
			matched.text("id", i.ID)
			matched.text("index", i.Stream)
			matched.text("type", "indicator_match_rule")
			o.value("matched", event.Object(matched...))
			list = append(list, event.Object(o...))
		}
	}
	remove(a, Enrichments)
	a.Set(Enrichments, event.List(list...))
	a.Set("tocsin.alert.why", event.String(t.sentence()))
}

// sentence says in one line what matches: "source.ip 203.0.113.7 is an indicator of Example Feed".
func (t *Indicators) sentence() string {
	first := t.Found[0]
	of := at(first.Document, FeedName).Text()
	if of == "" {
		of = first.Stream
	}
	var parts []string
	for _, m := range first.Matches {
		parts = append(parts, m.Field+" "+plain([]event.Value{m.Value})[0].Text())
	}
	said := fmt.Sprintf("%s is an indicator of %s", strings.Join(parts, ", "), of)
	switch {
	case t.More:
		return fmt.Sprintf("%s, and of more than %d others: the newest %d are kept", said, len(t.Found)-1, len(t.Found))
	case len(t.Found) == 2:
		return said + ", and there is one more"
	case len(t.Found) > 2:
		return fmt.Sprintf("%s, and there are %d more", said, len(t.Found)-1)
	}
	return said
}

// objectsAt returns the objects at path, whose members may be entries of their own.
func objectsAt(e *event.Event, path string) []event.Value {
	out := objects(at(e, path))
	below := &event.Event{}
	for _, f := range e.Fields() {
		if rest, ok := strings.CutPrefix(f.Path, path+"."); ok {
			below.Set(rest, f.Value)
		}
	}
	if len(below.Fields()) > 0 {
		if whole, err := event.ParseJSON(below.AppendJSON(nil, nil)); err == nil {
			out = append(out, whole)
		}
	}
	return out
}

// remove takes away what stands at path and below.
func remove(e *event.Event, path string) {
	var gone []string
	for _, f := range e.Fields() {
		if f.Path == path || strings.HasPrefix(f.Path, path+".") {
			gone = append(gone, f.Path)
		}
	}
	for _, p := range gone {
		e.Set(p, event.Null())
	}
}
