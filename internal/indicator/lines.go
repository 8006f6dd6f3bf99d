package indicator

import (
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// separators part columns.
const separators = ",;\t|"

// lines reads a file of lines: columns with names, or a value a line.
func (r *reader) lines(text string) {
	var commented string // the last comment, which may hold the names of columns
	for at := 0; at < len(text); {
		line, next := lineAt(text, at)
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || isComment(trimmed) {
			if trimmed != "" {
				commented = strings.TrimLeft(trimmed, "#; \t")
			}
			at = next
			continue
		}
		if names, separator := headerOf(line); names != nil {
			r.columns(text, next, r.header(names, at), separator)
			return
		}
		if names, separator := headerOf(commented); len(names) > 1 {
			r.columns(text, at, r.header(names, at), separator)
			return
		}
		if text, _ := refang(trimmed); guess(text) == "" && hasColumns(line) {
			r.bad(CodeNoHeader, at, at+len(line), "write a first line with their names, such as ip,description", "the columns have no names")
			return
		}
		r.values(text, at)
		return
	}
}

// hasColumns reports whether a line looks like one of several columns, one of which holds a value.
func hasColumns(line string) bool {
	for _, separator := range separators {
		if cells := split(line, separator); len(cells) > 1 {
			for _, c := range cells {
				text, _ := refang(strings.TrimSpace(c))
				if host, _, ok := withPort(text); ok {
					text = host
				}
				if guess(text) != "" {
					return true
				}
			}
		}
	}
	return false
}

// lineAt returns the line that begins at a place, without its end, and where the next one begins.
func lineAt(text string, at int) (line string, next int) {
	n := strings.IndexByte(text[at:], '\n')
	if n < 0 {
		return text[at:], len(text)
	}
	return strings.TrimSuffix(text[at:at+n], "\r"), at + n + 1
}

func isComment(line string) bool {
	return line[0] == '#' || line[0] == ';' || strings.HasPrefix(line, "//")
}

// split parts a line into cells; nil where it is no line of cells.
func split(line string, separator rune) []string {
	if len(line) > MaxValue {
		line = line[:MaxValue]
	}
	c := csv.NewReader(strings.NewReader(line))
	c.Comma, c.TrimLeadingSpace, c.FieldsPerRecord = separator, true, -1
	cells, err := c.Read()
	if err != nil {
		return nil
	}
	return cells
}

// headerOf returns the names of columns in a line, nil where it holds none that is known.
func headerOf(line string) (names []string, separator rune) {
	most := 0
	for _, s := range separators {
		cells := split(line, s)
		known := 0
		for _, c := range cells {
			if _, ok := columnOf(c); ok {
				known++
			}
		}
		if known > most {
			names, separator, most = cells, s, known
		}
	}
	return names, separator
}

// header returns the columns of names, which stand in the line at a place.
func (r *reader) header(names []string, at int) []column {
	out := make([]column, len(names))
	line, _ := lineAt(r.text, at)
	for i, name := range names {
		c, known := columnOf(name)
		if !known && strings.TrimSpace(name) != "" {
			from := at + max(0, strings.Index(line, name))
			r.unknownColumn(name, from, from+len(name))
		}
		out[i] = c
	}
	return out
}

// columns reads lines of columns from a place on.
func (r *reader) columns(text string, begin int, columns []column, separator rune) {
	if len(columns) > MaxColumns {
		r.bad(CodeSyntax, 0, 0, "", "there are more than %d columns", MaxColumns)
		return
	}
	records := csv.NewReader(strings.NewReader(text[begin:]))
	records.Comma, records.Comment, records.TrimLeadingSpace, records.FieldsPerRecord, records.ReuseRecord = separator, '#', true, -1, true
	places := lineCursor{text: text, line: 1, at: begin}
	var d document
	cells := make([]cell, 0, len(columns))
	for {
		record, err := records.Read()
		if err == io.EOF {
			return
		}
		var syntax *csv.ParseError
		if errors.As(err, &syntax) {
			r.account.Read++
			line, column := syntax.Line, syntax.Column
			if syntax.StartLine < line { // a quote that is closed far below, or never
				line, column = syntax.StartLine, 1
			}
			at := places.offset(line, column)
			r.refuse("syntax", CodeSyntax, at, at, "a quote within quotes is written twice", "the line cannot be read: %v", syntax.Err)
			continue
		}
		if err != nil {
			r.bad(CodeSyntax, 0, 0, "", "the columns cannot be read: %v", err)
			return
		}
		r.account.Read++
		cells = cells[:0]
		over, bad := -1, -1
		for i, text := range record {
			line, column := records.FieldPos(i)
			from := places.offset(line, column)
			text = strings.TrimSpace(text)
			if !utf8.ValidString(text) {
				bad = from
			}
			if i >= len(columns) {
				if text != "" && over < 0 {
					over = from
				}
				continue
			}
			cells = append(cells, cell{columns[i], text, from, min(from+len(text), len(r.text))})
		}
		switch {
		case bad >= 0:
			r.refuse("not UTF-8", CodeSyntax, bad, bad, "save it as UTF-8", "the line is not UTF-8")
		case over >= 0:
			r.refuse("more cells than columns", CodeSyntax, over, over, "", "the line has %d cells, and %d columns have names", len(record), len(columns))
		default:
			d.reset()
			r.record(&d, cells)
		}
	}
}

// record takes one line of cells.
func (r *reader) record(d *document, cells []cell) {
	about, err := r.fill(d, cells)
	switch {
	case err != nil:
		reason := "a value that is none of its kind"
		if err == errUnknown {
			reason = "a value of unknown kind"
		}
		r.refuse(reason, CodeValue, about.from, about.to, "", "%s is %v", quoted(about.text), err)
	case !d.observed:
		from, to := 0, 0
		if len(cells) > 0 {
			from, to = cells[0].from, cells[0].to
		}
		r.refuse("nothing to look for", CodeValue, from, to, "", "the line says nothing to look for")
	default:
		r.take(d)
	}
}

// values reads lines of one value each.
func (r *reader) values(text string, at int) {
	var d document
	for at < len(text) {
		begin := at
		line, next := lineAt(text, at)
		at = next
		value := strings.TrimSpace(line)
		if value == "" || isComment(value) {
			continue
		}
		for _, sign := range []string{" #", "\t#", " ;", "\t;"} {
			value, _, _ = strings.Cut(value, sign)
		}
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		if host, name, ok := strings.Cut(value, " "); ok && (host == "0.0.0.0" || host == "127.0.0.1") { // as a file of hosts blocks names
			value = strings.TrimSpace(name)
		}
		r.account.Read++
		from := begin + max(0, strings.Index(line, value))
		if !utf8.ValidString(value) {
			r.refuse("not UTF-8", CodeSyntax, from, from, "save it as UTF-8", "the line is not UTF-8")
			continue
		}
		d.reset()
		r.record(&d, []cell{{column{is: columnValue}, value, from, from + len(value)}})
	}
}

// lineCursor finds places by line and column; lines are asked for in ascending order.
type lineCursor struct {
	text     string
	line, at int
}

// offset is where a column (in bytes, from 1) of a line is.
func (c *lineCursor) offset(line, column int) int {
	for c.line < line {
		n := strings.IndexByte(c.text[c.at:], '\n')
		if n < 0 {
			break
		}
		c.at += n + 1
		c.line++
	}
	return min(c.at+max(column, 1)-1, len(c.text))
}
