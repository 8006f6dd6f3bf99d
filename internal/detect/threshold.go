package detect

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// threshold is the rule type that alerts on groups of events with enough events in them (rule-execution.md §3.1). An event
// that an alert of its group counted is not counted again: the group alerts once more on as many further events.
type threshold struct{}

// bucket is a group with what was counted in it.
type bucket struct {
	terms       []alert.Term
	key         string
	count       int64
	first, last time.Time
	different   int64
	free        window.Spans   // of the window: what no alert counted
	on          []*event.Event // alerts that were counted: see restOn
}

func (threshold) run(ctx context.Context, p *Program, w window.Window, env Env) (Result, error) {
	var result Result
	look := w.Span()
	if env.Since.After(look.From) {
		look.From = env.Since
	}
	cond, err := p.cond(w.Slot)
	if err != nil {
		return result, fmt.Errorf("read the query at %s: %w", event.FormatTime(w.Slot), err)
	}
	if p.OnAlerts() {
		cond = expr.All(cond, notRaised(p.uuid))
	}
	matching := expr.All(p.Time.Within(look.From, look.To), cond)
	n, err := exec.CountOf(ctx, env.Events, p.Streams(), matching, env.At)
	result.Candidates = int(n)
	if err != nil || n < int64(p.Rule.Threshold.Value) {
		return result, err
	}
	buckets, err := p.buckets(ctx, env, matching)
	if err != nil {
		return result, err
	}
	var again []*bucket // alerts counted some of their events
	for _, b := range buckets {
		b.free = window.NewSpans(look)
		if covered := env.Alerted.group(p.groupID(b.terms)).coveredIn(look); len(covered) > 0 {
			b.free = b.free.Subtract(covered)
			again = append(again, b)
		}
	}
	if err := p.recount(ctx, env, cond, again); err != nil {
		return result, err
	}
	full := slices.DeleteFunc(buckets, func(b *bucket) bool { return b.count < int64(p.Rule.Threshold.Value) })
	if full, err = p.varied(ctx, env, cond, full); err != nil {
		return result, err
	}
	if err := p.restOn(ctx, env, cond, full); err != nil {
		return result, err
	}
	slices.SortFunc(full, func(a, b *bucket) int { return cmp.Or(a.first.Compare(b.first), strings.Compare(a.key, b.key)) })
	for _, b := range full {
		group := p.groupID(b.terms)
		into := (*raised)(nil)
		if p.by.folds {
			into = env.Alerted.group(group).open(w.Slot, p.by.lasts)
		}
		if into == nil && len(result.Alerts) == env.most(p) {
			result.leave(b.first)
			continue
		}
		named := evidenceEvents
		if into != nil {
			named = maxFoldEvents
		}
		events, err := p.lastOf(ctx, env, cond, b, named)
		if err != nil {
			return result, err
		}
		if into != nil {
			f := &fold{Alert: into.id, Group: group, Slot: w.Slot, Name: event.FormatTime(w.Slot) + "/" + event.FormatTime(b.first),
				Covers: window.NewSpans(window.Span{From: w.From, To: b.last}), First: b.first, Last: b.last, Count: 1}
			slices.Reverse(events)
			f.events, f.found = events, b.count
			result.folds = append(result.folds, f)
			result.Folded++
			continue
		}
		result.Alerts = append(result.Alerts, alert.New(p.counted(w, env, b, group, events)))
	}
	return result, nil
}

// notRaised is the condition that an event is no alert that the rule with this UUID raised, or that rests on one.
func notRaised(uuid string) expr.Cond {
	var found []expr.Cond
	for _, path := range alert.RaisedPaths() {
		found = append(found, expr.In{Field: expr.Field{Path: path}, Values: []event.Value{event.String(uuid)}})
	}
	return expr.Not{Cond: expr.Some(found...)}
}

// counted is what the alert on a bucket is made from.
func (p *Program) counted(w window.Window, env Env, b *bucket, group string, events []FoldedEvent) alert.Input {
	streams := "*"
	if p.Streams() != nil {
		streams = strings.Join(p.Streams(), ",")
	}
	source := &event.Event{Stream: streams, ID: alert.ThresholdSource(p.Rule, w.Slot, b.terms, "")}
	id := p.queryID(source)
	if env.Alerted.has(id) { // more came late, after what that alert counted
		source.ID = alert.ThresholdSource(p.Rule, w.Slot, b.terms, event.FormatTime(b.first))
		id = p.queryID(source)
	}
	source.Set(plan.Timestamp, event.String(event.FormatTime(b.last)))
	for _, t := range b.terms {
		source.Set(t.Field, t.Value)
	}
	in := p.input(w, env, source, id)
	in.Group = group
	in.Threshold = &alert.Threshold{Terms: b.terms, Count: b.count, From: b.first, Window: w.From, On: b.on}
	for _, e := range events {
		in.Threshold.Events = append(in.Threshold.Events, e.ID)
	}
	if c := p.Rule.Threshold.Cardinality; len(c) > 0 {
		in.Threshold.Field, in.Threshold.Different = c[0].Field, b.different
	}
	if p.by.folds {
		in.Suppression = &alert.Suppression{Terms: b.terms, Start: b.first, End: b.last}
	}
	in.Evidence = alert.Evidence{Time: b.last}
	if len(events) > 0 {
		in.Evidence.ID = events[0].ID
	}
	return in
}

// columns of the rows that buckets come in; those of the groups' fields are numbered.
const (
	columnCount = "n"
	columnFirst = "first"
	columnLast  = "last"
)

// byFields are the groups of an Aggregate, with the names of their columns.
func (p *Program) byFields() []plan.Group {
	var by []plan.Group
	for i, f := range p.by.fields {
		by = append(by, plan.Group{Name: fmt.Sprint("g", i), Each: f.Field})
	}
	return by
}

// termsOf are the terms in a row of an Aggregate by byFields.
func (p *Program) termsOf(row *event.Event) []alert.Term {
	terms := make([]alert.Term, len(p.by.fields))
	for i, f := range p.by.fields {
		terms[i] = alert.Term{Field: f.name, Value: row.Get(fmt.Sprint("g", i))}
	}
	return terms
}

// buckets counts every group of the events that fulfil cond and returns those with enough of them.
func (p *Program) buckets(ctx context.Context, env Env, cond expr.Cond) ([]*bucket, error) {
	return p.bucketsWith(ctx, env, cond, int64(p.Rule.Threshold.Value))
}

// bucketsWith counts every group of the events that fulfil cond and returns those with at least so many of them.
func (p *Program) bucketsWith(ctx context.Context, env Env, cond expr.Cond, least int64) ([]*bucket, error) {
	var out []*bucket
	err := exec.Each(ctx, env.Events, plan.Aggregate{In: p.scan(cond), By: p.byFields(), Aggs: []plan.Agg{{Name: columnCount, Fn: plan.Count},
		{Name: columnFirst, Fn: plan.Min, Value: p.Time.Value()}, {Name: columnLast, Fn: plan.Max, Value: p.Time.Value()}}}, env.At,
		func(row *event.Event) error {
			b := &bucket{terms: p.termsOf(row), count: row.Get(columnCount).Int(), first: row.Get(columnFirst).Time(), last: row.Get(columnLast).Time()}
			if b.count >= least {
				b.key = keyOf(b.terms)
				out = append(out, b)
			}
			return nil
		})
	return out, err
}

func (p *Program) scan(cond expr.Cond) plan.Node {
	return plan.Filter{Cond: cond, In: plan.Scan{Streams: p.Streams()}}
}

// within is the condition that an event's time lies in spans.
func (p *Program) within(spans window.Spans) expr.Cond {
	var any []expr.Cond
	for _, s := range spans {
		any = append(any, p.Time.Within(s.From, s.To))
	}
	return expr.Some(any...)
}

// recount counts in buckets what no alert counted, event by event: where that begins is another time in each.
func (p *Program) recount(ctx context.Context, env Env, cond expr.Cond, buckets []*bucket) error {
	for _, b := range buckets {
		b.count = 0
	}
	return p.eachCounted(ctx, env, cond, buckets, nil, func(b *bucket, _ *event.Event, at time.Time) {
		if b.count == 0 || at.Before(b.first) {
			b.first = at
		}
		if b.count == 0 || at.After(b.last) {
			b.last = at
		}
		b.count++
	})
}

// eachCounted calls f with every event of the buckets that no alert counted and its time, once for each bucket that it is in;
// besides what tells these it has paths.
func (p *Program) eachCounted(ctx context.Context, env Env, cond expr.Cond, buckets []*bucket, paths []string, f func(*bucket, *event.Event, time.Time)) error {
	byKey := map[string]*bucket{}
	var free window.Spans
	for _, b := range buckets {
		byKey[b.key] = b
		free = free.Union(b.free)
	}
	if len(free) == 0 {
		return nil
	}
	paths = slices.Concat(p.by.paths(), p.Time.Paths(), paths)
	node := plan.Project{Paths: paths, In: p.scan(expr.All(p.within(free), p.among(buckets), cond))}
	return exec.Each(ctx, env.Events, node, env.At, func(e *event.Event) error {
		at, timed := p.Time.Of(e)
		if !timed {
			return nil
		}
		groups, err := p.by.of(e)
		if err != nil {
			return err
		}
		for _, terms := range groups {
			if b := byKey[keyOf(terms)]; b != nil && b.free.Contains(at) {
				f(b, e, at)
			}
		}
		return nil
	})
}

// maxAmong bounds the values that among compares with: it is there to read fewer events, not to find them.
const maxAmong = 1000

// among is fulfilled by every event that is in one of the buckets, and by others.
func (p *Program) among(buckets []*bucket) expr.Cond {
	var conds []expr.Cond
	for i, f := range p.by.fields {
		in := expr.In{Field: f.Field}
		seen := map[string]bool{}
		for _, b := range buckets {
			v := b.terms[i].Value
			if key := keyOf(b.terms[i : i+1]); !seen[key] {
				seen[key] = true
				in.Values = append(in.Values, v)
			}
		}
		if len(in.Values) <= maxAmong {
			conds = append(conds, in)
		}
	}
	return expr.All(conds...)
}

// varied keeps the buckets whose events have enough different values of the field that the rule asks for. Each value is
// counted, where Elasticsearch estimates.
func (p *Program) varied(ctx context.Context, env Env, cond expr.Cond, buckets []*bucket) ([]*bucket, error) {
	if len(p.Rule.Threshold.Cardinality) == 0 || len(buckets) == 0 {
		return buckets, nil
	}
	same := map[string][]*bucket{} // what one query counts: the buckets that have the same time free
	for _, b := range buckets {
		key := fmt.Sprint(b.free)
		same[key] = append(same[key], b)
	}
	for _, list := range same {
		byKey := map[string]*bucket{}
		for _, b := range list {
			byKey[b.key] = b
		}
		by := append(p.byFields(), plan.Group{Name: "value", Each: p.by.different})
		err := exec.Each(ctx, env.Events, plan.Aggregate{By: by, In: p.scan(expr.All(p.within(list[0].free), p.among(list), cond))}, env.At,
			func(row *event.Event) error {
				if b := byKey[keyOf(p.termsOf(row))]; b != nil {
					b.different++
				}
				return nil
			})
		if err != nil {
			return nil, err
		}
	}
	least := int64(p.Rule.Threshold.Cardinality[0].Value)
	return slices.DeleteFunc(buckets, func(b *bucket) bool { return b.different < least }), nil
}

// evidenceEvents is how many events an alert on a bucket names.
const evidenceEvents = 20

// lastOf returns the last events of a bucket, at most n, the last one first.
func (p *Program) lastOf(ctx context.Context, env Env, cond expr.Cond, b *bucket, n int) ([]FoldedEvent, error) {
	node := plan.Limit{N: n, In: plan.Sort{Keys: []plan.SortKey{{Value: p.Time.Value(), Desc: true}},
		In: p.scan(expr.All(p.within(b.free), p.among([]*bucket{b}), cond))}}
	var out []FoldedEvent
	err := exec.Each(ctx, env.Events, plan.Project{Paths: p.Time.Paths(), In: node}, env.At, func(e *event.Event) error {
		at, _ := p.Time.Of(e)
		out = append(out, FoldedEvent{e.Stream, e.ID, at})
		return nil
	})
	return out, err
}
