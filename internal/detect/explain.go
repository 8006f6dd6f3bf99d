package detect

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/eql"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/sighting"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// Asked is what the query and the filters of a run at now ask of an event, whatever exceptions hide; of a sequence it is
// true of the events of every stage.
func (p *Program) Asked(now time.Time) (expr.Cond, error) {
	if p.asked != nil {
		return p.asked, nil
	}
	cond, err := p.lower(now)
	if err != nil {
		return nil, fmt.Errorf("read the query at %s: %w", event.FormatTime(now), err)
	}
	return cond, nil
}

// Dated reports whether the query or the filters hold date math, so that they ask something else at each run.
func (p *Program) Dated() bool { return p.lower != nil }

// Exceptions calls f with every exception that counts in a run at now, and the condition of the events that it hides.
func (p *Program) Exceptions(now time.Time, f func(item *exception.Item, hides expr.Cond)) {
	p.hidden.Each(now, f)
}

// Reads are the paths that a run reads of every candidate; nil: all of them.
func (p *Program) Reads() []string { return slices.Clone(p.reads) }

// TermFields are the fields in which a new-terms rule looks for new values.
func (p *Program) TermFields() []expr.Field { return slices.Clone(p.fields) }

// Stages are the stages of a sequence or a sample, Until after them; until says that there is one, sequence that their order
// counts. There are none where the query finds single events.
func (p *Program) Stages() (stages []eql.Stage, until, sequence bool) {
	if p.eql == nil {
		return nil, false, false
	}
	return slices.Clone(p.eql.stages), p.eql.Sequence != nil && p.eql.Sequence.Until != nil, p.eql.Sequence != nil
}

// MaxSpan is how long a sequence may last; 0: any time.
func (p *Program) MaxSpan() time.Duration {
	if p.eql == nil || p.eql.Sequence == nil {
		return 0
	}
	return p.eql.Sequence.MaxSpan
}

// Easier is a sequence that asks for less than the rule's does.
type Easier struct {
	Stages    int           // the first so many stages; 0: all. One that must be missing does not stand at the end
	MaxSpan   time.Duration // in place of the query's; below 0: the sequence may last for ever
	NoUntil   bool          // nothing ends it
	NoMissing bool          // nothing has to be missing
	NoKeys    bool          // its events have nothing in common
}

// Sequences is the plan of the sequences in span that ask for no more than easier does, as a run at now sees events. Of the
// events it reads what a run reads, and what stands at paths; the whole where a run does.
func (p *Program) Sequences(easier Easier, span window.Span, now time.Time, paths ...string) (plan.Node, error) {
	s := *p.eql.Sequence
	if easier.Stages > 0 {
		s.Stages = s.Stages[:easier.Stages]
	}
	s.Stages = slices.Clone(s.Stages)
	if easier.NoMissing || easier.MaxSpan < 0 {
		s.Stages = slices.DeleteFunc(s.Stages, func(s eql.Stage) bool { return s.Missing })
	}
	if easier.NoUntil {
		s.Until = nil
	}
	if easier.NoKeys {
		for i := range s.Stages {
			s.Stages[i].Keys = nil
		}
		s.Until = nil
	}
	switch {
	case easier.MaxSpan > 0:
		s.MaxSpan = easier.MaxSpan
	case easier.MaxSpan < 0:
		s.MaxSpan = 0
	}
	query := *p.eql
	query.Program = &eql.Program{Sequence: &s}
	other := *p
	other.eql = &query
	node, err := other.eqlMatches(window.Window{Slot: now, From: span.From, To: span.To})
	if err != nil || p.reads == nil {
		return node, err
	}
	below := plan.FoundEvents + "."
	project := plan.Project{In: node, Paths: []string{plan.FoundNumber, plan.FoundKeys, below + plan.FoundID, below + plan.FoundStream}}
	for _, path := range slices.Concat(p.reads, paths) {
		project.Paths = append(project.Paths, below+plan.FoundFields+"."+path)
	}
	return project, nil
}

// Outcome is what became of an event that a rule found.
type Outcome struct {
	// Alert is the ID of the alert; "" where there is none.
	Alert string
	// Folded says that the alert is another event's, which this one was folded into or counted for.
	Folded bool
}

// OutcomeOf says what a, with its folds, knows of an event that the rule found: whether it is an alert, or belongs to one. Of
// the events of a sequence it knows nothing.
func (p *Program) OutcomeOf(a *Alerted, e *event.Event) (Outcome, error) {
	at, _ := p.Time.Of(e)
	own := []string{p.queryID(e)}
	if len(p.fields) > 0 {
		tuples, err := sighting.Tuples(p.fields, e)
		if err != nil {
			return Outcome{}, err
		}
		own = nil
		for _, o := range tuples {
			own = append(own, alert.NewTermsID(Space, p.uuid, o.Tuple, e.ID))
		}
	}
	for _, id := range own {
		if a.has(id) {
			return Outcome{Alert: id}, nil
		}
	}
	if !p.groups() || p.eql != nil && p.eql.Events == nil {
		return Outcome{}, nil
	}
	groups, err := p.by.of(e)
	if err != nil {
		return Outcome{}, err
	}
	for _, terms := range groups {
		g := a.groups[p.groupID(terms)]
		if g == nil {
			continue
		}
		for _, id := range own {
			if f := g.named[id]; f != nil {
				return Outcome{Alert: f.Alert, Folded: true}, nil
			}
		}
		if !g.covered.Contains(at) {
			continue
		}
		for _, f := range g.folds {
			if !f.Covers.Contains(at) {
				continue
			}
			r := g.byID[f.Alert]
			return Outcome{Alert: f.Alert, Folded: r == nil || p.Rule.Threshold != nil || r.evidence != e.ID}, nil
		}
	}
	return Outcome{}, nil
}

// Within returns the alert on a new term that has its evidence in [from, to]; "" where there is none.
func (a *Alerted) Within(o sighting.Occurrence, from, to time.Time) string {
	for _, e := range a.episodes[o.Tuple] {
		if !e.evidence.Before(from) && !e.evidence.After(to) {
			return e.alert
		}
	}
	return ""
}

// GroupsOf are the groups that a rule counts, or folds, an event in; none where it lacks a field.
func (p *Program) GroupsOf(e *event.Event) ([][]alert.Term, error) {
	if !p.groups() {
		return nil, nil
	}
	return p.by.of(e)
}

// Counted is one group of a threshold rule in a window.
type Counted struct {
	Terms       []alert.Term
	Count       int64
	First, Last time.Time
	Different   int64 // values of the field that the rule asks different ones of, where Count suffices
}

// CountGroups counts the groups of the events of w, those of at least one that fulfils among, whether or not there are enough of
// them, the largest first.
func (p *Program) CountGroups(ctx context.Context, w window.Window, env Env, among expr.Cond) ([]Counted, error) {
	cond, err := p.cond(w.Slot)
	if err != nil {
		return nil, err
	}
	cond = expr.All(p.Time.Within(w.From, w.To), cond)
	wanted, err := p.bucketsWith(ctx, env, expr.All(cond, among), 1)
	if err != nil || len(wanted) == 0 {
		return nil, err
	}
	keys := map[string]bool{}
	for _, b := range wanted {
		keys[b.key] = true
	}
	buckets, err := p.bucketsWith(ctx, env, expr.All(cond, p.among(wanted)), 1)
	if err != nil {
		return nil, err
	}
	var full []*bucket
	var out []Counted
	at := map[string]int{}
	for _, b := range buckets {
		if !keys[b.key] {
			continue
		}
		at[b.key] = len(out)
		out = append(out, Counted{Terms: b.terms, Count: b.count, First: b.first, Last: b.last})
		if b.count >= int64(p.Rule.Threshold.Value) {
			b.free = window.NewSpans(w.Span())
			full = append(full, b)
		}
	}
	if len(p.Rule.Threshold.Cardinality) > 0 {
		if _, err := p.varied(ctx, env, cond, slices.Clone(full)); err != nil {
			return nil, err
		}
		for _, b := range full {
			out[at[b.key]].Different = b.different
		}
	}
	slices.SortStableFunc(out, func(a, b Counted) int { return int(b.Count - a.Count) })
	return out, nil
}

// IndicatorsOf says which indicators of a program that was bound match e in a run at now; nil where none does.
func (p *Program) IndicatorsOf(ctx context.Context, e *event.Event, now time.Time) (*alert.Indicators, error) {
	if p.found == nil {
		return nil, nil
	}
	found, err := p.found.counting(ctx, p.found.matching(e), now, maxNamed+1)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return p.found.described(ctx, e, found[:min(len(found), maxNamed)], len(found) > maxNamed)
}

// Comparison is a pair of fields that are compared, one of events, one of indicators.
type Comparison struct {
	Field     expr.Field
	Name      string // of the event's field, as the rule has it
	Indicator string
	Negate    bool
}

// Comparisons are what a rule on indicators compares: of one of the groups all must hold.
func (p *Program) Comparisons() [][]Comparison {
	if p.threat == nil {
		return nil
	}
	var out [][]Comparison
	for _, group := range p.threat.groups {
		var list []Comparison
		for _, g := range group {
			c := p.threat.columns[g.column]
			list = append(list, Comparison{c.event, c.name, c.indicator.Path, g.negate})
		}
		out = append(out, list)
	}
	return out
}
