package alert

import (
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// Term is a field by which a rule groups events, and what a group has there: a value, the list of all values of an event,
// or null for none.
type Term struct {
	Field string
	Value event.Value
}

// Threshold is what a threshold rule counted in one group of events.
type Threshold struct {
	Terms []Term
	Count int64
	// From is the time of the first event that was counted.
	From time.Time
	// Different is how many values Field had; "" where the rule does not ask.
	Field     string
	Different int64
	// Window is where the window began that was looked at.
	Window time.Time
	// Events are the IDs of the last events that were counted, the last one first.
	Events []string
	// On are alerts that were counted, in any order and perhaps more than once: the alert descends from them, too.
	On []*event.Event
}

// Suppression is what is folded into an alert.
type Suppression struct {
	Terms []Term
	// Start and End are the times of the first and the last of the events, the alert's own among them.
	Start, End time.Time
	// Count is how many others are folded in.
	Count int64
}

// The fields that say what is folded into an alert; later runs change them beside the alert.
const (
	SuppressionCount = "kibana.alert.suppression.docs_count"
	SuppressionStart = "kibana.alert.suppression.start"
	SuppressionEnd   = "kibana.alert.suppression.end"
	LastDetected     = "kibana.alert.last_detected"
)

func (t *Threshold) addTo(a *event.Event) {
	if t == nil {
		return
	}
	const result = "kibana.alert.threshold_result."
	a.Set(result+"terms", termList(t.Terms))
	a.Set(result+"count", event.Int(t.Count))
	a.Set(result+"from", date(t.From))
	if t.Field != "" {
		a.Set(result+"cardinality", termList([]Term{{t.Field, event.Int(t.Different)}}))
	}
	a.Set("tocsin.alert.window.from", date(t.Window))
	a.Set("tocsin.alert.evidence_ids", event.Strings(t.Events...))
}

func (s *Suppression) addTo(a *event.Event) {
	if s == nil {
		return
	}
	a.Set("kibana.alert.suppression.terms", termList(s.Terms))
	a.Set(SuppressionStart, date(s.Start))
	a.Set(SuppressionEnd, date(s.End))
	a.Set(SuppressionCount, event.Int(s.Count))
}

func termList(terms []Term) event.Value {
	list := make([]event.Value, len(terms))
	for i, t := range terms {
		v := t.Value
		switch {
		case v.Kind() == event.KindList:
			v = event.List(plain(v.Items())...)
		case !v.IsNull():
			v = plain([]event.Value{v})[0]
		}
		list[i] = event.Object(event.Member{Key: "field", Value: event.String(t.Field)}, event.Member{Key: "value", Value: v})
	}
	return event.List(list...)
}

// GroupID names a group of a rule: the same terms give the same ID, in any run.
func GroupID(space, ruleUUID string, terms []Term) string {
	parts := []string{"tocsin.group", space, ruleUUID}
	for _, t := range terms {
		parts = append(parts, t.Field, string(t.Value.AppendJSON(nil)))
	}
	return framed(parts...)
}

// SuppressedID is the ID of the alert that a rule raises on a group of events of its own in the run at slot.
func SuppressedID(space, ruleUUID, group string, slot time.Time) string {
	return framed("tocsin.suppressed", space, ruleUUID, group, event.FormatTime(slot))
}

// thresholdNamespace is what the IDs of the events are made in that stand for what a threshold rule counted
// (rule-execution.md §1.7).
const thresholdNamespace = "0684ec03-7201-4ee0-8ee0-3a3f6b2479b2"

// ThresholdSource is the ID of the event that stands for what a threshold rule counted in the run at slot. An alert of the
// rule is then raised on it as on any event (QueryID). again tells one from another of the same run and terms, "" for the
// first.
func ThresholdSource(r *rule.Rule, slot time.Time, terms []Term, again string) string {
	name := r.RuleID + event.FormatTime(slot)
	for i, t := range terms {
		if i > 0 {
			name += ","
		}
		name += t.Field
	}
	for i, t := range terms {
		if i > 0 {
			name += ","
		}
		name += t.Value.Text()
	}
	return rule.UUIDv5(thresholdNamespace, name+again)
}
