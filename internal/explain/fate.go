package explain

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/schedule"
	"github.com/tocsin-sec/tocsin/internal/sighting"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// looked is an event that is looked up, with its time in the rule's time field.
type looked struct {
	event *event.Event
	at    time.Time
	timed bool

	slots []time.Time // of the runs that looked at it
}

// key tells events apart.
func (l looked) key() [2]string { return [2]string{l.event.Stream, l.event.ID} }

// fates looks up what became of the events that the query finds.
func (s *spanRun) fates(ctx context.Context) error {
	if err := s.load(ctx); err != nil {
		return err
	}
	p := s.Program
	alerted, err := detect.LoadAlerted(ctx, s.db, s.at, p.Rule.UUID())
	if err != nil {
		return err
	}
	if p.Folds() {
		if err := alerted.LoadFolds(ctx, s.db, p.Rule.UUID()); err != nil {
			return err
		}
	}
	parts := map[[2]string]string{}
	stages, _, sequence := p.Stages()
	if len(stages) > 0 {
		if parts, err = s.sequenceAlerts(ctx); err != nil {
			return err
		}
	}
	var left []looked
	for _, l := range s.looked {
		now := window.Ceil(l.at, p.Schedule().Interval())
		item := p.HiddenBy(l.event, now)
		o, err := p.OutcomeOf(alerted, l.event)
		if err != nil {
			return err
		}
		if id := parts[l.key()]; id != "" {
			o.Alert = id
		}
		switch {
		case o.Alert != "":
			s.add(s.alertKind(o), l, Example{Alert: o.Alert})
		case item != nil:
			s.add(FateHidden, l, Example{Why: fmt.Sprintf("the exception %q hides %s", item.Name, describe(l))})
		case alert.Raised(l.event, p.Rule.UUID()):
			s.add(FateOwn, l, Example{})
		default:
			left = append(left, l)
		}
	}
	if left, err = s.windows(ctx, left); err != nil || len(left) == 0 {
		s.order()
		return err
	}
	switch {
	case len(p.TermFields()) > 0:
		left, err = s.terms(ctx, left, alerted)
	case p.Rule.Threshold != nil:
		left, err = s.groups(ctx, left)
	case sequence:
		left, err = s.partial(ctx, s.withoutPending(left))
	case len(stages) > 0:
		for _, l := range left {
			s.add(FatePartial, l, Example{Why: s.stageOf(l)})
		}
		left = nil
	case p.Matches():
		left, err = s.indicators(ctx, left)
	}
	for _, l := range s.withoutPending(left) {
		s.add(FateUnexplained, l, Example{})
	}
	s.order()
	return err
}

// withoutPending tells of events whose alerts a run left out, and returns the others.
func (s *spanRun) withoutPending(list []looked) (left []looked) {
	for _, l := range list {
		over := slices.IndexFunc(s.pending, func(w replay.PendingWindow) bool {
			return w.Alerts > 0 && !l.at.Before(w.From) && !l.at.After(w.To) && !l.at.Before(w.Since)
		})
		if over < 0 {
			left = append(left, l)
			continue
		}
		w := s.pending[over]
		s.add(FatePending, l, Example{Why: fmt.Sprintf("the run at %s left %s out beyond max_signals (%d): tocsin alerts release makes them",
			clock(w.Slot), counted(int64(w.Alerts), "alert"), s.Program.Rule.MaxSignals)})
	}
	return left
}

func (s *spanRun) alertKind(o detect.Outcome) string {
	switch {
	case o.Folded && s.Program.Rule.Threshold != nil:
		return FateCounted
	case o.Folded:
		return FateFolded
	case s.Program.Rule.BuildingBlockType != "":
		return FateBlock
	}
	return FateAlert
}

// describe names an event in a sentence.
func describe(l looked) string {
	return fmt.Sprintf("event %s at %s", clip(l.event.ID, maxText), clock(l.at))
}

// load reads the oldest of the events that the query finds, with what a run reads of them.
func (s *spanRun) load(ctx context.Context) error {
	var node plan.Node = plan.Limit{N: MaxLooked, In: plan.Sort{Keys: []plan.SortKey{{Value: s.Program.Time.Value()}},
		In: plan.Filter{Cond: expr.All(s.cond, s.query), In: plan.Scan{Streams: s.Program.Streams()}}}}
	if reads := s.Program.Reads(); reads != nil {
		paths := slices.Concat(reads, s.asked.Show, s.hiding())
		slices.Sort(paths)
		node = plan.Project{In: node, Paths: slices.Compact(paths)}
	}
	err := s.each(ctx, node, s.at, func(e *event.Event) error {
		at, timed := s.Program.Time.Of(e)
		s.looked = append(s.looked, looked{event: e, at: at, timed: timed})
		return nil
	})
	s.answer.Looked = len(s.looked)
	if more := s.answer.Found - int64(len(s.looked)); more > 0 {
		s.answer.Notes = append(s.answer.Notes, fmt.Sprintf("what became of each was looked up of the oldest %s; narrow --for, --from and --to for the other %s",
			counted(int64(len(s.looked)), "event"), number(more)))
	}
	return err
}

// windows tells of events that no run looked at, and returns the others.
func (s *spanRun) windows(ctx context.Context, list []looked) (left []looked, err error) {
	p := s.Program
	if len(list) == 0 {
		return nil, nil
	}
	ledger, err := schedule.Open(ctx, s.db, p.ID(), p.Schedule().Interval())
	if err != nil {
		return nil, err
	}
	runs := ledger.Runs()
	data, err := s.span(ctx)
	if err != nil {
		return nil, err
	}
	all := p.Schedule().Over(data)
	after, err := s.landedAfter(ctx, runs)
	if err != nil {
		return nil, err
	}
	if s.pending, err = replay.PendingWindows(ctx, s.db, p); err != nil {
		return nil, err
	}
	for _, l := range list {
		if !l.timed {
			s.add(FateNoTime, l, Example{})
			continue
		}
		held := p.Schedule().Holding(l.at, all)
		if len(held) == 0 {
			s.add(FateOutside, l, Example{Why: s.between(l)})
			continue
		}
		var late *schedule.Run
		var before time.Time
		for _, slots := range held {
			for slot := range slots.All() {
				r := runAt(runs, slot)
				switch {
				case r == nil || !r.Clamp.Span().Contains(l.at):
				case r.Seq <= after[l.key()]:
					late, before = r, slot
				default:
					l.slots = append(l.slots, slot)
				}
			}
		}
		switch {
		case len(l.slots) > 0:
			left = append(left, l)
		case late != nil:
			s.add(FateLate, l, Example{Why: fmt.Sprintf("%s came into the store after the run at %s had looked at its window, and no run has looked since: the next scan into this store does", describe(l), clock(before))})
		default:
			s.add(FateNotRun, l, Example{Why: s.notRun(runs, held[0], l)})
		}
	}
	return left, nil
}

// span is where the data of the rule's streams lie, in its time field: windows beyond it are none.
func (s *spanRun) span(ctx context.Context) (span window.Span, err error) {
	const from, to = "from", "to"
	node := plan.Aggregate{In: plan.Scan{Streams: s.Program.Streams()}, Aggs: []plan.Agg{
		{Name: from, Fn: plan.Min, Value: s.Program.Time.Value()}, {Name: to, Fn: plan.Max, Value: s.Program.Time.Value()}}}
	err = s.each(ctx, node, s.at, func(row *event.Event) error {
		span = window.Span{From: row.Get(from).Time(), To: row.Get(to).Time()}
		return nil
	})
	return span, err
}

// runAt is the run that holds slot; nil where there is none.
func runAt(runs []schedule.Run, slot time.Time) *schedule.Run {
	i := sort.Search(len(runs), func(i int) bool { return !runs[i].To.Before(slot) })
	if i == len(runs) || runs[i].From.After(slot) {
		return nil
	}
	return &runs[i]
}

// between says that windows leave time out.
func (s *spanRun) between(l looked) string {
	r := s.Program.Rule
	return fmt.Sprintf("every %s the rule looks at what lies from %s to %s: nothing looks at %s", r.Interval, r.From, r.To, clock(l.at))
}

// notRun says why no run looked at an event.
func (s *spanRun) notRun(runs []schedule.Run, slots window.Slots, l looked) string {
	if len(runs) == 0 {
		return "the rule as it is now never ran over this store: tocsin scan --rules … --db … runs it"
	}
	first, last := runs[0].From, runs[len(runs)-1].To
	switch {
	case slots.First.After(last):
		return fmt.Sprintf("the rule has run up to %s, and the first window that holds %s is due at %s", clock(last), describe(l), clock(slots.First))
	case slots.Last.Before(first):
		return fmt.Sprintf("the rule has run since %s, and the last window that holds %s was due at %s", clock(first), describe(l), clock(slots.Last))
	}
	if r := runAt(runs, slots.First); r != nil {
		return fmt.Sprintf("the run at %s was cut (--from, --to) and left %s out", clock(slots.First), describe(l))
	}
	return fmt.Sprintf("the run at %s is a gap: it failed, or was left out, and counts as never run", clock(slots.First))
}

// maxSeqs bounds the snapshots of runs that are compared with what came later.
const maxSeqs = 64

// landedAfter tells of looked-up events the last snapshot of a run that did not hold them yet.
func (s *spanRun) landedAfter(ctx context.Context, runs []schedule.Run) (map[[2]string]uint64, error) {
	seqs := map[uint64]bool{}
	for _, r := range runs {
		if r.Seq < s.at.Seq {
			seqs[r.Seq] = true
		}
	}
	var list []uint64
	for seq := range seqs {
		list = append(list, seq)
	}
	slices.Sort(list)
	if len(list) > maxSeqs {
		s.answer.Notes = append(s.answer.Notes, fmt.Sprintf("what came late was looked for in the last %d of %d runs", maxSeqs, len(list)))
		list = list[len(list)-maxSeqs:]
	}
	known := map[[2]string]bool{}
	for _, l := range s.looked {
		known[l.key()] = true
	}
	out := map[[2]string]uint64{}
	for _, seq := range list {
		at := s.at
		at.After = seq
		node := plan.Project{Paths: []string{plan.Timestamp}, In: plan.Filter{Cond: expr.All(s.cond, s.query), In: plan.Scan{Streams: s.Program.Streams()}}}
		err := s.each(ctx, node, at, func(e *event.Event) error {
			if key := [2]string{e.Stream, e.ID}; known[key] {
				out[key] = seq
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// terms tells of events whose new terms were seen before.
func (s *spanRun) terms(ctx context.Context, list []looked, alerted *detect.Alerted) (left []looked, err error) {
	p := s.Program
	var index *sighting.Index
	if p.Remembers() {
		if index, err = sighting.Open(ctx, s.db, p.Sightings()); err != nil {
			return nil, err
		}
		if _, _, err = index.Fold(ctx, s.at); err != nil { // for this answer alone: it is not committed
			return nil, err
		}
	}
	held := make([][]sighting.Occurrence, len(list))
	var all []store.Tuple
	for i, l := range list {
		if held[i], err = sighting.Tuples(p.TermFields(), l.event); err != nil {
			return nil, err
		}
		for _, t := range held[i] {
			all = append(all, t.Tuple)
		}
	}
	if index != nil {
		if err := index.Load(ctx, all); err != nil {
			return nil, err
		}
	}
	for i, l := range list {
		if len(held[i]) == 0 {
			s.add(FateNoTerm, l, Example{Why: fmt.Sprintf("%s has no %s", describe(l), strings.Join(absent(p.TermFields(), l.event), " and no "))})
			continue
		}
		w, err := p.Window(l.slots[0])
		if err != nil {
			return nil, err
		}
		fresh := false
		var known Example
		for _, t := range held[i] {
			seen, err := s.seen(ctx, index, t, l, w)
			if err != nil {
				return nil, err
			}
			if !seen {
				fresh = true
				break
			}
			if known.Why == "" && !s.told(FateKnown) {
				if known, err = s.knownBy(ctx, index, t, l, alerted, w); err != nil {
					return nil, err
				}
			}
		}
		if fresh {
			left = append(left, l)
		} else {
			s.add(FateKnown, l, known)
		}
	}
	return left, nil
}

// seen reports whether a tuple was seen in the history of w, before l. It costs no query where the index alone decides.
func (s *spanRun) seen(ctx context.Context, index *sighting.Index, t sighting.Occurrence, l looked, w window.Window) (bool, error) {
	if index != nil {
		known, err := index.Known(ctx, []store.Tuple{t.Tuple}, sighting.Span{From: w.History, To: l.at.Add(-time.Millisecond)})
		if err != nil || known[t.Tuple] {
			return known[t.Tuple], err
		}
	}
	_, seen, err := s.earlier(ctx, index, t, l, w) // at the same instant, perhaps
	return seen, err
}

// told reports whether a fate has all the examples that it takes.
func (s *spanRun) told(kind string) bool {
	return slices.ContainsFunc(s.answer.Fates, func(f Fate) bool { return f.Kind == kind && len(f.Examples) == maxExamples })
}

// earlier is the first sighting of a tuple in the history of w, up to and before l.
func (s *spanRun) earlier(ctx context.Context, index *sighting.Index, t sighting.Occurrence, l looked, w window.Window) (sighting.Sight, bool, error) {
	var first sighting.Sight
	var found bool
	var err error
	if index != nil {
		first, found, err = index.First(ctx, t.Tuple, sighting.Span{From: w.History, To: l.at})
	} else {
		var e *event.Event
		if e, err = s.sight(ctx, t, w.History, l.at, ""); e != nil {
			at, _ := s.Program.Time.Of(e)
			first, found = sighting.Sight{Time: at, Event: e.ID}, true
		}
	}
	return first, found && (first.Time.Before(l.at) || first.Event != l.event.ID), err
}

// sight reads the first event that holds a tuple in [from, to], the one with an ID where that is not "".
func (s *spanRun) sight(ctx context.Context, t sighting.Occurrence, from, to time.Time, id string) (found *event.Event, err error) {
	conds := []expr.Cond{s.Program.Time.Within(from, to), s.query}
	for i, f := range s.Program.TermFields() {
		conds = append(conds, expr.In{Field: f, Values: []event.Value{t.Values[i]}})
	}
	node := plan.Limit{N: 20, In: plan.Sort{Keys: []plan.SortKey{{Value: s.Program.Time.Value()}},
		In: plan.Filter{Cond: expr.All(conds...), In: plan.Scan{Streams: s.Program.Streams()}}}}
	err = s.each(ctx, node, s.at, func(e *event.Event) error {
		at, _ := s.Program.Time.Of(e)
		if found == nil && (id == "" && s.Program.HiddenBy(e, window.Ceil(at, s.Program.Schedule().Interval())) == nil || id != "" && e.ID == id) {
			found = e
		}
		return nil
	})
	return found, err
}

// knownBy says what made a tuple known.
func (s *spanRun) knownBy(ctx context.Context, index *sighting.Index, t sighting.Occurrence, l looked, alerted *detect.Alerted, w window.Window) (Example, error) {
	first, _, err := s.earlier(ctx, index, t, l, w)
	if err != nil {
		return Example{}, err
	}
	x := Example{Why: fmt.Sprintf("%s was seen before %s: in event %s at %s", tupleText(s.Program.TermFields(), t), describe(l), first.Event, clock(first.Time))}
	if x.Alert = alerted.Within(t, w.History, w.To); x.Alert != "" {
		x.Why += ", which made the alert " + short(x.Alert)
	}
	x.Earlier, err = s.sight(ctx, t, first.Time, first.Time, first.Event)
	return x, err
}

// short is the beginning of an alert's ID, which commands take for all of it.
func short(id string) string { return id[:min(len(id), 12)] }

// maxWindows bounds the windows whose groups are counted.
const maxWindows = 300

// groups tells of events whose groups are too small.
func (s *spanRun) groups(ctx context.Context, list []looked) (left []looked, err error) {
	p := s.Program
	env := detect.Env{Events: s.db, Store: s.db, At: s.at}
	var slots []time.Time
	for _, l := range list {
		slots = append(slots, l.slots...)
	}
	slices.SortFunc(slots, time.Time.Compare)
	slots = slices.CompactFunc(slots, time.Time.Equal)
	if len(slots) > maxWindows {
		s.answer.Notes = append(s.answer.Notes, fmt.Sprintf("groups were counted in the first %d of %d windows", maxWindows, len(slots)))
		slots = slots[:maxWindows]
	}
	looked := map[time.Time]bool{}
	best := map[string]GroupCount{}
	for _, slot := range slots {
		looked[slot] = true
		w, err := p.Window(slot)
		if err != nil {
			return nil, err
		}
		counts, err := p.CountGroups(ctx, w, env, s.cond)
		if err != nil {
			return nil, err
		}
		for _, c := range counts {
			name := termsText(c.Terms)
			if c.Count <= best[name].Count {
				continue
			}
			best[name] = GroupCount{Group: name, Count: c.Count, Needs: int64(p.Rule.Threshold.Value), Different: c.Different,
				From: event.FormatTime(w.From), To: event.FormatTime(w.To)}
		}
	}
	for _, g := range best {
		s.answer.Groups = append(s.answer.Groups, g)
	}
	slices.SortFunc(s.answer.Groups, func(a, b GroupCount) int {
		if a.Count != b.Count {
			return int(b.Count - a.Count)
		}
		return strings.Compare(a.Group, b.Group)
	})
	for _, l := range list {
		if !slices.ContainsFunc(l.slots, func(slot time.Time) bool { return looked[slot] }) {
			s.answer.Looked--
			continue
		}
		groups, err := p.GroupsOf(l.event)
		switch {
		case err != nil:
			return nil, err
		case len(groups) == 0 || lacks(groups):
			s.add(FateNoTerm, l, Example{Why: fmt.Sprintf("%s lacks one of %s", describe(l), strings.Join(p.Rule.Threshold.Fields, ", "))})
			continue
		}
		var why string
		enough := false
		for _, terms := range groups {
			g, ok := best[termsText(terms)]
			if !ok {
				continue
			}
			why = s.few(g)
			enough = enough || why == ""
		}
		if enough {
			left = append(left, l)
			continue
		}
		s.add(FateFew, l, Example{Why: why})
	}
	if len(s.answer.Groups) > 20 {
		s.answer.Notes = append(s.answer.Notes, fmt.Sprintf("the 20 largest of %s are listed", counted(int64(len(s.answer.Groups)), "group")))
		s.answer.Groups = s.answer.Groups[:20]
	}
	return left, nil
}

// few says what a group lacks; "" where it lacks nothing.
func (s *spanRun) few(g GroupCount) string {
	t := s.Program.Rule.Threshold
	if g.Count < g.Needs {
		return fmt.Sprintf("the group %s has %d of %d events in the window that holds most of them (%s are missing)", g.Group, g.Count, g.Needs, number(g.Needs-g.Count))
	}
	if len(t.Cardinality) > 0 && g.Different < int64(t.Cardinality[0].Value) {
		return fmt.Sprintf("the group %s has %d of %d different values of %s", g.Group, g.Different, t.Cardinality[0].Value, t.Cardinality[0].Field)
	}
	return ""
}

// indicators tells of events that no indicator matches.
func (s *spanRun) indicators(ctx context.Context, list []looked) (left []looked, err error) {
	for _, l := range list {
		if s.Program.IndicatorsHeld() == 0 {
			s.add(FateNoIndicator, l, Example{Why: "there are no indicators in " + strings.Join(s.Program.IndicatorStreams(), ", ")})
			continue
		}
		found, err := s.Program.IndicatorsOf(ctx, l.event, l.slots[0])
		if err != nil {
			return nil, err
		}
		if found != nil {
			left = append(left, l)
			continue
		}
		var saw []string
		for _, group := range s.Program.Comparisons() {
			for _, c := range group {
				saw = append(saw, reading(c.Field, l.event).String())
			}
		}
		s.add(FateNoIndicator, l, Example{Why: fmt.Sprintf("none of %s matches %s: %s", counted(int64(s.Program.IndicatorsHeld()), "indicator"), describe(l), strings.Join(saw, "; "))})
	}
	return left, nil
}

// hiding are the paths that exceptions read.
func (s *spanRun) hiding() []string {
	var out []string
	s.Program.Exceptions(s.now, func(_ *exception.Item, hides expr.Cond) {
		paths, _ := expr.Paths(hides)
		out = append(out, paths...)
	})
	return out
}
