package exec

import (
	"fmt"
	"slices"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// maxPerKey bounds the tuples of one key.
const maxPerKey = 1_000

// samples are the rows of a plan.Sample. Of each key and stage it holds the first events alone: of tuples of s different
// events the first n use none behind the first s−1+n of a stage, because of those before it n at least are not used by
// the other stages, and each gives an earlier tuple.
type samples struct {
	in     *candidates
	keys   keyReader
	stages []plan.Stage
	perKey int
	max    int

	byKey  map[string]*pool
	pools  []*pool // in order, once all events are read
	loaded bool
	found  [][]candidate // the tuples of the present key that are left
	values []event.Value
	number int64
}

// pool is what one key holds, by stage.
type pool struct {
	values []event.Value
	events [][]sampled
}

// sampled is an event with whether it has a time.
type sampled struct {
	candidate
	timed bool
}

// samples returns the rows of n.
func (b *builder) samples(n plan.Sample) (cursor, error) {
	if err := checkStages(n.Stages, nil); err != nil {
		return nil, fmt.Errorf("run a sample: %w", err)
	}
	for i, st := range n.Stages {
		if st.Missing || st.Runs > 1 {
			return nil, fmt.Errorf("run a sample: stage %d is missing, or runs", i)
		}
	}
	if n.PerKey < 0 || n.PerKey > maxPerKey {
		return nil, fmt.Errorf("run a sample: %d for a key, %d are the most", n.PerKey, maxPerKey)
	}
	c, _, err := b.candidates(n.In, n.Order, n.Stages, false)
	if err != nil {
		return nil, err
	}
	return &samples{in: c, stages: n.Stages, perKey: max(n.PerKey, 1), max: b.groups, byKey: map[string]*pool{}}, nil
}

func (s *samples) next() (row, bool, error) {
	if !s.loaded {
		s.loaded = true
		if err := s.load(); err != nil {
			s.byKey, s.pools = nil, nil
			return row{}, false, err
		}
	}
	for len(s.found) == 0 {
		if len(s.pools) == 0 {
			return row{}, false, nil
		}
		if err := s.in.ctx.Err(); err != nil {
			return row{}, false, err
		}
		p := s.pools[0]
		s.pools[0], s.pools = nil, s.pools[1:]
		s.found, s.values = tuples(p.events, s.perKey), p.values
	}
	f := plan.Found{Keys: s.values}
	for _, c := range s.found[0] {
		f.Events = append(f.Events, c.e)
	}
	s.found = s.found[1:]
	s.number++
	f.Number = s.number
	return row{e: f.Row(), owned: true}, true, nil
}

func (s *samples) close() error {
	s.loaded, s.byKey, s.pools, s.found = true, nil, nil, nil
	return s.in.in.close()
}

func (s *samples) load() error {
	for {
		c, timed, ok, err := s.in.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		for i, st := range s.stages {
			if c.stages&(1<<i) == 0 {
				continue
			}
			if err := s.keys.each(st.Keys, c.e, func(key []byte, values []event.Value) error {
				p := s.byKey[string(key)]
				if p == nil {
					if len(s.byKey) == s.max {
						return &LimitError{What: "keys of a sample", Max: s.max}
					}
					p = &pool{events: make([][]sampled, len(s.stages))}
					s.byKey[string(key)] = p
				}
				if p.events[i] = s.add(p.events[i], sampled{c, timed}); i == 0 && p.events[0][0].e == c.e {
					p.values = slices.Clone(values) // of equal values those of the first event
				}
				return nil
			}); err != nil {
				return err
			}
		}
	}
	for _, p := range s.byKey {
		if !slices.ContainsFunc(p.events, func(of []sampled) bool { return len(of) == 0 }) {
			s.pools = append(s.pools, p)
		}
	}
	s.byKey = nil
	slices.SortFunc(s.pools, func(a, b *pool) int { return compareKeys(a.values, b.values) })
	return nil
}

// add puts x into its place among the first events of a stage.
func (s *samples) add(first []sampled, x sampled) []sampled {
	at := len(first)
	for at > 0 && s.before(x, first[at-1]) {
		at--
	}
	most := len(s.stages) - 1 + s.perKey
	if at == most {
		return first
	}
	if len(first) == most {
		first = first[:most-1]
	}
	return slices.Insert(first, at, x)
}

func (s *samples) before(a, b sampled) bool {
	if a.timed != b.timed {
		return a.timed
	}
	return s.in.compare(a.candidate, b.candidate) < 0
}

// tuples returns the first n tuples of different events, one of each stage, in order.
func tuples(stages [][]sampled, n int) (out [][]candidate) {
	var tuple []candidate
	used := map[*event.Event]bool{}
	var choose func()
	choose = func() {
		if len(tuple) == len(stages) {
			out = append(out, slices.Clone(tuple))
			return
		}
		for _, x := range stages[len(tuple)] {
			if len(out) == n {
				return
			}
			if used[x.e] {
				continue
			}
			used[x.e] = true
			tuple = append(tuple, x.candidate)
			if assignable(stages[len(tuple):], used) { // or this way leads nowhere, however long it is
				choose()
			}
			tuple = tuple[:len(tuple)-1]
			delete(used, x.e)
		}
	}
	if assignable(stages, used) {
		choose()
	}
	return out
}

// assignable reports whether every stage can have an event of its own that is not used.
func assignable(stages [][]sampled, used map[*event.Event]bool) bool {
	if len(stages) == 0 {
		return true
	}
	of := map[*event.Event]int{} // the stage that has the event
	for i := range stages {
		tried := map[*event.Event]bool{}
		var assign func(i int) bool
		assign = func(i int) bool {
			for _, x := range stages[i] {
				if used[x.e] || tried[x.e] {
					continue
				}
				tried[x.e] = true
				if holder, taken := of[x.e]; !taken || assign(holder) {
					of[x.e] = i
					return true
				}
			}
			return false
		}
		if !assign(i) {
			return false
		}
	}
	return true
}
