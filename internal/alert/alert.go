// Package alert is the alert document: what a rule found, written the way the alerts index of Elastic Security holds it
// (rule-execution.md §4), with the evidence for it under tocsin.alert.*, and the IDs that make writing one twice
// harmless.
//
// An alert is an event of the stream store.AlertStream. It holds the source event, cleaned, the fields kibana.alert.* of
// the alert itself, and a snapshot of the rule. It never changes; what changes about it (status, assignees) is a state
// beside it. Whether an event deserves an alert is decided by package detect, and nothing is written here.
//
//	a := alert.New(alert.Input{Rule: r, Source: e, ID: alert.QueryID("default", r.UUID(), e.Stream, e.ID), Time: slot})
//	a.AppendJSON(nil, alert.Dotted)
package alert

import (
	"slices"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Input is what an alert is made from.
type Input struct {
	Rule *rule.Rule
	// Source is the event that the rule found; it is not changed.
	Source *event.Event
	// ID is the alert's ID: see QueryID, NewTermsID and SuppressedID.
	ID string
	// Time is the alert's @timestamp: the slot of the run, which is its window's nominal end.
	Time time.Time
	// RunID names the run; "" for the one that follows from the rule and Time.
	RunID string
	// Manual says that a person asked for the run, not the schedule.
	Manual bool
	// Version is the version of Tocsin, for kibana.version; "" leaves the field out.
	Version string
	// NewTerms are the values that are new, in the order of the rule's fields; nil for other rule types.
	NewTerms []event.Value
	// Group names the group of events that the alert is about (GroupID); "" for one that is about a single event.
	Group string
	// Threshold is what was counted; nil for other rule types.
	Threshold *Threshold
	// Indicators are those that Source matches; nil for other rule types.
	Indicators *Indicators
	// Suppression is what was folded in; nil where the rule folds nothing.
	Suppression *Suppression
	// Evidence says why; where its ID and Time are not set, they are the Source's.
	Evidence Evidence
}

// space is the one space that alerts live in.
const space = "default"

// New makes the alert. The same Input gives the same document.
func New(in Input) *event.Event {
	a := clean(in.Source)
	a.ID, a.Stream, a.Source = in.ID, store.AlertStream, event.Raw{}
	now := date(in.Time)
	severity, risk, name := overrides(in.Rule, in.Source)

	a.Set("@timestamp", now)
	a.Set("event.kind", event.String("signal"))
	a.Set("kibana.space_ids", event.Strings(space))
	a.SetString("kibana.version", in.Version)
	a.Set("kibana.alert.uuid", event.String(in.ID))
	a.Set("kibana.alert.start", now)
	a.Set(LastDetected, now)
	a.Set("kibana.alert.intended_timestamp", now)
	a.Set("kibana.alert.status", event.String("active"))
	a.Set("kibana.alert.workflow_status", event.String("open"))
	a.Set("kibana.alert.workflow_tags", event.List())
	a.Set("kibana.alert.workflow_assignee_ids", event.List())
	if t, ok := event.Coerce(event.Date, in.Source.Get("@timestamp")); ok {
		a.Set("kibana.alert.original_time", date(t.Time()))
	}

	line, depth := in.ancestry()
	a.Set("kibana.alert.ancestors", event.List(line...))
	a.Set("kibana.alert.depth", event.Int(depth))
	a.Set("kibana.alert.severity", event.String(severity))
	a.Set("kibana.alert.risk_score", risk)
	a.Set("kibana.alert.reason", event.String(reason(in.Source, severity, name)))
	a.SetString("kibana.alert.building_block_type", in.Rule.BuildingBlockType)
	if in.NewTerms != nil {
		a.Set("kibana.alert.new_terms", event.List(plain(in.NewTerms)...))
	}
	a.SetString("kibana.alert.instance.id", in.Group)
	in.Threshold.addTo(a)
	in.Suppression.addTo(a)
	in.Indicators.addTo(a)

	snapshot(a, in.Rule)
	a.Set("kibana.alert.rule.name", event.String(name))
	run := in.RunID
	if run == "" {
		run = rule.UUIDv5(in.Rule.UUID(), event.FormatTime(in.Time))
	}
	a.Set("kibana.alert.rule.execution.uuid", event.String(run))
	a.Set("kibana.alert.rule.execution.timestamp", now)
	a.Set("kibana.alert.rule.execution.type", event.String(kindOfRun(in.Manual)))

	in.Evidence.addTo(a, in)
	return a
}

// Dotted reports whether alerts write path as a dotted key at the top of the document: see event.Event.AppendJSON.
func Dotted(path string) bool {
	return strings.HasPrefix(path, "kibana.") || path == "event.kind"
}

// Raised reports whether the source is an alert that the rule with this UUID raised, or that rests on one: alerting on
// it again would go round in a circle.
func Raised(source *event.Event, ruleUUID string) bool {
	for _, path := range RaisedPaths() {
		for _, v := range source.Values(path) {
			if v.Text() == ruleUUID {
				return true
			}
		}
	}
	return false
}

// RaisedPaths are the paths that Raised reads.
func RaisedPaths() []string { return []string{"kibana.alert.ancestors.rule", "kibana.alert.rule.uuid"} }

// RestsOn returns the UUIDs of the rules that raised e, or that it rests on: those of Raised. There is none for an event.
func RestsOn(e *event.Event) []string {
	var out []string
	for _, path := range RaisedPaths() {
		for _, v := range e.Values(path) {
			out = append(out, v.Text())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// LinePaths are the paths that tell what an alert descends from.
func LinePaths() []string {
	return []string{"kibana.alert.ancestors", "kibana.alert.depth", "kibana.alert.rule.uuid"}
}

// ancestry returns what the alert descends from, and its depth. What was counted stands behind the source of an alert on it,
// which is no event that is stored.
func (in Input) ancestry() (line []event.Value, depth int64) {
	if in.Threshold == nil {
		return ancestry(in.Source)
	}
	line, depth = []event.Value{parentEvent(in.Source)}, 1
	on := slices.Clone(in.Threshold.On)
	slices.SortFunc(on, func(a, b *event.Event) int { return strings.Compare(a.ID, b.ID) })
	seen := map[string]bool{}
	for _, a := range on {
		above, below := ancestry(a)
		depth = max(depth, below)
		for _, v := range above {
			if text := string(v.AppendJSON(nil)); !seen[text] {
				seen[text] = true
				line = append(line, v)
			}
		}
	}
	return line, depth
}

// parentEvent is the ancestor that is an event.
func parentEvent(source *event.Event) event.Value {
	return event.Object(event.Member{Key: "id", Value: event.String(source.ID)}, event.Member{Key: "index", Value: event.String(source.Stream)},
		event.Member{Key: "type", Value: event.String("event")}, event.Member{Key: "depth", Value: event.Int(0)})
}

// ancestry returns what the alert descends from, the source last, and its depth (§4.3).
func ancestry(source *event.Event) (line []event.Value, depth int64) {
	line = append(line, objects(source.Get("kibana.alert.ancestors"))...)
	uuid := source.Text("kibana.alert.rule.uuid")
	if source.Stream != store.AlertStream && uuid == "" {
		return append(line, parentEvent(source)), 1
	}
	parent := []event.Member{
		{Key: "id", Value: event.String(source.ID)},
		{Key: "index", Value: event.String(source.Stream)},
	}
	depth = 1
	if v, ok := event.Coerce(event.Long, source.Get("kibana.alert.depth")); ok {
		depth = v.Int()
	}
	parent = append(parent, event.Member{Key: "type", Value: event.String("signal")},
		event.Member{Key: "depth", Value: event.Int(depth)})
	if uuid != "" {
		parent = append(parent, event.Member{Key: "rule", Value: event.String(uuid)})
	}
	return append(line, event.Object(parent...)), depth + 1
}

// objects returns the objects that v is or holds.
func objects(v event.Value) []event.Value {
	if v.Kind() == event.KindObject {
		return []event.Value{v}
	}
	var out []event.Value
	for _, item := range v.Items() {
		if item.Kind() == event.KindObject {
			out = append(out, item)
		}
	}
	return out
}

// plain returns values as documents carry them: booleans and numbers as they are, everything else as text.
func plain(values []event.Value) []event.Value {
	out := make([]event.Value, len(values))
	for i, v := range values {
		switch v.Kind() {
		case event.KindBool, event.KindInt, event.KindFloat:
			out[i] = v
		default:
			out[i] = event.String(v.Text())
		}
	}
	return out
}

func kindOfRun(manual bool) string {
	if manual {
		return "manual"
	}
	return "scheduled"
}

func date(t time.Time) event.Value { return event.String(event.FormatTime(t)) }
