package plan

import (
	"sort"

	"github.com/tocsin-sec/tocsin/internal/expr"
)

// Prune returns p with the Fields of its Scan set to what p reads and what its rows must hold: everything where the rows
// are whole documents, only what is read where a Project or an Aggregate stands above. A plan that does not end in a Scan
// stays without one.
func Prune(p Node) Node {
	return prune(p, nil, true)
}

// prune walks down with the paths needed so far; whole says that the rows that leave n must be whole documents.
func prune(n Node, need map[string]bool, whole bool) Node {
	if n == nil {
		return nil
	}
	if s, ok := n.(Scan); ok {
		s.Fields = nil
		if !whole {
			s.Fields = make([]string, 0, len(need))
			for path := range need {
				s.Fields = append(s.Fields, path)
			}
			sort.Strings(s.Fields)
		}
		return s
	}
	more := map[string]bool{}
	field := func(f expr.Field) { more[f.Path] = true }
	switch n := n.(type) {
	case Filter:
		expr.Walk(n.Cond, field, func() { whole = true })
	case Eval:
		for _, c := range n.Cols {
			expr.WalkValue(c.Value, field)
		}
	case Aggregate:
		need, whole = nil, false
		for _, g := range n.By {
			if g.Value != nil {
				expr.WalkValue(g.Value, field)
			} else {
				field(g.Each)
			}
		}
		for _, a := range n.Aggs {
			if a.Value != nil {
				expr.WalkValue(a.Value, field)
			}
		}
	case Sort:
		for _, k := range n.Keys {
			expr.WalkValue(k.Value, field)
		}
	case Project:
		whole = false
		for _, path := range n.Paths {
			more[path] = true
		}
	}
	for path := range need {
		more[path] = true
	}
	return Over(n, prune(Input(n), more, whole))
}
