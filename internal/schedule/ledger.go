// Package schedule keeps the account of when rules ran: which windows of which rule were run, which were found empty,
// and which are dirty because events landed in them afterwards.
//
// It decides when, not what: detect runs a window, replay and the live scheduler ask the ledger which ones are left.
//
//	ledger, err := schedule.Open(ctx, records, program.ID(), interval)
//	for _, slots := range ledger.Left(program.Schedule(), slots, clamp, landed) { … }
//	ledger.Ran(slots, at.Seq, empty, clamp)
//	write, err := ledger.Write()                 // into the Change that holds the alerts
package schedule

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/window"
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

// Within reports whether a window cut by c lies in the window of the same slot cut by d.
func (c Clamp) Within(d Clamp) bool {
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

// Ran notes that the windows of slots were run at seq, cut by clamp; empty says that nothing in them matched. A later run
// of the same slot takes the place of the earlier.
func (l *Ledger) Ran(slots window.Slots, seq uint64, empty bool, clamp Clamp) {
	if slots.Len() == 0 {
		return
	}
	run := Run{From: slots.First, To: slots.Last, Seq: seq, Empty: empty, Clamp: clamp}
	i := sort.Search(len(l.runs), func(i int) bool { return !l.runs[i].To.Before(run.From) })
	j := sort.Search(len(l.runs), func(i int) bool { return l.runs[i].From.After(run.To) })
	// runs[i:j] hold slots of the new run; what of them lies outside stays.
	var parts []Run
	if i < j && l.runs[i].From.Before(run.From) {
		before := l.runs[i]
		before.To = run.From.Add(-l.interval)
		parts = append(parts, before)
	} else if i > 0 {
		i--
		parts = append(parts, l.runs[i])
	}
	parts = append(parts, run)
	if i < j && l.runs[j-1].To.After(run.To) {
		after := l.runs[j-1]
		after.From = run.To.Add(l.interval)
		parts = append(parts, after)
	} else if j < len(l.runs) {
		parts = append(parts, l.runs[j])
		j++
	}
	joined := parts[:1]
	for _, next := range parts[1:] {
		if last := &joined[len(joined)-1]; l.joins(*last, next) {
			last.To = next.To
		} else {
			joined = append(joined, next)
		}
	}
	l.runs = slices.Replace(l.runs, i, j, joined...)
}

// joins reports whether b goes on where a ends and ran alike.
func (l *Ledger) joins(a, b Run) bool {
	return a.To.Add(l.interval).Equal(b.From) && a.Seq == b.Seq && a.Empty == b.Empty &&
		a.Clamp.Within(b.Clamp) && b.Clamp.Within(a.Clamp)
}

// Landed is a stretch of time in which events landed with the commit Seq, in the time field of the rule.
type Landed struct {
	Seq uint64
	window.Span
}

// Left returns the slots among within that are to be run, as runs of neighbours in order: those that never ran, or only
// cut to less than clamp leaves, and the dirty ones, in whose windows (of s, cut by clamp) events landed since. landed
// holds what landed in the streams of the rule, in any order.
func (l *Ledger) Left(s window.Schedule, within window.Slots, clamp Clamp, landed []Landed) []window.Slots {
	ran := map[uint64][]window.Slots{} // by the snapshot that they were read at
	var seqs []uint64
	left := []window.Slots{within}
	for _, r := range l.runs {
		slots := window.Slots{First: r.From, Last: r.To, Every: l.interval}.Intersect(within)
		if slots.Len() == 0 || !clamp.Within(r.Clamp) {
			continue
		}
		if ran[r.Seq] == nil {
			seqs = append(seqs, r.Seq)
		}
		ran[r.Seq] = append(ran[r.Seq], slots)
	}
	var clean []window.Slots
	slices.SortFunc(seqs, func(a, b uint64) int { return cmp.Compare(b, a) })
	landed = slices.Clone(landed)
	slices.SortFunc(landed, func(a, b Landed) int { return cmp.Compare(b.Seq, a.Seq) })
	var since window.Spans // where events landed since seq
	for _, seq := range seqs {
		var more []window.Span
		for len(landed) > 0 && landed[0].Seq > seq {
			more = append(more, landed[0].Intersect(clamp.Span()))
			landed = landed[1:]
		}
		since = since.Union(window.NewSpans(more...))
		var dirty []window.Slots
		for _, span := range since {
			dirty = append(dirty, s.Touching(span, within)...)
		}
		clean = append(clean, window.Without(ran[seq], dirty)...)
	}
	return window.Without(left, clean)
}

// Covers reports whether all slots ran, cut by clamp or to more than it leaves.
func (l *Ledger) Covers(slots window.Slots, clamp Clamp) bool {
	next := slots.First
	first := sort.Search(len(l.runs), func(i int) bool { return !l.runs[i].To.Before(next) })
	for _, r := range l.runs[first:] {
		if next.After(slots.Last) || r.From.After(next) || !clamp.Within(r.Clamp) {
			break
		}
		next = r.To.Add(l.interval)
	}
	return next.After(slots.Last)
}

// Span is what c leaves of all time.
func (c Clamp) Span() window.Span {
	all := window.AllTime()
	if !c.From.IsZero() {
		all.From = c.From
	}
	if !c.To.IsZero() {
		all.To = c.To
	}
	return all
}

// Landings reads what landed with the commits after seq up to and with the one of at.
func Landings(ctx context.Context, records store.Records, at store.Snapshot) ([]store.Landing, error) {
	const page = 1000
	var out []store.Landing
	for after := store.LandingID(at.After+1, ""); ; {
		list, err := records.List(ctx, store.LandingKind, after, page)
		if err != nil {
			return nil, fmt.Errorf("read landings: %w", err)
		}
		for _, r := range list {
			after = r.ID
			landing, err := store.ParseLanding(r)
			if err != nil {
				return nil, err
			}
			if landing.Seq <= at.Seq {
				out = append(out, landing)
			}
		}
		if len(list) < page {
			return out, nil
		}
	}
}

// In returns where landings lie for a rule that reads the streams that patterns name and cuts its windows on the time
// field called path. Of a field that is neither @timestamp nor event.ingested landings tell nothing: it may be anywhere.
func In(landings []store.Landing, patterns []string, path string) []Landed {
	var out []Landed
	selected := map[string]bool{}
	for _, l := range landings {
		reads, known := selected[l.Stream]
		if !known {
			reads = store.Selects(patterns, l.Stream)
			selected[l.Stream] = reads
		}
		if !reads {
			continue
		}
		var spans []store.Span
		switch path {
		case plan.Timestamp:
			spans = l.Time
		case plan.Ingested:
			spans = l.Ingested
		default:
			spans = []store.Span{store.Span(window.AllTime())}
		}
		for _, s := range spans {
			out = append(out, Landed{Seq: l.Seq, Span: window.Span(s)})
		}
	}
	return out
}
