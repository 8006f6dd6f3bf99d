package duck

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// The first rows of an order are found by their keys alone, all segments together; then the documents are read, a block
// at a time.
const (
	maxTop    = 10_000 // rows that are asked for; more are sorted as all are
	topBlock  = 500    // documents that are read at a time
	leastPage = 1_000  // places that are looked up at a time where rows are still to be checked
)

// place is where a row stands.
type place struct {
	scan int
	row  int64
}

// top are the first rows of a sorted query.
type top struct {
	ctx   context.Context
	query *query
	conn  *conn
	done  func()
	at    store.Snapshot

	scans  []*segmentScan
	ranks  []int      // by scan, the place of its stream among the streams
	keys   [][]string // by scan, its sort keys in SQL
	exact  bool       // whether no row is left to check
	places []place    // the next rows, in order
	offset int        // places that were looked up
	more   bool       // whether there may be others
	block  []*event.Event
	left   int
	row    *event.Event
	err    error
	ended  bool
}

// top starts a query for the first rows of an order; *store.Unsupported where SQL does not order as Go does.
func (s *Store) top(ctx context.Context, p plan.Node, q *query, at store.Snapshot) (store.Rows, error) {
	if q.limit < 0 || q.limit > maxTop {
		return s.sorted(ctx, p, q, at)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, cat, done, err := s.begin(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	r := &top{ctx: ctx, query: q, conn: c, done: done, at: at, exact: true, more: true, left: q.limit}
	r.at.Seq = min(at.Seq, cat.seq)
	if err := r.find(cat, p); err != nil {
		done()
		return nil, err
	}
	return r, nil
}

// find chooses the segments and writes the sort keys.
func (r *top) find(cat *catalog, p plan.Node) error {
	segments, err := selected(r.ctx, r.conn, cat, r.query, r.at)
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	names := slices.Clone(cat.streams)
	slices.Sort(names)
	kinds := make([]event.Kind, len(r.query.sort))
	for _, g := range segments {
		v := newSegmentScan(r.query, g, cat.streams[g.stream])
		if v.where == sqlFalse {
			continue
		}
		keys := make([]string, len(r.query.sort))
		for i, k := range r.query.sort {
			x, ok := g.value(k.Value)
			if !ok || !agree(&kinds[i], x.kind) {
				return &store.Unsupported{Node: p, Why: "a sort key is computed event by event"}
			}
			keys[i] = x.sql
		}
		r.scans, r.keys = append(r.scans, v), append(r.keys, keys)
		rank, _ := slices.BinarySearch(names, v.stream)
		r.ranks = append(r.ranks, rank)
		r.exact = r.exact && v.check == nil
	}
	return nil
}

// look fetches the next places in order.
func (r *top) look() error {
	r.more = r.more && len(r.scans) > 0 && r.left > 0
	if !r.more {
		return nil
	}
	n := r.left
	if !r.exact {
		n = max(4*n, leastPage, r.offset)
	}
	var parts []string
	for i, v := range r.scans {
		columns := []string{fmt.Sprintf("%d AS s", i), fmt.Sprintf("%d AS o", r.ranks[i]), "rowid AS r", v.seg.layout.id() + " AS id"}
		for j, key := range r.keys[i] {
			columns = append(columns, fmt.Sprintf("%s AS k%d", key, j))
		}
		parts = append(parts, fmt.Sprintf("SELECT %s FROM %s WHERE %s", strings.Join(columns, ", "), v.seg.table(), v.filter(r.at)))
	}
	sql := fmt.Sprintf("SELECT s::BIGINT, r FROM (%s) ORDER BY %s LIMIT %d OFFSET %d", strings.Join(parts, " UNION ALL "),
		r.query.order("o", "id", "s", "r"), n, r.offset) // the last two make pages of one order
	found := 0
	err := r.conn.each(r.ctx, sql, func(cols []vector, rows int) error {
		for i := range rows {
			r.places = append(r.places, place{int(cols[0].int64(i)), cols[1].int64(i)})
		}
		found += rows
		return nil
	})
	r.offset += found
	r.more = found == n && !r.exact
	return err
}

// order is the query's order in SQL, over the columns k0, k1 … and then others.
func (q *query) order(others ...string) string {
	var order []string
	for j, k := range q.sort {
		direction := "ASC"
		if k.Desc {
			direction = "DESC"
		}
		order = append(order, fmt.Sprintf("k%d %s NULLS LAST", j, direction))
	}
	return strings.Join(append(order, others...), ", ")
}

// read fetches the documents of the next places, in order.
func (r *top) read() error {
	some := r.places[:min(len(r.places), topBlock, max(r.left, 1)*4)]
	r.places = r.places[len(some):]
	rows := map[int][]string{}
	for _, p := range some {
		rows[p.scan] = append(rows[p.scan], fmt.Sprint(p.row))
	}
	docs := make(map[place]*event.Event, len(some))
	for i, list := range rows {
		v := r.scans[i]
		err := r.conn.each(r.ctx, v.sql(r.at, "rowid", "rowid IN ("+strings.Join(list, ",")+")"), func(cols []vector, n int) error {
			v.begin(cols[1:])
			for k := range n {
				e, err := v.event(cols[1:], k)
				if err != nil {
					return err
				}
				docs[place{i, cols[0].int64(k)}] = e
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	r.block = r.block[:0]
	for _, p := range some {
		if e := docs[p]; e != nil && (r.scans[p.scan].check == nil || expr.Matches(r.scans[p.scan].check, e)) {
			r.block = append(r.block, e)
		}
	}
	return nil
}

// Next moves to the next row.
func (r *top) Next() bool {
	if r.ended {
		return false
	}
	r.row = nil
	r.err = r.ctx.Err()
	for r.err == nil && r.left > 0 && len(r.block) == 0 {
		if len(r.places) == 0 {
			if !r.more {
				break
			}
			r.err = r.look()
		} else {
			r.err = r.read()
		}
	}
	if r.err != nil || r.left == 0 || len(r.block) == 0 {
		r.Close()
		return false
	}
	r.left--
	r.row = r.block[0]
	r.block = r.block[1:]
	if r.query.cut {
		r.row = r.row.Keep(r.query.project)
	}
	return true
}

// Event is the present row.
func (r *top) Event() *event.Event { return r.row }

// Err is the error that ended the rows.
func (r *top) Err() error { return r.err }

// Close ends the query.
func (r *top) Close() error {
	if !r.ended {
		r.ended = true
		r.block = nil
		r.done()
	}
	return nil
}
