package detect

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// The kinds of the records of what was folded into alerts, both called by the rule's UUID, the alert and what one run
// folded in. FoldKind holds what later runs must know, FoldEventsKind which events they were.
const (
	FoldKind       = "suppressed"
	FoldEventsKind = "suppressed_events"
)

// maxFoldEvents bounds the events that are kept of what one run folds into one alert.
const maxFoldEvents = 1000

// fold is what one run folded into an alert. It is noted once and for all under its name: the same run over the same events
// says the same again, and after late data it takes the place of what was said before.
type fold struct {
	Alert string    `json:"alert"`
	Group string    `json:"group"`
	Name  string    `json:"name"`
	Slot  time.Time `json:"slot"`
	// Covers is where every event of the group belongs to the alert.
	Covers window.Spans `json:"covers,omitempty"`
	First  time.Time    `json:"first"`
	Last   time.Time    `json:"last"`
	// Count is what the alert's count rises by.
	Count int64 `json:"count"`
	// Tuple is a tuple that is new, of new-terms rules.
	Tuple string `json:"tuple,omitempty"`

	events []FoldedEvent
	found  int64 // of which events holds the first
}

// FoldedEvent is an event that was folded into an alert.
type FoldedEvent struct {
	Stream string    `json:"stream"`
	ID     string    `json:"id"`
	Time   time.Time `json:"time"` // in the rule's time field
}

// foldedEvents is the record of kind FoldEventsKind.
type foldedEvents struct {
	Slot   time.Time     `json:"slot"`
	Count  int64         `json:"count"`
	Events []FoldedEvent `json:"events"`
	More   int64         `json:"more,omitempty"` // how many events are not listed
}

// add notes an event of the fold.
func (f *fold) add(e *event.Event, at time.Time) {
	if f.found == 0 || at.Before(f.First) {
		f.First = at
	}
	if f.found == 0 || at.After(f.Last) {
		f.Last = at
	}
	if f.found++; len(f.events) < maxFoldEvents {
		f.events = append(f.events, FoldedEvent{e.Stream, e.ID, at})
	}
}

// less takes an event out of those that are listed.
func (f *fold) less(stream, id string) {
	n := len(f.events)
	f.events = slices.DeleteFunc(f.events, func(e FoldedEvent) bool { return e.ID == id && (stream == "" || e.Stream == stream) })
	f.found -= int64(n - len(f.events))
}

// writes are the records of f.
func (f *fold) writes(rule string) ([]store.RecordWrite, error) {
	id := rule + "/" + f.Alert + "/" + f.Name
	state, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode what is folded into alert %s: %w", f.Alert, err)
	}
	events, err := json.Marshal(foldedEvents{Slot: f.Slot, Count: f.Count, Events: f.events, More: f.found - int64(len(f.events))})
	if err != nil {
		return nil, fmt.Errorf("encode what is folded into alert %s: %w", f.Alert, err)
	}
	return []store.RecordWrite{{Kind: FoldKind, ID: id, Data: state}, {Kind: FoldEventsKind, ID: id, Data: events}}, nil
}

// raised is an alert on a group.
type raised struct {
	id, evidence string
	slot         time.Time // of the run that raised it
	closed       bool
	start, end   time.Time // of what is folded in
	detected     time.Time
	count        int64
}

// groupAlerts are the alerts on one group, and what was folded into them.
type groupAlerts struct {
	raised  []*raised // by slot
	byID    map[string]*raised
	folds   map[string]*fold // by alert and name
	named   map[string]*fold // by name, which is the slot where a run folds a group once
	covered window.Spans     // where the group's events belong to alerts
}

// group returns what was alerted on the group.
func (a *Alerted) group(id string) *groupAlerts {
	g := a.groups[id]
	if g == nil {
		g = &groupAlerts{byID: map[string]*raised{}, folds: map[string]*fold{}, named: map[string]*fold{}}
		a.groups[id] = g
	}
	return g
}

// add notes an alert.
func (g *groupAlerts) add(r *raised) {
	i := sort.Search(len(g.raised), func(i int) bool { return g.raised[i].slot.After(r.slot) })
	g.raised = slices.Insert(g.raised, i, r)
	g.byID[r.id] = r
}

// fold notes what was folded into an alert, and returns what was known of it.
func (g *groupAlerts) fold(f *fold) (before *fold) {
	key := f.Alert + "/" + f.Name
	before = g.folds[key]
	g.folds[key], g.named[f.Name] = f, f
	for _, span := range f.Covers {
		n := len(g.covered)
		switch {
		case n == 0 || g.covered[n-1].To.Add(time.Millisecond).Before(span.From):
			g.covered = append(g.covered, span)
		case !g.covered[n-1].From.After(span.From): // windows come in order as a rule
			if g.covered[n-1].To.Before(span.To) {
				g.covered[n-1].To = span.To
			}
		default:
			g.covered = g.covered.Union(window.NewSpans(span))
		}
	}
	return before
}

// coveredIn is where in span the events of the group belong to alerts.
func (g *groupAlerts) coveredIn(span window.Span) window.Spans {
	i := sort.Search(len(g.covered), func(i int) bool { return !g.covered[i].To.Before(span.From) })
	j := sort.Search(len(g.covered), func(j int) bool { return g.covered[j].From.After(span.To) })
	if i >= j {
		return nil
	}
	return slices.Clone(g.covered[i:j])
}

// coveredBesides is coveredIn without what was folded in under a name.
func (g *groupAlerts) coveredBesides(name string, span window.Span) window.Spans {
	if g.named[name] == nil {
		return g.coveredIn(span)
	}
	var spans []window.Span
	for _, f := range g.folds {
		if f.Name == name {
			continue
		}
		for _, s := range f.Covers {
			if s.Overlaps(span) {
				spans = append(spans, s)
			}
		}
	}
	return window.NewSpans(spans...)
}

// open is the alert that what a run at slot finds of the group is folded into: the newest of the last time, that no one
// closed; nil where it is to be an alert of its own (rule-execution.md §1.11).
func (g *groupAlerts) open(slot time.Time, lasts time.Duration) *raised {
	i := sort.Search(len(g.raised), func(i int) bool { return g.raised[i].slot.After(slot) })
	for i--; i >= 0 && !g.raised[i].slot.Before(slot.Add(-lasts)); i-- {
		if !g.raised[i].closed {
			return g.raised[i]
		}
	}
	return nil
}

// addRaised notes an alert on a group.
func (a *Alerted) addRaised(e *event.Event) {
	group := e.Text(fieldGroup)
	if group == "" {
		return
	}
	g := a.group(group)
	r := &raised{id: e.ID, evidence: e.Text(fieldEvidenceID), slot: instant(e, fieldStart), closed: e.Text(fieldStatus) == "closed",
		start: instant(e, alert.SuppressionStart), end: instant(e, alert.SuppressionEnd), detected: instant(e, alert.LastDetected)}
	n, _ := event.Coerce(event.Long, e.Get(alert.SuppressionCount))
	r.count = n.Int()
	g.add(r)
	if e.Get(fieldWindow).IsNull() {
		return
	}
	// What a threshold rule counted for an alert is not counted again.
	last := instant(e, fieldEvidence)
	f := &fold{Alert: e.ID, Group: group, Slot: r.slot, Covers: window.NewSpans(window.Span{From: instant(e, fieldWindow), To: last}), Last: last}
	g.fold(f)
}

// LoadFolds reads what was folded into the alerts of the rule with this UUID.
func (a *Alerted) LoadFolds(ctx context.Context, records store.Records, uuid string) error {
	prefix := uuid + "/"
	err := eachFold(ctx, records, FoldKind, prefix, func(r store.Record) error {
		var f fold
		if err := json.Unmarshal(r.Data, &f); err != nil {
			return err
		}
		a.addFold(&f)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read what is folded into the alerts of rule %s: %w", uuid, err)
	}
	return nil
}

// foldPage is how many records are read at a time.
const foldPage = 1000

func eachFold(ctx context.Context, records store.Records, kind, prefix string, f func(store.Record) error) error {
	for after := prefix; ; {
		list, err := records.List(ctx, kind, after, foldPage)
		if err != nil {
			return err
		}
		for _, r := range list {
			if !strings.HasPrefix(r.ID, prefix) {
				return nil
			}
			if err := f(r); err != nil {
				return fmt.Errorf("%s %s: %w", kind, r.ID, err)
			}
			after = r.ID
		}
		if len(list) < foldPage {
			return nil
		}
	}
}

// addFold notes what was folded into an alert, and returns what was known of it.
func (a *Alerted) addFold(f *fold) (before *fold) {
	before = a.group(f.Group).fold(f)
	if tuple, ok := parseTuple(f.Tuple); ok {
		a.episodes[tuple] = append(a.episodes[tuple], &episode{alert: f.Alert, tuple: tuple, evidence: f.First})
	}
	return before
}

// take notes the folds of a run at slot that raised the alerts made, and returns what is to be stored of them.
func (a *Alerted) take(folds []*fold, rule string, made []*event.Event, slot time.Time) ([]store.AlertState, []store.RecordWrite, error) {
	counted := map[string]bool{} // their documents say it already
	for _, e := range made {
		counted[e.ID] = true
	}
	var records []store.RecordWrite
	var changed []*raised
	for _, f := range folds {
		writes, err := f.writes(rule)
		if err != nil {
			return nil, nil, err
		}
		records = append(records, writes...)
		before := a.addFold(f)
		f.events = nil
		r := a.group(f.Group).byID[f.Alert]
		if r == nil || counted[r.id] {
			continue
		}
		r.count += f.Count
		if before != nil {
			r.count -= before.Count
		}
		if f.First.Before(r.start) && r.slot.Equal(f.Slot) {
			r.start = f.First
		}
		if f.Last.After(r.end) {
			r.end = f.Last
		}
		if slot.After(r.detected) {
			r.detected = slot
		}
		if !slices.Contains(changed, r) {
			changed = append(changed, r)
		}
	}
	var states []store.AlertState
	for _, r := range changed {
		set := func(path string, v event.Value) {
			states = append(states, store.AlertState{Alert: r.id, Path: path, Value: v})
		}
		set(alert.SuppressionCount, event.Int(r.count))
		set(alert.SuppressionStart, event.String(event.FormatTime(r.start)))
		set(alert.SuppressionEnd, event.String(event.FormatTime(r.end)))
		set(alert.LastDetected, event.String(event.FormatTime(r.detected)))
	}
	return states, records, nil
}

// Folded is what one run folded into an alert.
type Folded struct {
	// Slot is the run.
	Slot time.Time
	// Count is what the alert's count rose by.
	Count int64
	// Events are the events, oldest first, More how many others there are.
	Events []FoldedEvent
	More   int64
}

// FoldedInto returns what was folded into an alert of the rule with this UUID, by run.
func FoldedInto(ctx context.Context, records store.Records, uuid, alertID string) ([]Folded, error) {
	var out []Folded
	err := eachFold(ctx, records, FoldEventsKind, uuid+"/"+alertID+"/", func(r store.Record) error {
		var f foldedEvents
		if err := json.Unmarshal(r.Data, &f); err != nil {
			return err
		}
		out = append(out, Folded(f))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what is folded into alert %s: %w", alertID, err)
	}
	slices.SortStableFunc(out, func(a, b Folded) int { return a.Slot.Compare(b.Slot) })
	return out, nil
}
