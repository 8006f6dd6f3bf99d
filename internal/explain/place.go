package explain

import (
	"strings"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Original makes of an alert the event that it was made on, as far as the alert tells: its ID, its stream and its time. An event
// stays as it is, and so does an alert where the rule reads alerts.
func Original(p *detect.Program, e *event.Event) {
	if e.Get(pathRuleUUID).IsNull() {
		return
	}
	if p.OnAlerts() {
		e.Stream = store.AlertStream
		return
	}
	for _, v := range e.Get(pathAncestors).Items() {
		if v.Member("type").Text() != "event" {
			continue
		}
		if id := v.Member("id").Text(); id != "" {
			e.ID = id
		}
		if stream := v.Member("index").Text(); stream != "" {
			e.Stream = stream
		}
		break
	}
	if at := e.Get("kibana.alert.original_time"); !at.IsNull() {
		e.Set(plan.Timestamp, at)
	}
	// What the alert says of itself is none of the event's: the rule that made it may be the one that is asked about.
	for _, f := range e.Clone().Fields() {
		if strings.HasPrefix(f.Path, "kibana.alert.") {
			e.Set(f.Path, event.Null())
		}
	}
}

// Place is the stream that an event which names none is taken to lie in: one that the rule reads, the first of its patterns with
// default for the star. It is "" where that is none that events land in.
func Place(p *detect.Program) string {
	for _, pattern := range p.Streams() {
		name := strings.ReplaceAll(pattern, "*", "default")
		if store.Selects(p.Streams(), name) && !strings.HasPrefix(name, ".") && !strings.Contains(name, ":") {
			return name
		}
	}
	return ""
}
