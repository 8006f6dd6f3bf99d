package duck

import (
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/tocsin-sec/tocsin/internal/store"
)

// segment is one table of events: those of one stream and UTC day that one layout describes. A segment in a catalog
// never changes; a commit puts another in its place.
type segment struct {
	id     int64
	stream int32
	day    store.Day
	layout *layout

	rows     int64
	time     bounds // of @timestamp
	ingested bounds // of event.ingested, of those that have one
	seq      struct{ first, last uint64 }

	wild, odd bits // see column
	wide      bits // text columns that hold more than ASCII

	// states are the paths that the states of alerts set, as a query finds them; nil but for the copy of a segment of
	// alerts that the query works with.
	states []string
	// values are the texts that columns hold, of some columns (see distinct); nil but for a query's copy, too.
	values map[int]map[string]bool
}

// stated reports whether the state of an alert may change what a field at path reads.
func (s *segment) stated(path string) bool {
	for _, p := range s.states {
		if p == path || isBelow(p, path) || isBelow(path, p) {
			return true
		}
	}
	return false
}

// table is the name of the segment's table.
func (s *segment) table() string { return fmt.Sprintf("segment_%d", s.id) }

// bounds are the least and the greatest of some instants, in milliseconds.
type bounds struct {
	some     bool
	min, max int64
}

func (b *bounds) add(ms int64) {
	if !b.some {
		*b = bounds{true, ms, ms}
		return
	}
	b.min, b.max = min(b.min, ms), max(b.max, ms)
}

func (b bounds) span() store.Span {
	if !b.some {
		return store.Span{}
	}
	return store.Span{From: time.UnixMilli(b.min).UTC(), To: time.UnixMilli(b.max).UTC()}
}

// catalog is what is stored, as of one commit. It never changes.
type catalog struct {
	seq       uint64
	committed time.Time
	streams   []string            // by number; "" for one that is gone
	layouts   map[int32][]*layout // by stream; the last is the one that is written
	segments  []*segment          // sorted by stream, day and generation
	distinct  *distinct           // shared by all catalogs of a store
	loose     int                 // how many segments were written to since the last checkpoint, one as often as it was
}

// of returns the segments of a stream and day.
func (c *catalog) of(stream int32, day store.Day) []*segment {
	from := sort.Search(len(c.segments), func(i int) bool { return !c.segments[i].before(stream, day) })
	to := from
	for to < len(c.segments) && c.segments[to].stream == stream && c.segments[to].day == day {
		to++
	}
	return c.segments[from:to]
}

func (s *segment) before(stream int32, day store.Day) bool {
	return s.stream < stream || s.stream == stream && s.day < day
}

// number returns the number of a stream, false for one that is not known.
func (c *catalog) number(stream string) (int32, bool) {
	i := slices.Index(c.streams, stream)
	return int32(i), i >= 0
}

// layout returns the layout that a stream's events are written in; nil where there is none yet.
func (c *catalog) layout(stream int32) *layout {
	all := c.layouts[stream]
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

// with returns a catalog in which changed segments stand in the place of those with the same id, or are added.
func (c *catalog) with(changed map[int64]*segment) *catalog {
	n := *c
	n.segments = make([]*segment, 0, len(c.segments)+len(changed))
	for _, s := range c.segments {
		if _, replaced := changed[s.id]; !replaced {
			n.segments = append(n.segments, s)
		}
	}
	for _, s := range changed {
		n.segments = append(n.segments, s)
	}
	n.sort()
	return &n
}

func (c *catalog) sort() {
	slices.SortFunc(c.segments, func(a, b *segment) int {
		switch {
		case a.before(b.stream, b.day):
			return -1
		case b.before(a.stream, a.day):
			return 1
		}
		return int(a.layout.generation - b.layout.generation)
	})
}

// hexOf writes a set of columns as it is stored.
func (b bits) hexOf() string {
	out := make([]byte, 0, len(b)*8)
	for _, word := range b {
		for i := range 8 {
			out = append(out, byte(word>>(8*i)))
		}
	}
	return hex.EncodeToString(out)
}

func bitsOf(s string) (b bits, err error) {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(b)*8 {
		return b, fmt.Errorf("a set of columns %q", s)
	}
	for i, c := range raw {
		b[i/8] |= uint64(c) << (8 * (i % 8))
	}
	return b, nil
}
