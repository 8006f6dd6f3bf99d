package detect

import (
	"context"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// query is the rule type that alerts on every event that matches (rule-execution.md §3.5).
type query struct{}

func (query) run(ctx context.Context, p *Program, w window.Window, env Env) (Result, error) {
	var result Result
	node, err := p.matches(w.Slot, w.From, w.To)
	if err != nil {
		return result, err
	}
	rows, err := exec.Query(ctx, env.Events, node, env.At)
	if err != nil {
		return result, err
	}
	defer rows.Close()
	for rows.Next() {
		e := rows.Event()
		result.Candidates++
		id := alert.QueryID(Space, p.Rule.UUID(), e.Stream, e.ID)
		switch {
		case env.Alerted.has(id) || alert.Raised(e, p.Rule.UUID()):
		case len(result.Alerts) == p.Rule.MaxSignals:
			result.Over++
		default:
			result.Alerts = append(result.Alerts, alert.New(p.input(w, env, e, id)))
		}
	}
	return result, rows.Err()
}
