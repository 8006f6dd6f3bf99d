package indicator

import (
	"slices"
	"sort"

	"github.com/zeebo/xxh3"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// indexed is a field as it is read.
type indexed struct {
	path string
	as   event.Type
}

// index finds the rows that may have a value: 12 bytes for each value.
type index struct {
	hashes []uint64 // ascending
	rows   []uint32
}

// find returns the rows with a value of that hash.
func (x *index) find(hash uint64) []uint32 {
	from := sort.Search(len(x.hashes), func(i int) bool { return x.hashes[i] >= hash })
	to := from
	for to < len(x.hashes) && x.hashes[to] == hash {
		to++
	}
	return x.rows[from:to]
}

// byValue orders an index.
type byValue struct{ *index }

func (b byValue) Len() int { return len(b.hashes) }
func (b byValue) Less(i, j int) bool {
	return b.hashes[i] < b.hashes[j] || b.hashes[i] == b.hashes[j] && b.rows[i] < b.rows[j]
}
func (b byValue) Swap(i, j int) {
	b.hashes[i], b.hashes[j] = b.hashes[j], b.hashes[i]
	b.rows[i], b.rows[j] = b.rows[j], b.rows[i]
}

// canIndex reports whether values of a type are found by their texts.
func canIndex(t event.Type) bool {
	switch t {
	case event.Keyword, event.ConstantKeyword, event.Wildcard, event.Caseless, event.IPType, event.Long:
		return true
	}
	return false
}

// indexOf returns the index of a field, which is made when it is first asked for.
func (t *table) indexOf(of indexed) *index {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if x := t.indexes[of]; x != nil {
		return x
	}
	x := &index{}
	keep := t.keeps([]string{of.path})
	for row := range t.rows {
		for _, v := range t.event(uint32(row), keep).Values(of.path) {
			if typed, fits := event.Coerce(of.as, v); fits {
				x.hashes = append(x.hashes, xxh3.HashString(typed.Text()))
				x.rows = append(x.rows, uint32(row))
			}
		}
	}
	sort.Sort(byValue{x})
	t.indexes[of] = x
	return x
}

// candidates returns the rows for which c may hold, ascending: all for which it does, and others. False where no index
// tells.
func (t *table) candidates(c expr.Cond) (rows []uint32, ok bool) {
	switch c := c.(type) {
	case expr.Const:
		return nil, !c.Value
	case expr.In:
		if c.Field.Root || !canIndex(c.Field.Type) {
			return nil, false
		}
		for _, v := range c.Values {
			if typed, fits := event.Coerce(c.Field.Type, v); !fits || event.Compare(typed, v) != 0 {
				return nil, false
			}
		}
		x := t.indexOf(indexed{c.Field.Path, c.Field.Type})
		for _, v := range c.Values {
			rows = append(rows, x.find(xxh3.HashString(v.Text()))...)
		}
	case expr.Or:
		for _, sub := range c.Conds {
			some, ok := t.candidates(sub)
			if !ok {
				return nil, false
			}
			rows = append(rows, some...)
		}
	case expr.And:
		for _, sub := range c.Conds {
			if some, found := t.candidates(sub); found && (!ok || len(some) < len(rows)) {
				rows, ok = some, true
			}
		}
		return rows, ok
	default:
		return nil, false
	}
	slices.Sort(rows)
	return slices.Compact(rows), true
}
