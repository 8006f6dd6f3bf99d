package duck

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// Most of what a record says stands in columns and in rest as well. The source is stored without that: where a text between
// two quotes is what a column of single texts, instants or addresses holds, or a tree is what stands in rest, cutMark and a byte that tells
// which stand in its place. Whatever the bytes are, they are read back as they were; a cutMark of their own, which no UTF-8 holds, is
// followed by 0.
const cutMark = 0xFF

// What follows a cutMark: 0, a column's number from 1, or cutTree and the number of a field of rest.
const (
	cutTree  = maxColumns + 1
	cutTrees = 256 - cutTree
)

// A text is left out from leastCut bytes on, a tree from leastTree.
const (
	leastCut  = 5
	leastTree = 12
)

// cutter cuts sources. Its texts are those of one row.
type cutter struct {
	columns []int // those of the row that hold a text, ascending
	texts   []string
	slots   [cutSlots]uint8 // by hash, which of the texts it is, from 1; 0: none
	trees   []span
}

const cutSlots = 2048

// begin forgets the texts of the row before.
func (c *cutter) begin() {
	for _, s := range c.texts {
		c.slots[slotOf(s)] = 0
	}
	c.columns, c.texts = c.columns[:0], c.texts[:0]
}

// add says that the column holds s in this row.
func (c *cutter) add(column int, s string) {
	c.columns, c.texts = append(c.columns, column), append(c.texts, s)
	if slot := &c.slots[slotOf(s)]; *slot == 0 && len(s) >= leastCut {
		*slot = uint8(len(c.texts))
	}
}

// slotOf tells most texts apart by a few of their bytes; of those that it does not, one alone is left out.
func slotOf[T string | []byte](s T) int {
	n := len(s)
	if n < leastCut {
		return 0
	}
	h := uint32(n)
	for _, b := range [...]byte{s[n-1], s[n-2], s[n-4], s[n/2], s[2]} {
		h = h*0x01000193 ^ uint32(b)
	}
	return int((h ^ h>>11) % cutSlots)
}

// held returns the text that the column holds in this row, "" for none.
func (c *cutter) held(column int) string {
	if i, ok := slices.BinarySearch(c.columns, column); ok {
		return c.texts[i]
	}
	return ""
}

// span is a piece of the source in whose place a mark stands.
type span struct {
	from, to int
	mark     byte
}

// cut appends src without what stands in dst, a row's rest, whose values begin and end at ends, and without the texts.
func (c *cutter) cut(dst, src []byte, ends []int) []byte {
	c.trees = c.trees[:0]
	for k := 0; k < len(ends)/2 && k < cutTrees; k++ {
		tree := dst[ends[2*k]:ends[2*k+1]]
		if len(tree) < leastTree || tree[0] != '{' {
			continue
		}
		if i := bytes.Index(src, tree); i >= 0 {
			c.trees = append(c.trees, span{i, i + len(tree), byte(cutTree + k)})
		}
	}
	slices.SortFunc(c.trees, func(a, b span) int { return cmp.Or(a.from-b.from, b.to-a.to) })
	from := 0
	for _, t := range c.trees {
		if t.from < from { // it lies in the one before
			continue
		}
		dst = append(c.cutTexts(dst, src[from:t.from]), cutMark, t.mark)
		from = t.to
	}
	return c.cutTexts(dst, src[from:])
}

// cutTexts appends src without the texts.
func (c *cutter) cutTexts(dst, src []byte) []byte {
	from := 0 // what stands before is in dst
	for i := 0; ; {
		q := bytes.IndexByte(src[i:], '"')
		if q < 0 {
			break
		}
		i += q + 1
		n := bytes.IndexByte(src[i:], '"')
		if n < 0 {
			break
		}
		if k := c.slots[slotOf(src[i:i+n])]; n >= leastCut && k > 0 && c.texts[k-1] == string(src[i:i+n]) {
			dst = appendMarked(dst, src[from:i])
			dst = append(dst, cutMark, byte(c.columns[k-1]+1))
			from = i + n
			n++ // the quote at its end opens nothing
		}
		i += n
	}
	return appendMarked(dst, src[from:])
}

// appendMarked appends bytes that stand as they are.
func appendMarked(dst, src []byte) []byte {
	for {
		i := bytes.IndexByte(src, cutMark)
		if i < 0 {
			return append(dst, src...)
		}
		dst = append(dst, src[:i]...)
		dst = append(dst, cutMark, 0)
		src = src[i+1:]
	}
}

// mend returns the source that was stored as b, in memory of its own; cols begins with the columns of the layout, of
// whose row i it is, and rest is the row's. It is nil where b is not what cut wrote.
func mend(b []byte, l *layout, cols []vector, i int, rest string) []byte {
	out := make([]byte, 0, len(b)+len(b)/2+64)
	for {
		next := bytes.IndexByte(b, cutMark)
		if next < 0 {
			return append(out, b...)
		}
		out = append(out, b[:next]...)
		if next+1 == len(b) {
			return nil
		}
		switch mark := int(b[next+1]); {
		case mark == 0:
			out = append(out, cutMark)
		case mark >= cutTree:
			tree, ok := restField(rest, mark-cutTree)
			if !ok {
				return nil
			}
			out = append(out, tree...)
		case mark > len(l.columns) || cols[mark-1].null(i):
			return nil
		case l.columns[mark-1].Type == event.Date:
			s, ok := secondsText(cols[mark-1].int64(i))
			if !ok {
				return nil
			}
			out = append(out, s...)
		case l.columns[mark-1].Type == event.IPType:
			out = append(out, event.IP(addressFrom(cols[mark-1].bytes(i))).Text()...)
		case !l.columns[mark-1].isText():
			return nil
		case l.columns[mark-1].UUID:
			out = appendUUID(out, at[hugeint](&cols[mark-1], i))
		default:
			out = append(out, cols[mark-1].bytes(i)...)
		}
		b = b[next+2:]
	}
}

// secondsText is how records mostly write an instant, in milliseconds, that is a whole second; false for others.
func secondsText(ms int64) (string, bool) {
	if ms%1000 != 0 {
		return "", false
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05Z"), true
}

// packInstant turns an instant into a number: the seconds where they are whole, as those are that names of objects tell,
// which takes half the room; else -1 less the microseconds, all since 1970.
func packInstant(t time.Time) int64 {
	micros := t.UnixMicro()
	switch {
	case micros < 0: // nothing was delivered then
		return 0
	case micros%1e6 == 0:
		return micros / 1e6
	}
	return -1 - micros
}

// unpackInstant returns what packInstant was given, in UTC.
func unpackInstant(n int64) time.Time {
	if n < 0 {
		return time.UnixMicro(-1 - n).UTC()
	}
	return time.Unix(n, 0).UTC()
}
