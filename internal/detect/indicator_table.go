package detect

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// bounds are those of a table's memory.
type bounds struct {
	// indicators and values of them are how many there may be: more are an error, never a silent cut.
	indicators, values int
	// known is how much it remembers of events that were looked up, in indicators and events, docs how many whole indicators
	// it holds. Beyond, it forgets all and goes on: the result is the same.
	known, docs int
}

var usual = bounds{indicators: 5_000_000, values: 20_000_000, known: 1_000_000, docs: 20_000}

// table is the indicators of one rule in one snapshot by their values, and who of them they are: not what they say. Numbers
// stand for indicators, the newest first. It is safe for concurrent use.
type table struct {
	of       *threatMatch
	from     store.Querier
	snapshot store.Snapshot
	names    []string // of streams
	stream   []uint32
	ids      []string
	times    []int64 // @timestamp in milliseconds, 0 where there is none
	columns  []lookup
	indexes  []*index
	cond     expr.Cond // holds of every event that an indicator matches, and of others

	mutex sync.Mutex
	known map[string][]uint32 // the indicators that match, by what events hold
	size  int                 // of known
	docs  map[uint32]*event.Event
}

// held is the condition that an event may match one of the indicators; nil where these are not known.
func (t *table) held() expr.Cond {
	if t == nil {
		return nil
	}
	return t.cond
}

// Bind returns the program with the indicators that it looks for at a snapshot, read from q: its candidates are then those
// events alone that an indicator may match, and its runs at that snapshot read no indicators again. It is the same program.
// A rule without indicators is returned as it is.
func (p *Program) Bind(ctx context.Context, q store.Querier, at store.Snapshot) (*Program, error) {
	if p.threat == nil || p.found != nil && p.found.snapshot == at {
		return p, nil
	}
	t, err := p.threat.read(ctx, q, at)
	if err != nil {
		return nil, fmt.Errorf("read the indicators of rule %s: %w", p.Rule.RuleID, err)
	}
	bound := *p
	bound.found = t
	return &bound, nil
}

// read reads the indicators.
func (m *threatMatch) read(ctx context.Context, q store.Querier, at store.Snapshot) (*table, error) {
	t := &table{of: m, from: q, snapshot: at}
	paths := []string{plan.Timestamp}
	for _, c := range m.columns {
		i := slices.IndexFunc(t.indexes, func(x *index) bool { return x.of.indicator == c.indicator && x.of.as == c.as })
		if i < 0 {
			i = len(t.indexes)
			t.indexes = append(t.indexes, newIndex(c))
			paths = append(paths, c.indicator.Path)
		}
		t.columns = append(t.columns, lookup{c, t.indexes[i]})
	}
	slices.Sort(paths)
	node := plan.Project{Paths: slices.Compact(paths), In: plan.Filter{Cond: expr.All(m.ever, m.complete()), In: plan.Scan{Streams: m.streams}}}
	rows, err := exec.Query(ctx, q, node, at)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	streams, values := map[string]uint32{}, 0
	for rows.Next() {
		e := rows.Event()
		n := uint32(len(t.ids))
		if int(n) == m.bounds.indicators {
			return nil, tooMany(m, m.bounds.indicators, "indicators")
		}
		s, known := streams[e.Stream]
		if !known {
			s = uint32(len(t.names))
			streams[e.Stream] = s
			t.names = append(t.names, e.Stream)
		}
		at, _ := plan.TimeField{Primary: plan.Timestamp}.Of(e)
		t.ids, t.stream, t.times = append(t.ids, e.ID), append(t.stream, s), append(t.times, milliseconds(at))
		for _, x := range t.indexes {
			values += x.take(e, n)
		}
		if values > m.bounds.values {
			return nil, tooMany(m, m.bounds.values, "values of indicators")
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	t.order()
	t.cond, err = t.candidates()
	return t, err
}

func tooMany(m *threatMatch, most int, what string) error {
	return fmt.Errorf("more than %d %s in %s fulfil threat_query: narrow it", most, what, strings.Join(m.streams, ", "))
}

func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// complete is the condition that an indicator has a value for every comparison of one group that must hold.
func (m *threatMatch) complete() expr.Cond {
	var some []expr.Cond
	for _, group := range m.groups {
		var all []expr.Cond
		for _, g := range group {
			if c := m.columns[g.column]; !g.negate {
				f := c.indicator
				if f.Type == event.IPType { // it may be a network, which is no address
					f.Type = event.Keyword
				}
				all = append(all, expr.Exists{Field: f})
			}
		}
		some = append(some, expr.All(all...))
	}
	return expr.Some(some...)
}

// order numbers the indicators anew: the newest first, and those of one time by stream and ID.
func (t *table) order() {
	by := make([]uint32, len(t.ids))
	for i := range by {
		by[i] = uint32(i)
	}
	slices.SortFunc(by, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(t.times[b], t.times[a]), strings.Compare(t.names[t.stream[a]], t.names[t.stream[b]]), strings.Compare(t.ids[a], t.ids[b]))
	})
	place := make([]uint32, len(by))
	stream, ids, times := make([]uint32, len(by)), make([]string, len(by)), make([]int64, len(by))
	for i, old := range by {
		place[old], stream[i], ids[i], times[i] = uint32(i), t.stream[old], t.ids[old], t.times[old]
	}
	t.stream, t.ids, t.times = stream, ids, times
	for _, x := range t.indexes {
		x.order(place)
	}
}

// candidates is the condition that an event holds, for all comparisons of one group that must hold, values of indicators.
func (t *table) candidates() (expr.Cond, error) {
	conds := make([]expr.Cond, len(t.columns))
	var some []expr.Cond
	for _, group := range t.of.groups {
		var all []expr.Cond
		for _, g := range group {
			if g.negate {
				continue
			}
			if conds[g.column] == nil {
				var err error
				if conds[g.column], err = t.columns[g.column].member(); err != nil {
					return nil, err
				}
			}
			all = append(all, conds[g.column])
		}
		some = append(some, expr.All(all...))
	}
	return expr.Some(some...), nil
}
