package duck

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// All rows of an order are sorted a stretch at a time, where the first key is a time: what is sorted at once, and memory with
// it, does not grow with the store. Rows are as wide as the fields that are read; whole events are left to exec.
const (
	stretchRows = 50_000 // rows of segments that a stretch is to hold, if they lie evenly
	maxReads    = 4      // how often a segment of one stretch is read on average; beyond it stretches are made longer
	maxForms    = 4      // forms of rows that are sorted together
)

// sorted are all rows of a sorted query.
type sorted struct {
	*top
	forms     []form
	formOf    []int // by scan
	stretches []stretch
	cur       *result
	i, n      int
}

// form is what tables of one layout give of their rows.
type form struct {
	names  []string // in SQL
	nulls  []string // what stands there in rows of other forms
	offset int      // the place of the first in results
}

// stretch is the rows of some scans with the first key in [from, to), or without one.
type stretch struct {
	scans    []int
	bound    bool // from and to count
	from, to int64
	null     bool // of the rows without a first key
}

// sorted starts a query for all rows of an order; *store.Unsupported where SQL does not order as Go does.
func (s *Store) sorted(ctx context.Context, p plan.Node, q *query, at store.Snapshot) (store.Rows, error) {
	if q.scan.Fields == nil {
		return nil, &store.Unsupported{Node: p, Why: "an order of whole events without a small limit"}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, cat, done, err := s.begin(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	r := &sorted{top: &top{ctx: ctx, query: q, conn: c, done: done, at: at, exact: true, left: q.limit}}
	r.at.Seq = min(at.Seq, cat.seq)
	if err = r.find(cat, p); err == nil {
		err = r.arrange(p)
	}
	if err != nil {
		done()
		return nil, err
	}
	r.divide(s.stretch)
	return r, nil
}

// arrange finds the forms of rows.
func (r *sorted) arrange(p plan.Node) error {
	known := map[string]int{}
	offset := 1
	for _, v := range r.scans {
		key := fmt.Sprint(v.seg.layout.stream, v.seg.layout.generation, v.columns, v.rest, v.source, v.states)
		i, is := known[key]
		if !is {
			if i = len(r.forms); i == maxForms {
				return &store.Unsupported{Node: p, Why: "an order of rows from too many layouts"}
			}
			if v.source {
				return &store.Unsupported{Node: p, Why: "an order of whole events without a small limit"}
			}
			known[key] = i
			f := form{offset: offset}
			f.names, _ = v.reads()
			f.nulls = append(f.nulls, "NULL::"+typeBlob.sql())
			for _, c := range v.columns {
				f.nulls = append(f.nulls, "NULL::"+v.seg.layout.columns[c].storage().sql())
			}
			for len(f.nulls) < len(f.names) {
				f.nulls = append(f.nulls, "NULL") // rest, and the states of alerts
			}
			r.forms = append(r.forms, f)
			offset += len(f.names)
		}
		r.formOf = append(r.formOf, i)
	}
	return nil
}

// lies is where the values of a sort key lie in a segment; nulls says that there may be rows without one, and known is false
// where nothing is known of it.
func (s *segment) lies(x expr.Value) (b bounds, nulls, known bool) {
	switch x := x.(type) {
	case expr.One:
		switch x.Field.Path {
		case plan.Timestamp:
			return s.time, false, true
		case plan.Ingested:
			return s.ingested, true, true
		}
	case expr.Call:
		if x.Fn != "coalesce" || len(x.Args) == 0 {
			break
		}
		nulls = true
		for _, a := range x.Args {
			in, without, known := s.lies(a)
			if !known {
				return bounds{}, true, false
			}
			if in.some {
				b.add(in.min)
				b.add(in.max)
			}
			nulls = nulls && without
		}
		return b, nulls, true
	}
	return bounds{}, true, false
}

// divide makes the stretches, of about so many rows each.
func (r *sorted) divide(rows int64) {
	if len(r.scans) == 0 {
		return
	}
	type place struct {
		scan int
		bounds
	}
	var places []place
	without := stretch{null: true}
	for i, v := range r.scans {
		b, nulls, known := v.seg.lies(r.query.sort[0].Value)
		if !known {
			all := stretch{}
			for i := range r.scans {
				all.scans = append(all.scans, i)
			}
			r.stretches = []stretch{all}
			return
		}
		if b.some {
			places = append(places, place{i, b})
		}
		if nulls {
			without.scans = append(without.scans, i)
		}
	}
	slices.SortStableFunc(places, func(a, b place) int { return cmp.Compare(a.min, b.min) })
	for {
		var cuts []int64
		begin := int64(math.MinInt64)
		held, parts := int64(0), 0
		cut := func(ms int64) {
			if ms > begin {
				cuts, begin, held = append(cuts, ms), ms, 0
			}
		}
		for _, p := range places {
			n := r.scans[p.scan].seg.rows
			if held += n; held > rows && held > n {
				cut(p.min)
				held = n
			}
			pieces := n/rows + 1
			parts += int(pieces)
			for k := int64(1); k < pieces; k++ {
				cut(p.min + int64(float64(p.max-p.min)*float64(k)/float64(pieces)))
			}
		}
		r.stretches = r.stretches[:0]
		from, reads := int64(math.MinInt64), 0
		for _, to := range append(cuts, math.MaxInt64) {
			s := stretch{bound: true, from: from, to: to}
			for _, p := range places {
				if p.max >= from && (p.min < to || to == math.MaxInt64) {
					s.scans = append(s.scans, p.scan)
				}
			}
			if len(s.scans) > 0 {
				r.stretches = append(r.stretches, s)
			}
			reads += len(s.scans)
			from = to
		}
		if reads <= maxReads*parts || len(cuts) == 0 {
			break
		}
		rows *= 2
	}
	if r.query.sort[0].Desc {
		slices.Reverse(r.stretches)
	}
	if len(without.scans) > 0 {
		r.stretches = append(r.stretches, without)
	}
}

// sql is the statement that reads a stretch.
func (r *sorted) sql(s stretch) string {
	var parts []string
	for _, i := range s.scans {
		v := r.scans[i]
		own, from := v.reads()
		columns := []string{fmt.Sprintf("%d::BIGINT AS s", i), fmt.Sprintf("%d AS o", r.ranks[i]), own[0] + " AS x"}
		for j, key := range r.keys[i] {
			columns = append(columns, fmt.Sprintf("%s AS k%d", key, j))
		}
		for k, f := range r.forms {
			names := f.nulls
			if k == r.formOf[i] {
				names = own
			}
			for j, name := range names {
				columns = append(columns, fmt.Sprintf("%s AS b%d", name, f.offset+j))
			}
		}
		where, key := v.filter(r.at), r.keys[i][0]
		if s.null {
			where += " AND " + key + " IS NULL"
		}
		if s.bound {
			where += " AND " + key + " >= " + integer(s.from)
			if s.to < math.MaxInt64 {
				where += " AND " + key + " < " + integer(s.to)
			}
		}
		parts = append(parts, fmt.Sprintf("SELECT %s FROM %s WHERE %s", strings.Join(columns, ", "), from, where))
	}
	columns := []string{"s"}
	for _, f := range r.forms {
		for j := range f.names {
			columns = append(columns, fmt.Sprintf("b%d", f.offset+j))
		}
	}
	return fmt.Sprintf("SELECT %s FROM (%s) ORDER BY %s", strings.Join(columns, ", "), strings.Join(parts, " UNION ALL "),
		r.query.order("o", "x"))
}

// Next moves to the next row.
func (r *sorted) Next() bool {
	if r.ended {
		return false
	}
	r.row = nil
	if r.left != 0 {
		if r.err = r.advance(); r.err == nil && r.row != nil {
			r.left--
			return true
		}
	}
	r.Close()
	return false
}

// advance reads until a row passes; r.row stays nil at the end.
func (r *sorted) advance() error {
	for {
		if r.cur == nil {
			if len(r.stretches) == 0 {
				return nil
			}
			cur, err := r.conn.query(r.ctx, r.sql(r.stretches[0]))
			if err != nil {
				return err
			}
			r.cur, r.i, r.n = cur, 0, 0
		}
		for r.i < r.n {
			if err := r.ctx.Err(); err != nil {
				return err
			}
			n := int(r.cur.cols[0].int64(r.i))
			v := r.scans[n]
			e, err := v.event(r.cur.cols[r.forms[r.formOf[n]].offset:], r.i)
			if err != nil {
				return err
			}
			r.i++
			if v.check == nil || expr.Matches(v.check, e) {
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
		if r.i, r.n = 0, n; n > 0 {
			for _, i := range r.stretches[0].scans {
				r.scans[i].begin(r.cur.cols[r.forms[r.formOf[i]].offset:])
			}
		}
		if r.cur.done {
			r.cur.close()
			r.cur = nil
			for _, i := range r.stretches[0].scans {
				r.scans[i].reader = reader{}
			}
			r.stretches = r.stretches[1:]
		}
	}
}

// Close ends the query.
func (r *sorted) Close() error {
	if r.cur != nil {
		r.cur.close()
		r.cur = nil
	}
	return r.top.Close()
}
