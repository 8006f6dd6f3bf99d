// Package schedule keeps the account of when rules ran: which windows of which rule were run, which were found empty,
// and which are dirty because events landed in them afterwards.
//
// It decides when, not what: detect runs a window, replay and the live scheduler ask the ledger which ones are left.
//
//	ledger, err := schedule.Open(ctx, records, program.ID(), interval)
//	if ledger.State(slot, span, clamp, landed) != schedule.Clean { … }
//	ledger.Ran(slot, at.Seq, empty, clamp)
//	write, err := ledger.Write()                 // into the Change that holds the alerts
package schedule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/tocsin-sec/tocsin/internal/store"
)

// LedgerKind is the kind of the records that hold ledgers, one for each rule as it was compiled: a changed rule has run
// no window yet.
const LedgerKind = "windows"

// Ledger is the account of one compiled rule. It is not safe for concurrent use.
type Ledger struct {
	id       string
	interval time.Duration
	version  int64
	runs     []Run
}

// Run is a stretch of neighbouring slots that ran alike.
type Run struct {
	// From and To are the first and the last slot.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Seq is the snapshot that the windows were read at.
	Seq uint64 `json:"seq"`
	// Empty says that no event of the windows matched.
	Empty bool `json:"empty,omitempty"`
	// Clamp is the stretch that the windows were cut to; the zero times cut nothing.
	Clamp Clamp `json:"clamp,omitzero"`
}

// Clamp cuts windows at either end; a zero time cuts nothing.
type Clamp struct {
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
}

// within reports whether a window cut by c lies in the window of the same slot cut by d.
func (c Clamp) within(d Clamp) bool {
	return (d.From.IsZero() || !c.From.IsZero() && !c.From.Before(d.From)) &&
		(d.To.IsZero() || !c.To.IsZero() && !c.To.After(d.To))
}

type ledgerRecord struct {
	Interval string `json:"interval"`
	Runs     []Run  `json:"runs"`
}

// Open reads the ledger named id, for slots interval apart; an unknown one is empty.
func Open(ctx context.Context, records store.Records, id string, interval time.Duration) (*Ledger, error) {
	l := &Ledger{id: id, interval: interval}
	r, err := records.Get(ctx, LedgerKind, id)
	if errors.Is(err, store.ErrNotFound) {
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the windows of %s: %w", id, err)
	}
	var rec ledgerRecord
	if err := json.Unmarshal(r.Data, &rec); err != nil {
		return nil, fmt.Errorf("decode the windows of %s: %w", id, err)
	}
	if rec.Interval != interval.String() {
		return nil, fmt.Errorf("the windows of %s are %s apart, not %s", id, rec.Interval, interval)
	}
	l.runs, l.version = rec.Runs, r.Version
	return l, nil
}

// Write returns the record that stores the ledger, to be committed with what the runs found. The version that it asks
// for is the one that Open or the last Write left, so two processes cannot both write.
func (l *Ledger) Write() (store.RecordWrite, error) {
	data, err := json.Marshal(ledgerRecord{Interval: l.interval.String(), Runs: l.runs})
	if err != nil {
		return store.RecordWrite{}, fmt.Errorf("encode the windows of %s: %w", l.id, err)
	}
	w := store.RecordWrite{Kind: LedgerKind, ID: l.id, Data: data, IfVersion: l.version}
	if l.version == 0 {
		w.IfVersion = -1
	}
	l.version++
	return w, nil
}

// Runs returns what ran, sorted by slot.
func (l *Ledger) Runs() []Run { return l.runs }

// Ran notes that the window of slot was run at seq, cut by clamp; empty says that nothing in it matched. A later run of
// the same slot takes the place of the earlier.
func (l *Ledger) Ran(slot time.Time, seq uint64, empty bool, clamp Clamp) {
	run := Run{From: slot, To: slot, Seq: seq, Empty: empty, Clamp: clamp}
	at := sort.Search(len(l.runs), func(i int) bool { return !l.runs[i].To.Before(slot) })
	if at < len(l.runs) && !l.runs[at].From.After(slot) {
		l.cut(at, slot)
		at = sort.Search(len(l.runs), func(i int) bool { return !l.runs[i].To.Before(slot) })
	}
	if at > 0 && l.joins(l.runs[at-1], run) {
		l.runs[at-1].To = slot
		if at < len(l.runs) && l.joins(l.runs[at-1], l.runs[at]) {
			l.runs[at-1].To = l.runs[at].To
			l.runs = append(l.runs[:at], l.runs[at+1:]...)
		}
		return
	}
	if at < len(l.runs) && l.joins(run, l.runs[at]) {
		l.runs[at].From = slot
		return
	}
	l.runs = append(l.runs, Run{})
	copy(l.runs[at+1:], l.runs[at:])
	l.runs[at] = run
}

// cut takes slot out of the run at i, which holds it.
func (l *Ledger) cut(i int, slot time.Time) {
	before, after := l.runs[i], l.runs[i]
	before.To, after.From = slot.Add(-l.interval), slot.Add(l.interval)
	var parts []Run
	if !before.To.Before(before.From) {
		parts = append(parts, before)
	}
	if !after.To.Before(after.From) {
		parts = append(parts, after)
	}
	l.runs = append(l.runs[:i], append(parts, l.runs[i+1:]...)...)
}

// joins reports whether b goes on where a ends and ran alike.
func (l *Ledger) joins(a, b Run) bool {
	return a.To.Add(l.interval).Equal(b.From) && a.Seq == b.Seq && a.Empty == b.Empty &&
		a.Clamp.within(b.Clamp) && b.Clamp.within(a.Clamp)
}

// State is what the ledger knows of a window.
type State uint8

// The states.
const (
	Never State = iota // not run, or only a smaller cut of it
	Clean              // run, and nothing landed in it since
	Dirty              // run, and events landed in it since
)

// Landed is a stretch of time in which events landed with the commit Seq, in the time field of the rule.
type Landed struct {
	Seq uint64
	store.Span
}

// State returns the state of the window of slot, which reads events of span (cut by clamp already). landed must hold what
// landed in the streams of the rule, in any order.
func (l *Ledger) State(slot time.Time, span store.Span, clamp Clamp, landed []Landed) State {
	at := sort.Search(len(l.runs), func(i int) bool { return !l.runs[i].To.Before(slot) })
	if at == len(l.runs) || l.runs[at].From.After(slot) || !clamp.within(l.runs[at].Clamp) {
		return Never
	}
	for _, d := range landed {
		if d.Seq > l.runs[at].Seq && !d.From.After(span.To) && !d.To.Before(span.From) {
			return Dirty
		}
	}
	return Clean
}

// Oldest is the least snapshot that a window of the ledger was read at; 0 where none was.
func (l *Ledger) Oldest() uint64 {
	var oldest uint64
	for i, r := range l.runs {
		if i == 0 || r.Seq < oldest {
			oldest = r.Seq
		}
	}
	return oldest
}

// Landings reads what landed after the commit seq in the streams that patterns name, in the rule's time field: ingested
// says that it is event.ingested, else @timestamp.
func Landings(ctx context.Context, records store.Records, seq uint64, patterns []string, ingested bool) ([]Landed, error) {
	const page = 1000
	var out []Landed
	for after := store.LandingID(seq+1, ""); ; {
		list, err := records.List(ctx, store.LandingKind, after, page)
		if err != nil {
			return nil, fmt.Errorf("read landings: %w", err)
		}
		for _, r := range list {
			landing, err := store.ParseLanding(r)
			if err != nil {
				return nil, err
			}
			after = r.ID
			if !store.Selects(patterns, landing.Stream) {
				continue
			}
			spans := landing.Time
			if ingested {
				spans = landing.Ingested
			}
			for _, s := range spans {
				out = append(out, Landed{Seq: landing.Seq, Span: s})
			}
		}
		if len(list) < page {
			return out, nil
		}
	}
}
