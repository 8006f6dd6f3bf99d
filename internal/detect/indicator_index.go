package detect

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// lookup is a column with the indicators' values of it.
type lookup struct {
	column
	*index
}

// index is the indicators by their values in one field, whatever fields of events these are compared with.
type index struct {
	of       column                  // the first with the field
	keys     map[string]uint32       // a value's number
	networks map[netip.Prefix]uint32 // that of a network
	bits     []int                   // how long the prefixes of networks are
	texts    map[uint32][]string     // how networks are written
	written  []string                // the keys of numbers, "" of networks
	first    []uint32                // 1 + the number of a value of each indicator, 0: it has none
	begin    []uint32                // where a number's indicators begin in posts, ascending
	posts    []uint32
	valued   []uint64  // a bit for each indicator that has a value
	pairs    []pair    // while the table is made
	set      *expr.Set // the values; nil before it is asked for
}

type pair struct{ value, indicator uint32 }

func newIndex(c column) *index {
	return &index{of: c, keys: map[string]uint32{}, networks: map[netip.Prefix]uint32{}}
}

// take notes the values of indicator n, and returns how many it has.
func (x *index) take(e *event.Event, n uint32) (values int) {
	if int(n)/64 == len(x.valued) {
		x.valued = append(x.valued, 0)
	}
	if x.of.has(true, e) {
		x.valued[n/64] |= 1 << (n % 64)
	}
	x.of.values(true, e, func(v event.Value, key string, network netip.Prefix) {
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

// order gives indicators the numbers at their places, and puts values in order.
func (x *index) order(place []uint32) {
	valued := make([]uint64, len(x.valued))
	for old, n := range place {
		if x.valued[old/64]&(1<<(old%64)) != 0 {
			valued[n/64] |= 1 << (n % 64)
		}
	}
	x.valued = valued
	for j := range x.pairs {
		x.pairs[j].indicator = place[x.pairs[j].indicator]
	}
	slices.SortFunc(x.pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.value, b.value), cmp.Compare(a.indicator, b.indicator))
	})
	x.pairs = slices.Compact(x.pairs)
	x.begin = make([]uint32, len(x.written)+1)
	x.posts = make([]uint32, len(x.pairs))
	x.first = make([]uint32, len(place))
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

// member is the condition that an event has one of the values.
func (x *lookup) member() (expr.Cond, error) {
	f := x.event
	switch {
	case x.noEvent || len(x.written) == 0:
		return expr.Const{}, nil
	case x.as.IsText() && !f.Type.IsText(): // the words of a whole value are compared, which no index knows
		return expr.Exists{Field: f}, nil
	case !x.as.IsText() && x.as != event.Keyword:
		f.Type = x.as
	}
	set, err := x.all()
	return expr.Member{Field: f, Set: set}, err
}

// all are the values: words, of texts.
func (x *index) all() (*expr.Set, error) {
	if x.set != nil {
		return x.set, nil
	}
	kind := keysOf(x.of.as)
	b := expr.NewSet(kind)
	for key := range x.keys {
		if v, ok := event.Coerce(kind, valueOfKey(x.of.as, key)); ok {
			b.Add(v)
		}
	}
	for network := range x.networks {
		b.AddRange(ends(network))
	}
	var err error
	x.set, err = b.Set()
	return x.set, err
}

// keysOf is the type of the keys of values that are compared as t.
func keysOf(t event.Type) event.Type {
	if t.IsText() {
		return event.Keyword
	}
	return t
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
func (x *lookup) numbers(e *event.Event, of func(v event.Value, number uint32)) {
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
	return x.valued[indicator/64]&(1<<(indicator%64)) != 0
}

// shares reports whether the indicator has the value of one of numbers.
func (x *index) shares(numbers []uint32, indicator uint32) bool {
	return slices.ContainsFunc(numbers, func(n uint32) bool {
		_, has := slices.BinarySearch(x.holding(n), indicator)
		return has
	})
}

// having is the condition that an indicator has the value of one of numbers.
func (x *index) having(numbers []uint32) (expr.Cond, error) {
	f, as := x.of.indicator, x.of.as
	if as.IsText() && !f.Type.IsText() {
		return expr.Exists{Field: f}, nil // no index knows the words of a whole value
	}
	kind := keysOf(as)
	if !as.IsText() && as != event.Keyword {
		f.Type = as
	}
	values := expr.NewSet(kind)
	var networks []event.Value // as they are written: they are no values of the field
	for _, n := range numbers {
		if texts := x.texts[n]; texts != nil {
			networks = append(networks, event.Strings(texts...).Items()...)
		} else if v, ok := event.Coerce(kind, valueOfKey(as, x.written[n])); ok {
			values.Add(v)
		}
	}
	set, err := values.Set()
	if err != nil {
		return nil, err
	}
	has := expr.Cond(expr.Member{Field: f, Set: set})
	if f.Type = event.Keyword; len(networks) > 0 {
		has = expr.Some(has, expr.In{Field: f, Values: networks})
	}
	return has, nil
}
