package diag

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	excerptWidth = 120 // cells of a source line that are shown; longer lines are cut around the span
	excerptLead  = 40  // cells shown before the span when the line is cut
	tabStop      = 4
)

// Render returns the diagnostic as a person reads it: the line of Error, the source line with carets under the span (of
// a span over several lines the first and the last), and the hint. It ends with a newline. Control characters of the
// source are made visible, so that no text can play tricks with a terminal.
func (d Diagnostic) Render() string {
	var b strings.Builder
	b.WriteString(d.Error() + "\n")
	if d.Text != "" {
		d.excerpt(&b)
	}
	if d.Hint != "" {
		b.WriteString("hint: " + printable(d.Hint) + "\n")
	}
	return b.String()
}

// Render returns all diagnostics, one after the other.
func (l List) Render() string {
	var b strings.Builder
	for _, d := range l {
		b.WriteString(d.Render())
	}
	return b.String()
}

// excerpt writes the source lines of the span with their carets.
func (d Diagnostic) excerpt(b *strings.Builder) {
	span := d.Span.clip(d.Text)
	start, end := span.Positions(d.Text)
	if end.Line > start.Line && end.Column == 1 { // up to the end of a line: the next one has no part in it
		end = PosAt(d.Text, end.Offset-1)
	}
	digits := len(fmt.Sprint(end.Line))
	from, to := lineAround(d.Text, start.Offset)
	writeLine(b, digits, start.Line, d.Text[from:to], start.Offset-from, min(end.Offset, to)-from)
	if end.Line == start.Line {
		return
	}
	if end.Line > start.Line+1 {
		fmt.Fprintf(b, "  %*s | …\n", digits, "")
	}
	from, to = lineAround(d.Text, end.Offset)
	line := d.Text[from:to]
	indent := len(line) - len(strings.TrimLeft(line, " \t"))
	writeLine(b, digits, end.Line, line, min(indent, end.Offset-from), end.Offset-from)
}

// lineAround returns the bounds of the line that holds offset, without its line end.
func lineAround(text string, offset int) (from, to int) {
	from = strings.LastIndexByte(text[:offset], '\n') + 1
	to = len(text)
	if n := strings.IndexByte(text[offset:], '\n'); n >= 0 {
		to = offset + n
	}
	if to > from && to > offset && text[to-1] == '\r' {
		to--
	}
	return from, to
}

// cell is one character of a source line as it is shown.
type cell struct {
	text  string
	width int
}

// writeLine writes a source line and carets under its bytes from start to end, at least one.
func writeLine(b *strings.Builder, digits, number int, line string, start, end int) {
	from := 0
	// Only what is shown is laid out: a line may have a megabyte. No character takes more cells than bytes, but a tab.
	if len(line)+(tabStop-1)*strings.Count(line, "\t") > excerptWidth {
		from = start
		for cells := 0; cells < excerptLead && from > 0; cells++ {
			r, size := utf8.DecodeLastRuneInString(line[:from])
			if r == '\t' {
				cells += tabStop - 1
			}
			from -= size
		}
	}
	var shown strings.Builder
	column := 0
	if from > 0 {
		shown.WriteString("…")
		column = 1
	}
	caretFrom, caretTo := -1, -1
	for at := from; ; {
		if at >= start && caretFrom < 0 {
			caretFrom = column
		}
		if at >= end && caretTo < 0 {
			caretTo = column
		}
		if at >= len(line) {
			break
		}
		c, size := show(line[at:], column)
		if column+c.width > excerptWidth {
			shown.WriteString("…")
			break
		}
		shown.WriteString(c.text)
		column += c.width
		at += size
	}
	if caretTo < 0 {
		caretTo = column
	}
	carets := strings.Repeat(" ", caretFrom) + strings.Repeat("^", max(1, caretTo-caretFrom))
	fmt.Fprintf(b, "  %*d | %s\n  %*s | %s\n", digits, number, shown.String(), digits, "", carets)
}

// show returns the first character of s as it is shown in column, and its size in bytes.
func show(s string, column int) (cell, int) {
	r, size := utf8.DecodeRuneInString(s)
	switch {
	case r == '\t':
		n := tabStop - column%tabStop
		return cell{strings.Repeat(" ", n), n}, size
	case r == utf8.RuneError && size == 1:
		return cell{"\uFFFD", 1}, size
	}
	if v := visible(r); v != r {
		return cell{string(v), 1}, size
	}
	return cell{s[:size], width(r)}, size
}

// visible returns r, or a sign in place of a character that a terminal would obey or hide.
func visible(r rune) rune {
	switch {
	case r < 0x20:
		return 0x2400 + r
	case r == 0x7F:
		return 0x2421
	case r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Bidi_Control, r):
		return utf8.RuneError
	}
	return r
}

// printable returns s in one line, with control characters made visible.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		return visible(r)
	}, s)
}

// wide are the characters that take two cells of a terminal.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115F, Stride: 1}, {Lo: 0x2E80, Hi: 0x303E, Stride: 1}, {Lo: 0x3041, Hi: 0x33FF, Stride: 1},
		{Lo: 0x3400, Hi: 0x4DBF, Stride: 1}, {Lo: 0x4E00, Hi: 0xA4CF, Stride: 1}, {Lo: 0xA960, Hi: 0xA97C, Stride: 1},
		{Lo: 0xAC00, Hi: 0xD7A3, Stride: 1}, {Lo: 0xF900, Hi: 0xFAFF, Stride: 1}, {Lo: 0xFE30, Hi: 0xFE6F, Stride: 1},
		{Lo: 0xFF00, Hi: 0xFF60, Stride: 1}, {Lo: 0xFFE0, Hi: 0xFFE6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x1F300, Hi: 0x1F64F, Stride: 1}, {Lo: 0x1F680, Hi: 0x1F6FF, Stride: 1}, {Lo: 0x1F900, Hi: 0x1FAFF, Stride: 1},
		{Lo: 0x20000, Hi: 0x3FFFD, Stride: 1},
	},
}

// width is the number of cells that r takes in a terminal.
func width(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}
