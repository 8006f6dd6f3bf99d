package duck

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// Most rules ask for values that most days do not hold, and each segment that is asked costs a statement. So of the texts that
// queries ask a segment for again and again, those that it holds are remembered, where they are few.
const (
	askedOften = 2   // queries of one state of a segment, after which its values are read
	fewValues  = 256 // of a column
	longValue  = 128 // bytes; a column with a longer one is not remembered
	fewEntries = 2_000
	mostValues = 400_000 // of all columns; with more everything is forgotten
)

// distinct remembers the texts that columns of segments hold. It is safe for concurrent use.
type distinct struct {
	mu    sync.Mutex
	by    map[int64]*heldTexts // by segment
	texts map[string]string
	size  int // values in all sets since all was forgotten
}

// forget makes room.
func (d *distinct) forget() {
	d.by, d.texts, d.size = map[int64]*heldTexts{}, map[string]string{}, 0
}

// heldTexts is what is known of a segment as of its commit last. Its maps are replaced, not changed.
type heldTexts struct {
	last   uint64
	asked  map[int]int
	values map[int]map[string]bool // by column; nil: too many
}

// asks adds to columns those of the segment that c compares with texts.
func (s *segment) asks(c expr.Cond, columns []int) []int {
	switch c := c.(type) {
	case expr.And:
		for _, below := range c.Conds {
			columns = s.asks(below, columns)
		}
	case expr.Or:
		for _, below := range c.Conds {
			columns = s.asks(below, columns)
		}
	case expr.In:
		if i, ok := s.remembered(c.Field); ok {
			columns = append(columns, i)
		}
	}
	return columns
}

// remembered returns the column of texts that holds all of f.
func (s *segment) remembered(f expr.Field) (int, bool) {
	i, _, ok := s.held(f)
	return i, ok && isPlain(f.Type) && !s.layout.columns[i].UUID
}

// lacks reports whether the segment is known to hold no value of c.
func (s *segment) lacks(c expr.In) bool {
	if len(s.values) == 0 {
		return false
	}
	i, ok := s.remembered(c.Field)
	if !ok || s.values[i] == nil {
		return false
	}
	for _, v := range c.Values {
		if v.Kind() != event.KindString || s.values[i][v.Str()] {
			return false
		}
	}
	return true
}

// recall returns the segments with the values that are known of the columns that cond asks for. It reads those that were
// asked for often; the transaction of c sees all that the segments hold.
func (d *distinct) recall(ctx context.Context, c *conn, segments []*segment, cond expr.Cond) ([]*segment, error) {
	if cond == nil {
		return segments, nil
	}
	out := make([]*segment, len(segments))
	for i, g := range segments {
		out[i] = g
		columns := g.asks(cond, nil)
		if len(columns) == 0 {
			continue
		}
		values, unread := d.of(g, columns)
		for _, column := range unread {
			found, err := g.distinct(ctx, c, column)
			if err != nil {
				return nil, err
			}
			values = d.put(g, column, found)
		}
		if len(values) > 0 {
			own := *g
			own.values = values
			out[i] = &own
		}
	}
	return out, nil
}

// of returns what is known of the segment, and the columns, of those asked for, whose values it is time to read.
func (d *distinct) of(g *segment, columns []int) (values map[int]map[string]bool, unread []int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.by[g.id]
	if h == nil || h.last != g.seq.last {
		if d.by == nil || h == nil && len(d.by) >= fewEntries {
			d.forget()
		}
		h = &heldTexts{last: g.seq.last, asked: map[int]int{}}
		d.by[g.id] = h
	}
	for _, i := range columns {
		if _, known := h.values[i]; known {
			continue
		}
		if h.asked[i]++; h.asked[i] > askedOften {
			unread = append(unread, i)
		}
	}
	return h.values, unread
}

// put notes the values of a column, and returns what is known of the segment.
func (d *distinct) put(g *segment, column int, found []string) map[int]map[string]bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.size += len(found); d.size > mostValues {
		d.forget()
	}
	var set map[string]bool
	if found != nil {
		set = make(map[string]bool, len(found))
		for _, text := range found {
			own, known := d.texts[text]
			if !known {
				own = text
				d.texts[own] = own
			}
			set[own] = true
		}
	}
	h := d.by[g.id]
	if h == nil || h.last != g.seq.last { // it was forgotten meanwhile
		return map[int]map[string]bool{column: set}
	}
	values := maps.Clone(h.values)
	if values == nil {
		values = map[int]map[string]bool{}
	}
	values[column] = set
	h.values = values
	return values
}

// distinct reads the texts of a column; nil where they are too many.
func (s *segment) distinct(ctx context.Context, c *conn, column int) ([]string, error) {
	value := s.layout.name(column)
	if s.layout.columns[column].List {
		value = "unnest(" + value + ")"
	}
	out := []string{}
	many := false
	err := c.each(ctx, fmt.Sprintf("SELECT DISTINCT v FROM (SELECT %s AS v FROM %s) WHERE v IS NOT NULL LIMIT %d", value, s.table(), fewValues+1), func(cols []vector, n int) error {
		for i := range n {
			text := cols[0].bytes(i)
			if many = many || len(text) > longValue || len(out) == fewValues; many {
				return nil
			}
			out = append(out, string(text))
		}
		return nil
	})
	if many {
		out = nil
	}
	return out, err
}
