package detect

import (
	"context"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// query is the rule type that alerts on every event that matches (rule-execution.md §3.5).
type query struct{}

func (query) run(ctx context.Context, p *Program, w window.Window, env Env) (Result, error) {
	if p.by.folds {
		return p.suppressed(ctx, w, env)
	}
	fresh, result, err := p.freshIn(ctx, w, env)
	if err != nil {
		return result, err
	}
	if env.Direct {
		if err := p.fill(ctx, w, env, fresh); err != nil {
			return result, err
		}
	}
	for _, f := range fresh {
		result.Alerts = append(result.Alerts, alert.New(p.input(w, env, f.source, p.queryID(f.source))))
	}
	return result, nil
}

func (p *Program) queryID(e *event.Event) string {
	return alert.QueryID(Space, p.uuid, e.Stream, e.ID)
}

// freshIn returns the events of the window to alert on, oldest first.
func (p *Program) freshIn(ctx context.Context, w window.Window, env Env) (fresh []held, result Result, err error) {
	from := w.From
	if env.Since.After(from) {
		from = env.Since
	}
	node, err := p.matches(w.Slot, from, w.To)
	if err != nil {
		return nil, result, err
	}
	if env.Direct {
		node = p.narrowed(node)
	}
	rows, err := exec.Query(ctx, env.Events, node, env.At)
	if err != nil {
		return nil, result, err
	}
	defer rows.Close()
	for rows.Next() {
		e := rows.Event()
		result.Candidates++
		at, _ := p.Time.Of(e)
		switch {
		case env.Alerted.has(p.queryID(e)) || alert.Raised(e, p.uuid):
		case len(fresh) == env.most(p):
			result.leave(at)
		default:
			fresh = append(fresh, held{source: e, at: at})
		}
	}
	return fresh, result, rows.Err()
}
