package detect

import (
	"context"
	"time"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// restOn finds for each bucket of a rule that reads alerts those that its own alert rests on: of what was counted, the last
// alert that each rule raised, and the last that rests on one of it. Two rules that count each other's alerts would
// otherwise go round in a circle.
func (p *Program) restOn(ctx context.Context, env Env, cond expr.Cond, buckets []*bucket) error {
	if !p.OnAlerts() {
		return nil
	}
	last := map[*bucket]map[string]*resting{} // by the rule
	err := p.eachCounted(ctx, env, cond, buckets, alert.LinePaths(), func(b *bucket, e *event.Event, at time.Time) {
		if last[b] == nil {
			last[b] = map[string]*resting{}
		}
		for _, uuid := range alert.RestsOn(e) {
			if r := last[b][uuid]; r == nil || r.before(e, at) {
				last[b][uuid] = &resting{e, at}
			}
		}
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
