package exec

import (
	"encoding/binary"
	"math"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// aggregate groups the rows of its input, then gives the groups in the order in which they were first seen.
type aggregate struct {
	in     cursor
	node   plan.Aggregate
	max    int
	loaded bool
	byKey  map[string]*group
	groups []*group
	values int // distinct values held by all groups
}

// group is one combination of group values and what its rows came to.
type group struct {
	by   []event.Value
	aggs []total
}

// total is the state of one aggregate.
type total struct {
	count int64
	least event.Value // or greatest
	seen  map[string]struct{}
}

func newAggregate(in cursor, node plan.Aggregate, max int) *aggregate {
	return &aggregate{in: in, node: node, max: max, byKey: map[string]*group{}}
}

func (a *aggregate) next() (row, bool, error) {
	if !a.loaded {
		a.loaded = true
		if err := a.load(); err != nil {
			a.groups = nil
			return row{}, false, err
		}
	}
	if len(a.groups) == 0 {
		return row{}, false, nil
	}
	g := a.groups[0]
	a.groups = a.groups[1:]
	return row{e: a.result(g), owned: true}, true, nil
}

func (a *aggregate) load() error {
	if len(a.node.By) == 0 {
		if _, err := a.group("", nil); err != nil {
			return err
		}
	}
	for {
		r, ok, err := a.in.next()
		if err != nil {
			return err
		}
		if !ok {
			a.byKey = nil
			return nil
		}
		if err := a.add(r.e); err != nil {
			return err
		}
	}
}

// add counts e in every group that it belongs to: each combination of one value of every key.
func (a *aggregate) add(e *event.Event) error {
	choices := make([][]event.Value, len(a.node.By))
	combinations := 1
	for i, by := range a.node.By {
		if by.Value != nil {
			choices[i] = []event.Value{expr.Compute(by.Value, e)}
			continue
		}
		choices[i] = distinct(expr.Read(by.Each, e))
		combinations *= len(choices[i])
		if combinations > a.max {
			return &LimitError{What: "combinations of group values in one event", Max: a.max}
		}
	}
	if combinations == 0 {
		return nil
	}
	args := make([]event.Value, len(a.node.Aggs))
	for i, agg := range a.node.Aggs {
		if agg.Fn != plan.Count && agg.Value != nil {
			args[i] = expr.Compute(agg.Value, e)
		}
	}
	pick := make([]int, len(choices))
	for {
		by := make([]event.Value, len(choices))
		var key []byte
		for i, c := range choices {
			by[i] = c[pick[i]]
			key = appendKey(key, by[i])
		}
		g, err := a.group(string(key), by)
		if err != nil {
			return err
		}
		if err := a.count(g, args); err != nil {
			return err
		}
		i := len(pick) - 1
		for ; i >= 0; i-- {
			if pick[i]++; pick[i] < len(choices[i]) {
				break
			}
			pick[i] = 0
		}
		if i < 0 {
			return nil
		}
	}
}

// group returns the group of key, a new one where there is none.
func (a *aggregate) group(key string, by []event.Value) (*group, error) {
	if g, ok := a.byKey[key]; ok {
		for i, v := range by {
			g.by[i] = whole(g.by[i], v)
		}
		return g, nil
	}
	if len(a.groups) == a.max {
		return nil, &LimitError{What: "groups", Max: a.max}
	}
	g := &group{by: by, aggs: make([]total, len(a.node.Aggs))}
	a.byKey[key] = g
	a.groups = append(a.groups, g)
	return g, nil
}

func (a *aggregate) count(g *group, args []event.Value) error {
	for i, agg := range a.node.Aggs {
		t, v := &g.aggs[i], args[i]
		if agg.Fn == plan.Count {
			t.count++
			continue
		}
		if v.IsNull() {
			continue
		}
		switch agg.Fn {
		case plan.CountDistinct:
			key := string(appendKey(nil, v))
			if _, known := t.seen[key]; known {
				continue
			}
			if a.values == a.max {
				return &LimitError{What: "distinct values", Max: a.max}
			}
			a.values++
			if t.seen == nil {
				t.seen = map[string]struct{}{}
			}
			t.seen[key] = struct{}{}
			t.count++
		case plan.Min:
			t.least = nearer(t.least, v, -1)
		case plan.Max:
			t.least = nearer(t.least, v, 1)
		}
	}
	return nil
}

// nearer returns which of the two is less (sign -1) or greater (1); v where there is none yet.
func nearer(found, v event.Value, sign int) event.Value {
	if found.IsNull() {
		return v
	}
	switch d := event.Compare(v, found) * sign; {
	case d > 0:
		return v
	case d == 0:
		return whole(found, v)
	}
	return found
}

// whole returns which of two equal values stands for both, so that it does not depend on which came first: a whole number
// for a fraction (1 for 1.0), else the lesser text.
func whole(a, b event.Value) event.Value {
	switch {
	case a.Kind() != b.Kind():
		if b.Kind() < a.Kind() {
			return b
		}
	case a.Kind() == event.KindFloat && b.Text() < a.Text():
		return b
	}
	return a
}

func (a *aggregate) result(g *group) *event.Event {
	e := &event.Event{}
	for i, by := range a.node.By {
		e.Set(by.Name, g.by[i])
	}
	for i, agg := range a.node.Aggs {
		switch agg.Fn {
		case plan.Count, plan.CountDistinct:
			e.Set(agg.Name, event.Int(g.aggs[i].count))
		default:
			e.Set(agg.Name, g.aggs[i].least)
		}
	}
	return e
}

func (a *aggregate) close() error {
	a.groups, a.byKey = nil, nil
	return a.in.close()
}

// distinct drops values that occurred before.
func distinct(values []event.Value) []event.Value {
	if len(values) < 2 {
		return values
	}
	seen := make(map[string]struct{}, len(values))
	out := values[:0]
	for _, v := range values {
		key := string(appendKey(nil, v))
		if _, again := seen[key]; !again {
			seen[key] = struct{}{}
			out = append(out, v)
		}
	}
	return out
}

// appendKey appends bytes that are the same for two values exactly if event.Compare says that they are equal.
func appendKey(dst []byte, v event.Value) []byte {
	switch v.Kind() {
	case event.KindInt:
		return binary.BigEndian.AppendUint64(append(dst, 'i'), uint64(v.Int()))
	case event.KindFloat:
		f := v.Float()
		if f == math.Trunc(f) && f >= -(1<<63) && f < 1<<63 {
			return binary.BigEndian.AppendUint64(append(dst, 'i'), uint64(int64(f)))
		}
		return binary.BigEndian.AppendUint64(append(dst, 'f'), math.Float64bits(f))
	case event.KindString:
		s := v.Str()
		dst = binary.AppendUvarint(append(dst, 's'), uint64(len(s)))
		return append(dst, s...)
	}
	text := v.Text() // one text for each boolean, instant and address
	dst = binary.AppendUvarint(append(dst, '0'+byte(v.Kind())), uint64(len(text)))
	return append(dst, text...)
}
