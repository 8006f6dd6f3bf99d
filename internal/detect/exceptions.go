package detect

import (
	"context"
	"fmt"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Excepted reports whether exceptions hide events from the rule.
func (p *Program) Excepted() bool { return !p.hidden.Empty() }

// HiddenBy returns the exception that keeps a run at now from seeing e; nil where none does.
func (p *Program) HiddenBy(e *event.Event, now time.Time) *exception.Item { return p.hidden.By(e, now) }

// Hides counts the events that the query of a run at now finds in all that is stored, and how many of them the exceptions
// hide from it.
func (p *Program) Hides(ctx context.Context, events store.Querier, at store.Snapshot, now time.Time) (found, hidden int64, err error) {
	query := p.asked
	if query == nil {
		if query, err = p.lower(now); err != nil {
			return 0, 0, fmt.Errorf("read the query at %s: %w", event.FormatTime(now), err)
		}
	}
	if found, err = exec.CountOf(ctx, events, p.Streams(), query, at); err != nil || found == 0 {
		return found, 0, err
	}
	hidden, err = exec.CountOf(ctx, events, p.Streams(), expr.All(query, expr.Some(p.hidden.Always(), p.hidden.At(now))), at)
	return found, hidden, err
}
