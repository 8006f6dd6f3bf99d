package plan

import (
	"sort"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/expr"
)

// Prune returns p with the Fields of its Scan set to what p reads and what its rows must hold: everything where the rows
// are whole documents, or hold them as those of a Sequence do, only what is read where a Project or an Aggregate stands
// above. A plan that does not end in a Scan stays without one.
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
	case SemiJoin:
		field(n.Field)
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
	case Sequence:
		need, whole = ofFound(need, whole)
		stages := n.Stages
		if n.Until != nil {
			stages = append(stages[:len(stages):len(stages)], *n.Until)
		}
		whole = reads(stages, n.Order, field) || whole
	case Sample:
		need, whole = ofFound(need, whole)
		whole = reads(n.Stages, n.Order, field) || whole
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

// ofFound returns what is needed of the events in rows of which need is needed; whole, before and after, says that it is
// all there is.
func ofFound(need map[string]bool, whole bool) (map[string]bool, bool) {
	of := map[string]bool{}
	for path := range need {
		switch rest, below := strings.CutPrefix(path, FoundEvents+"."+FoundFields+"."); {
		case below:
			of[rest] = true
		case path == FoundEvents || path == FoundEvents+"."+FoundFields:
			whole = true
		}
	}
	return of, whole
}

// reads calls field with what stages read, and reports whether they read everything.
func reads(stages []Stage, o Order, field func(expr.Field)) (everything bool) {
	field(dateField(o.path()))
	for _, x := range o.Ties {
		expr.WalkValue(x, field)
	}
	for _, s := range stages {
		expr.Walk(s.Cond, field, func() { everything = true })
		for _, k := range s.Keys {
			if k.Field.Path != "" {
				field(k.Field)
			}
		}
	}
	return everything
}
