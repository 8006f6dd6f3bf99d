package lucene

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// String writes n as a query. Parse of the result gives the same tree again, and String of that the same text. Clauses that
// are all required are joined by AND, optional ones alone by OR; where both stand, + and - say which is which.
func String(n Node) string {
	var p printer
	p.node(n, false)
	return p.String()
}

type printer struct{ strings.Builder }

// node writes n; inside is true for a clause of a Bool.
func (p *printer) node(n Node, inside bool) {
	switch n := n.(type) {
	case *All:
		p.WriteString("*:*")
	case *Bool:
		if inside {
			p.WriteByte('(')
		}
		p.clauses(n.Clauses)
		if inside {
			p.WriteByte(')')
		}
	case *Term:
		p.field(n.Field)
		switch text := n.Value.Text; {
		case n.Value.Quoted, text == "", n.Field != nil && (text[0] == '<' || text[0] == '>'):
			p.quote(text)
		default:
			p.word(text)
		}
	case *Pattern:
		p.field(n.Field)
		for _, part := range n.Parts {
			switch {
			case part.Text != "":
				p.escaped(part.Text)
			case part.One:
				p.WriteByte('?')
			default:
				p.WriteByte('*')
			}
		}
	case *Regexp:
		p.field(n.Field)
		p.WriteString("/" + n.Value.Text + "/")
	case *Range:
		p.field(n.Field)
		p.bounds(n)
	case *Exists:
		p.WriteString(existence + ":")
		p.word(n.Field.Text)
	default:
		panic(fmt.Sprintf("lucene: no text of %T", n))
	}
}

func (p *printer) clauses(clauses []Clause) {
	required, optional := 0, 0
	for _, c := range clauses {
		switch c.Occur {
		case Must:
			required++
		case Should:
			optional++
		}
	}
	for i, c := range clauses {
		switch {
		case c.Occur == Should:
			if i > 0 {
				p.WriteString(" OR ")
			}
		case optional == 0:
			if i > 0 {
				p.WriteString(" AND ")
			}
			if c.Occur == MustNot {
				p.WriteString("NOT ")
			}
		default:
			if i > 0 {
				p.WriteByte(' ')
			}
			p.WriteByte(map[Occur]byte{Must: '+', MustNot: '-'}[c.Occur])
		}
		p.node(c.Node, true)
	}
}

func (p *printer) field(f *Literal) {
	if f == nil {
		return
	}
	if f.Text == "*" {
		p.WriteString("*:")
		return
	}
	p.word(f.Text)
	p.WriteByte(':')
}

// word writes a text as a word.
func (p *printer) word(text string) {
	switch text {
	case "AND", "OR", "NOT", "&&", "||":
		p.WriteByte('\\')
		p.WriteString(text)
		return
	}
	p.escaped(text)
}

// escaped writes a text, or a part of one, with a backslash before what would end a word.
func (p *printer) escaped(text string) {
	for i, r := range text {
		n := utf8.RuneLen(r)
		if blank(text, i) > 0 || r == '+' || r == '-' || n == 1 && strings.IndexByte(signs, text[i]) >= 0 {
			if i == 0 || r != '+' && r != '-' {
				p.WriteByte('\\')
			}
		}
		p.WriteRune(r)
	}
}

func (p *printer) quote(text string) {
	p.WriteByte('"')
	for i := 0; i < len(text); i++ {
		if text[i] == '"' || text[i] == '\\' {
			p.WriteByte('\\')
		}
		p.WriteByte(text[i])
	}
	p.WriteByte('"')
}

func (p *printer) bounds(n *Range) {
	limit, sign := n.Min, ">"
	inclusive := n.MinInclusive
	if n.Min == nil {
		limit, sign, inclusive = n.Max, "<", n.MaxInclusive
	}
	if inclusive {
		sign += "="
	}
	if (n.Min == nil) != (n.Max == nil) && n.Field != nil && limit.Text != "" && !strings.Contains(limit.Text, " ") && limit.Text[0] != '=' {
		p.WriteString(sign)
		p.escaped(limit.Text)
		return
	}
	opening, end := "[", "]"
	if n.Min != nil && !n.MinInclusive {
		opening = "{"
	}
	if n.Max != nil && !n.MaxInclusive {
		end = "}"
	}
	p.WriteString(opening)
	p.bound(n.Min)
	p.WriteString(" TO ")
	p.bound(n.Max)
	p.WriteString(end)
}

func (p *printer) bound(l *Literal) {
	switch {
	case l == nil:
		p.WriteByte('*')
		return
	case l.Text == "":
		p.WriteString(`""`)
		return
	case l.Text == "*" || l.Text == "TO":
		p.WriteByte('\\')
	}
	for i, r := range l.Text {
		switch {
		case r == '\\':
			p.WriteString(`\\`)
		case blank(l.Text, i) > 0, r == ']', r == '}', r == '"':
			fmt.Fprintf(p, `\u%04x`, r)
		default:
			p.WriteRune(r)
		}
	}
}
