package opensearch

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Query runs p, which is a Scan with Filters and SemiJoins, a Sort and a Limit above it, in this order, or a Scan with
// Filters and an Aggregate. Whether a value is in the set of a SemiJoin is decided here, on what the Filters find. It returns *store.Unsupported for other plans, for a Filter of which nothing can be asked, for a Sort whose
// first key is no field that the cluster sorts by, and for groups and aggregates that it does not count exactly.
func (s *Store) Query(ctx context.Context, p plan.Node, at store.Snapshot) (store.Rows, error) {
	c, err := shapeOf(p)
	if err != nil {
		return nil, err
	}
	v, err := s.view(ctx, c.scan.Streams)
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	if err := v.readable(); err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	q, recheck, err := c.ask(v)
	if err != nil {
		return nil, err
	}
	if q, err = s.within(q, at); err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	if c.aggregate != nil {
		rows, err := s.aggregate(ctx, v, *c.aggregate, q, recheck)
		return rows, s.unsupported(err, p)
	}
	r := &rows{ctx: ctx, store: s, view: v, scan: c.scan, query: q, recheck: recheck, left: math.MaxInt}
	if c.limit != nil {
		r.left = max(c.limit.N, 0)
	}
	if isNone(q) || len(v.indices) == 0 || r.left == 0 {
		r.done = true
		return r, nil
	}
	var out store.Rows = r
	if c.sort != nil {
		if out, err = r.sorted(*c.sort); err != nil {
			return nil, err
		}
	}
	if err := r.begin(); err != nil {
		return nil, errors.Join(s.unsupported(err, p), r.Close())
	}
	return out, nil
}

// shape is a plan that can be run.
type shape struct {
	scan      plan.Scan
	filters   []plan.Filter
	joins     []plan.SemiJoin
	sort      *plan.Sort
	limit     *plan.Limit
	aggregate *plan.Aggregate
}

func shapeOf(p plan.Node) (shape, error) {
	var c shape
	for n, top := p, true; ; n, top = plan.Input(n), false {
		refuse := func(why string) (shape, error) { return c, &store.Unsupported{Node: n, Why: why} }
		switch x := n.(type) {
		case nil:
			return c, errors.New("query: the plan does not end in a scan")
		case plan.Scan:
			c.scan = x
			return c, nil
		case plan.Filter:
			c.filters = append(c.filters, x)
		case plan.SemiJoin:
			c.joins = append(c.joins, x)
		case plan.Sort:
			if c.sort != nil || c.aggregate != nil {
				return refuse("a sort below another or an aggregate")
			}
			c.sort = &x
		case plan.Limit:
			if c.limit != nil || c.sort != nil || len(c.filters)+len(c.joins) > 0 || c.aggregate != nil {
				return refuse("a limit below other nodes")
			}
			c.limit = &x
		case plan.Aggregate:
			if !top {
				return refuse("an aggregate below other nodes")
			}
			c.aggregate = &x
		default:
			return refuse("it is not run by the search cluster")
		}
	}
}

// ask returns the query for the filters, and what is to be evaluated on the documents that it finds; nil: nothing.
func (c shape) ask(v *view) (q event.Value, recheck expr.Cond, err error) {
	var conds []expr.Cond
	for _, f := range c.filters {
		conds = append(conds, f.Cond)
	}
	if len(c.joins) > 0 && len(c.filters) == 0 {
		return q, nil, &store.Unsupported{Node: c.joins[0], Why: "a set alone cannot be asked"}
	}
	cond := expr.All(conds...)
	low, err := v.lower(cond)
	if err == nil && !low.exact && isAll(low.query) {
		err = errors.New("nothing of it can be asked")
	}
	switch {
	case err != nil:
		return q, nil, &store.Unsupported{Node: c.filters[0], Why: err.Error()}
	case !low.exact:
		recheck = cond
	}
	for _, j := range c.joins {
		recheck = expr.All(recheck, j.Cond())
	}
	return low.query, recheck, nil
}

// within restricts q to what at shows.
func (s *Store) within(q event.Value, at store.Snapshot) (event.Value, error) {
	if s.seqField == "" {
		if at.After > 0 {
			return q, errors.New("the indices do not tell which commit brought a document, and the snapshot hides some commits")
		}
		return q, nil
	}
	seq := object("range", object(s.seqField, object("gt", int64(at.After), "lte", int64(min(at.Seq, math.MaxInt64)))))
	if isAll(q) {
		return seq, nil
	}
	if isNone(q) {
		return q, nil
	}
	return object("bool", object("filter", []event.Value{seq, q})), nil
}

// limits are parts of what a cluster says where a query goes beyond what it takes.
var limits = []string{"too_many_clauses", "too_many_nested_clauses", "too_complex_to_determinize_exception",
	"Determinizing automaton", "would require more than", "max_clause_count", "maxClauseCount", "max_terms_count",
	"index.max_terms_count", "max_regex_length", "search.allow_expensive_queries", "maximum nested depth", "max_nested_depth",
	"too_many_buckets_exception"}

// unsupported turns the error of a cluster that does not take a query of this size or kind into *store.Unsupported.
func (s *Store) unsupported(err error, n plan.Node) error {
	var e *Error
	if !errors.As(err, &e) || e.Status < 400 || e.Status >= 504 {
		return err
	}
	text := e.Error()
	if slices.ContainsFunc(limits, func(part string) bool { return strings.Contains(text, part) }) {
		return &store.Unsupported{Node: n, Why: text}
	}
	return err
}
