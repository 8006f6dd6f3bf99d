package expr

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/maphash"
	"iter"
	"math"
	"net/netip"
	"slices"
	"sort"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// Set is a set of values of one type, of millions if need be, for Member to look up in: single values and ranges, or, of
// the type Text, texts by their words. It is immutable and safe for concurrent use. It takes the values' bytes and 8 to 16
// bytes a value besides; of texts 4 bytes a word. Looking a value up takes the same time whatever the size; among n
// ranges log n steps, and a text as many as the rarest of its words has texts.
type Set struct {
	kind   event.Type
	points keySet
	ranges []byte // sorted, apart, each two keys of one width: the least and the greatest value
	words  map[string][]uint32
	id     string
}

// Type is the type of the values: fields that are looked up are read as it, or are analysed and looked up by token.
func (s *Set) Type() event.Type { return s.kind }

// Len is the number of values and ranges; equal ones count once, and ranges that meet are one.
func (s *Set) Len() int { return s.points.len + s.spans() }

// ID names what is in the set: two sets with one ID have the same values. The order in which these came does not count.
func (s *Set) ID() string { return s.id }

// Has reports whether v, read as a field of the set's type, is in the set: equal to a value or within a range, both ends
// included; of texts, whether one text of the set has all the words of v, in any order. What has no words is in none.
func (s *Set) Has(v event.Value) bool {
	if s.words != nil {
		return s.hasWords(Tokens(event.Text, v.Text()))
	}
	var buffer [64]byte
	key, ok := s.key(buffer[:0], v)
	return ok && (s.points.has(key) || s.within(key))
}

// Points are the single values, in no order; of a set of texts there are none.
func (s *Set) Points() iter.Seq[event.Value] {
	return func(yield func(event.Value) bool) {
		if s.words != nil {
			return
		}
		for key := range s.points.all() {
			if !yield(s.value(key)) {
				return
			}
		}
	}
}

// Ranges are the least and the greatest value of each range, in order.
func (s *Set) Ranges() iter.Seq2[event.Value, event.Value] {
	return func(yield func(event.Value, event.Value) bool) {
		for i := range s.spans() {
			least, greatest := s.span(i)
			if !yield(s.value(least), s.value(greatest)) {
				return
			}
		}
	}
}

// width is how many bytes a key of t has: such keys are in the order of the values. 0: as many as the text.
func width(t event.Type) int {
	switch t {
	case event.Long, event.Double, event.Date:
		return 8
	case event.IPType:
		return 16
	case event.Boolean:
		return 1
	}
	return 0
}

// key appends the key of v; false where v is no value of the set's type.
func (s *Set) key(dst []byte, v event.Value) ([]byte, bool) {
	const sign = 1 << 63
	switch v.Kind() {
	case event.KindString:
		return append(dst, v.Str()...), width(s.kind) == 0
	case event.KindIP:
		a := v.Addr().As16()
		return append(dst, a[:]...), s.kind == event.IPType
	case event.KindTime:
		return binary.BigEndian.AppendUint64(dst, uint64(v.Int())^sign), s.kind == event.Date
	case event.KindInt:
		return binary.BigEndian.AppendUint64(dst, uint64(v.Int())^sign), s.kind == event.Long
	case event.KindFloat:
		bits := math.Float64bits(v.Float() + 0) // -0 is 0
		if bits&sign != 0 {
			bits = ^bits
		} else {
			bits |= sign
		}
		return binary.BigEndian.AppendUint64(dst, bits), s.kind == event.Double && !math.IsNaN(v.Float())
	case event.KindBool:
		if v.Bool() {
			return append(dst, 1), s.kind == event.Boolean
		}
		return append(dst, 0), s.kind == event.Boolean
	}
	return dst, false
}

// value is the value that has the key.
func (s *Set) value(key []byte) event.Value {
	const sign = 1 << 63
	switch s.kind {
	case event.IPType:
		return event.IP(netip.AddrFrom16([16]byte(key)))
	case event.Date:
		return event.Millis(int64(binary.BigEndian.Uint64(key) ^ sign))
	case event.Long:
		return event.Int(int64(binary.BigEndian.Uint64(key) ^ sign))
	case event.Double:
		bits := binary.BigEndian.Uint64(key)
		if bits&sign != 0 {
			return event.Float(math.Float64frombits(bits &^ sign))
		}
		return event.Float(math.Float64frombits(^bits))
	case event.Boolean:
		return event.Bool(key[0] == 1)
	}
	return event.String(string(key))
}

func (s *Set) spans() int {
	if len(s.ranges) == 0 {
		return 0
	}
	return len(s.ranges) / (2 * width(s.kind))
}

func (s *Set) span(i int) (least, greatest []byte) {
	w := width(s.kind)
	return s.ranges[2*w*i : 2*w*i+w], s.ranges[2*w*i+w : 2*w*(i+1)]
}

// within reports whether a range holds the value of key.
func (s *Set) within(key []byte) bool {
	after := sort.Search(s.spans(), func(i int) bool {
		least, _ := s.span(i)
		return bytes.Compare(least, key) > 0
	})
	if after == 0 {
		return false
	}
	_, greatest := s.span(after - 1)
	return bytes.Compare(key, greatest) <= 0
}

// hasWords reports whether one text has all of tokens.
func (s *Set) hasWords(tokens []string) bool {
	if len(tokens) == 0 {
		return false
	}
	lists := make([][]uint32, len(tokens))
	for i, t := range tokens {
		if lists[i] = s.words[t]; lists[i] == nil {
			return false
		}
	}
	slices.SortFunc(lists, func(a, b []uint32) int { return len(a) - len(b) })
next:
	for _, text := range lists[0] {
		for i := 1; i < len(lists); i++ {
			at, found := slices.BinarySearch(lists[i], text)
			if !found {
				lists[i] = lists[i][at:] // the texts come in order: those before are done with
				continue next
			}
		}
		return true
	}
	return false
}

// ErrSetTooLarge is that a set's values have more bytes than it can hold.
var ErrSetTooLarge = errors.New("the values have more than 4 GiB")

// SetBuilder collects the values of a Set. The zero SetBuilder is not usable: NewSet makes one.
type SetBuilder struct {
	set    *Set
	sum    [4]uint64 // of the hashes of all values: the same in any order
	ranges [][2][]byte
	texts  uint32
	err    error
}

// NewSet returns a builder of a set of values of type t: a keyword type, Long, Double, Boolean, IPType, Date, or Text.
func NewSet(t event.Type) *SetBuilder {
	b := &SetBuilder{set: &Set{kind: t, points: keySet{seed: maphash.MakeSeed()}}}
	if t.IsText() {
		b.set.words = map[string][]uint32{}
	}
	return b
}

// Add adds v, which is of the set's type (event.Coerce); false where it is not, or has no words.
func (b *SetBuilder) Add(v event.Value) bool {
	if b.set.words != nil {
		return b.addText(Tokens(event.Text, v.Text()))
	}
	key, ok := b.set.key(nil, v)
	if ok && b.insert(key) {
		b.count('=', key)
	}
	return ok
}

// addText adds a text by its words.
func (b *SetBuilder) addText(tokens []string) bool {
	slices.Sort(tokens)
	tokens = slices.Compact(tokens)
	var key []byte
	for _, t := range tokens {
		key = append(append(key, t...), 0)
	}
	if len(tokens) > 0 && b.insert(key) {
		b.count('~', key)
		for _, t := range tokens {
			b.set.words[t] = append(b.set.words[t], b.texts)
		}
		b.texts++
	}
	return len(tokens) > 0
}

// AddRange adds every value from least to greatest; false where these are not of a type that has an order, or stand in the
// other order.
func (b *SetBuilder) AddRange(least, greatest event.Value) bool {
	from, ok := b.set.key(nil, least)
	to, too := b.set.key(nil, greatest)
	if !ok || !too || width(b.set.kind) < 2 || bytes.Compare(from, to) > 0 {
		return false
	}
	if bytes.Equal(from, to) {
		return b.Add(least)
	}
	b.ranges = append(b.ranges, [2][]byte{from, to})
	return true
}

func (b *SetBuilder) insert(key []byte) bool {
	added, ok := b.set.points.add(key)
	if !ok {
		b.err = ErrSetTooLarge
	}
	return added
}

// count adds a hash of what was added to the sum of all.
func (b *SetBuilder) count(what byte, key []byte) {
	h := sha256.Sum256(append([]byte{what}, key...))
	for i := range b.sum {
		b.sum[i] += binary.LittleEndian.Uint64(h[8*i:])
	}
}

// Set returns the set of what was added; the builder is not used after that. The error is ErrSetTooLarge.
func (b *SetBuilder) Set() (*Set, error) {
	if b.err != nil {
		return nil, b.err
	}
	slices.SortFunc(b.ranges, func(x, y [2][]byte) int {
		if d := bytes.Compare(x[0], y[0]); d != 0 {
			return d
		}
		return bytes.Compare(x[1], y[1])
	})
	var joined [][2][]byte
	for _, r := range b.ranges {
		if n := len(joined); n > 0 && bytes.Compare(r[0], joined[n-1][1]) <= 0 {
			if bytes.Compare(r[1], joined[n-1][1]) > 0 {
				joined[n-1][1] = r[1]
			}
			continue
		}
		joined = append(joined, r)
	}
	for _, r := range joined {
		b.set.ranges = append(append(b.set.ranges, r[0]...), r[1]...)
		b.count('-', append(slices.Clone(r[0]), r[1]...))
	}
	h := sha256.New()
	binary.Write(h, binary.LittleEndian, b.sum) // a hash takes whatever it is given
	h.Write([]byte(b.set.kind.String()))
	b.set.id = hex.EncodeToString(h.Sum(nil)[:16])
	return b.set, nil
}

// keySet is a set of byte keys: one after the other, each after its length, and a table of where they begin.
type keySet struct {
	seed  maphash.Seed
	data  []byte
	slots []uint32 // 1 + where a key begins, 0: free; a power of two of them, half at most taken
	len   int
}

// slot is where key stands in the table, or would.
func (s *keySet) slot(key []byte) int {
	mask := len(s.slots) - 1
	i := int(maphash.Bytes(s.seed, key)) & mask
	for s.slots[i] != 0 && !bytes.Equal(s.at(s.slots[i]-1), key) {
		i = (i + 1) & mask
	}
	return i
}

// at is the key that begins at.
func (s *keySet) at(begin uint32) []byte {
	n, used := binary.Uvarint(s.data[begin:])
	from := int(begin) + used
	return s.data[from : from+int(n)]
}

func (s *keySet) has(key []byte) bool {
	return s.len > 0 && s.slots[s.slot(key)] != 0
}

// add adds key; added is false where it is there. The set is full where ok is false.
func (s *keySet) add(key []byte) (added, ok bool) {
	if 2*(s.len+1) > len(s.slots) {
		s.grow()
	}
	i := s.slot(key)
	if s.slots[i] != 0 {
		return false, true
	}
	if len(s.data)+len(key)+binary.MaxVarintLen64 >= math.MaxUint32 {
		return false, false
	}
	s.slots[i] = uint32(len(s.data)) + 1
	s.data = append(binary.AppendUvarint(s.data, uint64(len(key))), key...)
	s.len++
	return true, true
}

func (s *keySet) grow() {
	old := s.slots
	s.slots = make([]uint32, max(16, 2*len(old)))
	for _, at := range old {
		if at != 0 {
			s.slots[s.slot(s.at(at-1))] = at
		}
	}
}

func (s *keySet) all() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for at := 0; at < len(s.data); {
			key := s.at(uint32(at))
			if !yield(key) {
				return
			}
			_, used := binary.Uvarint(s.data[at:])
			at += used + len(key)
		}
	}
}
