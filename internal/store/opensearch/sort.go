package opensearch

import (
	"slices"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// sorted are rows in the order that a Sort asks for. The cluster orders them by the first key; here those with the same
// value of it are ordered among themselves, and those that have none, or several, which the cluster orders by one of
// them, are held back to the end.
type sorted struct {
	*rows
	keys []plan.SortKey
	left int
	rest event.Value // the query for the documents without a value of the first key; null once it was asked

	run, tail, out []keyed
	row            *event.Event
	ended          bool
}

// keyed is a row with the values of its keys.
type keyed struct {
	e    *event.Event
	keys []event.Value
}

// sorted makes r come in the order that n asks for.
func (r *rows) sorted(n plan.Sort) (store.Rows, error) {
	if len(n.Keys) == 0 {
		return nil, &store.Unsupported{Node: n, Why: "a sort without keys"}
	}
	one, ok := n.Keys[0].Value.(expr.One)
	if !ok {
		return nil, &store.Unsupported{Node: n, Why: "the first key is no field"}
	}
	key, name, err := r.view.sortable(one.Field)
	if err != nil {
		return nil, &store.Unsupported{Node: n, Why: err.Error()}
	}
	order := "asc"
	if n.Keys[0].Desc {
		order = "desc"
	}
	r.sort = []event.Value{object(name, event.Object(append([]event.Member{{Key: "order", Value: event.String(order)}}, key...)...))}
	s := &sorted{rows: r, keys: n.Keys, left: r.left}
	there := object("exists", object("field", name))
	s.rest = object("bool", object("filter", []event.Value{r.query}, "must_not", []event.Value{there}))
	r.query, r.left = object("bool", object("filter", []event.Value{there, r.query})), 1<<62
	if s.left < r.store.page { // the first page is most likely all
		r.first = s.left + 1
	}
	return s, nil
}

// sortable returns the name of the field that has the values of f in all indices, and what the cluster is to be told
// about its order.
func (v *view) sortable(f expr.Field) (options []event.Member, name string, err error) {
	kinds := map[string]bool{}
	for _, x := range v.indices {
		targets, err := x.targets(f)
		if err != nil {
			return nil, "", err
		}
		if len(targets) == 0 {
			continue
		}
		t := targets[0]
		if !t.sortable || t.key || t.limit > 0 || t.nested != "" || name != "" && t.name != name {
			return nil, "", refused("%s of %s has no order that the cluster knows", f.Path, x.name)
		}
		name = t.name
		kinds[t.kind] = true
	}
	if name == "" {
		return nil, "", refused("no index has the field %s", f.Path)
	}
	unmapped := map[event.Type]string{event.Long: "long", event.Double: "double", event.Boolean: "boolean", event.IPType: "ip",
		event.Date: "date"}[f.Type]
	if unmapped == "" {
		unmapped = "keyword"
	}
	if kinds["date"] && kinds["date_nanos"] { // brought to one unit (numeric_type), rows are lost where pages end
		return nil, "", refused("%s stands in milliseconds here, in nanoseconds there", f.Path)
	}
	return []event.Member{{Key: "unmapped_type", Value: event.String(unmapped)}}, name, nil
}

// Next moves to the next row.
func (s *sorted) Next() bool {
	s.row = nil
	for len(s.out) == 0 && !s.ended && s.left > 0 {
		if err := s.fill(); err != nil {
			s.fail(err)
		}
		s.ended = s.ended || s.err != nil
	}
	if s.left <= 0 || len(s.out) == 0 || s.err != nil {
		return false
	}
	s.row = s.out[0].e
	s.out[0] = keyed{}
	s.out = s.out[1:]
	s.left--
	return true
}

// Event is the present row.
func (s *sorted) Event() *event.Event { return s.row }

// fill puts the rows with the next value of the first key out.
func (s *sorted) fill() error {
	for s.rows.Next() {
		k := keyed{e: s.rows.Event(), keys: make([]event.Value, len(s.keys))}
		for i, key := range s.keys {
			k.keys[i] = expr.Compute(key.Value, k.e)
		}
		if k.keys[0].IsNull() {
			if err := s.add(&s.tail, k); err != nil {
				return err
			}
			continue
		}
		if len(s.run) > 0 && event.Compare(s.run[0].keys[0], k.keys[0]) != 0 {
			s.flush(&s.run)
			s.run = append(s.run, k)
			return nil
		}
		if err := s.add(&s.run, k); err != nil {
			return err
		}
	}
	switch {
	case s.err != nil:
	case len(s.run) > 0:
		s.flush(&s.run)
	case !s.rest.IsNull():
		s.query, s.rest = s.rest, event.Null()
		s.sort, s.after, s.done = nil, event.Null(), false
	default:
		s.flush(&s.tail)
		s.ended = true
	}
	return nil
}

// add puts k into list, of which no more than can be asked for is kept.
func (s *sorted) add(list *[]keyed, k keyed) error {
	*list = append(*list, k)
	switch n := len(*list); {
	case s.left < exec.MaxSortRows/2 && n > 2*s.left+1000:
		slices.SortFunc(*list, s.compare)
		clear((*list)[s.left:])
		*list = (*list)[:s.left]
	case n > exec.MaxSortRows:
		return &exec.LimitError{What: "rows to sort", Max: exec.MaxSortRows}
	}
	return nil
}

// flush puts list out, in order.
func (s *sorted) flush(list *[]keyed) {
	slices.SortFunc(*list, s.compare)
	s.out, *list = *list, nil
}

func (s *sorted) compare(a, b keyed) int { return exec.Compare(s.keys, a.e, b.e, a.keys, b.keys) }
