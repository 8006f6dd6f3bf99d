package exec

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// bound says that an event with one value in the date field at path can only pass the plan's filters if the value lies
// from from to to, both included, in milliseconds.
type bound struct {
	path     string
	from, to int64
}

// boundsOf returns what the filters that see the scan's own rows ask of date fields, one bound a field.
func boundsOf(p plan.Node) []bound {
	var conds []expr.Cond
	for n := p; n != nil; n = plan.Input(n) {
		switch n := n.(type) {
		case plan.Filter:
			conds = append(conds, n.Cond)
		case plan.Sort, plan.SemiJoin, plan.Scan: // a filter above these may as well stand below them
		default:
			conds = nil
		}
	}
	var out []bound
	for len(conds) > 0 {
		c := conds[0]
		conds = conds[1:]
		switch c := c.(type) {
		case expr.And:
			conds = append(conds, c.Conds...)
		case expr.Range:
			out = narrow(out, c)
		}
	}
	return out
}

// narrow adds what c asks to the bound of its field.
func narrow(bounds []bound, c expr.Range) []bound {
	if c.Field.Type != event.Date || c.Field.Root {
		return bounds
	}
	b := bound{path: c.Field.Path, from: math.MinInt64, to: math.MaxInt64}
	if v := c.Min.Value; v.Kind() == event.KindTime {
		b.from = v.Int()
		if !c.Min.Inclusive && b.from < math.MaxInt64 {
			b.from++
		}
	}
	if v := c.Max.Value; v.Kind() == event.KindTime {
		b.to = v.Int()
		if !c.Max.Inclusive && b.to > math.MinInt64 {
			b.to--
		}
	}
	for i, other := range bounds {
		if other.path == b.path {
			bounds[i].from, bounds[i].to = max(other.from, b.from), min(other.to, b.to)
			return bounds
		}
	}
	return append(bounds, b)
}

// timeIndex orders the rows by a date field. Rows without a value of it, which no Range lets pass, are left out.
type timeIndex struct {
	path string
	ms   []int64 // ascending
	row  []int32
	rest []int32 // rows with several values: of these any may satisfy each bound
}

func newTimeIndex(path string, rows []Stored) *timeIndex {
	x := &timeIndex{path: path}
	type entry struct {
		ms  int64
		row int32
	}
	entries := make([]entry, 0, len(rows))
	field := expr.Field{Path: path, Type: event.Date}
	for i, r := range rows {
		switch values := expr.Read(field, r.Event); len(values) {
		case 0:
		case 1:
			entries = append(entries, entry{values[0].Int(), int32(i)})
		default:
			x.rest = append(x.rest, int32(i))
		}
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.ms, b.ms) })
	x.ms, x.row = make([]int64, len(entries)), make([]int32, len(entries))
	for i, e := range entries {
		x.ms[i], x.row[i] = e.ms, e.row
	}
	return x
}

// within returns the part of row whose values lie within b.
func (x *timeIndex) within(b bound) (from, to int) {
	from = sort.Search(len(x.ms), func(i int) bool { return x.ms[i] >= b.from })
	to = sort.Search(len(x.ms), func(i int) bool { return x.ms[i] > b.to })
	return from, max(from, to)
}
