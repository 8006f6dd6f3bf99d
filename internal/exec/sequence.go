package exec

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// sequences are the rows of a plan.Sequence, found in one pass over the events of its stages in their order.
//
// Of each key and stage one sequence alone can still go on: the one that came last, because a later one goes before all
// older ones, which then are gone. A stage that runs n times is a register through which its events move, and sequences
// with them: each event of the stage takes every sequence in it one place further, so that those that leave it hold the
// last n events. What a key holds is forgotten once MaxSpan has passed since a sequence of it began.
type sequences struct {
	in    *inOrder
	keys  keyReader
	order []plan.Stage // as the plan has them
	steps []step       // of those the ones that are not missing
	gaps  []gap        // and those that are
	until plan.Stage
	ends  uint64 // the bit of until; 0: none
	// leading and trailing are the numbers of missing stages before the first step and after the last.
	leading, trailing int
	bounded           bool
	span              int64 // in milliseconds, where bounded

	byKey    map[string]*track
	max      int // of tracks, and of sequences that wait
	oldest   track
	now      int64 // the time of the present event
	event    int64 // and its number
	fresh    []*result
	queue    []*result
	number   int64
	places   []*event.Event // of a row
	finished bool
}

// step is a stage whose events belong to the sequence.
type step struct {
	bit   uint64
	stage plan.Stage
	runs  int
}

// gap is a missing stage.
type gap struct {
	bit   uint64
	stage plan.Stage
	at    int // the number of steps before it
}

// track is what one key holds. Tracks are linked in the order in which they were touched.
type track struct {
	key        string
	values     []event.Value
	registers  []register // one a step
	seen       []seen     // one a gap
	waiting    []*result
	touched    int64
	prev, next *track
}

// register holds the events of a step that runs, the one that came last at last, and the sequence that has left it.
type register struct {
	ring []place
	last int
	left *chain
}

// place is an event in a register, with the sequence that entered by it.
type place struct {
	e     *event.Event
	enter *chain
}

// seen are the latest two times of events that should be missing.
type seen struct{ last, before int64 }

// never is the time of what has not been.
const never = math.MinInt64

// chain is a sequence up to the events of one step.
type chain struct {
	prev   *chain
	one    *event.Event   // of a step that runs once
	events []*event.Event // of others
	first  int64          // the time of the first event
	last   int64
	begun  int64 // the number of the first event
	before int64 // the time that MaxSpan has to have passed since, where stages are missing at an end; never: none
	broken bool  // an event that should be missing lies between two
}

// result is a whole sequence. One that is not decided counts once its deadline has passed.
type result struct {
	chain    *chain
	values   []event.Value
	deadline int64
	decided  bool
	rejected bool
}

// known reports whether events at the time now, or later, no longer change r.
func (r *result) known(now int64) bool { return r.decided || now > r.deadline }

// sequences returns the rows of n.
func (b *builder) sequences(n plan.Sequence) (cursor, error) {
	if err := checkStages(n.Stages, n.Until); err != nil {
		return nil, fmt.Errorf("run a sequence: %w", err)
	}
	s := &sequences{order: n.Stages, bounded: n.MaxSpan > 0, span: int64(n.MaxSpan / time.Millisecond),
		byKey: map[string]*track{}, max: b.groups}
	s.oldest.prev, s.oldest.next = &s.oldest, &s.oldest
	for i, st := range n.Stages {
		s.places = append(s.places, make([]*event.Event, max(st.Runs, 1))...)
		if st.Missing {
			s.gaps = append(s.gaps, gap{bit: 1 << i, stage: st, at: len(s.steps)})
		} else {
			s.steps = append(s.steps, step{bit: 1 << i, stage: st, runs: max(st.Runs, 1)})
		}
	}
	for _, g := range s.gaps {
		switch g.at {
		case 0:
			s.leading++
		case len(s.steps):
			s.trailing++
		}
	}
	switch {
	case len(s.steps) == 0:
		return nil, errors.New("run a sequence: all stages are missing")
	case n.MaxSpan < 0:
		return nil, errors.New("run a sequence: a span less than 0")
	case len(s.gaps) > 0 && !s.bounded:
		return nil, errors.New("run a sequence: a missing stage needs a span")
	}
	stages := n.Stages
	if n.Until != nil {
		s.until, s.ends = *n.Until, 1<<len(stages)
		stages = append(stages[:len(stages):len(stages)], *n.Until)
	}
	c, sorted, err := b.candidates(n.In, n.Order, stages, true)
	if err != nil {
		return nil, err
	}
	s.in = &inOrder{candidates: c, max: b.sortRows, sorted: sorted}
	return s, nil
}

func (s *sequences) next() (row, bool, error) {
	for {
		for len(s.queue) > 0 && (s.finished || s.queue[0].known(s.now)) {
			r := s.queue[0]
			s.queue[0] = nil
			s.queue = s.queue[1:]
			if !r.rejected {
				s.number++
				return row{e: s.row(r), owned: true}, true, nil
			}
		}
		if s.finished {
			return row{}, false, nil
		}
		c, ok, err := s.in.next()
		if err != nil {
			return row{}, false, err
		}
		if !ok {
			s.finished, s.byKey = true, nil
			continue
		}
		if err := s.take(c); err != nil {
			return row{}, false, err
		}
	}
}

func (s *sequences) close() error {
	s.finished, s.queue, s.byKey, s.oldest = true, nil, nil, track{}
	return s.in.in.close()
}

// take moves the sequences that c is an event of.
func (s *sequences) take(c candidate) error {
	s.event++
	s.pass(c.time)
	for i := len(s.steps) - 1; i >= 0; i-- {
		if c.stages&s.steps[i].bit == 0 {
			continue
		}
		if err := s.keys.each(s.steps[i].stage.Keys, c.e, func(key []byte, values []event.Value) error {
			t := s.byKey[string(key)]
			if i > 0 {
				if t != nil {
					s.advance(t, i, c)
				}
				return nil
			}
			if t == nil {
				var err error
				if t, err = s.track(key, values); err != nil {
					return err
				}
			}
			s.touch(t, c.time)
			s.advance(t, i, c)
			return nil
		}); err != nil {
			return err
		}
	}
	for i := range s.gaps {
		if c.stages&s.gaps[i].bit != 0 {
			if err := s.miss(i, c); err != nil {
				return err
			}
		}
	}
	if c.stages&s.ends != 0 {
		if err := s.keys.each(s.until.Keys, c.e, func(key []byte, _ []event.Value) error {
			if t := s.byKey[string(key)]; t != nil {
				clear(t.registers)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return s.line()
}

// pass goes on to the time now, and forgets the keys whose sequences all began more than the span ago.
func (s *sequences) pass(now int64) {
	if s.now = now; !s.bounded {
		return
	}
	for t := s.oldest.next; t != &s.oldest && now-t.touched > s.span; t = s.oldest.next {
		s.oldest.next, t.next.prev = t.next, &s.oldest
		delete(s.byKey, t.key)
	}
}

func (s *sequences) track(key []byte, values []event.Value) (*track, error) {
	if len(s.byKey) == s.max {
		return nil, &LimitError{What: "keys whose sequences go on at once", Max: s.max}
	}
	t := &track{key: string(key), values: slices.Clone(values), registers: make([]register, len(s.steps))}
	if len(s.gaps) > 0 {
		t.seen = make([]seen, len(s.gaps))
		for i := range t.seen {
			t.seen[i] = seen{last: never, before: never}
		}
	}
	s.byKey[t.key] = t
	return t, nil
}

// touch makes t the one to be forgotten last.
func (s *sequences) touch(t *track, now int64) {
	if t.touched = now; !s.bounded {
		return
	}
	if t.next != nil {
		t.prev.next, t.next.prev = t.next, t.prev
	}
	t.prev, t.next = s.oldest.prev, &s.oldest
	t.prev.next, s.oldest.prev = t, t
}

// advance takes c as an event of step i.
func (s *sequences) advance(t *track, i int, c candidate) {
	var enter *chain
	if i == 0 {
		enter = &chain{first: c.time, begun: s.event, before: s.lead(t, c.time)}
	} else if p := t.registers[i-1].left; p != nil {
		t.registers[i-1].left = nil
		if !s.bounded || c.time-p.first <= s.span {
			enter = &chain{prev: p, first: p.first, begun: p.begun, before: p.before, broken: p.broken || s.between(t, i, p.last, c.time)}
		}
	}
	r, runs := &t.registers[i], s.steps[i].runs
	out := enter
	if runs == 1 {
		if out == nil {
			return
		}
		out.one = c.e
	} else {
		if r.ring == nil && enter == nil {
			return
		}
		if len(r.ring) < runs {
			r.last = len(r.ring)
			r.ring = append(r.ring, place{c.e, enter})
		} else {
			r.last = (r.last + 1) % runs
			r.ring[r.last] = place{c.e, enter}
		}
		if len(r.ring) < runs {
			return
		}
		first := (r.last + 1) % runs
		if out = r.ring[first].enter; out == nil || s.bounded && c.time-out.first > s.span {
			return
		}
		out.events = make([]*event.Event, runs)
		for k := range out.events {
			out.events[k] = r.ring[(first+k)%runs].e
		}
	}
	if out.last = c.time; i < len(s.steps)-1 {
		r.left = out
	} else {
		s.complete(t, out)
	}
}

// lead returns the time of the latest event before first that should be missing there; first itself, where none should.
func (s *sequences) lead(t *track, first int64) int64 {
	if s.leading == 0 {
		return first
	}
	latest := int64(never)
	for k, g := range s.gaps {
		if g.at == 0 {
			latest = max(latest, t.seen[k].until(first))
		}
	}
	return latest
}

// between reports whether an event that should be missing before step i lies between the times.
func (s *sequences) between(t *track, i int, from, to int64) bool {
	for k, g := range s.gaps {
		if g.at == i && t.seen[k].until(to) > from {
			return true
		}
	}
	return false
}

// until returns the latest time before t, which is not before the last.
func (x seen) until(t int64) int64 {
	if x.last < t {
		return x.last
	}
	return x.before
}

// miss takes c as an event of gap i.
func (s *sequences) miss(i int, c candidate) error {
	g := s.gaps[i]
	return s.keys.each(g.stage.Keys, c.e, func(key []byte, values []event.Value) error {
		t := s.byKey[string(key)]
		if t == nil {
			if g.at > 0 { // no sequence has begun for which it counts
				return nil
			}
			var err error
			if t, err = s.track(key, values); err != nil {
				return err
			}
		}
		if g.at == 0 {
			s.touch(t, c.time)
		}
		if x := &t.seen[i]; c.time > x.last {
			x.before, x.last = x.last, c.time
		}
		if g.at < len(s.steps) {
			return nil
		}
		left := t.waiting[:0]
		for _, r := range t.waiting {
			switch {
			case r.known(c.time):
			case r.chain.last >= c.time:
				left = append(left, r)
			default:
				r.decided, r.rejected = true, true
			}
		}
		clear(t.waiting[len(left):])
		t.waiting = left
		return nil
	})
}

// complete takes a whole sequence, which may have to wait.
func (s *sequences) complete(t *track, c *chain) {
	r := &result{chain: c, values: t.values, decided: true}
	switch {
	case c.broken:
		return
	case s.leading+s.trailing == 0 || c.before == never:
	case c.last-c.before > s.span:
	case s.trailing == 0:
		return
	default:
		r.deadline, r.decided = c.before+s.span, false
		for len(t.waiting) > 0 && t.waiting[0].known(s.now) {
			t.waiting = t.waiting[1:]
		}
		t.waiting = append(t.waiting, r)
	}
	s.fresh = append(s.fresh, r)
}

// line puts the sequences that the present event completes into the queue.
func (s *sequences) line() error {
	if len(s.fresh) > 1 {
		slices.SortFunc(s.fresh, func(a, b *result) int {
			return cmp.Or(cmp.Compare(a.chain.begun, b.chain.begun), compareKeys(a.values, b.values))
		})
	}
	s.queue = append(s.queue, s.fresh...)
	clear(s.fresh)
	s.fresh = s.fresh[:0]
	if len(s.queue) > s.max {
		return &LimitError{What: "sequences that wait for their span to pass", Max: s.max}
	}
	return nil
}

func (s *sequences) row(r *result) *event.Event {
	i, c := len(s.places), r.chain
	for k := len(s.order) - 1; k >= 0; k-- {
		n := max(s.order[k].Runs, 1)
		i -= n
		switch {
		case s.order[k].Missing:
			continue
		case c.one != nil:
			s.places[i] = c.one
		default:
			copy(s.places[i:], c.events)
		}
		c = c.prev
	}
	row := plan.Found{Number: s.number, Keys: r.values, Events: s.places}.Row()
	clear(s.places)
	return row
}
