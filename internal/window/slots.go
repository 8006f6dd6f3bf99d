package window

import (
	"iter"
	"slices"
	"sort"
	"time"
)

// Slots are neighbouring slots, First and Last among them. The zero Slots has none; so has one whose Last is before First.
type Slots struct {
	First, Last time.Time
	Every       time.Duration
}

// Floor is the last slot at or before t, of slots that lie every apart.
func Floor(t time.Time, every time.Duration) time.Time {
	ms := every.Milliseconds()
	return time.UnixMilli(floorDiv(t.UnixMilli(), ms) * ms).UTC()
}

// Ceil is the first slot at or after t, of slots that lie every apart.
func Ceil(t time.Time, every time.Duration) time.Time {
	slot := Floor(t, every)
	if slot.Before(t) {
		return slot.Add(every)
	}
	return slot
}

// Len is the number of slots. There may be very many: data with a nonsense clock span millennia.
func (s Slots) Len() int64 {
	if s.Every <= 0 || s.Last.Before(s.First) {
		return 0
	}
	return (s.Last.UnixMilli()-s.First.UnixMilli())/s.Every.Milliseconds() + 1
}

// All returns the slots in order.
func (s Slots) All() iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		for i := range s.Len() {
			if !yield(s.at(i)) {
				return
			}
		}
	}
}

func (s Slots) at(i int64) time.Time {
	return time.UnixMilli(s.First.UnixMilli() + i*s.Every.Milliseconds()).UTC()
}

// run is the part of s from the slot numbered a to that numbered b.
func (s Slots) run(a, b int64) Slots { return Slots{s.at(a), s.at(b), s.Every} }

// Over returns the slots that go over the data of span: from the first one after its start to the first one at or after
// its end, and one at least where span is not empty. What lies exactly on the start is in the first one's window if the
// window reaches back by an interval. No slot is later than a document can say (AllTime): what a nonsense clock puts into
// the last moments of the year 9999 has none.
func (s Schedule) Over(span Span) Slots {
	if span.Empty() {
		return Slots{}
	}
	first, last := Floor(span.From, s.every).Add(s.every), Ceil(span.To, s.every)
	if last.Before(first) {
		last = first
	}
	if end := Floor(AllTime().To, s.every); last.After(end) {
		last = end
	}
	return Slots{first, last, s.every}
}

// Holding returns the slots among within whose windows hold t, as runs of neighbours in order: one run, but for windows
// that reach back by months or years.
func (s Schedule) Holding(t time.Time, within Slots) []Slots { return s.Touching(Span{t, t}, within) }

// Touching returns the slots among within whose windows hold a part of span, as runs of neighbours in order. It costs a
// few dozen steps however many slots there are, and more only for windows that reach back by months or years. Slots with
// an empty window, which hold nothing, may be among them unless span is one instant.
func (s Schedule) Touching(span Span, within Slots) []Slots {
	n := int(within.Len())
	// Starts and ends of windows move on with the slot, but for jumps back that their bounds smooth out.
	first := sort.Search(n, func(i int) bool {
		_, latest := s.to.Bounds(within.at(int64(i)))
		return !latest.Before(whole(span.From))
	})
	end := sort.Search(n, func(i int) bool {
		earliest, _ := s.from.Bounds(within.at(int64(i)))
		return earliest.After(span.To)
	})
	if first >= end {
		return nil
	}
	if s.from.Steady() && s.to.Steady() {
		return []Slots{within.run(int64(first), int64(end-1))}
	}
	var out []Slots
	for i := int64(first); i < int64(end); i++ {
		slot := within.at(i)
		if s.from.At(slot).After(span.To) || s.to.At(slot).Before(whole(span.From)) {
			continue
		}
		out = joined(out, Slots{slot, slot, within.Every})
	}
	return out
}

// joined appends next, whose First is not before that of the last in runs, to runs; what touches or overlaps becomes one.
func joined(runs []Slots, next Slots) []Slots {
	if n := len(runs) - 1; n >= 0 && !runs[n].Last.Add(next.Every).Before(next.First) {
		if runs[n].Last.Before(next.Last) {
			runs[n].Last = next.Last
		}
		return runs
	}
	return append(runs, next)
}

// Split parts within into the slots whose windows hold one of times, which are sorted, and the others; both as runs of
// neighbours in order. A stretch without candidates is one run, however long it is.
func (s Schedule) Split(times []time.Time, within Slots) (held, empty []Slots) {
	var runs []Slots
	steady := s.from.Steady() && s.to.Steady()
	for i := 0; i < len(times); {
		holding := s.Holding(times[i], within)
		runs = append(runs, holding...)
		until := times[i]
		if steady && len(holding) == 1 {
			// No other slots hold what comes before the window after the last of these begins.
			until = s.from.At(holding[0].Last.Add(within.Every)).Add(-time.Millisecond)
		}
		for i++; i < len(times) && !times[i].After(until); i++ {
		}
	}
	sort.SliceStable(runs, func(i, j int) bool { return runs[i].First.Before(runs[j].First) })
	for _, r := range runs {
		held = joined(held, r)
	}
	return held, within.without(held)
}

// without returns s without the runs, which are in order and apart.
func (s Slots) without(runs []Slots) []Slots {
	var out []Slots
	rest := s
	for _, r := range runs {
		if before := (Slots{rest.First, r.First.Add(-s.Every), s.Every}); before.Len() > 0 {
			out = append(out, before)
		}
		rest.First = r.Last.Add(s.Every)
	}
	if rest.Len() > 0 {
		out = append(out, rest)
	}
	return out
}

// Merge joins slots, which are sorted and lie every apart or further, into runs of neighbours.
func Merge(slots []time.Time, every time.Duration) []Slots {
	var out []Slots
	for _, slot := range slots {
		out = joined(out, Slots{slot, slot, every})
	}
	return out
}

// Intersect returns the slots that s and o, which lie as far apart as those of s, have in common.
func (s Slots) Intersect(o Slots) Slots {
	if s.First.Before(o.First) {
		s.First = o.First
	}
	if s.Last.After(o.Last) {
		s.Last = o.Last
	}
	if s.Last.Before(s.First) {
		return Slots{}
	}
	return s
}

// Without returns the slots of runs that are not in taken, as runs of neighbours in order. Either may stand in any order
// and overlap; all slots lie equally far apart.
func Without(runs, taken []Slots) []Slots {
	taken = ordered(taken)
	var out []Slots
	for _, s := range ordered(runs) {
		i := sort.Search(len(taken), func(i int) bool { return !taken[i].Last.Before(s.First) })
		var within []Slots
		for ; i < len(taken) && !taken[i].First.After(s.Last); i++ {
			within = append(within, taken[i].Intersect(s))
		}
		out = append(out, s.without(within)...)
	}
	return out
}

// ordered returns runs in order, with those that touch or overlap as one.
func ordered(runs []Slots) []Slots {
	sorted := slices.DeleteFunc(slices.Clone(runs), func(s Slots) bool { return s.Len() == 0 })
	slices.SortFunc(sorted, func(a, b Slots) int { return a.First.Compare(b.First) })
	var out []Slots
	for _, s := range sorted {
		out = joined(out, s)
	}
	return out
}
