package duck

import (
	"context"
	"fmt"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// aggregation is an Aggregate in SQL: one SELECT for each segment, joined and grouped.
type aggregation struct {
	node  plan.Aggregate
	kinds []event.Kind // of the groups, then of the aggregates; KindNull: always null
	args  []event.Kind // of the aggregates' arguments
	parts []string
}

// aggregate starts a query that groups and counts. Every part of it must be exact: else it is *store.Unsupported, and exec
// groups the rows.
func (s *Store) aggregate(ctx context.Context, node plan.Aggregate, at store.Snapshot) (store.Rows, error) {
	q, err := shape(node.In)
	if err != nil || q.cut || q.limit >= 0 || q.sort != nil {
		return nil, &store.Unsupported{Node: node, Why: "it groups more than filtered events"}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, cat, done, err := s.begin(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	r, err := startAggregate(ctx, c, cat, node, q, at)
	if err != nil {
		done()
		return nil, err
	}
	r.done = done
	return r, nil
}

func startAggregate(ctx context.Context, c *conn, cat *catalog, node plan.Aggregate, q *query, at store.Snapshot) (*groups, error) {
	at.Seq = min(at.Seq, cat.seq)
	segments, err := selected(ctx, c, cat, q, at)
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	a := &aggregation{node: node, kinds: make([]event.Kind, len(node.By)+len(node.Aggs)), args: make([]event.Kind, len(node.Aggs))}
	for i, agg := range node.Aggs {
		if agg.Fn == plan.Count || agg.Fn == plan.CountDistinct {
			a.kinds[len(node.By)+i] = event.KindInt
		}
	}
	for _, g := range segments {
		if why := a.add(g, q, at); why != "" {
			return nil, &store.Unsupported{Node: node, Why: why}
		}
	}
	cur, err := c.query(ctx, a.sql())
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	return &groups{a: a, cur: cur}, nil
}

// add adds the rows of a segment; it returns why SQL cannot count them, or nothing.
func (a *aggregation) add(g *segment, q *query, at store.Snapshot) string {
	cl := g.whereWith(q.cond, q.lookups)
	switch {
	case cl.sql == sqlFalse:
		return ""
	case !cl.exact:
		return "the filter is checked event by event"
	}
	from, where := g.table(), seqs(at)
	if cl.sql != sqlTrue {
		where += " AND " + cl.sql
	}
	var names []string
	for i, by := range a.node.By {
		if by.Value != nil {
			v, ok := g.value(by.Value)
			if !ok || !agree(&a.kinds[i], v.kind) {
				return "a group's value is computed event by event"
			}
			names = append(names, fmt.Sprintf("%s AS g%d", v.sql, i))
			continue
		}
		col, read, ok := g.held(by.Each)
		if !ok || !agree(&a.kinds[i], g.layout.columns[col].kind()) {
			return "a group's field is read event by event"
		}
		name := g.layout.value(col)
		if !g.layout.columns[col].List {
			names = append(names, fmt.Sprintf("%s AS g%d", read(name), i))
			where += " AND " + name + " IS NOT NULL"
			continue
		}
		from += fmt.Sprintf(", LATERAL (SELECT unnest(list_distinct(list_transform(%s, lambda x: %s))) AS g%d) t%d", name, read("x"), i, i)
		names = append(names, fmt.Sprintf("t%d.g%d AS g%d", i, i, i))
	}
	for i, agg := range a.node.Aggs {
		if agg.Fn == plan.Count || agg.Value == nil {
			continue
		}
		v, ok := g.value(agg.Value)
		if !ok || !agree(&a.args[i], v.kind) {
			return "an aggregate's value is computed event by event"
		}
		if agg.Fn != plan.CountDistinct {
			a.kinds[len(a.node.By)+i] = a.args[i]
		}
		names = append(names, fmt.Sprintf("%s AS a%d", v.sql, i))
	}
	if len(names) == 0 {
		names = []string{"1 AS one"}
	}
	a.parts = append(a.parts, fmt.Sprintf("SELECT %s FROM %s WHERE %s", strings.Join(names, ", "), from, where))
	return ""
}

// agree notes that a column has values of kind k; false where another segment has those of another.
func agree(known *event.Kind, k event.Kind) bool {
	if k == event.KindNull || *known == k {
		return true
	}
	if *known != event.KindNull {
		return false
	}
	*known = k
	return true
}

// sql is the whole statement.
func (a *aggregation) sql() string {
	var out, by []string
	for i := range a.node.By {
		out, by = append(out, fmt.Sprintf("g%d", i)), append(by, fmt.Sprintf("g%d", i))
	}
	for i, agg := range a.node.Aggs {
		arg := fmt.Sprintf("a%d", i)
		if agg.Value == nil || len(a.parts) == 0 {
			arg = "NULL"
		}
		switch agg.Fn {
		case plan.Count:
			out = append(out, "count(*)")
		case plan.CountDistinct:
			out = append(out, "count(DISTINCT "+arg+")")
		case plan.Min:
			out = append(out, "min("+arg+")")
		case plan.Max:
			out = append(out, "max("+arg+")")
		}
	}
	if len(out) == 0 { // a row without fields
		out = []string{"count(*)"}
	}
	from := "(" + strings.Join(a.parts, " UNION ALL ") + ")"
	if len(a.parts) == 0 {
		if len(by) > 0 {
			return "SELECT 1 WHERE false"
		}
		from = "(SELECT 1 WHERE false)"
	}
	sql := "SELECT " + strings.Join(out, ", ") + " FROM " + from
	if len(by) > 0 {
		sql += " GROUP BY " + strings.Join(by, ", ")
	}
	return sql
}

// groups are the rows of an aggregation.
type groups struct {
	a    *aggregation
	cur  *result
	done func()
	i, n int
	row  *event.Event
	err  error
}

// Next moves to the next row.
func (r *groups) Next() bool {
	r.row = nil
	if r.cur == nil {
		return false
	}
	if r.err = r.cur.ctx.Err(); r.err != nil {
		r.Close()
		return false
	}
	for r.i == r.n {
		n, err := r.cur.next()
		if err != nil || r.cur.done {
			r.err = err
			r.Close()
			return false
		}
		r.i, r.n = 0, n
	}
	e := &event.Event{}
	for i, kind := range r.a.kinds {
		name := ""
		if i < len(r.a.node.By) {
			name = r.a.node.By[i].Name
		} else {
			name = r.a.node.Aggs[i-len(r.a.node.By)].Name
		}
		e.Set(name, readKind(kind, &r.cur.cols[i], r.i))
	}
	r.i++
	r.row = e
	return true
}

// readKind reads a value that SQL computed.
func readKind(kind event.Kind, v *vector, i int) event.Value {
	if v.null(i) {
		return event.Null()
	}
	switch kind {
	case event.KindString:
		return event.String(v.str(i))
	case event.KindInt:
		return event.Int(at[int64](v, i))
	case event.KindFloat:
		return event.Float(at[float64](v, i))
	case event.KindBool:
		return event.Bool(at[bool](v, i))
	case event.KindTime:
		return event.Millis(at[int64](v, i))
	case event.KindIP:
		return event.IP(addressFrom(v.bytes(i)))
	}
	return event.Null()
}

// Event is the present row.
func (r *groups) Event() *event.Event { return r.row }

// Err is the error that ended the rows.
func (r *groups) Err() error { return r.err }

// Close ends the query.
func (r *groups) Close() error {
	if r.cur == nil {
		return nil
	}
	r.cur.close()
	r.cur = nil
	r.done()
	return nil
}
