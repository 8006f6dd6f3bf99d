package detect

import (
	"context"
	"time"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// tally is what a run finds of one group: one alert, or more of an earlier one. Or it is one event that is not folded.
type tally struct {
	fold
	terms []alert.Term // nil: it is not folded
	first held         // the first event
	fresh int64        // how many events belong to no alert yet

	others window.Spans // where the group's events belong to what other runs found
	own    *fold        // what this very run found before
	at     *groupAlerts
}

// suppressed is a run of a query rule that folds its alerts: each group of events is one alert. The events of a group in a
// window belong together, whenever they land: where late data make the window run again, they are counted again.
func (p *Program) suppressed(ctx context.Context, w window.Window, env Env) (Result, error) {
	var result Result
	look := w.Span()
	if env.Since.After(look.From) {
		look.From = env.Since
	}
	list, err := p.tallies(ctx, w, look, env, &result)
	if err != nil {
		return result, err
	}
	var fresh []held
	var made []*tally
	for _, t := range list {
		switch {
		case t.terms == nil:
		case t.own != nil:
			if t.more(w, look) {
				result.folds = append(result.folds, &t.fold)
				result.Folded += max(0, t.Count-t.own.Count)
			}
			continue
		case t.found == 0:
			continue
		default:
			t.Covers = window.NewSpans(w.Span()).Subtract(t.others)
			if into := t.at.open(w.Slot, p.by.lasts); into != nil {
				t.Alert, t.Count = into.id, t.found
				result.folds = append(result.folds, &t.fold)
				result.Folded += t.Count
				continue
			}
		}
		if len(fresh) == env.most(p) {
			result.leave(t.first.at)
			continue
		}
		fresh, made = append(fresh, t.first), append(made, t)
	}
	if err := p.fill(ctx, w, env, fresh); err != nil {
		return result, err
	}
	for i, f := range fresh {
		t := made[i]
		if t.terms == nil {
			result.Alerts = append(result.Alerts, alert.New(p.input(w, env, f.source, p.queryID(f.source))))
			continue
		}
		in := p.input(w, env, f.source, alert.SuppressedID(Space, p.uuid, t.Group, w.Slot))
		t.Alert, t.Count = in.ID, t.found-1
		in.Group = t.Group
		in.Suppression = &alert.Suppression{Terms: t.terms, Start: t.First, End: t.Last, Count: t.Count}
		t.less(f.source.Stream, f.source.ID)
		result.folds = append(result.folds, &t.fold)
		result.Folded += t.Count
		result.Alerts = append(result.Alerts, alert.New(in))
	}
	return result, nil
}

// more counts again what this very run found before, and reports whether that changes anything.
func (t *tally) more(w window.Window, look window.Span) bool {
	t.Alert, t.Name, t.Slot = t.own.Alert, t.own.Name, t.own.Slot
	t.Covers = t.own.Covers.Union(window.NewSpans(w.Span()).Subtract(t.others))
	r := t.at.byID[t.Alert]
	switch {
	case t.found == 0 || r == nil:
		return false
	case len(t.own.Covers.Subtract(window.NewSpans(look))) > 0: // it looked at more than this run does
		if t.fresh == 0 {
			return false
		}
		t.Count = t.own.Count + t.fresh
	default:
		t.Count = t.found
		if r.slot.Equal(t.Slot) { // the alert's own event is none that was folded in
			t.less("", r.evidence)
			t.Count--
		}
	}
	t.Count = max(t.Count, t.own.Count) // events that have left the store were there all the same
	if t.own.First.Before(t.First) {
		t.First = t.own.First
	}
	if t.own.Last.After(t.Last) {
		t.Last = t.own.Last
	}
	return t.Count != t.own.Count || !t.First.Equal(t.own.First) || !t.Last.Equal(t.own.Last)
}

// tallies reads what matches in look, by group, in order of the first event.
func (p *Program) tallies(ctx context.Context, w window.Window, look window.Span, env Env, result *Result) ([]*tally, error) {
	node, err := p.matches(w.Slot, look.From, look.To)
	if err != nil {
		return nil, err
	}
	rows, err := exec.Query(ctx, env.Events, p.narrowed(node), env.At)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*tally
	byKey := map[string]*tally{}
	for rows.Next() {
		e := rows.Event()
		result.Candidates++
		at, timed := p.Time.Of(e)
		if !timed || alert.Raised(e, p.uuid) {
			continue
		}
		groups, err := p.by.of(e)
		if err != nil {
			return nil, err
		}
		if groups == nil && !env.Alerted.has(p.queryID(e)) {
			list = append(list, &tally{first: held{source: e, at: at}})
		}
		for _, terms := range groups {
			key := keyOf(terms)
			t := byKey[key]
			if t == nil {
				t = p.tally(w, env, terms)
				byKey[key] = t
				list = append(list, t)
			}
			if t.others.Contains(at) {
				continue
			}
			if t.found == 0 {
				t.first = held{source: e, at: at}
			}
			t.add(e, at)
			if t.own == nil || !t.own.Covers.Contains(at) {
				t.fresh++
			}
		}
	}
	return list, rows.Err()
}

// tally begins the tally of a group.
func (p *Program) tally(w window.Window, env Env, terms []alert.Term) *tally {
	group, name := p.groupID(terms), event.FormatTime(w.Slot)
	t := &tally{terms: terms, at: env.Alerted.group(group), fold: fold{Group: group, Name: name, Slot: w.Slot}}
	t.others, t.own = t.at.coveredBesides(name, w.Span()), t.at.named[name]
	return t
}

// openGroups are the groups of the alerts that one run of a new-terms or EQL rule makes or folds.
type openGroups struct {
	p     *Program
	w     window.Window
	env   Env
	byKey map[string]*openGroup
	made  map[string]*openGroup // by the alert that opened them
	list  []*openGroup
}

// openGroup is an alert that others are folded into, or will be.
type openGroup struct {
	in      *openGroups
	terms   []alert.Term
	id      string
	alert   string // "" as long as there is none
	members []*fold
	start   time.Time
}

func (p *Program) openGroups(w window.Window, env Env) *openGroups {
	return &openGroups{p: p, w: w, env: env, byKey: map[string]*openGroup{}, made: map[string]*openGroup{}}
}

// of returns the group that what was found in e is folded by; nil where it is not folded.
func (o *openGroups) of(e *event.Event) (*openGroup, error) {
	if !o.p.by.folds {
		return nil, nil
	}
	groups, err := o.p.by.of(e)
	if err != nil || len(groups) == 0 {
		return nil, err
	}
	key := keyOf(groups[0])
	g := o.byKey[key]
	if g == nil {
		g = &openGroup{in: o, terms: groups[0], id: o.p.groupID(groups[0])}
		if into := o.env.Alerted.group(g.id).open(o.w.Slot, o.p.by.lasts); into != nil {
			g.alert = into.id
		}
		o.byKey[key] = g
		o.list = append(o.list, g)
	}
	return g, nil
}

// folds folds what was found into the group's alert, if there is one; id is what its own alert would be called.
func (g *openGroup) folds(id string, f held) bool {
	if g == nil || g.alert == "" {
		return false
	}
	member := &fold{Alert: g.alert, Group: g.id, Name: id, Slot: g.in.w.Slot, Count: 1}
	if len(f.Values) > 0 {
		member.Tuple = f.Tuple.String()
	}
	member.add(f.source, f.at)
	g.members = append(g.members, member)
	return true
}

// foldedBefore reports whether an earlier run folded what was found into an alert of the group.
func (g *openGroup) foldedBefore(id string) bool {
	return g != nil && g.in.env.Alerted.group(g.id).named[id] != nil
}

// opens notes that what was found is the group's alert.
func (g *openGroup) opens(id string, f held) {
	if g != nil {
		g.alert, g.start = id, f.at
		g.in.made[id] = g
	}
}

// folded returns all that was folded.
func (o *openGroups) folded() (list []*fold, n int64) {
	for _, g := range o.list {
		list = append(list, g.members...)
	}
	return list, int64(len(list))
}

// describe tells an alert that this run makes what is folded into it.
func (o *openGroups) describe(in *alert.Input) {
	g := o.made[in.ID]
	if g == nil {
		return
	}
	in.Group = g.id
	in.Suppression = &alert.Suppression{Terms: g.terms, Start: g.start, End: g.start, Count: int64(len(g.members))}
	for _, m := range g.members {
		if m.Last.After(in.Suppression.End) {
			in.Suppression.End = m.Last
		}
	}
}
