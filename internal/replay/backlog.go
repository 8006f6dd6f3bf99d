package replay

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/schedule"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// The kinds of the records of what windows left out. There is one PendingKind for each window that left alerts out: running
// it once more makes them, as it is the same events that are looked at and what was alerted on is known, so a record has one
// size whatever was left out. PendingRuleKind holds the rule, once for all its windows. A record goes away in the commit
// that holds the last of its alerts.
const (
	PendingKind     = "pending"
	PendingRuleKind = "pending_rule"
)

// leftOut is a window that left alerts out.
type leftOut struct {
	Slot   time.Time      `json:"slot"`
	Clamp  schedule.Clamp `json:"clamp,omitzero"` // where it was cut
	From   time.Time      `json:"from"`           // what it looked at
	To     time.Time      `json:"to"`
	Alerts int            `json:"left_out"` // at most: what a neighbour found since is taken off where it is seen
	Since  time.Time      `json:"since"`    // the time of the first event of these

	version int64     // of the record; 0: there is none
	done    bool      // nothing is left
	ran     bool      // in this replay
	now     time.Time // Since, to another program than the one that left it out
}

func newLeftOut(slot time.Time, w window.Window, clamp schedule.Clamp, result detect.Result) *leftOut {
	l := &leftOut{Slot: slot, From: w.From, To: w.To, Alerts: result.Over, Since: result.Since, done: result.Over == 0}
	if w.Clamped { // a cut that leaves the window whole is none
		l.Clamp.From = w.From
	}
	if clamp.To.Equal(w.To) {
		l.Clamp.To = w.To
	}
	return l
}

// id names the record; those of a program stand together, by slot.
func (l *leftOut) id(program string) string {
	cut := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return event.FormatTime(t)
	}
	return strings.Join([]string{program, event.FormatTime(l.Slot), cut(l.Clamp.From), cut(l.Clamp.To)}, "/")
}

// keptRule is the record of the rule.
type keptRule struct {
	RuleID string          `json:"rule_id"`
	Fields string          `json:"fields"` // Options.Fields of the replay
	Rule   json.RawMessage `json:"rule"`
	// Excepted says that it ran with exceptions or indicators which stay in their files.
	Excepted bool `json:"excepted,omitempty"`
}

// backlog is what the windows of a program left out. It is not safe for concurrent use.
type backlog struct {
	program string
	rule    []byte               // the record of the rule
	stored  bool                 // there is one
	windows map[int64][]*leftOut // by slot, in milliseconds
	changed map[*leftOut]bool    // is not as it is stored
	recent  []*leftOut           // that the windows left out which ran last, by slot
}

// backlogPage is how many records are read at a time.
const backlogPage = 1000

// eachRecord calls f with each record of a kind whose ID begins with prefix, in order.
func eachRecord(ctx context.Context, records store.Records, kind, prefix string, f func(store.Record) error) error {
	for after := prefix; ; {
		list, err := records.List(ctx, kind, after, backlogPage)
		if err != nil {
			return fmt.Errorf("read what is pending: %w", err)
		}
		for _, r := range list {
			if !strings.HasPrefix(r.ID, prefix) {
				return nil
			}
			if err := f(r); err != nil {
				return fmt.Errorf("decode %s %s: %w", kind, r.ID, err)
			}
			after = r.ID
		}
		if len(list) < backlogPage {
			return nil
		}
	}
}

func eachLeftOut(ctx context.Context, records store.Records, program string, f func(*leftOut)) error {
	return eachRecord(ctx, records, PendingKind, program+"/", func(r store.Record) error {
		l := &leftOut{version: r.Version}
		if err := json.Unmarshal(r.Data, l); err != nil {
			return err
		}
		f(l)
		return nil
	})
}

// openBacklog reads what is pending of a program, which is called id; its rule and fields are kept beside it once there is
// something.
func openBacklog(ctx context.Context, records store.Records, id string, p *detect.Program, fields string) (*backlog, error) {
	r := p.Rule
	b := &backlog{program: id, windows: map[int64][]*leftOut{}, changed: map[*leftOut]bool{}}
	kept, err := r.Keep()
	if err != nil {
		return nil, fmt.Errorf("keep rule %s: %w", r.RuleID, err)
	}
	if b.rule, err = json.Marshal(keptRule{RuleID: r.RuleID, Fields: fields, Rule: kept, Excepted: p.Excepted() || p.FromFiles()}); err != nil {
		return nil, fmt.Errorf("keep rule %s: %w", r.RuleID, err)
	}
	err = eachLeftOut(ctx, records, id, func(l *leftOut) {
		b.add(l)
		b.stored = true
	})
	return b, err
}

func (b *backlog) add(l *leftOut) {
	slot := l.Slot.UnixMilli()
	b.windows[slot] = append(b.windows[slot], l)
}

// left returns what is left, the oldest window first.
func (b *backlog) left() []*leftOut {
	var out []*leftOut
	for _, slot := range slices.Sorted(maps.Keys(b.windows)) {
		for _, l := range b.windows[slot] {
			if !l.done {
				out = append(out, l)
			}
		}
	}
	return out
}

// ran notes what the run of a window left out, perhaps nothing, in place of what earlier runs of the same slot did that
// looked at no more. An earlier run that looked at more goes on to stand for both.
func (b *backlog) ran(l *leftOut, found []*event.Event) {
	b.foundBesides(l, found)
	for _, earlier := range b.windows[l.Slot.UnixMilli()] {
		switch {
		case earlier.done:
		case earlier.Clamp == l.Clamp:
			*earlier, l = leftOut{Slot: l.Slot, Clamp: l.Clamp, From: l.From, To: l.To, Alerts: l.Alerts, Since: l.Since,
				version: earlier.version, done: l.done, ran: true}, earlier
			b.changed[l] = true
			b.note(l)
			return
		case earlier.Clamp.Within(l.Clamp):
			earlier.done = true
			b.changed[earlier] = true
		case l.Clamp.Within(earlier.Clamp):
			if l.done {
				continue
			}
			earlier.Alerts = max(earlier.Alerts, l.Alerts)
			if l.Since.Before(earlier.Since) {
				earlier.Since = l.Since
			}
			b.changed[earlier] = true
			l.done = true
		}
	}
	if !l.done {
		l.ran = true
		b.add(l)
		b.changed[l] = true
		b.note(l)
	}
}

// note remembers l as the last that ran.
func (b *backlog) note(l *leftOut) {
	if !l.done {
		b.recent = append(b.recent, l)
	}
}

// foundBesides takes off what the run of a later window found of what earlier ones left out: their windows overlap.
func (b *backlog) foundBesides(l *leftOut, found []*event.Event) {
	b.recent = slices.DeleteFunc(b.recent, func(e *leftOut) bool { return e.done || e.To.Before(l.From) || !e.Slot.Before(l.Slot) })
	if len(b.recent) == 0 {
		return
	}
	for _, a := range found {
		at, ok := event.Coerce(event.Date, a.Get(evidenceTime))
		if !ok || alert.IsBlock(a) {
			continue
		}
		for _, e := range b.recent {
			if t := at.Time(); e.Alerts > 0 && !t.Before(e.From) && !t.After(e.To) {
				e.Alerts--
				b.changed[e] = true
			}
		}
	}
}

// evidenceTime is the field of an alert that holds the time of the event that it is about, in the rule's time field.
const evidenceTime = "tocsin.alert.evidence_time"

// writes returns the records to commit, which count as stored then.
func (b *backlog) writes() ([]store.RecordWrite, error) {
	var out []store.RecordWrite
	for l := range b.changed {
		write := store.RecordWrite{Kind: PendingKind, ID: l.id(b.program), IfVersion: l.version}
		switch {
		case l.done && l.version == 0: // it never was stored
			b.drop(l)
			continue
		case l.done:
			b.drop(l)
		default:
			var err error
			if write.Data, err = json.Marshal(l); err != nil {
				return nil, fmt.Errorf("encode pending %s: %w", write.ID, err)
			}
			if l.version == 0 {
				write.IfVersion = -1
			}
			l.version++
		}
		out = append(out, write)
	}
	clear(b.changed)
	slices.SortFunc(out, func(x, y store.RecordWrite) int { return strings.Compare(x.ID, y.ID) })
	switch kept := (store.RecordWrite{Kind: PendingRuleKind, ID: b.program}); {
	case len(b.windows) > 0 && !b.stored:
		kept.Data = b.rule
		out = append([]store.RecordWrite{kept}, out...)
	case len(b.windows) == 0 && b.stored:
		out = append(out, kept)
	}
	b.stored = len(b.windows) > 0
	return out, nil
}

func (b *backlog) drop(l *leftOut) {
	slot := l.Slot.UnixMilli()
	b.windows[slot] = slices.DeleteFunc(b.windows[slot], func(o *leftOut) bool { return o == l })
	if len(b.windows[slot]) == 0 {
		delete(b.windows, slot)
	}
}

// size is how many alerts are left out, in how many windows.
func (b *backlog) size() (alerts, windows int) {
	for _, l := range b.left() {
		alerts += l.Alerts
		windows++
	}
	return alerts, windows
}
