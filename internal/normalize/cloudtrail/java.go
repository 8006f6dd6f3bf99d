package cloudtrail

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// javaText prints values as Java prints maps and lists: {k=v, k2=[a, b]}, without quotes, the keys in the order of
// java.util.HashMap. Rules cut these texts apart, so the order is part of the format.
//
// That order depends on how many buckets the map had when it was read. Cleaning takes keys away but no buckets, so
// javaText remembers the bucket counts of cleaned objects.
type javaText struct {
	buckets map[*event.Member]int // of objects that lost keys, by their first member
	order   []uint64              // scratch: bucket and place of each key of the objects being printed
	places  []uint32
	out     []byte
}

func (j *javaText) reset() {
	clear(j.buckets)
	if cap(j.out) > 1<<20 {
		j.out = nil
	}
	if cap(j.order) > 1<<16 {
		j.order = nil
	}
}

// clean drops what says nothing, at every depth: null, "", "-", "none", empty objects and empty lists. It reports
// false when that is v itself.
func (j *javaText) clean(v event.Value) (event.Value, bool) {
	v, keep, _ := j.cleaned(v)
	return v, keep
}

func (j *javaText) cleaned(v event.Value) (out event.Value, keep, changed bool) {
	switch v.Kind() {
	case event.KindNull:
		return event.Value{}, false, true
	case event.KindString:
		switch v.Str() {
		case "", "-", "none":
			return event.Value{}, false, true
		}
	case event.KindList:
		return j.cleanedList(v)
	case event.KindObject:
		return j.cleanedObject(v)
	}
	return v, true, false
}

func (j *javaText) cleanedList(v event.Value) (out event.Value, keep, changed bool) {
	items := v.Items()
	var list []event.Value
	for i, item := range items {
		kept, keep, touched := j.cleaned(item)
		if touched && !changed {
			list, changed = append(make([]event.Value, 0, len(items)), items[:i]...), true
		}
		if changed && keep {
			list = append(list, kept)
		}
	}
	if !changed {
		return v, len(items) > 0, len(items) == 0
	}
	return event.List(list...), len(list) > 0, true
}

func (j *javaText) cleanedObject(v event.Value) (out event.Value, keep, changed bool) {
	members := v.Members()
	var left []event.Member
	for i, m := range members {
		kept, keep, touched := j.cleaned(m.Value)
		if touched && !changed {
			left, changed = append(make([]event.Member, 0, len(members)), members[:i]...), true
		}
		if changed && keep {
			left = append(left, event.Member{Key: m.Key, Value: kept})
		}
	}
	if !changed {
		return v, len(members) > 0, len(members) == 0
	}
	if len(left) > 0 {
		j.remember(members, left)
	}
	return event.Object(left...), len(left) > 0, true
}

// without returns the object v without key, with the buckets that it had.
func (j *javaText) without(v event.Value, key string) event.Value {
	members := v.Members()
	left := make([]event.Member, 0, len(members))
	for _, m := range members {
		if m.Key != key {
			left = append(left, m)
		}
	}
	if len(left) > 0 {
		j.remember(members, left)
	}
	return event.Object(left...)
}

// remember keeps the bucket count of an object whose members were before and are left now.
func (j *javaText) remember(before, left []event.Member) {
	n := j.bucketsOf(before)
	if n == buckets(left) {
		return
	}
	if j.buckets == nil {
		j.buckets = map[*event.Member]int{}
	}
	j.buckets[&left[0]] = n
}

func (j *javaText) bucketsOf(members []event.Member) int {
	if len(j.buckets) > 0 && len(members) > 0 {
		if n, ok := j.buckets[&members[0]]; ok {
			return n
		}
	}
	return buckets(members)
}

// The bounds of java.util.HashMap: it doubles when it is three quarters full, and, while it is small, when a bucket
// that already holds eight keys gets another.
const (
	firstBuckets = 16
	fullBucket   = 8
	treeBuckets  = 64
)

// buckets returns how many buckets a map has after members were put into it one by one.
func buckets(members []event.Member) int {
	n := firstBuckets
	if len(members) <= fullBucket {
		return n
	}
	var held [treeBuckets]uint8
	recount := func(upTo int) {
		if n < treeBuckets {
			held = [treeBuckets]uint8{}
			for _, m := range members[:upTo] {
				held[bucket(m.Key, n)]++
			}
		}
	}
	for i, m := range members {
		if n < treeBuckets {
			b := bucket(m.Key, n)
			held[b]++
			if held[b] > fullBucket {
				n *= 2
				recount(i + 1)
			}
		}
		if i+1 > n/4*3 {
			n *= 2
			recount(i + 1)
		}
	}
	return n
}

// bucket returns the bucket of key among n, a power of two.
func bucket(key string, n int) uint32 {
	var h uint32
	for i := 0; i < len(key); i++ {
		c := key[i]
		if c >= utf8.RuneSelf {
			return mix(hashUTF16(key)) & uint32(n-1)
		}
		h = 31*h + uint32(c)
	}
	return mix(h) & uint32(n-1)
}

func mix(h uint32) uint32 { return h ^ h>>16 }

// hashUTF16 is String.hashCode, which counts UTF-16 units.
func hashUTF16(s string) uint32 {
	var h uint32
	for _, r := range s {
		if r >= 0x10000 {
			r -= 0x10000
			h = 31*h + uint32(0xD800+r>>10)
			r = 0xDC00 + r&0x3FF
		}
		h = 31*h + uint32(r)
	}
	return h
}

// inOrder appends to order, for each member, its bucket and its place, sorted: the order of iteration.
func (j *javaText) inOrder(members []event.Member) (from int) {
	n := j.bucketsOf(members)
	from = len(j.order)
	for i, m := range members {
		j.order = append(j.order, uint64(bucket(m.Key, n))<<32|uint64(i))
	}
	slices.Sort(j.order[from:])
	return from
}

// ordered returns the places of members in the order of iteration; it is valid until the next call.
func (j *javaText) ordered(members []event.Member) []uint32 {
	j.order = j.order[:0]
	j.inOrder(members)
	j.places = j.places[:0]
	for _, at := range j.order {
		j.places = append(j.places, uint32(at))
	}
	return j.places
}

// print returns v as Java prints it.
func (j *javaText) print(v event.Value) string {
	if v.Kind() == event.KindString {
		return v.Str()
	}
	j.out = j.out[:0]
	j.order = j.order[:0]
	j.append(v)
	return string(j.out)
}

func (j *javaText) append(v event.Value) {
	switch v.Kind() {
	case event.KindNull:
		j.out = append(j.out, "null"...)
	case event.KindString:
		j.out = append(j.out, v.Str()...)
	case event.KindInt:
		j.out = strconv.AppendInt(j.out, v.Int(), 10)
	case event.KindFloat:
		j.out = appendNumber(j.out, v)
	case event.KindList:
		j.out = append(j.out, '[')
		for i, item := range v.Items() {
			if i > 0 {
				j.out = append(j.out, ", "...)
			}
			j.append(item)
		}
		j.out = append(j.out, ']')
	case event.KindObject:
		members := v.Members()
		from := j.inOrder(members)
		j.out = append(j.out, '{')
		for i := range members {
			if i > 0 {
				j.out = append(j.out, ", "...)
			}
			m := members[uint32(j.order[from+i])]
			j.out = append(append(j.out, m.Key...), '=')
			j.append(m.Value)
		}
		j.out = append(j.out, '}')
		j.order = j.order[:from]
	default:
		j.out = append(j.out, v.Text()...)
	}
}

// appendNumber appends a number that is no 64-bit integer: a larger integer as it is, anything else as a double.
func appendNumber(dst []byte, v event.Value) []byte {
	text := v.Text()
	if !strings.ContainsAny(text, ".eEIN") {
		if text == "-0" {
			text = "0"
		}
		return append(dst, text...)
	}
	return appendDouble(dst, v.Float())
}

// appendDouble is Double.toString: the shortest digits that name f, at least one behind the point, and an exponent
// below 10⁻³ and from 10⁷ on.
func appendDouble(dst []byte, f float64) []byte {
	switch {
	case f != f:
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	case f == 0:
		if math.Signbit(f) {
			dst = append(dst, '-')
		}
		return append(dst, "0.0"...)
	}
	if a := math.Abs(f); a >= 1e-3 && a < 1e7 {
		n := len(dst)
		dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
		if !slices.Contains(dst[n:], '.') {
			dst = append(dst, ".0"...)
		}
		return dst
	}
	var b [32]byte
	s := strconv.AppendFloat(b[:0], f, 'e', -1, 64)
	if !slices.Contains(s, '.') { // of the two-digit numbers that name f, the nearest
		s = strconv.AppendFloat(b[:0], f, 'e', 1, 64)
	}
	e := slices.Index(s, 'e')
	dst = append(append(dst, s[:e]...), 'E')
	exp, _ := strconv.Atoi(string(s[e+1:]))
	return strconv.AppendInt(dst, int64(exp), 10)
}

// utf16Len is the length that Java gives s.
func utf16Len(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r >= 0x10000 {
			n++
		}
	}
	return n
}
