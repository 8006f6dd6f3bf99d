package alert

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// BuildingBlock is the kibana.alert.building_block_type of an alert that others are made of; GroupIndex is its place
// among those of one group, GroupAlerts what they share.
const (
	BuildingBlock = "default"
	GroupAlerts   = "kibana.alert.group.id"
	GroupIndex    = "kibana.alert.group.index"
)

// SequenceID is the ID of the alert that a rule raises on events that belong together: the same events in the same order
// alert once for each rule, whichever run finds them.
func SequenceID(space, ruleUUID string, events []*event.Event) string {
	parts := []string{"tocsin.sequence", space, ruleUUID}
	for _, e := range events {
		parts = append(parts, e.Stream, e.ID)
	}
	return framed(parts...)
}

// IsBlock reports whether a is a building block of the alert on a sequence.
func IsBlock(a *event.Event) bool { return !a.Get(GroupIndex).IsNull() }

// NewSequence makes the alerts on events that belong together, at least one (rule-execution.md §3.3): a building block on
// each, in their order, and one more, the shell, on what all of them have. in says what the alerts share, with the shell's
// ID (SequenceID); its Source is not looked at. A rule's overrides change none of them.
//
// The shell's original_time, and its evidence where in has none, are those of the last event.
func NewSequence(in Input, events []*event.Event) (shell *event.Event, blocks []*event.Event) {
	var line []event.Value
	var ids []string
	depth := int64(0)
	for i, e := range events {
		block := New(Input{Rule: in.Rule, Source: e, ID: framed("tocsin.sequence.block", in.ID, strconv.Itoa(i)),
			Time: in.Time, RunID: in.RunID, Manual: in.Manual, Version: in.Version})
		block.Set("kibana.alert.building_block_type", event.String(BuildingBlock))
		block.Set(GroupAlerts, event.String(in.ID))
		block.Set(GroupIndex, event.Int(int64(i)))
		withoutOverrides(block, in, e)
		blocks, ids = append(blocks, block), append(ids, e.ID)

		above, below := ancestry(block)
		line, depth = append(line, above...), max(depth, below)
	}
	last := events[len(events)-1]
	in.Source = Shared(events)
	if in.Evidence.ID == "" {
		in.Evidence.ID = last.ID
	}
	if t, ok := in.Rule.TimeField().Of(last); ok && in.Evidence.Time.IsZero() {
		in.Evidence.Time = t
	}
	shell = New(in)
	withoutOverrides(shell, in, in.Source)
	shell.Set(GroupAlerts, event.String(in.ID))
	shell.Set("kibana.alert.ancestors", event.List(line...))
	shell.Set("kibana.alert.depth", event.Int(depth))
	shell.Set("kibana.alert.original_time", event.Null())
	if t, ok := event.Coerce(event.Date, last.Get("@timestamp")); ok {
		shell.Set("kibana.alert.original_time", date(t.Time()))
	}
	shell.Set("tocsin.alert.evidence_ids", event.Strings(ids...))
	return shell, blocks
}

// withoutOverrides names and weighs an alert as its rule does (§1.9: sequences take nothing from their events).
func withoutOverrides(a *event.Event, in Input, source *event.Event) {
	r := in.Rule
	a.Set("kibana.alert.severity", event.String(r.Severity))
	a.Set("kibana.alert.risk_score", event.Int(int64(r.RiskScore)))
	a.Set("kibana.alert.rule.name", event.String(r.Name))
	a.Set("kibana.alert.reason", event.String(reason(source, r.Severity, r.Name)))
}

// Shared returns what all of events have: equal values, of lists the elements that each holds, of objects the members. It
// has no ID and no stream.
func Shared(events []*event.Event) *event.Event {
	out := &event.Event{}
	for _, f := range events[0].Fields() {
		v, ok := f.Value, !isOwned(f.Path)
		for _, e := range events[1:] {
			if !ok {
				break
			}
			v, ok = common(v, e.Get(f.Path))
		}
		if ok {
			out.Set(f.Path, v)
		}
	}
	return out
}

// common is what two values have in common; false for nothing. Of lists that may be the empty list.
func common(a, b event.Value) (event.Value, bool) {
	switch {
	case a.IsNull() || b.IsNull():
		return a, false
	case a.Kind() == event.KindList || b.Kind() == event.KindList:
		kept := []event.Value{}
		for _, v := range elements(a) {
			if slices.ContainsFunc(elements(b), func(w event.Value) bool { return same(v, w) }) {
				kept = append(kept, v)
			}
		}
		return event.List(kept...), true
	case a.Kind() == event.KindObject && b.Kind() == event.KindObject:
		var kept []event.Member
		for _, m := range a.Members() {
			if v, ok := common(m.Value, b.Member(m.Key)); ok {
				kept = append(kept, event.Member{Key: m.Key, Value: v})
			}
		}
		return event.Object(kept...), len(kept) > 0
	}
	return a, same(a, b)
}

func elements(v event.Value) []event.Value {
	if v.Kind() == event.KindList {
		return v.Items()
	}
	return []event.Value{v}
}

func same(a, b event.Value) bool { return bytes.Equal(a.AppendJSON(nil), b.AppendJSON(nil)) }
