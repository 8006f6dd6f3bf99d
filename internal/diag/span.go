package diag

import (
	"strings"
	"unicode/utf8"
)

// Span is a part of a text in byte offsets, Start inclusive, End exclusive. An empty span points between characters.
// Spans that reach beyond the text, or are turned round, are cut to it wherever they are used.
type Span struct{ Start, End int }

// At returns the empty span at offset.
func At(offset int) Span { return Span{Start: offset, End: offset} }

// Join returns the smallest span that holds both.
func (s Span) Join(other Span) Span {
	return Span{Start: min(s.Start, other.Start), End: max(s.End, other.End)}
}

// Positions returns where s begins and ends in text; the end is the position after the last character.
func (s Span) Positions(text string) (start, end Pos) {
	s = s.clip(text)
	return PosAt(text, s.Start), PosAt(text, s.End)
}

// clip returns s inside text, its ends moved back to the beginning of the character that they fall into.
func (s Span) clip(text string) Span {
	start := floor(text, s.Start)
	return Span{Start: start, End: max(start, floor(text, s.End))}
}

func floor(text string, offset int) int {
	offset = min(max(offset, 0), len(text))
	for i := offset; i > 0 && i > offset-utf8.UTFMax && i < len(text); i-- {
		if utf8.RuneStart(text[i]) {
			if _, n := utf8.DecodeRuneInString(text[i:]); i+n > offset {
				return i
			}
			break
		}
	}
	return offset
}

// Pos is a place in a text.
type Pos struct {
	Offset int // bytes from the beginning
	Line   int // from 1; lines end with \n
	Column int // from 1, in characters; a byte that is not UTF-8 counts as one
}

// PosAt returns the place at the byte offset, which is cut to the text.
func PosAt(text string, offset int) Pos {
	before := text[:min(max(offset, 0), len(text))]
	line := strings.LastIndexByte(before, '\n') + 1
	return Pos{
		Offset: len(before),
		Line:   strings.Count(before, "\n") + 1,
		Column: utf8.RuneCountInString(before[line:]) + 1,
	}
}

// OffsetOf returns the byte offset of a line and a column (both from 1, the column in characters), cut to the text and
// to the line.
func OffsetOf(text string, line, column int) int {
	at := 0
	for ; line > 1; line-- {
		n := strings.IndexByte(text[at:], '\n')
		if n < 0 {
			return len(text)
		}
		at += n + 1
	}
	for ; column > 1 && at < len(text) && text[at] != '\n'; column-- {
		_, n := utf8.DecodeRuneInString(text[at:])
		at += n
	}
	return at
}
