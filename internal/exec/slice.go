package exec

import (
	"context"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Stored is an event with the sequence number of the commit that stored it. Number 0 is shown by every snapshot.
type Stored struct {
	Event *event.Event
	Seq   uint64
}

// Slice is a Querier over events in memory, which nobody may change while it is used. It takes every node, and is safe
// for concurrent use.
type Slice struct {
	rows    []Stored
	streams []string // the names that occur
	stream  []int32  // by row, its place in streams
	indexes []*timeIndex
}

// Option adds to what a Slice knows of its events.
type Option func(*Slice)

// ByTime indexes the events by the date field at path: a plan whose filters bound that field by a Range looks at the
// events within the bounds alone. Rows do not depend on it.
func ByTime(path string) Option {
	return func(s *Slice) { s.indexes = append(s.indexes, newTimeIndex(path, s.rows)) }
}

// NewSlice returns a Querier over rows. It keeps the slice.
func NewSlice(rows []Stored, options ...Option) *Slice {
	s := &Slice{rows: rows, stream: make([]int32, len(rows))}
	known := map[string]int32{}
	for i, r := range rows {
		n, ok := known[r.Event.Stream]
		if !ok {
			n = int32(len(s.streams))
			known[r.Event.Stream] = n
			s.streams = append(s.streams, r.Event.Stream)
		}
		s.stream[i] = n
	}
	for _, option := range options {
		option(s)
	}
	return s
}

// Over returns a Querier over events that every snapshot shows.
func Over(events []*event.Event, options ...Option) *Slice {
	rows := make([]Stored, len(events))
	for i, e := range events {
		rows[i].Event = e
	}
	return NewSlice(rows, options...)
}

// Len is the number of events.
func (s *Slice) Len() int { return len(s.rows) }

// Query runs p over the events that at shows.
func (s *Slice) Query(ctx context.Context, p plan.Node, at store.Snapshot) (store.Rows, error) {
	b := builder{ctx: ctx, sortRows: MaxSortRows, groups: MaxGroups, leaf: func(n plan.Node) (cursor, bool, error) {
		scan, ok := n.(plan.Scan)
		if !ok {
			return nil, false, nil
		}
		return s.scan(ctx, scan, boundsOf(p), at), true, nil
	}}
	c, err := b.build(p)
	if err != nil {
		return nil, err
	}
	return &output{ctx: ctx, in: c}, nil
}

// scan reads the events of the scan's streams, or at least those that may meet the bounds.
func (s *Slice) scan(ctx context.Context, n plan.Scan, bounds []bound, at store.Snapshot) cursor {
	c := &scan{ctx: ctx, slice: s, at: at, end: len(s.rows), selected: make([]bool, len(s.streams))}
	for i, name := range s.streams {
		c.selected[i] = store.Selects(n.Streams, name)
	}
	for _, x := range s.indexes {
		for _, b := range bounds {
			if b.path != x.path {
				continue
			}
			if from, to := x.within(b); to-from+len(x.rest) < c.end {
				c.picked, c.rest, c.indexed = x.row[from:to], x.rest, true
				c.end = len(c.picked) + len(c.rest)
			}
		}
	}
	return c
}

// scan is the cursor over all rows, or over those that an index picked.
type scan struct {
	ctx          context.Context
	slice        *Slice
	at           store.Snapshot
	selected     []bool
	indexed      bool
	picked, rest []int32
	i, end       int
}

// checkEvery is the number of rows between two looks at the context.
const checkEvery = 256

func (c *scan) next() (row, bool, error) {
	for c.i < c.end {
		if c.i%checkEvery == 0 {
			if err := c.ctx.Err(); err != nil {
				return row{}, false, err
			}
		}
		n := c.i
		c.i++
		if c.indexed {
			if n < len(c.picked) {
				n = int(c.picked[n])
			} else {
				n = int(c.rest[n-len(c.picked)])
			}
		}
		r := c.slice.rows[n]
		if c.selected[c.slice.stream[n]] && (r.Seq == 0 || c.at.After < r.Seq && r.Seq <= c.at.Seq) {
			return row{e: r.Event}, true, nil
		}
	}
	return row{}, false, nil
}

func (c *scan) close() error {
	c.end = 0
	return nil
}
