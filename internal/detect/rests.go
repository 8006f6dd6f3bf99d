package detect

import (
	"context"
	"time"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// restOn finds for each bucket of a rule that reads alerts those that its own alert rests on: of what was counted, the last
// alert that each rule raised, and the last that rests on one of it. Two rules that count each other's alerts would
// otherwise go round in a circle.
func (p *Program) restOn(ctx context.Context, env Env, cond expr.Cond, buckets []*bucket) error {
	if !p.OnAlerts() || len(buckets) == 0 {
		return nil
	}
	byKey := map[string]*bucket{}
	last := map[*bucket]map[string]*resting{} // by the rule
	var counted window.Spans
	for _, b := range buckets {
		byKey[b.key], last[b] = b, map[string]*resting{}
		counted = counted.Union(b.free)
	}
	paths := append(append(p.by.paths(), p.Time.Paths()...), alert.LinePaths()...)
	node := plan.Project{Paths: paths, In: p.scan(expr.All(p.within(counted), p.among(buckets), cond))}
	err := eachRow(ctx, env, node, func(e *event.Event) error {
		rules := alert.RestsOn(e)
		at, timed := p.Time.Of(e)
		if !timed || len(rules) == 0 {
			return nil
		}
		groups, err := p.by.of(e)
		if err != nil {
			return err
		}
		for _, terms := range groups {
			b := byKey[keyOf(terms)]
			if b == nil || !b.free.Contains(at) {
				continue
			}
			for _, uuid := range rules {
				if r := last[b][uuid]; r == nil || r.before(e, at) {
					last[b][uuid] = &resting{e, at}
				}
			}
		}
		return nil
	})
	for b, rules := range last {
		for _, r := range rules {
			b.on = append(b.on, r.alert)
		}
	}
	return err
}

// resting is an alert that others rest on.
type resting struct {
	alert *event.Event
	at    time.Time
}

func (r *resting) before(e *event.Event, at time.Time) bool {
	return at.After(r.at) || at.Equal(r.at) && e.ID < r.alert.ID
}
