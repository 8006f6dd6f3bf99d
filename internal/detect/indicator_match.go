package detect

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// matching returns the indicators that match e, whenever they count, ascending. Who gets them does not change them.
func (t *table) matching(e *event.Event) []uint32 {
	numbers := make([][]uint32, len(t.columns)) // of the values of e
	has := make([]bool, len(t.columns))
	var key []byte
	for i := range t.columns {
		x := &t.columns[i]
		x.numbers(e, func(_ event.Value, n uint32) { numbers[i] = append(numbers[i], n) })
		slices.Sort(numbers[i])
		numbers[i] = slices.Compact(numbers[i])
		has[i] = x.has(false, e)
		key = binary.AppendUvarint(key, uint64(len(numbers[i])<<1|bit(has[i])))
		for _, n := range numbers[i] {
			key = binary.AppendUvarint(key, uint64(n))
		}
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if found, known := t.known[string(key)]; known {
		return found
	}
	var found []uint32
	for _, group := range t.of.groups {
		found = append(found, t.inGroup(group, numbers, has)...)
	}
	if len(t.of.groups) > 1 {
		slices.Sort(found)
		found = slices.Compact(found)
	}
	if t.size += len(found) + 1; t.known == nil || t.size > t.of.bounds.known {
		t.known, t.size = map[string][]uint32{}, len(found)+1
	}
	t.known[string(key)] = found
	return found
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// inGroup returns the indicators for which every comparison of the group holds. A comparison that must not hold does not
// where the two have no value in common; where neither has any, they are the same (rule-execution.md §3.2).
func (t *table) inGroup(group []compared, numbers [][]uint32, has []bool) []uint32 {
	least, begin := -1, 0
	for _, g := range group {
		if g.negate {
			continue
		}
		n := 0
		for _, number := range numbers[g.column] {
			n += len(t.columns[g.column].holding(number))
		}
		if least < 0 || n < least {
			least, begin = n, g.column
		}
	}
	var found []uint32
	for _, number := range numbers[begin] {
		found = append(found, t.columns[begin].holding(number)...)
	}
	if len(numbers[begin]) > 1 {
		slices.Sort(found)
		found = slices.Compact(found)
	}
	return slices.DeleteFunc(found, func(indicator uint32) bool {
		return slices.ContainsFunc(group, func(g compared) bool {
			x := &t.columns[g.column]
			if g.negate && !has[g.column] && !x.hasValue(indicator) {
				return true
			}
			return x.shares(numbers[g.column], indicator) == g.negate
		})
	})
}

// matches says where indicator matches e: for each comparison that must hold, of the groups that do, the event's first value
// that is the indicator's.
func (t *table) matches(e *event.Event, indicator uint32) []alert.Match {
	first := make([]event.Value, len(t.columns))
	found, has := make([][]uint32, len(t.columns)), make([]bool, len(t.columns))
	for i := range t.columns {
		x := &t.columns[i]
		has[i] = x.has(false, e)
		x.numbers(e, func(v event.Value, n uint32) {
			if x.shares([]uint32{n}, indicator) && first[i].IsNull() {
				first[i], found[i] = v, []uint32{n}
			}
		})
	}
	var out []alert.Match
	said := make([]bool, len(t.columns))
	for _, group := range t.of.groups {
		if slices.ContainsFunc(group, func(g compared) bool {
			return g.negate && (found[g.column] != nil || !has[g.column] && !t.columns[g.column].hasValue(indicator)) || !g.negate && found[g.column] == nil
		}) {
			continue
		}
		for _, g := range group {
			if !g.negate && !said[g.column] {
				said[g.column] = true
				out = append(out, alert.Match{Field: t.columns[g.column].name, Value: first[g.column]})
			}
		}
	}
	return out
}

// document names an indicator as it is stored: an ID is one day's.
type document struct {
	stream, id string
	at         int64
}

func (t *table) document(indicator uint32) document {
	return document{t.names[t.stream[indicator]], t.ids[indicator], t.times[indicator]}
}

// fetch reads the indicators among wanted, ascending, that are not read yet, with what an alert says of them. The caller
// holds the mutex.
func (t *table) fetch(ctx context.Context, wanted []uint32) error {
	if t.docs == nil || len(t.docs)+len(wanted) > t.of.bounds.docs {
		t.docs = map[uint32]*event.Event{}
	}
	missing := map[document]uint32{}
	for _, n := range wanted {
		if t.docs[n] == nil {
			missing[t.document(n)] = n
		}
	}
	if len(missing) == 0 {
		return nil
	}
	where, err := t.where(missing)
	if err != nil {
		return err
	}
	var node plan.Node = plan.Filter{Cond: expr.All(t.within(missing), t.of.ever, where), In: plan.Scan{Streams: t.of.streams}}
	if paths := t.reads(); paths != nil {
		node = plan.Project{Paths: paths, In: node}
	}
	if err := exec.Each(ctx, t.from, node, t.snapshot, func(e *event.Event) error {
		at, _ := plan.TimeField{Primary: plan.Timestamp}.Of(e)
		d := document{e.Stream, e.ID, milliseconds(at)}
		if n, wanted := missing[d]; wanted {
			t.docs[n] = e
			delete(missing, d)
		}
		return nil
	}); err != nil {
		return err
	}
	for d := range missing {
		return fmt.Errorf("the indicator %s of %s is gone", d.id, d.stream)
	}
	return nil
}

// reads are the paths that are read of an indicator that matched; nil: all.
func (t *table) reads() []string {
	cond, err := t.of.lower(anyTime)
	if err != nil {
		return nil
	}
	paths, whole := expr.Paths(cond)
	if whole {
		return nil
	}
	paths = append(paths, plan.Timestamp, t.of.path, alert.FeedName)
	slices.Sort(paths)
	return slices.Compact(paths)
}

// fewInstants is for how many times of indicators fetch asks one by one.
const fewInstants = 64

// within is the condition that an indicator has the time of one of those wanted, as far as that is known: stores find few
// times faster than few values.
func (t *table) within(wanted map[document]uint32) expr.Cond {
	var times []int64
	for d := range wanted {
		if d.at == 0 {
			return nil
		}
		times = append(times, d.at)
	}
	slices.Sort(times)
	times = slices.Compact(times)
	timestamp := plan.TimeField{Primary: plan.Timestamp}
	cond := timestamp.Within(time.UnixMilli(times[0]), time.UnixMilli(times[len(times)-1]))
	if len(times) > fewInstants {
		return cond
	}
	in := expr.In{Field: expr.Field{Path: plan.Timestamp, Type: event.Date}}
	for _, ms := range times {
		in.Values = append(in.Values, event.Millis(ms))
	}
	return expr.All(cond, in)
}

// where returns a condition that finds the indicators, and others: each has one of a few values.
func (t *table) where(wanted map[document]uint32) (expr.Cond, error) {
	asked := make([]map[uint32]bool, len(t.columns))
	for _, n := range wanted {
		i := slices.IndexFunc(t.columns, func(x lookup) bool { return x.first[n] > 0 }) // there is one: what matched has a value
		if asked[i] == nil {
			asked[i] = map[uint32]bool{}
		}
		asked[i][t.columns[i].first[n]-1] = true
	}
	var some []expr.Cond
	for i, numbers := range asked {
		if len(numbers) == 0 {
			continue
		}
		cond, err := t.columns[i].having(slices.Sorted(maps.Keys(numbers)))
		if err != nil {
			return nil, err
		}
		some = append(some, cond)
	}
	return expr.Some(some...), nil
}

// counting leaves of indicators, ascending, those that count in a run at now, at most n of them.
func (t *table) counting(ctx context.Context, found []uint32, now time.Time, n int) ([]uint32, error) {
	if !t.of.changes {
		return found[:min(n, len(found))], nil
	}
	cond, err := t.of.lower(now)
	if err != nil {
		return nil, err
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	var out []uint32
	for some := range slices.Chunk(found, n) {
		if err := t.fetch(ctx, some); err != nil {
			return nil, err
		}
		for _, i := range some {
			if expr.Matches(cond, t.docs[i]) {
				if out = append(out, i); len(out) == n {
					return out, nil
				}
			}
		}
	}
	return out, nil
}

// described is what an alert on e says of the indicators; found are those that match, more that there are others.
func (t *table) described(ctx context.Context, e *event.Event, found []uint32, more bool) (*alert.Indicators, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if err := t.fetch(ctx, found); err != nil {
		return nil, err
	}
	out := &alert.Indicators{Path: t.of.path, More: more}
	for _, n := range found {
		d := t.document(n)
		out.Found = append(out.Found, alert.Indicator{ID: d.id, Stream: d.stream, Document: t.docs[n], Matches: t.matches(e, n)})
	}
	return out, nil
}

// Ahead reads beforehand what runs over windows with these candidates ask for, of a program that was bound: in one query
// instead of one for each window. It changes no result.
func (p *Program) Ahead(ctx context.Context, candidates []*event.Event) error {
	if p.found == nil {
		return nil
	}
	lists := make([][]uint32, len(candidates))
	for i, e := range candidates {
		lists[i] = p.found.matching(e)
	}
	if err := p.found.prefetch(ctx, lists, maxNamed+1); err != nil {
		return fmt.Errorf("read the indicators of rule %s: %w", p.Rule.RuleID, err)
	}
	return nil
}

// prefetch reads the indicators of several lists at once: the first n of each.
func (t *table) prefetch(ctx context.Context, lists [][]uint32, n int) error {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	var all []uint32
	for _, list := range lists {
		if all = append(all, list[:min(n, len(list))]...); len(all) > t.of.bounds.docs/2 {
			break
		}
	}
	slices.Sort(all)
	return t.fetch(ctx, slices.Compact(all))
}
