package detect

import (
	"context"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// threatRule is the rule type that alerts on every event that an indicator matches (rule-execution.md §3.2).
type threatRule struct{}

// maxNamed is how many indicators an alert names, the newest ones; it says so where there are more.
const maxNamed = 200

// indicated is an event with the indicators that match it.
type indicated struct {
	held
	found []uint32
}

func (threatRule) run(ctx context.Context, p *Program, w window.Window, env Env) (Result, error) {
	var result Result
	p, err := p.Bind(ctx, env.indicators(), env.At)
	if err != nil {
		return result, err
	}
	from := w.From
	if env.Since.After(from) && !p.by.folds {
		from = env.Since
	}
	node, err := p.matches(w.Slot, from, w.To)
	if err != nil {
		return result, err
	}
	narrow := env.Direct || p.by.folds
	if narrow {
		node = p.narrowed(node)
	}
	rows, err := exec.Query(ctx, env.Events, node, env.At)
	if err != nil {
		return result, err
	}
	defer rows.Close()
	r := threatRun{Program: p, w: w, env: env, result: &result, in: p.openGroups(w, env)}
	for rows.Next() {
		e := rows.Event()
		result.Candidates++
		if env.Alerted.has(p.queryID(e)) || alert.Raised(e, p.uuid) {
			continue
		}
		found := p.found.matching(e)
		if len(found) == 0 {
			continue
		}
		at, _ := p.Time.Of(e)
		r.some = append(r.some, indicated{held{source: e, at: at}, found})
		if r.named += min(len(found), maxNamed); r.named >= p.threat.bounds.docs/4 {
			if err := r.settle(ctx); err != nil {
				return result, err
			}
		}
	}
	if err := rows.Err(); err != nil {
		return result, err
	}
	if err := r.settle(ctx); err != nil {
		return result, err
	}
	result.folds, result.Folded = r.in.folded()
	return result, r.raise(ctx, narrow)
}

// indicators is where a run reads indicators.
func (e Env) indicators() store.Querier {
	if e.Indicators != nil {
		return e.Indicators
	}
	return e.Store
}

// threatRun is one run of such a rule.
type threatRun struct {
	*Program
	w      window.Window
	env    Env
	result *Result
	in     *openGroups
	some   []indicated // that are not settled
	named  int         // indicators of these, at most
	fresh  []indicated // to alert on
	taken  int
}

// settle decides of some events whether they alert: their indicators have to count now.
func (r *threatRun) settle(ctx context.Context) error {
	t := r.Program.found
	if t.of.changes {
		if err := t.prefetch(ctx, foundOf(r.some), maxNamed+1); err != nil {
			return err
		}
	}
	for _, f := range r.some {
		var err error
		if f.found, err = t.counting(ctx, f.found, r.w.Slot, maxNamed+1); err != nil {
			return err
		}
		if len(f.found) == 0 {
			continue
		}
		id := r.queryID(f.source)
		g, err := r.in.of(f.source)
		if err != nil {
			return err
		}
		switch {
		case g.foldedBefore(id):
			continue
		case r.taken == r.env.most(r.Program):
			r.result.leave(f.at)
			continue
		}
		r.taken++
		if !g.folds(id, f.held) {
			g.opens(id, f.held)
			r.fresh = append(r.fresh, f)
		}
	}
	r.some, r.named = nil, 0
	return nil
}

func foundOf(list []indicated) [][]uint32 {
	out := make([][]uint32, len(list))
	for i, f := range list {
		out[i] = f.found
	}
	return out
}

// raise makes the alerts; narrow says that only what is read of all events was read of theirs.
func (r *threatRun) raise(ctx context.Context, narrow bool) error {
	if narrow {
		whole := make([]held, len(r.fresh))
		for i, f := range r.fresh {
			whole[i] = f.held
		}
		if err := r.fill(ctx, r.w, r.env, whole); err != nil {
			return err
		}
		for i := range r.fresh {
			r.fresh[i].held = whole[i]
		}
	}
	t := r.Program.found
	if err := t.prefetch(ctx, foundOf(r.fresh), maxNamed); err != nil {
		return err
	}
	for _, f := range r.fresh {
		made := r.input(r.w, r.env, f.source, r.queryID(f.source))
		r.in.describe(&made)
		var err error
		if made.Indicators, err = t.described(ctx, f.source, f.found[:min(len(f.found), maxNamed)], len(f.found) > maxNamed); err != nil {
			return err
		}
		r.result.Alerts = append(r.result.Alerts, alert.New(made))
	}
	return nil
}
