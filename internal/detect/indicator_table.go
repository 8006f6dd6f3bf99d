package detect

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
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
	columns  []index
	cond     expr.Cond // holds of every event that an indicator matches, and of others

	mutex sync.Mutex
	known map[string][]uint32 // the indicators that match, by what events hold
	size  int                 // of known
	docs  map[uint32]*event.Event
}

// index is the indicators of one column by their values.
type index struct {
	column
	keys     map[string]uint32       // a value's number
	networks map[netip.Prefix]uint32 // that of a network
	bits     []int                   // how long the prefixes of networks are
	texts    map[uint32][]string     // how networks are written
	written  []string                // the keys of numbers, "" of networks
	first    []uint32                // 1 + the number of a value of each indicator, 0: it has none
	begin    []uint32                // where a number's indicators begin in posts, ascending
	posts    []uint32
	has      []uint64 // a bit for each indicator that has a value
	pairs    []pair   // while the table is made
}

type pair struct{ value, indicator uint32 }

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
		t.columns = append(t.columns, index{column: c, keys: map[string]uint32{}, networks: map[netip.Prefix]uint32{}})
		paths = append(paths, c.indicator.Path)
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
		for i := range t.columns {
			values += t.columns[i].take(e, n)
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

// take notes the values of indicator n, and returns how many it has.
func (x *index) take(e *event.Event, n uint32) (values int) {
	if int(n)/64 == len(x.has) {
		x.has = append(x.has, 0)
	}
	if x.none {
		return 0
	}
	if x.column.has(true, e) {
		x.has[n/64] |= 1 << (n % 64)
	}
	x.values(true, e, func(v event.Value, key string, network netip.Prefix) {
		values++
		x.pairs = append(x.pairs, pair{x.number(v, key, network), n})
	})
	return values
}

// number is the number of a value, which gets one if it has none.
func (x *index) number(v event.Value, key string, network netip.Prefix) uint32 {
	next := uint32(len(x.keys) + len(x.networks))
	if !network.IsValid() {
		n, known := x.keys[key]
		if !known {
			n = next
			key = strings.Clone(key)
			x.keys[key] = n
			x.written = append(x.written, key)
		}
		return n
	}
	n, known := x.networks[network]
	if !known {
		n = next
		x.networks[network] = n
		x.written = append(x.written, "")
		if x.texts == nil {
			x.texts = map[uint32][]string{}
		}
		if !slices.Contains(x.bits, network.Bits()) {
			x.bits = append(x.bits, network.Bits())
			slices.Sort(x.bits)
		}
	}
	if !slices.Contains(x.texts[n], v.Str()) {
		x.texts[n] = append(x.texts[n], v.Str())
	}
	return n
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
	for i := range t.columns {
		x := &t.columns[i]
		has := make([]uint64, len(x.has))
		for old, n := range place {
			if x.has[old/64]&(1<<(old%64)) != 0 {
				has[n/64] |= 1 << (n % 64)
			}
		}
		x.has = has
		for j := range x.pairs {
			x.pairs[j].indicator = place[x.pairs[j].indicator]
		}
		slices.SortFunc(x.pairs, func(a, b pair) int {
			return cmp.Or(cmp.Compare(a.value, b.value), cmp.Compare(a.indicator, b.indicator))
		})
		x.pairs = slices.Compact(x.pairs)
		x.begin = make([]uint32, len(x.keys)+len(x.networks)+1)
		x.posts = make([]uint32, len(x.pairs))
		x.first = make([]uint32, len(by))
		for j, p := range x.pairs {
			x.first[p.indicator] = p.value + 1
			x.posts[j] = p.indicator
			x.begin[p.value+1]++
		}
		for j := 1; j < len(x.begin); j++ {
			x.begin[j] += x.begin[j-1]
		}
		x.pairs = nil
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

// member is the condition that an event has one of the values.
func (x *index) member() (expr.Cond, error) {
	f := x.event
	switch {
	case len(x.keys)+len(x.networks) == 0:
		return expr.Const{}, nil
	case x.as.IsText() && !f.Type.IsText(): // the words of a whole value are compared, which no index knows
		return expr.Exists{Field: f}, nil
	}
	kind := x.as
	switch {
	case x.as.IsText(), x.as == event.Keyword:
		kind = event.Keyword
	default:
		f.Type = x.as
	}
	b := expr.NewSet(kind)
	for key := range x.keys {
		if v, ok := event.Coerce(kind, valueOfKey(x.as, key)); ok {
			b.Add(v)
		}
	}
	for network := range x.networks {
		least, greatest := ends(network)
		b.AddRange(least, greatest)
	}
	set, err := b.Set()
	return expr.Member{Field: f, Set: set}, err
}

// valueOfKey is the value that has the key among values of type t.
func valueOfKey(t event.Type, key string) event.Value {
	if t == event.IPType {
		return event.IP(netip.AddrFrom16([16]byte([]byte(key))))
	}
	return event.String(key)
}

// ends are the first and the last address of a network.
func ends(p netip.Prefix) (least, greatest event.Value) {
	last := p.Addr().As16()
	for bit := p.Bits(); bit < 128; bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	return event.IP(p.Addr()), event.IP(netip.AddrFrom16(last))
}

// holding returns the indicators that have the value of a number.
func (x *index) holding(number uint32) []uint32 { return x.posts[x.begin[number]:x.begin[number+1]] }

// numbers are those of the values of e, with the value; networks are those that hold it.
func (x *index) numbers(e *event.Event, of func(v event.Value, number uint32)) {
	if x.none {
		return
	}
	x.values(false, e, func(v event.Value, key string, _ netip.Prefix) {
		if n, known := x.keys[key]; known {
			of(v, n)
		}
		if len(x.bits) == 0 {
			return
		}
		address := netip.AddrFrom16([16]byte([]byte(key)))
		for _, bits := range x.bits {
			if network, err := address.Prefix(bits); err == nil {
				if n, known := x.networks[network]; known {
					of(v, n)
				}
			}
		}
	})
}

func (x *index) hasValue(indicator uint32) bool {
	return x.has[indicator/64]&(1<<(indicator%64)) != 0
}
