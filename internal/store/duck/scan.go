package duck

import (
	"context"
	"fmt"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// rows are the rows of a query, read segment by segment in one transaction.
type rows struct {
	ctx   context.Context
	query *query
	conn  *conn
	done  func()
	at    store.Snapshot

	scans []*segmentScan // those that are left
	cur   *result
	i, n  int // the next row of the chunk, and its size
	left  int // rows that the limit leaves; -1: any number
	row   *event.Event
	err   error
	ended bool
}

// scan starts a query that reads events.
func (s *Store) scan(ctx context.Context, q *query, at store.Snapshot) (store.Rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, cat, done, err := s.begin(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	r := &rows{ctx: ctx, query: q, conn: c, done: done, left: q.limit, at: at}
	r.at.Seq = min(at.Seq, cat.seq)
	segments, err := selected(ctx, c, cat, q, r.at)
	if err != nil {
		done()
		return nil, fmt.Errorf("query: %w", err)
	}
	for _, g := range segments {
		if v := newSegmentScan(q, g, cat.streams[g.stream]); v.where != sqlFalse {
			r.scans = append(r.scans, v)
		}
	}
	return r, nil
}

// begin returns a connection for q in a transaction that sees the store as of the catalog, or later, and what ends it, with
// the lookups of q. Rows of later commits are kept out by their seq.
func (s *Store) begin(ctx context.Context, q *query) (*conn, *catalog, func(), error) {
	c, done, err := s.connection()
	if err != nil {
		return nil, nil, nil, err
	}
	end := func() {
		// The transaction has read alone; should ROLLBACK fail, the next BEGIN on this connection says so.
		_ = c.exec(context.Background(), "ROLLBACK")
		q.lookups.release()
		done()
	}
	s.layout.RLock()
	defer s.layout.RUnlock()
	cat := s.catalog.Load()
	if err := c.begin("BEGIN TRANSACTION READ ONLY"); err != nil {
		done()
		return nil, nil, nil, err
	}
	// A transaction begins where it first reads.
	if err := c.exec(ctx, "SELECT seq FROM meta"); err != nil {
		end()
		return nil, nil, nil, err
	}
	return c, cat, end, nil
}

// selected returns the segments of the streams that q names of which at shows something. Those of alerts know the paths that
// states set.
func selected(ctx context.Context, c *conn, cat *catalog, q *query, at store.Snapshot) ([]*segment, error) {
	var out []*segment
	var states []string
	stream, wanted, alerts := int32(-1), false, false
	for _, g := range cat.segments {
		if g.stream != stream {
			stream = g.stream
			wanted = store.Selects(q.scan.Streams, cat.streams[stream])
			if alerts = wanted && cat.streams[stream] == store.AlertStream; alerts {
				err := c.each(ctx, "SELECT DISTINCT path FROM alert_state", func(cols []vector, n int) error {
					for i := range n {
						states = append(states, cols[0].str(i))
					}
					return nil
				})
				if err != nil {
					return nil, err
				}
			}
		}
		if !wanted || g.seq.first > at.Seq || g.seq.last <= at.After {
			continue
		}
		if alerts {
			own := *g
			own.states = states
			g = &own
		}
		out = append(out, g)
	}
	return cat.distinct.recall(ctx, c, out, q.cond)
}

// segmentScan reads one segment.
type segmentScan struct {
	seg     *segment
	stream  string
	columns []int // of the layout, that are read
	rest    bool  // whether rest is read
	wants   func(path string) bool
	source  bool // whether the source is read
	states  bool // whether the states of alerts are joined
	where   string
	check   expr.Cond // what where leaves to check; nil: nothing
	reader  reader
}

func newSegmentScan(q *query, g *segment, stream string) *segmentScan {
	v := &segmentScan{seg: g, stream: stream, check: q.cond, states: len(g.states) > 0}
	c := g.whereWith(q.cond, q.lookups)
	v.where = c.sql
	if c.exact {
		v.check = nil
	}
	fields := q.scan.Fields
	if fields == nil {
		for i := range g.layout.columns {
			v.columns = append(v.columns, i)
		}
		v.rest, v.source = true, true
		return v
	}
	if v.check != nil {
		paths, whole := expr.Paths(v.check)
		if whole {
			all := *q
			all.scan.Fields = nil
			return newSegmentScan(&all, g, stream)
		}
		fields = append(fields[:len(fields):len(fields)], paths...)
	}
	for i, c := range g.layout.columns {
		for _, f := range fields {
			if c.Path == f || isBelow(c.Path, f) {
				v.columns = append(v.columns, i)
				break
			}
		}
	}
	for _, f := range fields {
		if i, ok := g.layout.byPath[f]; !ok || g.wild.has(i) || g.odd.has(i) {
			v.rest = true
		}
	}
	known := map[string]bool{}
	v.wants = func(path string) bool {
		want, ok := known[path]
		if ok {
			return want
		}
		for _, f := range fields {
			if path == f || isBelow(path, f) || isBelow(f, path) {
				want = true
				break
			}
		}
		if len(known) < 100_000 {
			known[strings.Clone(path)] = want
		}
		return want
	}
	return v
}

// sql is the statement that reads the segment's rows for which also holds ("" for all), with the columns that event reads
// and first, if it is not "", before them.
func (v *segmentScan) sql(at store.Snapshot, first, also string) string {
	names, from := v.reads()
	if first != "" {
		names = append([]string{first}, names...)
	}
	where := v.filter(at)
	if also != "" {
		where += " AND " + also
	}
	return fmt.Sprintf("SELECT %s FROM %s WHERE %s", strings.Join(names, ", "), from, where)
}

// reads are the columns that event reads, in SQL, and what they are read from.
func (v *segmentScan) reads() (names []string, from string) {
	l := v.seg.layout
	names = []string{l.id()}
	for _, i := range v.columns {
		names = append(names, l.name(i))
	}
	if v.rest {
		names = append(names, "rest")
	}
	if v.source {
		names = append(names, "source", "object", "off", "delivered")
	}
	if from = v.seg.table(); v.states {
		names = append(names, "st.paths", "st.vals")
		from += " LEFT JOIN (SELECT alert, list(path) AS paths, list(val) AS vals FROM alert_state GROUP BY alert) st ON st.alert = " + l.id()
	}
	return names, from
}

// filter is what SQL asks of the segment's rows.
func (v *segmentScan) filter(at store.Snapshot) string {
	if v.where == sqlTrue {
		return seqs(at)
	}
	return seqs(at) + " AND " + v.where
}

// seqs keeps to the rows that a snapshot shows.
func seqs(at store.Snapshot) string {
	where := fmt.Sprintf("seq <= %d", at.Seq)
	if at.After > 0 {
		where += fmt.Sprintf(" AND seq > %d", at.After)
	}
	return where
}

// Next moves to the next row.
func (r *rows) Next() bool {
	if r.ended {
		return false
	}
	r.row = nil
	if r.left != 0 {
		if r.err = r.advance(); r.err == nil && r.row != nil {
			if r.left > 0 {
				r.left--
			}
			return true
		}
	}
	r.Close()
	return false
}

// advance reads until a row passes; r.row stays nil at the end.
func (r *rows) advance() error {
	for {
		if r.cur == nil {
			if len(r.scans) == 0 {
				return nil
			}
			sql := r.scans[0].sql(r.at, "", "")
			if r.left > 0 && r.scans[0].check == nil {
				sql += fmt.Sprintf(" LIMIT %d", r.left)
			}
			cur, err := r.conn.query(r.ctx, sql)
			if err != nil {
				return err
			}
			r.cur, r.i, r.n = cur, 0, 0
		}
		for r.i < r.n {
			if err := r.ctx.Err(); err != nil {
				return err
			}
			e, err := r.scans[0].event(r.cur.cols, r.i)
			if err != nil {
				return err
			}
			r.i++
			if cond := r.scans[0].check; cond == nil || expr.Matches(cond, e) {
				if r.query.cut {
					e = e.Keep(r.query.project)
				}
				r.row = e
				return nil
			}
		}
		n, err := r.cur.next()
		if err != nil {
			return err
		}
		r.i, r.n = 0, n
		if n > 0 {
			r.scans[0].begin(r.cur.cols)
		}
		if r.cur.done {
			r.cur.close()
			r.cur = nil
			r.scans = r.scans[1:]
		}
	}
}

// Event is the present row.
func (r *rows) Event() *event.Event { return r.row }

// Err is the error that ended the rows.
func (r *rows) Err() error { return r.err }

// Close ends the query.
func (r *rows) Close() error {
	if r.ended {
		return nil
	}
	r.ended = true
	if r.cur != nil {
		r.cur.close()
		r.cur = nil
	}
	r.done()
	return nil
}
