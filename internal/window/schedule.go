package window

import (
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-sec/tocsin/internal/datemath"
)

// Spec is when a rule runs and what it looks at, as the rule writes it.
type Spec struct {
	Interval string // a duration: 5m
	From, To string // date math; now is the slot
	History  string // date math; now is the window's end. "": no history
}

// Schedule is a Spec that was read. It is immutable and safe for concurrent use.
type Schedule struct {
	every    time.Duration
	from, to datemath.Expr
	history  datemath.Expr
	looks    bool // there is a history
}

// ErrHistory says that a history does not begin before its window does: then everything in the window would be new.
var ErrHistory = errors.New("the history must begin before the window does")

// New reads a Spec. What is wrong with it is a diag.Diagnostic about the one text that is wrong.
func New(spec Spec) (Schedule, error) {
	var s Schedule
	var err error
	if s.every, err = datemath.ParseDuration(spec.Interval); err != nil {
		return s, fmt.Errorf("read the interval: %w", err)
	}
	if s.from, err = datemath.Parse(spec.From); err != nil {
		return s, fmt.Errorf("read the window's start: %w", err)
	}
	if s.to, err = datemath.Parse(spec.To); err != nil {
		return s, fmt.Errorf("read the window's end: %w", err)
	}
	if s.looks = spec.History != ""; !s.looks {
		return s, nil
	}
	if s.history, err = datemath.Parse(spec.History); err != nil {
		return s, fmt.Errorf("read the start of the history: %w", err)
	}
	return s, nil
}

// Interval is the distance between two slots, a second at least.
func (s Schedule) Interval() time.Duration { return s.every }

// Window returns what the run at slot looks at. The error is ErrHistory where the history does not begin strictly before
// the window, be it with now = the slot or with now = the window's end; it says what came out at this slot.
func (s Schedule) Window(slot time.Time) (Window, error) {
	slot = whole(slot)
	return s.over(slot, slot, Span{s.from.At(slot), s.to.At(slot)})
}

// over is the window of slot that looks at span. Both from and the history are also held against each other at now.
func (s Schedule) over(slot, now time.Time, span Span) (Window, error) {
	w := Window{Slot: slot, From: span.From, To: span.To}
	if !s.looks {
		return w, nil
	}
	w.History = s.history.At(w.To)
	if h, f := s.history.At(now), s.from.At(now); !h.Before(f) {
		return w, fmt.Errorf("%w: at %s the history (%s) begins at %s, the window (%s) at %s", ErrHistory,
			text(now), s.history, text(h), s.from, text(f))
	}
	if !w.History.Before(w.From) {
		return w, fmt.Errorf("%w: at %s the window ends at %s, with a history (%s) from %s, and begins at %s", ErrHistory,
			text(now), text(w.To), s.history, text(w.History), text(w.From))
	}
	return w, nil
}

func text(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z") }

// maxCatchUp is the number of windows that one run catches up at most.
const maxCatchUp = 4

// CaughtUp is what a run looks at that began later than it should have.
type CaughtUp struct {
	// Windows are the windows, oldest first; the last one is the run's own. They may overlap.
	Windows []Window
	// Gap is the stretch that no window makes up for, counted from the previous run on; empty: none.
	Gap Span
}

// CatchUp returns what a run that began at started looks at, when the previous one began at previous (zero: there was
// none). Where more time has passed than a window spans, up to four more windows precede the run's own, each an interval
// before the next; the rest is the gap.
func (s Schedule) CatchUp(started, previous time.Time) (CaughtUp, error) {
	var c CaughtUp
	started, previous = whole(started), whole(previous)
	own := Span{s.from.At(started), s.to.At(started)}
	var missed time.Duration
	if !previous.IsZero() {
		missed = started.Sub(previous) - own.To.Sub(own.From)
	}
	n := min(max(0, -floorDiv(-missed.Milliseconds(), s.every.Milliseconds())), maxCatchUp)
	for k := n; k >= 0; k-- {
		back := time.Duration(-k) * s.every
		w, err := s.over(started.Add(back), started, Span{own.From.Add(back), own.To.Add(back)})
		if err != nil {
			return CaughtUp{}, err
		}
		c.Windows = append(c.Windows, w)
	}
	if rest := missed - time.Duration(n)*s.every; rest > 0 {
		c.Gap = Span{previous, previous.Add(rest)}
	}
	return c, nil
}

// floorDiv is a ÷ b rounded down.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
