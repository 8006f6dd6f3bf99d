package kql

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// String writes n as a query. Parse of the result gives the same tree again, and String of that the same text. Blanks
// and parentheses are the printer's; a condition over several values of one field becomes a list.
func String(n Node) string {
	var p printer
	p.query(n, loose)
	return p.String()
}

// strength is how strongly the place of a condition binds: what binds less is put in parentheses.
type strength uint8

const (
	loose strength = iota // anything may stand here
	ofOr                  // an operand of or
	ofAnd                 // an operand of and
	ofNot                 // the operand of not
)

type printer struct{ strings.Builder }

// query writes n. Where all its values are of one field it is written as a list after that field.
func (p *printer) query(n Node, at strength) {
	if _, not := n.(*Not); !not {
		if f := listField(n); f != nil {
			p.literal(*f)
			p.WriteString(":(")
			p.values(n, loose)
			p.WriteByte(')')
			return
		}
	}
	p.compound(n, at, p.query)
}

// values writes n, all of one field, as it stands in the parentheses of a list.
func (p *printer) values(n Node, at strength) {
	if is, ok := n.(*Is); ok {
		p.literal(is.Value)
		return
	}
	p.compound(n, at, p.values)
}

// compound writes n with its operands by part.
func (p *printer) compound(n Node, at strength, part func(Node, strength)) {
	switch n := n.(type) {
	case *Or:
		p.list(n.Nodes, " or ", at > loose, ofOr, part)
	case *And:
		p.list(n.Nodes, " and ", at > ofOr, ofAnd, part)
	case *Not:
		p.group(at == ofNot, func() {
			p.WriteString("not ")
			part(n.Node, ofNot)
		})
	case *Is:
		if n.Field != nil {
			p.literal(*n.Field)
			p.WriteByte(':')
		}
		p.literal(n.Value)
	case *Range:
		p.literal(n.Field)
		p.WriteString(" " + n.Op.String() + " ")
		p.literal(n.Value)
	case *Nested:
		p.literal(n.Path)
		p.WriteString(":{ ")
		p.query(n.Node, loose)
		p.WriteString(" }")
	default:
		panic(fmt.Sprintf("kql: no text of %T", n))
	}
}

func (p *printer) list(nodes []Node, word string, parentheses bool, operand strength, part func(Node, strength)) {
	p.group(parentheses, func() {
		for i, n := range nodes {
			if i > 0 {
				p.WriteString(word)
			}
			part(n, operand)
		}
	})
}

func (p *printer) group(parentheses bool, inner func()) {
	if parentheses {
		p.WriteByte('(')
	}
	inner()
	if parentheses {
		p.WriteByte(')')
	}
}

// listField returns the field of all values in n where n joins at least two and they have the same one.
func listField(n Node) *Literal {
	var field *Literal
	one, joins := true, false
	walk(n, func(sub Node) {
		switch sub := sub.(type) {
		case *And, *Or:
			joins = true
		case *Not:
		case *Is:
			if sub.Field == nil || field != nil && !field.same(*sub.Field) {
				one = false
				return
			}
			field = sub.Field
		default:
			one = false
		}
	})
	if !one || !joins {
		return nil
	}
	return field
}

// literal writes l so that Parse reads it as it is. A bare text made by hand that begins or ends with a blank cannot be
// written bare and is quoted.
func (p *printer) literal(l Literal) {
	if l.Quoted {
		p.quote(l.Text())
		return
	}
	if !l.Wildcard() {
		text := l.Parts[0]
		if text == "" {
			p.WriteString(`\t`) // the only bare text that is empty: its blanks are left out
			return
		}
		if strings.TrimFunc(text, trimmed) != text {
			p.quote(text)
			return
		}
	}
	for i, part := range l.Parts {
		if i > 0 {
			p.WriteByte('*')
		}
		p.bare(part)
	}
}

func (p *printer) quote(text string) {
	p.WriteByte('"')
	for _, r := range text {
		switch r {
		case '"', '\\':
			p.WriteByte('\\')
			p.WriteRune(r)
		case '\t':
			p.WriteString(`\t`)
		case '\r':
			p.WriteString(`\r`)
		case '\n':
			p.WriteString(`\n`)
		default:
			p.WriteRune(r)
		}
	}
	p.WriteByte('"')
}

// bare writes a part of a bare text, with escapes for signs and for words that would end it.
func (p *printer) bare(text string) {
	for i := 0; i < len(text); {
		word, negates := ending(text, i)
		switch r, n := utf8.DecodeRuneInString(text[i:]); {
		case negates: // \not would be read as a line feed
			fmt.Fprintf(p, `\u%04x`, text[i])
			p.WriteString(text[i+1 : i+3])
			i += 3
		case word > 0:
			p.WriteByte('\\')
			p.WriteString(text[i : i+word])
			i += word
		case r == '\t':
			p.WriteString(`\t`)
			i += n
		case r == '\r':
			p.WriteString(`\r`)
			i += n
		case r == '\n':
			p.WriteString(`\n`)
			i += n
		default:
			if n == 1 && strings.IndexByte(special, text[i]) >= 0 {
				p.WriteByte('\\')
			}
			p.WriteString(text[i : i+n])
			i += n
		}
	}
}

// ending returns the length of a word at offset i of a bare text that would, or could with what follows the text, end
// it; negates is true for not.
func ending(text string, i int) (length int, negates bool) {
	ends := func(n int) bool { return i+n == len(text) || blank(text, i+n) > 0 }
	if wordAt(text, i, "not") && ends(3) {
		return 3, true
	}
	if i > 0 && (blank(text, i-1) > 0 || i > 1 && blank(text, i-2) == 2) {
		for _, word := range []string{"and", "or"} {
			if wordAt(text, i, word) && ends(len(word)) {
				return len(word), false
			}
		}
	}
	return 0, false
}
