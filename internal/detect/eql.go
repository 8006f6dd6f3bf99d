package detect

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/eql"
	"github.com/tocsin-sec/tocsin/internal/lang/filter"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// eqlRule is the rule type that alerts on the events, or the sequences of events, that an EQL query finds in a window
// (rule-execution.md §3.3).
type eqlRule struct{}

func (eqlRule) run(ctx context.Context, p *Program, w window.Window, env Env) (Result, error) {
	if p.eql.Events != nil {
		return p.eqlEvents(ctx, w, env)
	}
	return p.sequences(ctx, w, env)
}

// eqlQuery is what an EQL query means in a rule.
type eqlQuery struct {
	*eql.Program
	stages []eql.Stage   // of a sequence or a sample, Until at last
	places *eql.Sequence // where the parts of a sequence stand in the query
	order  eql.Order
	filter func(now time.Time) (expr.Cond, error) // what must hold of every event besides
	// before is how long before its last event it counts for a sequence what there was, after how long after its first event
	// what there will be: MaxSpan where stages are missing there, else 0.
	before, after time.Duration
}

// queryEQL reads the rule's query in EQL and its filters. The error has its places in the rule's file.
func (p *Program) queryEQL(resolver plan.Resolver) error {
	r := p.Rule
	var found diag.List
	n, err := eql.Parse(r.Query)
	if err != nil {
		found = append(found, r.Locate(diag.Of(err))...)
	}
	filters, err := filter.Parse(r.Filters, filter.Options{Locate: r.Locator().Below("filters")})
	if err != nil {
		found = append(found, diag.Of(err)...)
	}
	if found.Err() != nil {
		return found
	}
	q := &eqlQuery{order: eql.Order{Time: r.TimestampField}, places: placesOf(n)}
	if r.TiebreakerField != "" {
		f, _ := resolver.Field(r.TiebreakerField)
		q.order.Tiebreaker = &f
	}
	if q.Program, err = eql.Lower(n, eql.Options{Resolver: resolver, Category: r.EventCategoryOverride, Lenient: true}); err != nil {
		found = append(found, r.Locate(diag.Of(err))...)
	}
	q.filter = func(now time.Time) (expr.Cond, error) { return filter.Lower(filters, resolver, now) }
	besides, err := q.filter(anyTime)
	if err != nil {
		found = append(found, diag.Of(err)...)
	}
	if found.Err() != nil {
		return found
	}
	p.eql = q
	events := q.Events
	if s := cmp.Or(q.Sequence, q.Sample); s != nil {
		if q.stages = slices.Clone(s.Stages); s.Until != nil {
			q.stages = append(q.stages, *s.Until)
		}
		if s.Stages[0].Missing {
			q.before = s.MaxSpan
		}
		if s.Stages[len(s.Stages)-1].Missing {
			q.after = s.MaxSpan
		}
		var each []expr.Cond
		for _, stage := range q.stages {
			each = append(each, stage.Cond)
		}
		events = expr.Some(each...)
	}
	if filter.UsesNow(filters) {
		p.lower = func(now time.Time) (expr.Cond, error) {
			besides, err := q.filter(now)
			return expr.All(events, besides), err
		}
		return nil
	}
	p.fixed = expr.All(events, besides)
	return nil
}

// paths are the paths that order the events of the query, and those that the stages of a sequence read; whole says that they
// read everything.
func (q *eqlQuery) paths() (out []string, whole bool) {
	if q == nil {
		return nil, false
	}
	out = []string{cmp.Or(q.order.Time, plan.Timestamp)}
	if t := q.order.Tiebreaker; t != nil {
		out = append(out, t.Path)
	}
	for _, stage := range q.stages {
		read, all := expr.Paths(stage.Cond) // of all stages together, one may fulfil any event
		out, whole = append(out, read...), whole || all
		for _, k := range stage.Keys {
			if !k.Absent {
				out = append(out, k.Field.Path)
			}
		}
	}
	return out, whole
}

// writeTo writes what of the query's meaning is not said by the condition on its events.
func (q *eqlQuery) writeTo(w io.Writer) {
	fmt.Fprintf(w, "eql %v %q", q.Pipes, q.order.Time)
	if t := q.order.Tiebreaker; t != nil {
		fmt.Fprintf(w, " %q", t.String())
	}
	if s := q.Sequence; s != nil {
		fmt.Fprintf(w, " sequence %d %t", s.MaxSpan, s.Until != nil)
	}
	for _, s := range q.stages {
		fmt.Fprintf(w, "\n%q %t %d", expr.String(s.Cond), s.Missing, s.Runs)
		for _, k := range s.Keys {
			fmt.Fprintf(w, " %q %t %t", k.Field.String(), k.Optional, k.Absent)
		}
	}
	fmt.Fprintln(w)
}

// eqlMatches is the plan of what the query finds in w.
func (p *Program) eqlMatches(w window.Window) (plan.Node, error) {
	var cond expr.Cond
	var err error
	if p.eql.Events != nil {
		cond, err = p.cond(w.Slot)
	} else {
		cond, err = p.eql.filter(w.Slot)
		cond = expr.All(cond, opposite(p.hidden.Always()), opposite(p.hidden.At(w.Slot)))
	}
	if err != nil {
		return nil, fmt.Errorf("read the query at %s: %w", event.FormatTime(w.Slot), err)
	}
	cond = expr.All(p.Time.Within(w.From, w.To), cond)
	scan := plan.Scan{Streams: p.Streams()}
	if p.eql.Events == nil {
		return p.eql.Plan(plan.Filter{In: scan, Cond: cond}, p.eql.order), nil
	}
	q := *p.eql.Program
	q.Events = cond
	return q.Plan(scan, p.eql.order), nil
}

// eqlEvents alerts on every event that matches. Pipes mean the window as a whole: it is looked at from its start, whatever
// earlier runs found.
func (p *Program) eqlEvents(ctx context.Context, w window.Window, env Env) (Result, error) {
	var result Result
	node, err := p.eqlMatches(w)
	if err != nil {
		return result, err
	}
	rows, err := exec.Query(ctx, env.Events, p.narrowed(node), env.At)
	if err != nil {
		return result, err
	}
	defer rows.Close()
	var fresh []held
	in, taken := p.openGroups(w, env), 0
	for rows.Next() {
		e := rows.Event()
		result.Candidates++
		id := p.queryID(e)
		if env.Alerted.has(id) || alert.Raised(e, p.uuid) {
			continue
		}
		g, err := in.of(e)
		if err != nil {
			return result, err
		}
		if g.foldedBefore(id) {
			continue
		}
		at, _ := p.Time.Of(e)
		if taken == env.most(p) {
			result.leave(at)
			continue
		}
		taken++
		f := held{source: e, at: at}
		if !g.folds(id, f) {
			g.opens(id, f)
			fresh = append(fresh, f)
		}
	}
	if err := rows.Err(); err != nil {
		return result, err
	}
	result.folds, result.Folded = in.folded()
	if err := p.fill(ctx, w, env, fresh); err != nil {
		return result, err
	}
	for _, f := range fresh {
		made := p.input(w, env, f.source, p.queryID(f.source))
		in.describe(&made)
		result.Alerts = append(result.Alerts, alert.New(made))
	}
	return result, nil
}

// sequence is events that belong together, with the ID of their alert.
type sequence struct {
	id     string
	events []*event.Event
	at     time.Time // of the last event, in the rule's time field
}

// sequences alerts on every sequence or sample. A window that lost its start would hold others: like pipes, they mean the
// window as a whole.
func (p *Program) sequences(ctx context.Context, w window.Window, env Env) (Result, error) {
	var result Result
	node, err := p.eqlMatches(w)
	if err != nil {
		return result, err
	}
	if p.reads != nil {
		below := plan.FoundEvents + "."
		paths := []string{plan.FoundNumber, below + plan.FoundID, below + plan.FoundStream}
		for _, path := range p.reads {
			paths = append(paths, below+plan.FoundFields+"."+path)
		}
		node = plan.Project{In: node, Paths: paths}
	}
	rows, err := exec.Query(ctx, env.Events, node, env.At)
	if err != nil {
		return result, err
	}
	defer rows.Close()
	var fresh []sequence
	in, taken := p.openGroups(w, env), 0
	for rows.Next() {
		result.Candidates++
		s, ok := p.sequence(rows.Event())
		if !ok || !p.decided(s, w) || env.Alerted.has(s.id) {
			continue
		}
		g, err := in.ofSequence(s)
		if err != nil {
			return result, err
		}
		if g.foldedBefore(s.id) {
			continue
		}
		if taken == env.most(p) {
			result.leave(s.at)
			continue
		}
		taken++
		if !g.foldsSequence(p, s) {
			g.opens(s.id, held{at: s.at})
			fresh = append(fresh, s)
		}
	}
	if err := rows.Err(); err != nil {
		return result, err
	}
	result.folds, result.Folded = in.folded()
	if err := p.fillSequences(ctx, w, env, fresh); err != nil {
		return result, err
	}
	for _, s := range fresh {
		made := p.input(w, env, nil, s.id)
		in.describe(&made)
		shell, blocks := alert.NewSequence(made, s.events)
		result.Alerts = append(append(result.Alerts, shell), blocks...)
		result.Blocks += len(blocks)
	}
	return result, nil
}

// sequence reads a row. It is none to alert on where one of its events rests on an alert of this rule.
func (p *Program) sequence(row *event.Event) (s sequence, ok bool) {
	for _, e := range plan.FoundIn(row).Events {
		switch {
		case e == nil: // it should be missing
		case alert.Raised(e, p.uuid):
			return s, false
		default:
			s.events = append(s.events, e)
		}
	}
	if len(s.events) == 0 {
		return s, false
	}
	s.id = alert.SequenceID(Space, p.uuid, s.events)
	s.at, _ = p.Time.Of(s.events[len(s.events)-1])
	return s, true
}

// decided reports whether the window holds the whole span in which there must not be what should be missing. Where it does
// not, another window will, or did (lookFurther).
func (p *Program) decided(s sequence, w window.Window) bool {
	first, ok := p.Time.Of(s.events[0])
	return ok && (p.eql.after == 0 || !first.Add(p.eql.after).After(w.To)) && (p.eql.before == 0 || !s.at.Add(-p.eql.before).Before(w.From))
}

// fillAt is for how many instants fillSequences asks at once.
const fillAt = 64

// fillSequences puts the whole events in place of what was read of them: few of the stages' many.
func (p *Program) fillSequences(ctx context.Context, w window.Window, env Env, fresh []sequence) error {
	if p.reads == nil || len(fresh) == 0 {
		return nil
	}
	cond, err := p.cond(w.Slot)
	if err != nil {
		return fmt.Errorf("read the query at %s: %w", event.FormatTime(w.Slot), err)
	}
	type document struct{ stream, id string }
	whole := map[document]*event.Event{}
	var times []time.Time
	for _, s := range fresh {
		for _, e := range s.events {
			at, _ := p.Time.Of(e)
			times, whole[document{e.Stream, e.ID}] = append(times, at), nil
		}
	}
	asked := func(d document) bool { _, ok := whole[d]; return ok }
	slices.SortFunc(times, time.Time.Compare)
	times = slices.CompactFunc(times, time.Time.Equal)
	for some := range slices.Chunk(times, fillAt) {
		instants := make([]window.Span, len(some))
		for i, t := range some {
			instants[i] = window.Span{From: t, To: t}
		}
		env.Events = env.Store
		if err := exec.Each(ctx, env.Events, p.scan(expr.All(p.within(window.NewSpans(instants...)), cond)), env.At, func(e *event.Event) error {
			if d := (document{e.Stream, e.ID}); asked(d) {
				whole[d] = e
			}
			return nil
		}); err != nil {
			return err
		}
	}
	for _, s := range fresh {
		for i, e := range s.events {
			if s.events[i] = whole[document{e.Stream, e.ID}]; s.events[i] == nil {
				return fmt.Errorf("event %s of %s is gone", e.ID, e.Stream)
			}
		}
	}
	return nil
}

// ofSequence is of for a sequence, which is folded by what all of its events have.
func (o *openGroups) ofSequence(s sequence) (*openGroup, error) {
	if !o.p.by.folds {
		return nil, nil
	}
	return o.of(alert.Shared(s.events))
}

// foldsSequence is folds for a sequence.
func (g *openGroup) foldsSequence(p *Program, s sequence) bool {
	at, _ := p.Time.Of(s.events[0])
	if !g.folds(s.id, held{source: s.events[0], at: at}) {
		return false
	}
	for _, e := range s.events[1:] {
		at, _ := p.Time.Of(e)
		g.members[len(g.members)-1].add(e, at)
	}
	return true
}
