package explain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/eql"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// Partial is the sequence that came furthest among those that an event which is asked about takes part in.
type Partial struct {
	// Met and Stages are how many stages there are that ask for an event, and how many of them were met.
	Met    int `json:"met"`
	Stages int `json:"stages"`
	// Events are those that met them.
	Events []PartialEvent `json:"events"`
	// Ended is what ended it: EndedStage, EndedSpan, EndedUntil, EndedMissing, EndedKeys or EndedWindow.
	Ended string `json:"ended"`
	Why   string `json:"why"`
	// Next are the events that would have gone on with it.
	Next []PartialEvent `json:"next,omitempty"`
}

// PartialEvent is an event of a sequence.
type PartialEvent struct {
	Stage  int    `json:"stage"`
	ID     string `json:"id"`
	Stream string `json:"stream"`
	Time   string `json:"time"`
}

// What ends a sequence.
const (
	EndedStage   = "stage"   // no event of the next stage follows
	EndedSpan    = "maxspan" // it follows too late
	EndedUntil   = "until"   // an event of until lies before it
	EndedMissing = "missing" // an event is there that must be missing
	EndedKeys    = "keys"    // it follows with other keys
	EndedWindow  = "window"  // all is there, but no window holds it all
)

// maxRows bounds the sequences that are looked through for one of an event that is asked about.
const maxRows = 100_000

// partial tells of events of a sequence that did not come to its end.
func (s *spanRun) partial(ctx context.Context, list []looked) (left []looked, err error) {
	stages, until, _ := s.Program.Stages()
	if until {
		stages = stages[:len(stages)-1]
	}
	p, err := s.furthest(ctx, list, stages)
	var limit *exec.LimitError
	if errors.As(err, &limit) {
		s.answer.Notes = append(s.answer.Notes, "how far sequences came was not found out: "+limit.Error())
		err = nil
	}
	if err != nil {
		return nil, err
	}
	s.answer.Partial = p
	for _, l := range list {
		why := s.stageOf(l)
		if p != nil {
			why = p.Why
		}
		s.add(FatePartial, l, Example{Why: why})
	}
	return nil, nil
}

// stageOf says which stages an event fits.
func (s *spanRun) stageOf(l looked) string {
	stages, until, _ := s.Program.Stages()
	var fits []string
	for i, st := range stages {
		if !expr.Matches(st.Cond, l.event) {
			continue
		}
		if until && i == len(stages)-1 {
			fits = append(fits, "until")
		} else {
			fits = append(fits, fmt.Sprintf("stage %d", i+1))
		}
	}
	return fmt.Sprintf("%s can be %s alone", describe(l), strings.Join(fits, " and "))
}

// furthest finds the sequence that came furthest.
func (s *spanRun) furthest(ctx context.Context, list []looked, stages []eql.Stage) (*Partial, error) {
	var wanted []int // the stages that ask for an event
	for i, st := range stages {
		if !st.Missing {
			wanted = append(wanted, i)
		}
	}
	span, err := s.around(ctx, list)
	if err != nil {
		return nil, err
	}
	p := &Partial{Stages: len(wanted)}
	asked := map[[2]string]bool{}
	for _, l := range list {
		asked[l.key()] = true
	}
	whole, err := s.find(ctx, detect.Easier{}, span, asked, nil, 1)
	if err != nil {
		return nil, err
	}
	if len(whole) > 0 {
		return s.cut(p, whole[0], stages), nil
	}
	around := ending{Partial: p, span: span, asked: asked, stages: stages, wanted: wanted}
	for k := len(wanted); k > 0; k-- {
		easier := detect.Easier{Stages: wanted[k-1] + 1}
		if easier.Stages == len(stages) {
			continue // that is all of it
		}
		met, err := s.find(ctx, easier, span, asked, nil, maxPartials)
		if err != nil {
			return nil, err
		}
		if len(met) > 0 {
			p.Met = k
			return s.ended(ctx, around, met, k)
		}
	}
	at := slices.IndexFunc(wanted, func(i int) bool { // the first stage that one of them can be
		return slices.ContainsFunc(list, func(l looked) bool { return expr.Matches(stages[i].Cond, l.event) })
	})
	if at < 0 {
		return nil, nil
	}
	return s.ended(ctx, around, nil, at)
}

// around is the time in which a sequence of the events can lie.
func (s *spanRun) around(ctx context.Context, list []looked) (window.Span, error) {
	span := window.Span{From: list[0].at, To: list[0].at}
	for _, l := range list {
		if l.at.Before(span.From) {
			span.From = l.at
		}
		if l.at.After(span.To) {
			span.To = l.at
		}
	}
	pad := s.Program.MaxSpan()
	if w, err := s.Program.Window(s.now); err == nil {
		pad = max(pad, w.To.Sub(w.From))
	}
	data, err := s.span(ctx)
	if err != nil {
		return span, err
	}
	return window.Span{From: span.From.Add(-pad - time.Hour), To: span.To.Add(pad + time.Hour)}.Intersect(data), nil
}

// maxPartials bounds the sequences of one length that are held against what would have gone on with them.
const maxPartials = 100

// find returns the events of sequences that have one of asked among them, and begin with one of firsts, where there are some;
// at most n, each with another first event. Missing events are left out.
func (s *spanRun) find(ctx context.Context, easier detect.Easier, span window.Span, asked, firsts map[[2]string]bool, n int) ([][]*event.Event, error) {
	node, err := s.Program.Sequences(easier, span, s.now)
	if err != nil {
		return nil, err
	}
	rows, err := exec.Query(ctx, s.db, node, s.at)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out [][]*event.Event
	seen := map[[2]string]bool{}
	for looked := 0; rows.Next() && looked < maxRows; looked++ {
		var events []*event.Event
		among := false
		for _, e := range plan.FoundIn(rows.Event()).Events {
			if e != nil {
				events = append(events, e)
				among = among || asked[keyOf(e)]
			}
		}
		first := keyOf(events[0])
		if !among || seen[first] || len(firsts) > 0 && !firsts[first] {
			continue
		}
		seen[first] = true
		if out = append(out, events); len(out) == n {
			return out, nil
		}
	}
	return out, rows.Err()
}

// keyOf tells events apart.
func keyOf(e *event.Event) [2]string { return [2]string{e.Stream, e.ID} }

// partialEvents are events of the stages that ask for some.
func partialEvents(events []*event.Event, stages []eql.Stage) []PartialEvent {
	var out []PartialEvent
	at := 0
	for i, st := range stages {
		if st.Missing {
			continue
		}
		for range max(1, st.Runs) {
			if at == len(events) {
				return out
			}
			e := events[at]
			at++
			t, _ := plan.TimeField{Primary: plan.Timestamp}.Of(e)
			out = append(out, PartialEvent{Stage: i + 1, ID: e.ID, Stream: e.Stream, Time: event.FormatTime(t)})
		}
	}
	return out
}

// ending is a sequence whose end is looked for.
type ending struct {
	*Partial
	span   window.Span
	asked  map[[2]string]bool
	stages []eql.Stage
	wanted []int
}

// ended finds what ended one of the sequences met, which met all stages before wanted[at]; without any, why an event that can be
// wanted[at] goes on with none. The one that misses by the least is told of.
func (s *spanRun) ended(ctx context.Context, p ending, met [][]*event.Event, at int) (*Partial, error) {
	next, name := len(p.stages), "what must be missing at the end"
	if at < len(p.wanted) {
		name = fmt.Sprintf("stage %d", p.wanted[at]+1)
		if at+1 < len(p.wanted) {
			next = p.wanted[at] + 1
		}
	}
	firsts := map[[2]string]bool{}
	for _, events := range met {
		firsts[keyOf(events[0])] = true
	}
	tries := []struct {
		ended  string
		easier detect.Easier
	}{
		{EndedMissing, detect.Easier{Stages: next, NoMissing: true}},
		{EndedUntil, detect.Easier{Stages: next, NoUntil: true}},
		{EndedSpan, detect.Easier{Stages: next, MaxSpan: -1}},
		{EndedSpan, detect.Easier{Stages: next, MaxSpan: -1, NoUntil: true}},
		{EndedKeys, detect.Easier{Stages: next, NoKeys: true}},
	}
	missing := func(st eql.Stage) bool { return st.Missing }
	for _, try := range tries {
		if try.ended == EndedMissing && !slices.ContainsFunc(p.stages[:next], missing) {
			continue
		}
		rows, err := s.find(ctx, try.easier, p.span, p.asked, firsts, 1)
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			continue
		}
		found := rows[0]
		p.Ended = try.ended
		sofar := s.sofar(p, met, keyOf(found[0]))
		all := partialEvents(found, slices.DeleteFunc(slices.Clone(p.stages[:next]), missing))
		last := found[len(found)-1]
		if at < len(p.wanted) && len(all) > 0 {
			p.Next = all[len(all)-1:]
			p.Next[0].Stage = p.wanted[at] + 1
		}
		switch try.ended {
		case EndedMissing:
			there, err := s.present(ctx, found, p.stages[:next])
			if err != nil {
				return nil, err
			}
			p.Why = fmt.Sprintf("%s, and an event is there that must be missing%s", sofar, there)
		case EndedUntil:
			p.Why = fmt.Sprintf("%s; %s is there (event %s), but an event of until ended the sequence before", sofar, name, last.ID)
		case EndedSpan:
			lasts := timestamp(last).Sub(timestamp(found[0]))
			p.Why = fmt.Sprintf("%s; %s follows too late (event %s): %s after the first event, and maxspan is %s", sofar, name, last.ID, brief(lasts), brief(s.Program.MaxSpan()))
		default:
			p.Why = fmt.Sprintf("%s; %s is there (event %s), but with other keys", sofar, name, last.ID)
		}
		return p.Partial, nil
	}
	p.Ended = EndedStage
	if len(met) == 0 {
		p.Why = fmt.Sprintf("an event of %s is there, and none of the stages before it comes before", name)
		return p.Partial, nil
	}
	p.Why = fmt.Sprintf("%s; no event of %s follows", s.sofar(p, met, keyOf(met[0][0])), name)
	return p.Partial, nil
}

// present names an event that must be missing between those of found, with their keys.
func (s *spanRun) present(ctx context.Context, found []*event.Event, stages []eql.Stage) (named string, err error) {
	from, to := timestamp(found[0]), timestamp(found[len(found)-1])
	first := stages[slices.IndexFunc(stages, func(st eql.Stage) bool { return !st.Missing })]
	if pad := s.Program.MaxSpan(); stages[0].Missing || stages[len(stages)-1].Missing {
		from, to = from.Add(-pad), to.Add(pad)
	}
	for i, st := range stages {
		if !st.Missing {
			continue
		}
		cond := expr.All(plan.TimeField{Primary: plan.Timestamp}.Within(from, to), st.Cond)
		node := plan.Limit{N: maxPartials, In: plan.Sort{Keys: []plan.SortKey{{Value: plan.TimeField{Primary: plan.Timestamp}.Value()}},
			In: plan.Filter{Cond: cond, In: plan.Scan{Streams: s.Program.Streams()}}}}
		err := s.each(ctx, node, s.at, func(e *event.Event) error {
			if named == "" && shareKeys(first, found[0], st, e) {
				named = fmt.Sprintf(" (stage %d: event %s at %s)", i+1, e.ID, clock(timestamp(e)))
			}
			return nil
		})
		if err != nil || named != "" {
			return named, err
		}
	}
	return "", nil
}

// shareKeys reports whether two events of stages have a value of each key in common.
func shareKeys(a eql.Stage, x *event.Event, b eql.Stage, y *event.Event) bool {
	for i, k := range a.Keys {
		if k.Absent || b.Keys[i].Absent {
			continue
		}
		theirs := expr.Read(b.Keys[i].Field, y)
		if !slices.ContainsFunc(expr.Read(k.Field, x), func(v event.Value) bool {
			return slices.ContainsFunc(theirs, func(w event.Value) bool { return event.Compare(v, w) == 0 })
		}) {
			return false
		}
	}
	return true
}

// sofar says how far the one of met that begins with first came.
func (s *spanRun) sofar(p ending, met [][]*event.Event, first [2]string) string {
	for _, events := range met {
		if keyOf(events[0]) == first {
			p.Events = partialEvents(events, p.stages)
		}
	}
	text := fmt.Sprintf("the furthest sequence met %d of %d stages", p.Met, p.Stages)
	var parts []string
	for _, e := range p.Events {
		parts = append(parts, fmt.Sprintf("stage %d by event %s at %s", e.Stage, e.ID, strings.Replace(strings.TrimSuffix(strings.TrimSuffix(e.Time, "Z"), ".000"), "T", " ", 1)))
	}
	if len(parts) > 0 {
		text += " (" + strings.Join(parts, ", ") + ")"
	}
	return text
}

func timestamp(e *event.Event) time.Time {
	at, _ := plan.TimeField{Primary: plan.Timestamp}.Of(e)
	return at
}

// cut tells of a sequence that is whole, but that no run found.
func (s *spanRun) cut(p *Partial, events []*event.Event, stages []eql.Stage) *Partial {
	p.Met, p.Ended = p.Stages, EndedWindow
	p.Events = partialEvents(events, stages)
	first, _ := s.Program.Time.Of(events[0])
	last, _ := s.Program.Time.Of(events[len(events)-1])
	p.Why = fmt.Sprintf("the sequence is whole (from %s to %s by %s), but no window that ran holds all of it: every %s the rule looks at what lies from %s to %s",
		clock(first), clock(last), s.Program.Time.Primary, s.Program.Rule.Interval, s.Program.Rule.From, s.Program.Rule.To)
	return p
}
