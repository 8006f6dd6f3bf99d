package replay

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// Candidates are fetched pageSize at a time, or twice as many as the present window holds. A window with more than
// maxHeld of them reads the store itself: memory stays bounded whatever a rule matches.
const (
	pageSize = 5_000
	maxHeld  = 20_000
)

// candidates holds a rule's candidates around the present window, oldest first.
type candidates struct {
	db store.Querier
	p  *detect.Program
	at store.Snapshot

	pageSize, maxHeld int

	times []time.Time    // of all candidates, ascending
	first int            // the place in times of the first that is held
	held  []*event.Event // neighbours in times
	read  int            // events that were fetched
}

// findCandidates looks when p has candidates within span.
func findCandidates(ctx context.Context, db store.Querier, p *detect.Program, at store.Snapshot, span window.Span) (*candidates, error) {
	c := &candidates{db: db, p: p, at: at, pageSize: pageSize, maxHeld: maxHeld}
	rows, err := exec.Query(ctx, db, p.CandidateTimes(span), at)
	if err != nil {
		return nil, fmt.Errorf("find candidates: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if t, timed := p.Time.Of(rows.Event()); timed && span.Contains(t) {
			c.times = append(c.times, t)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("find candidates: %w", err)
	}
	slices.SortFunc(c.times, time.Time.Compare)
	return c, nil
}

// within returns a Querier over the candidates of span, for the rule's own plan over that span; direct says that it is the
// store itself.
func (c *candidates) within(ctx context.Context, span window.Span) (q store.Querier, direct bool, err error) {
	from := sort.Search(len(c.times), func(i int) bool { return !c.times[i].Before(span.From) })
	to := sort.Search(len(c.times), func(i int) bool { return c.times[i].After(span.To) })
	switch n := to - from; {
	case n <= 0:
		return exec.Over(nil), false, nil
	case n > c.maxHeld:
		c.held = nil
		return c.db, true, nil
	case from < c.first || to > c.first+len(c.held):
		if err := c.fetch(ctx, from, max(2*n, c.pageSize)); err != nil {
			c.held = nil
			return nil, false, err
		}
	}
	from, to = from-c.first, to-c.first
	return exec.Over(c.held[from:to:to]), false, nil
}

// fetch holds n candidates, or a few more or all that there are, from the one at first on.
func (c *candidates) fetch(ctx context.Context, first, n int) error {
	end := min(first+n, len(c.times))
	for end < len(c.times) && c.times[end].Equal(c.times[end-1]) {
		end++
	}
	for first > 0 && c.times[first-1].Equal(c.times[first]) {
		first--
	}
	span := window.Span{From: c.times[first], To: c.times[end-1]}
	c.first, c.held = first, make([]*event.Event, 0, end-first)
	rows, err := exec.Query(ctx, c.db, c.p.Candidates(span), c.at)
	if err != nil {
		return fmt.Errorf("fetch candidates: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		e := rows.Event()
		if t, timed := c.p.Time.Of(e); timed && span.Contains(t) {
			c.held = append(c.held, e)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("fetch candidates: %w", err)
	}
	c.read += len(c.held)
	if len(c.held) != end-first {
		return fmt.Errorf("fetch candidates: the store shows %d events where it showed %d before", len(c.held), end-first)
	}
	return c.p.Ahead(ctx, c.held)
}
