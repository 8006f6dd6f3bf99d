package event

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"
	"unicode/utf8"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"
)

// Parser reads one JSON text after another as ParseJSON does, at about three times its speed: it takes its memory in
// larger pieces, and the strings of a value are parts of one copy of its text, which they keep alive. The zero Parser is
// ready. It is not safe for concurrent use.
type Parser struct {
	// MaxValues is how many values a text may hold at most, those within others counted; 0: any number. A text of 16 MiB
	// can hold eight million, which take a hundred times its size.
	MaxValues int

	data []byte
	text string // a copy of data, or data itself
	at   int

	inPlace    bool // the outermost object's members are not copied
	duplicates int
	left       int      // how many values may still come
	members    []Member // of the objects that are being read, one behind the other
	items      []Value  // likewise of lists
	most       [2]int   // how many members and items there were at once

	memberSlab []Member
	itemSlab   []Value
	unquoted   []byte
}

// Sizes of the pieces of memory, and of the scratch that is kept from one text to the next.
const (
	slabMembers = 128
	slabItems   = 64
	maxScratch  = 4096
)

// Parse reads exactly one JSON value and counts the keys that were replaced by a later one.
func (p *Parser) Parse(data []byte) (v Value, duplicates int, err error) {
	return p.parse(data, false)
}

// ParseInPlace is Parse, except that the members of an outermost object are valid only until the next call, for those who
// take an object apart at once, and that strings are parts of data itself, which must never change from then on.
func (p *Parser) ParseInPlace(data []byte) (v Value, duplicates int, err error) {
	return p.parse(data, true)
}

func (p *Parser) parse(data []byte, inPlace bool) (v Value, duplicates int, err error) {
	p.forget()
	if !utf8.Valid(data) {
		return parseSlowly(data, p.MaxValues)
	}
	p.inPlace, p.left = inPlace, limit(p.MaxValues)
	p.data, p.at, p.duplicates = data, 0, 0
	if p.text = unsafe.String(unsafe.SliceData(data), len(data)); !inPlace {
		p.text = string(data)
	}
	v, ok := p.value(0)
	p.space()
	ok = ok && p.at == len(p.text)
	p.data, p.text = nil, ""
	if !ok { // it is not JSON, or of a kind that is rare: jsontext knows, and says where
		return parseSlowly(data, p.MaxValues)
	}
	return v, p.duplicates, nil
}

// limit returns how many values may come when most may, 0 meaning any number.
func limit(most int) int {
	if most == 0 {
		return math.MaxInt
	}
	return most
}

func parseSlowly(data []byte, maxValues int) (Value, int, error) {
	d := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	v, duplicates, err := readJSON(d, maxValues)
	if err != nil {
		return Value{}, 0, err
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return Value{}, 0, fmt.Errorf("read JSON: more than one value, at offset %d", d.InputOffset())
	}
	return v, duplicates, nil
}

// forget clears the scratch of what it holds of the text before.
func (p *Parser) forget() {
	clear(p.members[:p.most[0]])
	clear(p.items[:p.most[1]])
	p.members, p.items, p.most = p.members[:0], p.items[:0], [2]int{}
	if cap(p.members) > maxScratch {
		p.members = nil
	}
	if cap(p.items) > maxScratch {
		p.items = nil
	}
}

// piece is how many of the largest piece's elements one is made with: small texts need small ones.
func (p *Parser) piece(most int) int { return min(most, 4+len(p.text)/16) }

func (p *Parser) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\r', '\n':
			p.at++
		default:
			return
		}
	}
}

// next skips white space and returns the byte that follows, 0 at the end.
func (p *Parser) next() byte {
	p.space()
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

// value reads the value that follows; false where it is none, or one that only jsontext reads.
func (p *Parser) value(depth int) (Value, bool) {
	if p.left--; p.left < 0 {
		return Value{}, false
	}
	switch c := p.next(); c {
	case '"':
		s, ok := p.string()
		return String(s), ok
	case '{':
		if depth >= MaxDepth {
			return Value{}, false
		}
		return p.object(depth)
	case '[':
		if depth >= MaxDepth {
			return Value{}, false
		}
		return p.list(depth)
	case 't':
		return Bool(true), p.word("true")
	case 'f':
		return Bool(false), p.word("false")
	case 'n':
		return Value{}, p.word("null")
	default:
		return p.number()
	}
}

func (p *Parser) word(w string) bool {
	if end := p.at + len(w); end <= len(p.text) && p.text[p.at:end] == w {
		p.at = end
		return true
	}
	return false
}

func (p *Parser) object(depth int) (Value, bool) {
	p.at++
	from := len(p.members)
	var index map[string]int // of keys to places behind from, in large objects
	if p.next() == '}' {
		p.at++
		return objectOf(nil), true
	}
	for {
		if p.next() != '"' {
			return Value{}, false
		}
		key, ok := p.string()
		if !ok || p.next() != ':' {
			return Value{}, false
		}
		p.at++
		v, ok := p.value(depth + 1)
		if !ok {
			return Value{}, false
		}
		if at := memberAt(p.members[from:], index, key); at >= 0 {
			p.members[from+at].Value = v
			p.duplicates++
		} else {
			p.members = append(p.members, Member{Key: key, Value: v})
			p.most[0] = max(p.most[0], len(p.members))
			index = indexed(index, p.members[from:])
		}
		switch p.next() {
		case ',':
			p.at++
		case '}':
			p.at++
			members := p.members[from:]
			if depth > 0 || !p.inPlace {
				members = cut(&p.memberSlab, members, p.piece(slabMembers))
			}
			p.members = p.members[:from]
			return objectOf(members), true
		default:
			return Value{}, false
		}
	}
}

// indexed returns index with the last of members in it; it begins to be one when they are many.
func indexed(index map[string]int, members []Member) map[string]int {
	switch {
	case index != nil:
		index[members[len(members)-1].Key] = len(members) - 1
	case len(members) == indexFrom:
		index = make(map[string]int, 2*indexFrom)
		for i, m := range members {
			index[m.Key] = i
		}
	}
	return index
}

func (p *Parser) list(depth int) (Value, bool) {
	p.at++
	from := len(p.items)
	if p.next() == ']' {
		p.at++
		return listOf(nil), true
	}
	for {
		v, ok := p.value(depth + 1)
		if !ok {
			return Value{}, false
		}
		p.items = append(p.items, v)
		p.most[1] = max(p.most[1], len(p.items))
		switch p.next() {
		case ',':
			p.at++
		case ']':
			p.at++
			items := cut(&p.itemSlab, p.items[from:], p.piece(slabItems))
			p.items = p.items[:from]
			return listOf(items), true
		default:
			return Value{}, false
		}
	}
}

// cut returns a copy of from, taken from slab, which is made anew with size elements, or by itself when it is large.
func cut[T any](slab *[]T, from []T, size int) []T {
	n := len(from)
	if n > len(*slab) && n > size/4 {
		return append(make([]T, 0, n), from...)
	}
	if n > len(*slab) {
		*slab = make([]T, size)
	}
	out := (*slab)[:n:n]
	*slab = (*slab)[n:]
	copy(out, from)
	return out
}

// string reads the string whose opening quote comes next.
func (p *Parser) string() (string, bool) {
	from := p.at + 1
	at := p.special(from)
	if at < len(p.text) && p.text[at] == '"' {
		p.at = at + 1
		return p.text[from:at], true
	}
	for at < len(p.text) && p.text[at] == '\\' && at+1 < len(p.text) {
		at = p.special(at + 2)
	}
	if at >= len(p.text) || p.text[at] != '"' {
		return "", false
	}
	var err error
	if p.unquoted, err = jsontext.AppendUnquote(p.unquoted[:0], p.data[from-1:at+1]); err != nil {
		return "", false
	}
	p.at = at + 1
	s := string(p.unquoted)
	if cap(p.unquoted) > 1<<20 {
		p.unquoted = nil
	}
	return s, true
}

// special returns where, from at on, the next byte stands that is a quote, a backslash or a control character; it looks
// at eight bytes at a time.
func (p *Parser) special(at int) int {
	const (
		each  = 0x0101010101010101
		high  = 0x80 * each
		quote = '"' * each
		slash = '\\' * each
		space = ' ' * each
	)
	for at+8 <= len(p.data) {
		w := binary.LittleEndian.Uint64(p.data[at:])
		q, s := w^quote, w^slash
		if hit := ((q-each)&^q | (s-each)&^s | (w-space)&^w) & high; hit != 0 {
			return at + bits.TrailingZeros64(hit)/8
		}
		at += 8
	}
	for at < len(p.data) {
		if c := p.data[at]; c == '"' || c == '\\' || c < ' ' {
			break
		}
		at++
	}
	return at
}

// number reads a number as JSON writes it.
func (p *Parser) number() (Value, bool) {
	from := p.at
	if p.at < len(p.text) && p.text[p.at] == '-' {
		p.at++
	}
	whole := p.at
	n := p.digits()
	if n == 0 || n > 1 && p.text[whole] == '0' {
		return Value{}, false
	}
	if p.at < len(p.text) && p.text[p.at] == '.' {
		p.at++
		if p.digits() == 0 {
			return Value{}, false
		}
	}
	if p.at < len(p.text) && p.text[p.at]|0x20 == 'e' {
		p.at++
		if p.at < len(p.text) && (p.text[p.at] == '+' || p.text[p.at] == '-') {
			p.at++
		}
		if p.digits() == 0 {
			return Value{}, false
		}
	}
	return Literal(p.text[from:p.at])
}

func (p *Parser) digits() int {
	from := p.at
	for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
		p.at++
	}
	return p.at - from
}
