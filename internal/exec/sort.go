package exec

import (
	"cmp"
	"container/heap"
	"slices"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// sorter orders the rows of its input, at most max of them. With top it gives the first n alone and holds no more.
type sorter struct {
	in     cursor
	keys   []plan.SortKey
	max    int
	top    bool
	n      int
	loaded bool
	sorted []keyed
}

// keyed is a row with the values of its sort keys.
type keyed struct {
	row
	keys []event.Value
}

func (s *sorter) next() (row, bool, error) {
	if !s.loaded {
		s.loaded = true
		if err := s.load(); err != nil {
			s.sorted = nil
			return row{}, false, err
		}
	}
	if len(s.sorted) == 0 {
		return row{}, false, nil
	}
	r := s.sorted[0].row
	s.sorted[0] = keyed{}
	s.sorted = s.sorted[1:]
	return r, true, nil
}

func (s *sorter) load() error {
	if s.top && s.n <= 0 {
		return nil
	}
	worst := &worstFirst{sorter: s}
	for {
		r, ok, err := s.in.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		k := keyed{row: r, keys: make([]event.Value, len(s.keys))}
		for i, key := range s.keys {
			k.keys[i] = expr.Compute(key.Value, r.e)
		}
		switch {
		case s.top && len(s.sorted) == s.n:
			if s.compare(k, s.sorted[0]) < 0 {
				s.sorted[0] = k
				heap.Fix(worst, 0)
			}
		case len(s.sorted) == s.max:
			return &LimitError{What: "rows to sort", Max: s.max}
		case s.top:
			heap.Push(worst, k)
		default:
			s.sorted = append(s.sorted, k)
		}
	}
	slices.SortStableFunc(s.sorted, s.compare)
	return nil
}

func (s *sorter) compare(a, b keyed) int { return Compare(s.keys, a.e, b.e, a.keys, b.keys) }

// Compare orders the rows a and b, of which x and y are the values of keys, as plan.Sort does: nulls last, ties by stream
// and ID.
func Compare(keys []plan.SortKey, a, b *event.Event, x, y []event.Value) int {
	for i, key := range keys {
		switch {
		case x[i].IsNull() && y[i].IsNull():
			continue
		case x[i].IsNull():
			return 1
		case y[i].IsNull():
			return -1
		}
		if d := event.Compare(x[i], y[i]); d != 0 {
			if key.Desc {
				return -d
			}
			return d
		}
	}
	return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.ID, b.ID))
}

func (s *sorter) close() error {
	s.sorted = nil
	return s.in.close()
}

// worstFirst is the heap of the rows that a sorter holds, the last of them on top.
type worstFirst struct{ *sorter }

// Len is the number of rows held.
func (h *worstFirst) Len() int { return len(h.sorted) }

// Less puts the later row first.
func (h *worstFirst) Less(i, j int) bool { return h.compare(h.sorted[i], h.sorted[j]) > 0 }

// Swap exchanges two rows.
func (h *worstFirst) Swap(i, j int) { h.sorted[i], h.sorted[j] = h.sorted[j], h.sorted[i] }

// Push adds a row.
func (h *worstFirst) Push(x any) { h.sorted = append(h.sorted, x.(keyed)) }

// Pop takes the last row.
func (h *worstFirst) Pop() any {
	last := h.sorted[len(h.sorted)-1]
	h.sorted = h.sorted[:len(h.sorted)-1]
	return last
}
