package duck

import (
	"bytes"
	"cmp"
	"slices"
)

// Most of what a record says stands in columns and in rest as well. The source is stored without that: where a text between
// two quotes is what a column of texts holds, or a tree is what stands in rest, cutMark and a byte that tells which stand in
// its place. Whatever the bytes are, they are read back as they were; a cutMark of their own, which no UTF-8 holds, is
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

const cutSlots = 256

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

// slotOf tells apart texts of a few lengths, beginnings and ends; of those that it does not, one is left out.
func slotOf[T string | []byte](s T) uint8 {
	n := len(s)
	if n < leastCut {
		return 0
	}
	return uint8(n*31) ^ s[n-1]*7 ^ s[n-3]*13 ^ s[n/2]*61 ^ s[2]
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

// mend returns the source that was stored as b, in memory of its own; columns are those of the layout, of whose row i it
// is, and rest is the row's. It is nil where b is not what cut wrote.
func mend(b []byte, columns []vector, i int, rest string) []byte {
	out := make([]byte, 0, len(b)+len(b)/2+64)
	for {
		at := bytes.IndexByte(b, cutMark)
		if at < 0 {
			return append(out, b...)
		}
		out = append(out, b[:at]...)
		if at+1 == len(b) {
			return nil
		}
		switch mark := int(b[at+1]); {
		case mark == 0:
			out = append(out, cutMark)
		case mark >= cutTree:
			tree, ok := restField(rest, mark-cutTree)
			if !ok {
				return nil
			}
			out = append(out, tree...)
		case mark > len(columns) || columns[mark-1].null(i):
			return nil
		default:
			out = append(out, columns[mark-1].bytes(i)...)
		}
		b = b[at+2:]
	}
}
