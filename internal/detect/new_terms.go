package detect

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/sighting"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// newTerms is the rule type that alerts on tuples of values that no event held before (rule-execution.md §2). A tuple is
// new if an event of the window holds it and none in [history start, from] does, both ends included.
type newTerms struct{}

// memory answers for what came before a window: a sighting.Index, or a sighting.Scan.
type memory interface {
	Known(ctx context.Context, tuples []store.Tuple, span sighting.Span) (map[store.Tuple]bool, error)
	LookedAt(ctx context.Context, span sighting.Span) (int64, error)
	Before(ctx context.Context, tuples []store.Tuple, t time.Time) (map[store.Tuple]sighting.Span, error)
}

// memory is where a run over w asks.
func (p *Program) memory(w window.Window, env Env) (memory, error) {
	if p.Remembers() {
		return env.Index, nil
	}
	cond, err := p.cond(w.Slot)
	if err != nil {
		return nil, err
	}
	return sighting.NewScan(env.Store, p.sightings(cond), env.At), nil
}

// held is a tuple of the window with the first event that holds it.
type held struct {
	sighting.Occurrence
	source *event.Event // first what the program reads of it, then all
	at     time.Time
}

func (newTerms) run(ctx context.Context, p *Program, w window.Window, env Env) (Result, error) {
	found, candidates, err := p.heldIn(ctx, w, env)
	result := Result{Candidates: candidates}
	if err != nil || len(found) == 0 {
		return result, err
	}
	past, err := p.memory(w, env)
	if err != nil {
		return result, err
	}
	known, err := past.Known(ctx, tuplesOf(found), before(w))
	if err != nil {
		return result, err
	}
	var fresh []held
	in := p.openGroups(w, env)
	for _, f := range found {
		switch {
		case known[f.Tuple] || env.Alerted.within(f.Tuple, w.History, w.To):
		case env.Alerted.has(p.alertID(f)) || alert.Raised(f.source, p.uuid):
		default:
			g, err := in.of(f.source)
			switch {
			case err != nil:
				return result, err
			case g != nil && g.folds(p.alertID(f), f):
			case len(fresh) == env.most(p):
				result.leave(f.at)
			default:
				fresh = append(fresh, f)
				g.opens(p.alertID(f), f)
			}
		}
	}
	result.folds, result.Folded = in.folded()
	if len(fresh) == 0 {
		return result, nil
	}
	events, err := past.LookedAt(ctx, before(w))
	if err != nil {
		return result, err
	}
	earlier, err := past.Before(ctx, tuplesOf(fresh), w.History)
	if err != nil {
		return result, err
	}
	if err := p.fill(ctx, w, env, fresh); err != nil {
		return result, err
	}
	for _, f := range fresh {
		made := p.input(w, env, f.source, p.alertID(f))
		made.NewTerms = f.Values
		in.describe(&made)
		made.Evidence = alert.Evidence{
			Program: p.historyID(), Tuple: f.Tuple.String(), ID: f.source.ID, Time: f.at,
			HistoryFrom: w.History, HistoryTo: before(w).To,
			Events:      events,
			Covered:     window.Coverage(w.History, before(w).To, env.Begin),
			FirstBefore: earlier[f.Tuple].From, LastBefore: earlier[f.Tuple].To,
		}
		result.Alerts = append(result.Alerts, alert.New(made))
	}
	return result, nil
}

// alertID is the ID of the alert that the tuple is new: its evidence names the episode.
func (p *Program) alertID(f held) string {
	return alert.NewTermsID(Space, p.uuid, f.Tuple, f.source.ID)
}

// historyID names whose history an alert looked at; "" where each run looks at another.
func (p *Program) historyID() string {
	if !p.Remembers() {
		return ""
	}
	return p.Sightings().ID()
}

func tuplesOf(list []held) []store.Tuple {
	tuples := make([]store.Tuple, len(list))
	for i, f := range list {
		tuples[i] = f.Tuple
	}
	return tuples
}

// before is the span in which a sighting makes a tuple known. A window that was cut at its start has its first instant to
// itself: what came exactly then is not history.
func before(w window.Window) sighting.Span {
	if w.Clamped {
		return sighting.Span{From: w.History, To: w.From.Add(-time.Millisecond)}
	}
	return sighting.Span{From: w.History, To: w.From}
}

// heldIn returns the tuples that events of the window hold, each with the first of these events, in order of that
// event's time, stream, ID and values; and the number of events.
func (p *Program) heldIn(ctx context.Context, w window.Window, env Env) ([]held, int, error) {
	node, err := p.matches(w.Slot, w.From, w.To)
	if err != nil {
		return nil, 0, err
	}
	rows, err := exec.Query(ctx, env.Events, p.narrowed(node), env.At)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	var found []held
	seen := map[store.Tuple]bool{}
	candidates := 0
	for rows.Next() {
		e := rows.Event()
		candidates++
		at, timed := p.Time.Of(e)
		if !timed {
			continue
		}
		occurrences, err := sighting.Tuples(p.fields, e)
		if err != nil {
			return nil, candidates, err
		}
		for _, o := range occurrences {
			if !seen[o.Tuple] {
				seen[o.Tuple] = true
				found = append(found, held{o, e, at})
			}
		}
	}
	return found, candidates, rows.Err()
}

// fewTimes is for how many instants fill asks one by one.
const fewTimes = 4

// fill puts the whole events in place of what was read of them.
func (p *Program) fill(ctx context.Context, w window.Window, env Env, fresh []held) error {
	if p.reads == nil || len(fresh) == 0 {
		return nil
	}
	type document struct{ stream, id string }
	missing := map[document][]*held{} // one event may hold several tuples
	var times []time.Time
	for i := range fresh {
		f := &fresh[i]
		d := document{f.source.Stream, f.source.ID}
		if missing[d] == nil {
			times = append(times, f.at)
		}
		missing[d] = append(missing[d], f)
	}
	slices.SortFunc(times, time.Time.Compare)
	times = slices.CompactFunc(times, time.Time.Equal)
	var spans []window.Span
	if len(times) > fewTimes {
		spans = append(spans, window.Span{From: times[0], To: times[len(times)-1]})
	} else {
		for _, t := range times {
			spans = append(spans, window.Span{From: t, To: t})
		}
	}
	for _, span := range spans {
		node, err := p.matches(w.Slot, span.From, span.To)
		if err != nil {
			return err
		}
		if err := exec.Each(ctx, env.Store, node, env.At, func(e *event.Event) error {
			d := document{e.Stream, e.ID}
			for _, f := range missing[d] {
				f.source = e
			}
			delete(missing, d)
			return nil
		}); err != nil {
			return err
		}
	}
	for d := range missing {
		return fmt.Errorf("event %s of %s is gone", d.id, d.stream)
	}
	return nil
}
